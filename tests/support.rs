//! What the tests share.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

pub mod audit;
pub mod clock;
pub mod dice;
pub mod disk;
pub mod evidence;
pub mod fakes;
pub mod faulty;
pub mod mounted;
pub mod nobody;
pub mod other_rsyncs;
pub mod sandbox;
pub mod scene;
pub mod tree;
