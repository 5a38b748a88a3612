//! The only file with `unsafe`: what std and nix offer no safe call for.
#![allow(unsafe_code, reason = "each use says why it is sound")]

pub mod last_words;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Has a signal ignored from now on.
pub fn ignore(signal: i32) {
    // SAFETY: to ignore a signal installs no code of ours that could run at a bad moment.
    unsafe {
        nix::libc::signal(signal, nix::libc::SIG_IGN);
    }
}

/// The processor time, in nanoseconds, and the bytes moved to and from disks, of all processes of a group together.
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
        // SAFETY: the call fills a structure of the version that is named, which `info` is; zeroed it is valid as well.
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

/// Linux tells it in `/proc`.
#[cfg(not(target_vendor = "apple"))]
#[must_use]
pub fn group_usage(_group: i32) -> Option<(u64, u64)> {
    None
}

/// Lets the log's last line be written when a fault or the want of memory ends the process.
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
        // SAFETY: the call reads as many bytes as `text` has; a descriptor that is closed gives an error.
        unsafe { nix::libc::write(descriptor, text.as_ptr().cast(), text.len()) };
    });
    // SAFETY: no destructor and no code of anybody else runs any more.
    unsafe { nix::libc::_exit(128 + signal) }
}

/// Writes a small file of this name to a directory's disk and removes it, in a process of its own: whether that has come to
/// its end in time, well or not. Nothing ends a process that waits for a dead disk, so it may be left behind.
pub fn can_write(dir: impl AsFd, name: &CStr, patience: Duration) -> bool {
    let dir = dir.as_fd().as_raw_fd();
    // SAFETY: the child of this threaded process only makes system calls, with a descriptor and a string that it has
    // copies of, and ends by `_exit`: it allocates nothing and takes no lock.
    let child = unsafe {
        match nix::libc::fork() {
            0 => {
                // The terminal's signals are for us: a handler of ours that ran there would count them twice.
                nix::libc::setpgid(0, 0);
                // Nobody who waits for the end of our output shall wait for this process.
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
            // It goes when the disk lets it.
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The signals that end a process without a word, apart from SIGINT, SIGTERM, SIGHUP, from SIGPIPE, which the runtime
/// ignores, and from those that a fault of the program itself raises.
#[cfg(target_os = "linux")]
pub fn ending_signals() -> Vec<i32> {
    use nix::libc::{
        SIGALRM, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM,
        SIGXCPU,
    };
    let named = [SIGALRM, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGSTKFLT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU];
    named.into_iter().chain(SIGRTMIN()..=SIGRTMAX()).collect()
}

/// Elsewhere there are fewer of them.
#[cfg(not(target_os = "linux"))]
pub fn ending_signals() -> Vec<i32> {
    use nix::libc::{SIGALRM, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU};
    vec![SIGALRM, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU]
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

/// The first descriptor that is not standard input, output or error.
const FIRST: i32 = 3;

/// Has every descriptor but the standard ones closed when this process becomes another program.
///
/// Ours are opened so; those that our caller has left open are not, and 1,300 of them hang every rsync before 3.5.0.
/// `end` is one more than the highest that was open before, for kernels that know no other way than one by one.
fn close_on_exec(end: i32) {
    #[cfg(target_os = "linux")]
    {
        let (first, last) = (FIRST.unsigned_abs(), nix::libc::c_uint::MAX);
        // SAFETY: the call takes three numbers and changes nothing but the flags of descriptors.
        let done = unsafe {
            nix::libc::syscall(nix::libc::SYS_close_range, first, last, nix::libc::CLOSE_RANGE_CLOEXEC)
        };
        if done == 0 {
            return;
        }
    }
    for descriptor in FIRST..end {
        // SAFETY: F_SETFD changes nothing but a flag; a number that is not open gives an error.
        unsafe {
            nix::libc::fcntl(descriptor, nix::libc::F_SETFD, nix::libc::FD_CLOEXEC);
        }
    }
}

/// The most descriptors that are gone through one by one.
const MOST: i32 = 1 << 20;

/// One more than the highest open descriptor.
fn end_of_descriptors() -> i32 {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return MOST };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.max().map_or(MOST, |highest| highest.saturating_add(1).min(MOST))
}

/// Lets the child die with us where the system can do that, run in `namespace`, and keep these descriptors open, the lock
/// among them, and no others.
///
/// Without the first, a killed Counterpart would leave an rsync that goes on deleting; without the second, the next
/// run could begin beside it on systems that cannot do the first. A signal that we ignore for ourselves is not ignored for
/// the child.
pub fn prepare_child<'a>(
    command: &mut Command,
    namespace: Option<&OwnedFd>,
    kept: impl Iterator<Item = &'a OwnedFd>,
) {
    let kept: Vec<RawFd> = kept.map(|kept| kept.as_fd().as_raw_fd()).collect();
    let end = end_of_descriptors();
    #[cfg(target_os = "linux")]
    let namespace = namespace.map(|namespace| namespace.as_fd().as_raw_fd());
    // There are none elsewhere.
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
            if let Some(namespace) = namespace {
                // SAFETY: as with the lock below, the parent's `OwnedFd` outlives the spawn.
                let namespace = unsafe { std::os::fd::BorrowedFd::borrow_raw(namespace) };
                nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNS)?;
                nix::unistd::chdir(c"/")?;
            }
        }
        close_on_exec(end);
        // SAFETY: the default action of a signal is no code of ours.
        unsafe {
            nix::libc::signal(nix::libc::SIGXFSZ, nix::libc::SIG_DFL);
        }
        for kept in &kept {
            // SAFETY: the descriptor belongs to an `OwnedFd` of the parent that outlives the spawn, and the child
            // has its own copy of it; nothing here closes it.
            let kept = unsafe { std::os::fd::BorrowedFd::borrow_raw(*kept) };
            nix::fcntl::fcntl(kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls that are async-signal-safe (prctl, getppid, setns, chdir, close_range,
    // fcntl, signal); it allocates nothing, takes no lock and touches no memory but its captured integers.
    unsafe { command.pre_exec(prepare) };
}

/// The system's allocator, which can be told to leave nothing behind in what is freed.
struct Wiping;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

static WIPES: AtomicBool = AtomicBool::new(false);

/// From now on memory is overwritten before it is freed, or no longer.
pub fn wipe_freed_memory(wipes: bool) {
    WIPES.store(wipes, Ordering::SeqCst);
}

/// Overwrites a block that is about to be freed. The writes are volatile, as nobody reads what they leave.
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

// SAFETY: every block comes from the system's allocator with the layout that was asked for, and goes back to it with the
// same one; in between only bytes of blocks that the caller has given up are written.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller promises of the layout is what the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of this layout that came from here, so from the system's allocator.
        unsafe {
            if WIPES.load(Ordering::Relaxed) {
                wipe(block, layout.size());
            }
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !WIPES.load(Ordering::Relaxed) {
            // SAFETY: what the caller promises is what the system's allocator wants.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: the caller promises that `size` is not zero and does not overflow with this alignment; both blocks are
        // valid for the smaller of the two sizes and are not the same; the old one is given up as in `dealloc`.
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
