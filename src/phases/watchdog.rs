//! Frees an rsync that waits for ever for somebody to write to a FIFO.
//!
//! A source file that becomes a FIFO in mid-run hangs the sender in `open`; rsync's `--timeout` does not fire (measured
//! with 3.5.0). Opening the FIFO for writing lets it go on. Only Linux tells what a process waits for.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use super::group::{self, Process};
use crate::linux::blocked::BlockedCall;
use crate::logging::warning;
use crate::process::interrupts::Interrupts;
use crate::shown;

/// How long a process has to wait in one and the same call before it is looked at closely.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same once there was a FIFO: where there is one there may be hundreds.
const HASTE: Duration = Duration::from_millis(25);

/// How long that lasts after the last one.
const HASTE_LASTS: Duration = Duration::from_secs(30);

/// How many are told by name.
const TOLD: u64 = 100;

/// Runs `work` while a thread watches the child that it starts.
pub fn watched<T>(interrupts: &Interrupts, work: impl FnOnce() -> T) -> T {
    let (alive, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let watch = move || watch(interrupts, &ended);
        // Without the thread a FIFO is left to the watch over stalls.
        let thread = std::thread::Builder::new().spawn_scoped(scope, watch);
        if let Err(error) = thread {
            warning(format_args!("FIFOs are not watched for: {}.", shown::reason(&error)));
        }
        let result = work();
        // The thread wakes up from its wait when the sender is gone.
        drop(alive);
        result
    })
}

fn watch(interrupts: &Interrupts, ended: &mpsc::Receiver<()>) {
    let mut before = HashMap::new();
    let (mut freed, mut last): (u64, Option<Instant>) = (0, None);
    loop {
        let is_hasty = last.is_some_and(|last| last.elapsed() < HASTE_LASTS);
        let pause = if is_hasty { HASTE } else { PATIENCE };
        if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let mut now = HashMap::new();
        for process in interrupts.child_group().map(group::processes).unwrap_or_default() {
            let Some(call) = process.blocked() else { continue };
            if before.get(&process.folder) == Some(&call)
                && let Some(name) = free(&process, &call)
            {
                freed += 1;
                last = Some(Instant::now());
                if freed <= TOLD {
                    let name = shown::path(&name);
                    warning(format_args!(
                        "{name} became a FIFO during the clone; rsync waited for a writer and was freed."
                    ));
                }
            }
            now.insert(process.folder, call);
        }
        before = now;
    }
    if freed > TOLD {
        warning(format_args!("{} more files became FIFOs and were treated alike.", freed - TOLD));
    }
}

/// If one of the call's arguments is the path of a FIFO, opens it for writing and closes it again; returns the path.
fn free(process: &Process, call: &BlockedCall) -> Option<PathBuf> {
    process.names(call).into_iter().find(|name| {
        let bases = if name.is_absolute() {
            // Its own view of the machine, which need not be ours.
            vec![process.folder.join("root")]
        } else {
            vec![process.folder.join("cwd"), process.folder.join("fd").join(call.arguments[0].to_string())]
        };
        bases.iter().any(|base| let_go(base, name).is_ok())
    })
}

/// Opens a FIFO for writing, and nothing else, whatever takes its place meanwhile.
fn let_go(base: &Path, name: &Path) -> io::Result<()> {
    let base = File::options().read(true).custom_flags((OFlag::O_DIRECTORY | PATH_ONLY).bits()).open(base)?;
    let found = find(&base, name)?;
    if !found.metadata()?.file_type().is_fifo() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // The very FIFO that was looked at: no name is resolved again.
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(itself)?;
    Ok(())
}

#[cfg(target_os = "linux")]
const PATH_ONLY: OFlag = OFlag::O_PATH;

/// Elsewhere nothing is ever found to be freed.
#[cfg(not(target_os = "linux"))]
const PATH_ONLY: OFlag = OFlag::empty();

/// A handle of what a name leads to from a folder; below its ends rsync follows no link, so a relative name is followed
/// through none.
#[cfg(target_os = "linux")]
fn find(base: &File, name: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The way to an end may lead through links; the base is the root then.
    let resolve = if name.is_absolute() { ResolveFlags::IN_ROOT } else { ResolveFlags::NO_SYMLINKS };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    let found = match openat2(base, name, flags, Mode::empty(), resolve) {
        // A kernel before 5.6 follows links on the way; what it finds is a FIFO or is not opened.
        Err(rustix::io::Errno::NOSYS) => {
            openat(base, name.strip_prefix("/").unwrap_or(name), flags, Mode::empty())
        }
        found => found,
    };
    Ok(File::from(found?))
}

/// No other system tells what a process waits for.
#[cfg(not(target_os = "linux"))]
fn find(_base: &File, _name: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
