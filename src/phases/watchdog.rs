//! Frees an rsync that waits for ever for somebody to write to a FIFO.
//!
//! A source file that becomes a FIFO in mid-run hangs the sender in `open`; rsync's `--timeout` does not fire (measured
//! with 3.5.0). Opening the FIFO for writing lets it go on. Only Linux tells what a process waits for.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::fcntl::OFlag;

use crate::linux::blocked::{BlockedCall, process_group};
use crate::logging::warning;
use crate::process::interrupts::Interrupts;
use crate::shown;

/// How long a process has to wait in one and the same call before it is looked at closely.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest path that a system call takes, in bytes.
const LONGEST_PATH: usize = 4096;

/// Runs `work` while a thread watches the child that it starts.
pub fn watched<T>(interrupts: &Interrupts, work: impl FnOnce() -> T) -> T {
    let (alive, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || watch(interrupts, &ended));
        let result = work();
        // The thread wakes up from its wait when the sender is gone.
        drop(alive);
        result
    })
}

fn watch(interrupts: &Interrupts, ended: &mpsc::Receiver<()>) {
    let mut before = HashMap::new();
    while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        let now = interrupts.child_group().map(blocked_processes).unwrap_or_default();
        for (process, call) in &now {
            if before.get(process) == Some(call) {
                free(process, call);
            }
        }
        before = now;
    }
}

/// The processes of a group that are blocked in a system call, by their folders in `/proc`.
fn blocked_processes(group: i32) -> HashMap<PathBuf, BlockedCall> {
    let Ok(processes) = fs::read_dir("/proc") else { return HashMap::new() };
    let is_of_group = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).ok();
        stat.as_deref().and_then(process_group) == Some(group)
    };
    processes
        .flatten()
        .map(|entry| entry.path())
        .filter(|process| process.file_name().is_some_and(|name| name.as_bytes()[0].is_ascii_digit()))
        .filter(is_of_group)
        .filter_map(|process| {
            let call = BlockedCall::read(&fs::read_to_string(process.join("syscall")).ok()?)?;
            Some((process, call))
        })
        .collect()
}

/// If one of the call's arguments is the path of a FIFO, opens it for writing and closes it again.
fn free(process: &Path, call: &BlockedCall) {
    let folders = [process.join("cwd"), process.join("fd").join(call.arguments[0].to_string())];
    let names = call.arguments.iter().take(2).filter_map(|pointer| read_name(process, *pointer));
    for name in names {
        for path in folders.iter().map(|folder| folder.join(&name)) {
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
                let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
                if File::options().write(true).custom_flags(flags).open(&path).is_ok() {
                    let name = shown::path(&name);
                    warning(format_args!(
                        "{name} became a FIFO during the clone; rsync waited for a writer and was freed."
                    ));
                }
                return;
            }
        }
    }
}

/// The string at an address of another process.
fn read_name(process: &Path, pointer: u64) -> Option<PathBuf> {
    let memory = File::open(process.join("mem")).ok()?;
    let mut bytes = vec![0; LONGEST_PATH];
    // A read that meets the end of a mapping is short.
    let count = memory.read_at(&mut bytes, pointer).ok()?;
    let name = bytes[..count]
        .split(|byte| *byte == 0)
        .next()
        .filter(|name| !name.is_empty() && name.len() < count)?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}
