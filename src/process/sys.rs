//! The only file with `unsafe`: what a child does to itself between fork and exec.
#![allow(unsafe_code, reason = "std offers no safe way to run code between fork and exec")]

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Lets the child die with us where the system can do that, and keep `lock` open.
///
/// Without the first, a killed Counterpart would leave an rsync that goes on deleting; without the second, the next
/// run could begin beside it on systems that cannot do the first.
pub fn prepare_child(command: &mut Command, lock: Option<&OwnedFd>) {
    let lock = lock.map(|lock| lock.as_fd().as_raw_fd());
    #[cfg(target_os = "linux")]
    let parent = nix::unistd::getpid();
    let prepare = move || {
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
            if nix::unistd::getppid() != parent {
                return Err(nix::errno::Errno::ESRCH.into());
            }
        }
        if let Some(lock) = lock {
            // SAFETY: the descriptor belongs to an `OwnedFd` of the parent that outlives the spawn, and the child
            // has its own copy of it; nothing here closes it.
            let lock = unsafe { std::os::fd::BorrowedFd::borrow_raw(lock) };
            nix::fcntl::fcntl(lock, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls that are async-signal-safe (prctl, getppid, fcntl); it allocates
    // nothing, takes no lock and touches no memory but its two captured integers.
    unsafe { command.pre_exec(prepare) };
}
