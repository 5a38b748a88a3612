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

/// Overwrites every place in our own arguments that holds `secret`, so that the list of processes shows it no more.
#[cfg(target_os = "linux")]
pub fn hide_argument(secret: &[u8]) {
    // The kernel tells where the arguments are: the 48th and 49th field, counted behind the name in parentheses.
    let fields_of = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields =
        fields_of.rsplit_once(") ").map(|(_, rest)| rest.split(' ').skip(45)).into_iter().flatten();
    let mut address = || fields.next().and_then(|field| field.trim().parse::<usize>().ok()).unwrap_or(0);
    let (from, to) = (address(), address());
    if secret.is_empty() || from == 0 || to <= from {
        return;
    }
    // SAFETY: the kernel has put our arguments there, in writable memory of the stack's own mapping that lives as long
    // as the process; the runtime has copied what it needs, no other reference to these bytes is held, and the length
    // is the kernel's own.
    let arguments = unsafe {
        std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(from), to - from)
    };
    for at in 0..arguments.len().saturating_sub(secret.len() - 1) {
        if arguments[at..].starts_with(secret) {
            arguments[at..at + secret.len()].fill(b'x');
        }
    }
}

/// On Apple's systems the arguments are reached through the C runtime.
#[cfg(target_vendor = "apple")]
pub fn hide_argument(secret: &[u8]) {
    // SAFETY: both calls return pointers that are valid as long as the process lives.
    let (count, arguments) = unsafe { (*nix::libc::_NSGetArgc(), *nix::libc::_NSGetArgv()) };
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the array has `count` pointers to strings that end with a zero byte, all of them writable; nothing
        // else holds a reference to them while this function runs.
        let argument = unsafe {
            let text = *arguments.add(index);
            std::slice::from_raw_parts_mut(text.cast::<u8>(), nix::libc::strlen(text))
        };
        for at in 0..argument.len().saturating_sub(secret.len().saturating_sub(1)) {
            if !secret.is_empty() && argument[at..].starts_with(secret) {
                argument[at..at + secret.len()].fill(b'x');
            }
        }
    }
}

/// Lets the child die with us where the system can do that, and keep these descriptors open, a lock among them.
///
/// Without the first, a killed Counterpart would leave an rsync that goes on deleting; without the second, the next
/// run could begin beside it on systems that cannot do the first.
pub fn prepare_child<'a>(command: &mut Command, kept: impl Iterator<Item = &'a OwnedFd>) {
    let kept: Vec<_> = kept.map(|kept| kept.as_fd().as_raw_fd()).collect();
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
        for kept in &kept {
            // SAFETY: the descriptor belongs to an `OwnedFd` of the parent that outlives the spawn, and the child
            // has its own copy of it; nothing here closes it.
            let kept = unsafe { std::os::fd::BorrowedFd::borrow_raw(*kept) };
            nix::fcntl::fcntl(kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls that are async-signal-safe (prctl, getppid, fcntl); it allocates
    // nothing, takes no lock and touches no memory but what it has captured.
    unsafe { command.pre_exec(prepare) };
}
