//! The only file with `unsafe`: what std and nix offer no safe call for.
#![allow(unsafe_code, reason = "each use says why it is sound")]

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Whether our caller had this signal ignored, as `nohup` does with SIGHUP.
pub fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<nix::libc::sigaction>::uninit();
    // SAFETY: with a null second argument the call changes nothing; it fills `action`, which is large enough, when it
    // returns 0, and only then is it read.
    unsafe {
        nix::libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == nix::libc::SIG_IGN
    }
}

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
