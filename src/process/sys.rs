//! The only file with `unsafe`: what std and nix offer no safe call for.
#![allow(unsafe_code, reason = "each use says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Lets the child die with us where the system can do that, run in `namespace`, and keep these descriptors open, the lock
/// among them.
///
/// Without the first, a killed Counterpart would leave an rsync that goes on deleting; without the second, the next
/// run could begin beside it on systems that cannot do the first.
pub fn prepare_child<'a>(
    command: &mut Command,
    namespace: Option<&OwnedFd>,
    kept: impl Iterator<Item = &'a OwnedFd>,
) {
    let kept: Vec<RawFd> = kept.map(|kept| kept.as_fd().as_raw_fd()).collect();
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
        for kept in &kept {
            // SAFETY: the descriptor belongs to an `OwnedFd` of the parent that outlives the spawn, and the child
            // has its own copy of it; nothing here closes it.
            let kept = unsafe { std::os::fd::BorrowedFd::borrow_raw(*kept) };
            nix::fcntl::fcntl(kept, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls that are async-signal-safe (prctl, getppid, setns, chdir,
    // fcntl); it allocates nothing, takes no lock and touches no memory but its captured integers.
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
