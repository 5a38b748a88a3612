//! `counterpart` makes an exact, where possible bootable, clone of a live system with rsync.

use std::process::ExitCode;

fn main() -> ExitCode {
    counterpart::main_on(counterpart::host::Host::native)
}
