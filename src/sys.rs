//! The only file with `unsafe`: calls for which std and nix offer no safe wrapper.
#![allow(unsafe_code, reason = "each use says why it is sound")]

pub mod last_words;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether our caller has this signal ignored, as `nohup` does with SIGHUP.
pub fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<nix::libc::sigaction>::uninit();
    // SAFETY: with a null second argument the call changes nothing; it fills `action`, which is large enough, if it
    // returns 0, and only then is it read.
    unsafe {
        nix::libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == nix::libc::SIG_IGN
    }
}

/// Ignores a signal from now on.
pub fn ignore(signal: i32) {
    // SAFETY: ignoring a signal installs no code of ours that could run at a bad moment.
    unsafe {
        nix::libc::signal(signal, nix::libc::SIG_IGN);
    }
}

/// The total CPU time, in nanoseconds, and bytes of disk I/O of all processes in a group.
#[cfg(target_vendor = "apple")]
#[must_use]
pub fn group_usage(group: i32) -> Option<(u64, u64)> {
    const MOST: usize = 1024;
    let mut numbers = [0_i32; MOST];
    let size = i32::try_from(std::mem::size_of_val(&numbers)).ok()?;
    // SAFETY: the call writes at most `size` bytes to the array and returns how many processes that were.
    let count = unsafe { nix::libc::proc_listpgrppids(group, numbers.as_mut_ptr().cast(), size) };
    let count = usize::try_from(count).ok()?.min(MOST);
    let mut usage = (0_u64, 0_u64);
    for number in numbers.into_iter().take(count) {
        let mut info = std::mem::MaybeUninit::<nix::libc::rusage_info_v2>::zeroed();
        // SAFETY: the call fills a structure of the version given, the type of `info`; all zeros are valid as well.
        let info = unsafe {
            if nix::libc::proc_pid_rusage(number, nix::libc::RUSAGE_INFO_V2, info.as_mut_ptr().cast()) != 0 {
                continue;
            }
            info.assume_init()
        };
        usage.0 = usage.0.wrapping_add(info.ri_user_time).wrapping_add(info.ri_system_time);
        usage.1 = usage.1.wrapping_add(info.ri_diskio_bytesread).wrapping_add(info.ri_diskio_byteswritten);
    }
    Some(usage)
}

/// Linux reports this in `/proc`.
#[cfg(not(target_vendor = "apple"))]
#[must_use]
pub fn group_usage(_group: i32) -> Option<(u64, u64)> {
    None
}

/// Writes the names of an entry's extended attributes to `list`, without following a link, and returns their length.
///
/// Errors with `ENOSYS` before Linux 6.13, and with `ERANGE` if `list` is too short.
#[cfg(target_os = "linux")]
pub fn list_attributes(directory: impl AsFd, name: &CStr, list: &mut [u8]) -> nix::Result<usize> {
    // One number for all machines on which Rust has a standard library for Linux, but for MIPS, where it is another call.
    const NUMBER: nix::libc::c_long = 465;
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        return Err(nix::errno::Errno::ENOSYS);
    }
    // SAFETY: the call reads `name` up to its zero byte and writes at most as many bytes to `list` as it has.
    let length = unsafe {
        nix::libc::syscall(
            NUMBER,
            directory.as_fd().as_raw_fd(),
            name.as_ptr(),
            nix::libc::AT_SYMLINK_NOFOLLOW,
            list.as_mut_ptr(),
            list.len(),
        )
    };
    nix::errno::Errno::result(length).map(|length| usize::try_from(length).unwrap_or(0))
}

/// Has the log's last line written if a fault or lack of memory ends the process.
pub fn speak_when_aborted() {
    use nix::libc::{SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
    let handler = on_abort as extern "C" fn(i32);
    for signal in [SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP] {
        // SAFETY: the handler makes only system calls that are async-signal-safe, and ends the process.
        unsafe {
            nix::libc::signal(signal, handler as nix::libc::sighandler_t);
        }
    }
}

extern "C" fn on_abort(signal: i32) {
    crate::sys::last_words::say(signal, &mut |descriptor, text| {
        // SAFETY: the call reads as many bytes as `text` has; a closed descriptor yields an error.
        unsafe { nix::libc::write(descriptor, text.as_ptr().cast(), text.len()) };
    });
    // SAFETY: no destructor and no foreign code runs after this.
    unsafe { nix::libc::_exit(128 + signal) }
}

/// Writes a small file of this name to a directory's disk and removes it, in a separate process; returns whether that
/// finished in time, successfully or not. Nothing ends a process that waits for a dead disk, so it may be left behind.
pub fn can_write(dir: impl AsFd, name: &CStr, patience: Duration) -> bool {
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: the child of this threaded process only makes system calls, with its own copies of a descriptor and a
    // string, and ends with `_exit`: it allocates nothing and takes no lock.
    let child = unsafe {
        match nix::libc::fork() {
            0 => {
                // The terminal's signals are for us: handled in the child as well, they would count twice.
                nix::libc::setpgid(0, 0);
                // A reader waiting for our output to end must not wait for this process.
                for standard in 0..FIRST {
                    nix::libc::close(standard);
                }
                let flags =
                    nix::libc::O_WRONLY | nix::libc::O_CREAT | nix::libc::O_EXCL | nix::libc::O_NOFOLLOW;
                let file = nix::libc::openat(dir, name.as_ptr(), flags, 0o600);
                if file >= 0 {
                    nix::libc::write(file, c"\n".as_ptr().cast(), 1);
                    nix::libc::fsync(file);
                    nix::libc::close(file);
                    nix::libc::unlinkat(dir, name.as_ptr(), 0);
                }
                nix::libc::_exit(0)
            }
            child => nix::unistd::Pid::from_raw(child),
        }
    };
    if child.as_raw() < 0 {
        return false;
    }
    let deadline = Instant::now() + patience;
    loop {
        match nix::sys::wait::waitpid(child, Some(nix::sys::wait::WaitPidFlag::WNOHANG)) {
            Ok(nix::sys::wait::WaitStatus::StillAlive) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
        if Instant::now() > deadline {
            // It ends when the disk lets it.
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The signals that silently end a process, except SIGINT, SIGTERM, SIGHUP, SIGPIPE, which the runtime ignores, and
/// those raised by faults of the program itself.
#[cfg(target_os = "linux")]
pub fn ending_signals() -> Vec<i32> {
    use nix::libc::{
        SIGALRM, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM,
        SIGXCPU,
    };
    let named = [SIGALRM, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU];
    named.into_iter().chain(SIGRTMIN()..=SIGRTMAX()).collect()
}

/// Other systems have fewer of them.
#[cfg(not(target_os = "linux"))]
pub fn ending_signals() -> Vec<i32> {
    use nix::libc::{SIGALRM, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
    vec![SIGALRM, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU]
}

/// Overwrites every occurrence of `secret` in our own arguments, so that it disappears from the process list.
#[cfg(target_os = "linux")]
pub fn hide_argument(secret: &[u8]) {
    // The kernel reports where the arguments are: fields 48 and 49, counted from after the name in parentheses.
    let fields_of = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields =
        fields_of.rsplit_once(") ").map(|(_, rest)| rest.split(' ').skip(45)).into_iter().flatten();
    let mut address = || fields.next().and_then(|field| field.trim().parse::<usize>().ok()).unwrap_or(0);
    let (from, to) = (address(), address());
    if secret.is_empty() || from == 0 || to <= from {
        return;
    }
    // SAFETY: the kernel put our arguments there, in writable memory of the stack's own mapping that lives as long as
    // the process; the runtime has copied what it needs, no other reference to these bytes is held, and the length is
    // the kernel's own.
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
    // SAFETY: both calls return pointers that are valid for the life of the process.
    let (count, arguments) = unsafe { (*nix::libc::_NSGetArgc(), *nix::libc::_NSGetArgv()) };
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the array has `count` pointers to writable, NUL-terminated strings; nothing else holds a reference to
        // them while this function runs.
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

/// The first descriptor after standard input, output and error.
const FIRST: i32 = 3;

/// Marks every descriptor except the standard ones close-on-exec.
///
/// Ours are opened that way; those inherited from our caller are not, and 1,300 of them hang every rsync before 3.5.0.
/// `end` is one more than the highest open one, for kernels that can only do it one by one.
fn close_on_exec(end: i32) {
    #[cfg(target_os = "linux")]
    {
        let (first, last) = (FIRST.unsigned_abs(), nix::libc::c_uint::MAX);
        // SAFETY: the call takes three numbers and changes only flags of descriptors.
        let done = unsafe {
            nix::libc::syscall(nix::libc::SYS_close_range, first, last, nix::libc::CLOSE_RANGE_CLOEXEC)
        };
        if done == 0 {
            return;
        }
    }
    for descriptor in FIRST..end {
        // SAFETY: F_SETFD changes only a flag; a number that is not open yields an error.
        unsafe {
            nix::libc::fcntl(descriptor, nix::libc::F_SETFD, nix::libc::FD_CLOEXEC);
        }
    }
}

/// How many descriptors are processed one by one at most.
const MOST: i32 = 1 << 20;

/// One more than the highest open descriptor.
fn end_of_descriptors() -> i32 {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return MOST };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.max().map_or(MOST, |highest| highest.saturating_add(1).min(MOST))
}

/// Makes the child die with us where the system supports that, run in `namespace` (with this root, or its own), and keep
/// only these descriptors open, including the lock.
///
/// Without the first, a killed Counterpart would leave an rsync that goes on deleting; without the lock, the next run
/// could start beside it on systems that do not support the first. Signals that we ignore for ourselves are not ignored
/// in the child.
pub fn prepare_child<'a>(
    command: &mut Command,
    namespace: Option<(&OwnedFd, Option<&OwnedFd>)>,
    kept: impl Iterator<Item = &'a OwnedFd>,
) {
    let kept: Vec<RawFd> = kept.map(|kept| kept.as_fd().as_raw_fd()).collect();
    let end = end_of_descriptors();
    #[cfg(target_os = "linux")]
    let namespace = namespace
        .map(|(mounts, root)| (mounts.as_fd().as_raw_fd(), root.map(|root| root.as_fd().as_raw_fd())));
    // Other systems have none.
    #[cfg(not(target_os = "linux"))]
    let _ = namespace;
    #[cfg(target_os = "linux")]
    let parent = nix::unistd::getpid();
    let prepare = move || {
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
            if nix::unistd::getppid() != parent {
                return Err(nix::errno::Errno::ESRCH.into());
            }
            if let Some((mounts, root)) = namespace {
                // SAFETY: as with the lock below, the parent's `OwnedFd` outlives the spawn.
                let mounts = unsafe { std::os::fd::BorrowedFd::borrow_raw(mounts) };
                nix::sched::setns(mounts, nix::sched::CloneFlags::CLONE_NEWNS)?;
                if let Some(root) = root {
                    // SAFETY: the same.
                    enter_root(unsafe { std::os::fd::BorrowedFd::borrow_raw(root) })?;
                }
                nix::unistd::chdir(c"/")?;
            }
        }
        close_on_exec(end);
        // SAFETY: the default action of a signal runs no code of ours.
        unsafe {
            nix::libc::signal(nix::libc::SIGXFSZ, nix::libc::SIG_DFL);
        }
        for kept in &kept {
            // SAFETY: the descriptor belongs to an `OwnedFd` of the parent that outlives the spawn, and the child has
            // its own copy of it; nothing here closes it.
            let kept = unsafe { std::os::fd::BorrowedFd::borrow_raw(*kept) };
            nix::fcntl::fcntl(kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe system calls (prctl, getppid, setns, stat, fchdir, chroot, chdir,
    // close_range, fcntl, signal); it allocates nothing, takes no lock and touches no memory except its captured integers.
    unsafe { command.pre_exec(prepare) };
}

/// Makes this the root directory again: to enter a mount namespace is to leave a chroot.
#[cfg(target_os = "linux")]
pub fn enter_root(root: std::os::fd::BorrowedFd<'_>) -> nix::Result<()> {
    let (wanted, now) = (nix::sys::stat::fstat(root)?, nix::sys::stat::stat(c"/")?);
    let entered = nix::unistd::fchdir(root).and_then(|()| nix::unistd::chroot(c"."));
    // Where it is the root already, the right to do this may be missing.
    if (wanted.st_dev, wanted.st_ino) == (now.st_dev, now.st_ino) { Ok(()) } else { entered }
}

/// The system's allocator, which can be told to wipe memory when it is freed.
struct Wiping;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

static WIPES: AtomicBool = AtomicBool::new(false);

/// Turns backtraces off, whatever the environment asks for. To be called before any other thread is started.
///
/// While it prints one, the standard library holds a lock; if memory runs out meanwhile, it waits for that lock itself,
/// forever (Rust 1.95: a panic, and then a failed allocation in its hook).
pub fn disable_backtraces() {
    for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
        // SAFETY: no other thread runs yet that could read the environment, and the standard library takes its own lock.
        unsafe { std::env::remove_var(name) };
    }
}

/// Turns overwriting of freed memory on or off.
pub fn wipe_freed_memory(wipes: bool) {
    WIPES.store(wipes, Ordering::SeqCst);
}

/// Overwrites a block that is about to be freed. The writes are volatile, because nothing reads the result.
///
/// # Safety
///
/// `block` is valid for writes of `size` bytes, and nothing refers to it.
unsafe fn wipe(block: *mut u8, size: usize) {
    for at in 0..size {
        // SAFETY: `at` is below `size`, so the byte belongs to the block.
        unsafe { block.add(at).write_volatile(0) };
    }
}

// SAFETY: every block comes from the system's allocator with the requested layout, and is returned to it with the same
// one; in between only bytes of blocks that the caller has released are written.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees about the layout are what the system's allocator requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller releases a block of this layout that came from here, and thus from the system's allocator.
        unsafe {
            if WIPES.load(Ordering::Relaxed) {
                wipe(block, layout.size());
            }
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller's guarantees are what the system's allocator requires.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller guarantees that `size` is not zero and does not overflow with this alignment; both blocks
        // are valid for the smaller of the two sizes and distinct; the old one is released as in `dealloc`.
        unsafe {
            let moved = System.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Whether the key of an encrypted directory is present.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// It is present.
    Present,
    /// It is missing, or being removed.
    Absent,
    /// The kernel does not know: it may be a key that belongs to a process.
    Unknown,
}

/// Asks the kernel for the key of a directory encrypted with fscrypt.
///
/// Errors for any other directory, and before Linux 5.4.
#[cfg(target_os = "linux")]
pub fn encryption_key(directory: &OwnedFd) -> nix::Result<Key> {
    use fscrypt::{KeySpecifier, KeyStatus, Policy};
    let mut policy = Policy { size: 24, version: 0, settings: [0; 3], rest: [0; 20] };
    // SAFETY: the descriptor is open; the argument is a struct in the kernel's own layout, which outlives the call and
    // in which it writes no more than the 24 bytes after `size` that `size` allows.
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
        // Such a key may be in a process's keyring, where the kernel still finds it.
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

    // The size encoded in this number is that of the fixed part only.
    nix::ioctl_readwrite_bad!(get_policy, nix::request_code_readwrite!(b'f', 22, 9), Policy);
    nix::ioctl_readwrite!(get_key_status, b'f', 26, KeyStatus);
}

/// Writes what is cached of a block device to it and drops the cache: the partitions' caches are not the disk's.
#[cfg(target_os = "linux")]
pub fn flush_buffers(device: &std::fs::File) -> nix::Result<()> {
    // SAFETY: the descriptor is open, and the call takes no argument.
    unsafe { blkflsbuf(device.as_raw_fd()) }.map(drop)
}

#[cfg(target_os = "linux")]
nix::ioctl_none!(blkflsbuf, 0x12, 97);

/// What a loop device shows: the device and inode of its file, and the number of the block device that this is, or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backing {
    /// The device of the file's filesystem, and the file's inode.
    pub file: (u64, u64),
    /// Its device number, if it is a block device itself.
    pub device: u64,
}

/// Asks a loop device for what it shows.
///
/// Errors if it is none, or shows nothing.
#[cfg(target_os = "linux")]
pub fn loop_backing(device: &std::fs::File) -> nix::Result<Backing> {
    let mut status = disk::LoopStatus { device: 0, inode: 0, rdevice: 0, rest: [0; 208] };
    // SAFETY: the descriptor is open; the kernel fills a struct of exactly this size, which outlives the call.
    unsafe { disk::loop_status(device.as_raw_fd(), &raw mut status)? };
    Ok(Backing { file: (status.device, status.inode), device: status.rdevice })
}

/// Other systems have no loop devices.
#[cfg(not(target_os = "linux"))]
pub fn loop_backing(_device: &std::fs::File) -> nix::Result<Backing> {
    Err(nix::errno::Errno::ENOTTY)
}

/// The number that the kernel gives to every disk once: another disk in its place has another (Linux 5.15).
#[cfg(target_os = "linux")]
pub fn disk_sequence(device: &std::fs::File) -> nix::Result<u64> {
    let mut number = 0;
    // SAFETY: the descriptor is open; the kernel writes one number of 64 bits, which outlives the call.
    unsafe { disk::sequence(device.as_raw_fd(), &raw mut number)? };
    Ok(number)
}

/// Other systems have no such number.
#[cfg(not(target_os = "linux"))]
pub fn disk_sequence(_device: &std::fs::File) -> nix::Result<u64> {
    Err(nix::errno::Errno::ENOTTY)
}

/// The kernel's `linux/loop.h` and `linux/fs.h`.
#[cfg(target_os = "linux")]
mod disk {
    /// `struct loop_info64`.
    #[repr(C)]
    pub struct LoopStatus {
        pub device: u64,
        pub inode: u64,
        pub rdevice: u64,
        pub rest: [u8; 208],
    }

    nix::ioctl_read_bad!(loop_status, 0x4c05, LoopStatus);
    nix::ioctl_read!(sequence, 0x12, 128, u64);
}

/// Other systems have no partitions with caches of their own.
#[cfg(not(target_os = "linux"))]
pub fn flush_buffers(_device: &std::fs::File) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOTSUP)
}

/// Bounds what another process of ours may write to one file, in bytes, and has it leave no core.
///
/// The process may be gone already.
#[cfg(target_os = "linux")]
pub fn limit_writes(process: u32, most: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return };
    for (what, most) in [(Resource::Fsize, most), (Resource::Core, 0)] {
        let _ = prlimit(Some(process), what, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// Other systems limit only the process that asks.
#[cfg(not(target_os = "linux"))]
pub fn limit_writes(_process: u32, _most: u64) {}

/// A property reported by the filesystem of an open file, such as `_PC_CASE_SENSITIVE`, for which nix has no name.
#[cfg(not(target_os = "linux"))]
pub fn property(file: &std::fs::File, name: i32) -> Option<u64> {
    // SAFETY: the descriptor is open, and the call touches no memory of ours.
    let value = unsafe { nix::libc::fpathconf(file.as_raw_fd(), name) };
    u64::try_from(value).ok()
}

/// Makes a read-only snapshot of a btrfs subvolume, given by its open top, as `name` in another directory of the same
/// filesystem.
#[cfg(target_os = "linux")]
pub fn snapshot(subvolume: &impl AsFd, directory: &impl AsFd, name: &CStr) -> nix::Result<()> {
    let mut wanted = btrfs::Snapshot {
        subvolume: i64::from(subvolume.as_fd().as_raw_fd()),
        transaction: 0,
        flags: btrfs::READ_ONLY,
        unused: [0; 4],
        name: [0; 4040],
    };
    btrfs::put(&mut wanted.name, name)?;
    // SAFETY: both descriptors are open; the kernel reads and writes a struct of exactly this size, which outlives the call.
    unsafe { btrfs::make(directory.as_fd().as_raw_fd(), &raw const wanted) }.map(drop)
}

/// Deletes the btrfs subvolume or snapshot `name` in a directory.
#[cfg(target_os = "linux")]
pub fn delete_subvolume(directory: &impl AsFd, name: &CStr) -> nix::Result<()> {
    let mut unwanted = btrfs::Named { unused: 0, name: [0; 4088] };
    btrfs::put(&mut unwanted.name, name)?;
    // SAFETY: the descriptor is open; the kernel reads a struct of exactly this size, which outlives the call.
    unsafe { btrfs::delete(directory.as_fd().as_raw_fd(), &raw const unwanted) }.map(drop)
}

/// The UUID of the btrfs filesystem of an open file, as 16 bytes.
#[cfg(target_os = "linux")]
pub fn btrfs_uuid(file: &impl AsFd) -> nix::Result<[u8; 16]> {
    let mut found = btrfs::Facts { before: [0; 16], uuid: [0; 16], rest: [0; 992] };
    // SAFETY: the descriptor is open; the kernel fills a struct of exactly this size, which outlives the call.
    unsafe { btrfs::facts(file.as_fd().as_raw_fd(), &raw mut found)? };
    Ok(found.uuid)
}

/// The kernel's `linux/btrfs.h`.
#[cfg(target_os = "linux")]
mod btrfs {
    use std::ffi::CStr;

    /// `BTRFS_SUBVOL_RDONLY`.
    pub const READ_ONLY: u64 = 1 << 1;

    /// `struct btrfs_ioctl_vol_args_v2`.
    #[repr(C)]
    pub struct Snapshot {
        pub subvolume: i64,
        pub transaction: u64,
        pub flags: u64,
        pub unused: [u64; 4],
        pub name: [u8; 4040],
    }

    /// `struct btrfs_ioctl_vol_args`.
    #[repr(C)]
    pub struct Named {
        pub unused: i64,
        pub name: [u8; 4088],
    }

    /// `struct btrfs_ioctl_fs_info_args`.
    #[repr(C)]
    pub struct Facts {
        pub before: [u8; 16],
        pub uuid: [u8; 16],
        pub rest: [u8; 992],
    }

    /// Puts a name into its field, where a zero ends it.
    pub fn put(field: &mut [u8], name: &CStr) -> nix::Result<()> {
        let name = name.to_bytes_with_nul();
        field.get_mut(..name.len()).ok_or(nix::errno::Errno::ENAMETOOLONG)?.copy_from_slice(name);
        Ok(())
    }

    nix::ioctl_write_ptr!(make, 0x94, 23, Snapshot);
    nix::ioctl_write_ptr!(delete, 0x94, 15, Named);
    nix::ioctl_read!(facts, 0x94, 31, Facts);
}

/// Other systems have no btrfs.
#[cfg(not(target_os = "linux"))]
pub fn snapshot(_subvolume: &impl AsFd, _directory: &impl AsFd, _name: &CStr) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOTSUP)
}

/// Other systems have no btrfs.
#[cfg(not(target_os = "linux"))]
pub fn delete_subvolume(_directory: &impl AsFd, _name: &CStr) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOTSUP)
}

/// Other systems have no btrfs.
#[cfg(not(target_os = "linux"))]
pub fn btrfs_uuid(_file: &impl AsFd) -> nix::Result<[u8; 16]> {
    Err(nix::errno::Errno::ENOTSUP)
}
