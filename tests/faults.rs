//! The matrix of faults: what goes wrong before, during and after a clone, on real filesystems that fill up, break or
//! disappear. Each row is run, checked by the same code, and reported in a table at the end. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]
#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, unused_imports, reason = "the faults are made on Linux")
)]

mod support;

#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/destination.rs"]
mod destination;
#[path = "faults/devices.rs"]
mod devices;
#[path = "faults/fidelity.rs"]
mod fidelity;
#[path = "faults/frozen.rs"]
mod frozen;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/liars.rs"]
mod liars;
#[path = "faults/lock.rs"]
mod lock;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/moving.rs"]
mod moving;
#[path = "faults/planted.rs"]
mod planted;
#[path = "faults/read_again.rs"]
mod read_again;
#[path = "faults/runner.rs"]
mod runner;
#[path = "faults/signals.rs"]
mod signals;
#[path = "faults/source.rs"]
mod source;
#[path = "faults/space.rs"]
mod space;
#[path = "faults/stalls.rs"]
mod stalls;

fn main() -> std::process::ExitCode {
    runner::main(matrix::FAULTS)
}
