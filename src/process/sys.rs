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

/// Whether the key of an encrypted directory is there.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// It is.
    Present,
    /// It is not, or it is being taken away.
    Absent,
    /// The kernel does not know: it may be one that belongs to a process.
    Unknown,
}

/// Asks the kernel for the key of a directory that fscrypt encrypts.
///
/// Errors where that is none, and before Linux 5.4.
#[cfg(target_os = "linux")]
pub fn encryption_key(directory: &OwnedFd) -> nix::Result<Key> {
    use fscrypt::{KeySpecifier, KeyStatus, Policy};
    let mut policy = Policy { size: 24, version: 0, settings: [0; 3], rest: [0; 20] };
    // SAFETY: the descriptor is open; the argument is a struct of the kernel's own form, in which it writes no more than
    // the 24 bytes behind `size` that `size` allows, and which outlives the call.
    unsafe { fscrypt::get_policy(directory.as_raw_fd(), &raw mut policy)? };
    let mut key = KeySpecifier { kind: 0, reserved: 0, name: [0; 32] };
    match policy.version {
        // A version byte of 0 means the first version.
        0 => {
            key.kind = 1;
            key.name[..8].copy_from_slice(&policy.rest[..8]);
        }
        2 => {
            key.kind = 2;
            key.name[..16].copy_from_slice(&policy.rest[4..]);
        }
        _ => return Ok(Key::Unknown),
    }
    let mut status = KeyStatus { key, reserved: [0; 6], status: 0, more: [0; 15] };
    // SAFETY: as above; the kernel fills this struct and nothing beyond it.
    unsafe { fscrypt::get_key_status(directory.as_raw_fd(), &raw mut status)? };
    Ok(match (status.status, policy.version) {
        (2, _) => Key::Present,
        // Such a key may be in the keyring of a process, where the kernel finds it all the same.
        (_, 0) => Key::Unknown,
        _ => Key::Absent,
    })
}

/// The kernel's `linux/fscrypt.h`.
#[cfg(target_os = "linux")]
mod fscrypt {
    /// `struct fscrypt_get_policy_ex_arg`.
    #[repr(C)]
    pub struct Policy {
        pub size: u64,
        pub version: u8,
        pub settings: [u8; 3],
        pub rest: [u8; 20],
    }

    /// `struct fscrypt_key_specifier`.
    #[repr(C)]
    pub struct KeySpecifier {
        pub kind: u32,
        pub reserved: u32,
        pub name: [u8; 32],
    }

    /// `struct fscrypt_get_key_status_arg`.
    #[repr(C)]
    pub struct KeyStatus {
        pub key: KeySpecifier,
        pub reserved: [u32; 6],
        pub status: u32,
        pub more: [u32; 15],
    }

    // The size in this number is that of the fixed part alone.
    nix::ioctl_readwrite_bad!(get_policy, nix::request_code_readwrite!(b'f', 22, 9), Policy);
    nix::ioctl_readwrite!(get_key_status, b'f', 26, KeyStatus);
}

/// What the filesystem of an open file tells of a property, such as `_PC_CASE_SENSITIVE`, which nix has no name for.
#[cfg(not(target_os = "linux"))]
pub fn property(file: &std::fs::File, name: i32) -> Option<u64> {
    // SAFETY: the descriptor is open, and the call touches no memory of ours.
    let value = unsafe { nix::libc::fpathconf(file.as_raw_fd(), name) };
    u64::try_from(value).ok()
}
