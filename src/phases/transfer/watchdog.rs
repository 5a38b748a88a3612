//! Unblocks an rsync that would wait forever for a writer on a FIFO.
//!
//! A source file that becomes a FIFO during the run blocks the sender in `open`; rsync's `--timeout` does not fire
//! (measured with 3.5.0). Opening the FIFO for writing unblocks it; if it has been removed or renamed meanwhile, nobody can,
//! but the sender can be made to open its name again. Only Linux tells what a process is waiting for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::display;
use crate::fs::fifo::let_go;
use crate::linux::blocked::BlockedCall;
use crate::logging::warning;
use crate::phases::transfer::group;
use crate::phases::transfer::group::Process;
use crate::process::interrupts::Interrupts;

/// How long a process must be waiting in the same system call before it is examined.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same after a FIFO was found: there may be hundreds more.
const HASTE: Duration = Duration::from_millis(25);

/// How long that applies after the last one.
const HASTE_LASTS: Duration = Duration::from_secs(30);

/// The maximum number of FIFOs named.
const TOLD: u64 = 100;

/// Runs `work` while a thread watches the child process that it starts.
pub fn watched<T>(interrupts: &Interrupts, work: impl FnOnce() -> T) -> T {
    let (alive, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let watch = move || watch(interrupts, &ended);
        // Without the thread, the stall timeout handles FIFOs.
        let thread = std::thread::Builder::new().spawn_scoped(scope, watch);
        if let Err(error) = thread {
            warning(format_args!(
                "files that become FIFOs cannot be watched for: {}.",
                display::reason(&error)
            ));
        }
        let result = work();
        // Dropping the sender wakes the thread.
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
            if before.get(&process.dir) == Some(&call)
                && let Some(name) = release(&process, &call)
            {
                freed += 1;
                last = Some(Instant::now());
                if freed <= TOLD {
                    warning(format_args!(
                        "{name} became a FIFO during the clone; rsync waited for a writer and was released."
                    ));
                }
            }
            now.insert(process.dir, call);
        }
        before = now;
    }
    if freed > TOLD {
        warning(format_args!("{} more files became FIFOs and were handled the same way.", freed - TOLD));
    }
}

/// Releases a process that waits for a writer; returns what to call the FIFO.
fn release(process: &Process, call: &BlockedCall) -> Option<String> {
    if let Some(name) = free(process, call) {
        return Some(display::path(&name).to_string());
    }
    process.opens_again().then(|| "A file that is gone".to_owned())
}

/// Opens and closes a FIFO for writing if one of the system call's arguments is its path; returns the path.
fn free(process: &Process, call: &BlockedCall) -> Option<PathBuf> {
    process.names(call).into_iter().find(|name| {
        let bases = if name.is_absolute() {
            // Its own root directory, which may differ from ours.
            vec![process.dir.join("root")]
        } else {
            vec![process.dir.join("cwd"), process.dir.join("fd").join(call.arguments[0].to_string())]
        };
        bases.iter().any(|base| let_go(base, name).is_ok())
    })
}
