//! Code shared by the tests.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

pub mod audit;
pub mod clock;
pub mod dice;
pub mod disk;
pub mod evidence;
pub mod fakes;
pub mod faulty;
pub mod killed;
pub mod mounted;
pub mod nobody;
pub mod other_rsyncs;
pub mod sandbox;
pub mod scene;
pub mod tree;
