//! What a clone deletes or overwrites is kept, and comes back as it was: real rsyncs on real filesystems. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/audit.rs"]
mod audit;
#[path = "support/clock.rs"]
mod clock;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/other_rsyncs.rs"]
mod other_rsyncs;
#[path = "support/sandbox.rs"]
mod sandbox;
#[path = "support/tree.rs"]
mod tree;

#[path = "cli/nobody.rs"]
mod nobody;

#[path = "safety_net/faults.rs"]
mod faults;
#[path = "safety_net/led_astray.rs"]
mod led_astray;
#[path = "safety_net/memory.rs"]
mod memory;
#[path = "safety_net/moved.rs"]
mod moved;
#[path = "safety_net/order.rs"]
mod order;
#[path = "safety_net/restore.rs"]
mod restore;
#[path = "safety_net/room.rs"]
mod room;
#[path = "safety_net/scene.rs"]
mod scene;
#[path = "safety_net/stock.rs"]
mod stock;
