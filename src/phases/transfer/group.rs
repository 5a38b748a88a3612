//! The processes of a process group, according to `/proc`. On systems other than Linux the list is empty.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::fs::fifo::open_again;
use crate::linux::activity::{Stat, bytes_moved};
use crate::linux::blocked::BlockedCall;
use crate::process::group_usage;

/// The longest path that a system call accepts, in bytes.
const LONGEST_PATH: usize = 4096;

/// The maximum number of a process's open files examined.
const OPEN_FILES: usize = 64;

/// A process.
#[derive(Debug)]
pub struct Process {
    /// Its directory in `/proc`.
    pub dir: PathBuf,
    /// The resources it has used.
    pub stat: Stat,
}

/// The resources used by a group so far. Only for comparison: when a process exits, the sums shrink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    ticks: u64,
    bytes: u64,
    processes: usize,
}

/// The processes of a group that have not exited.
#[must_use]
pub fn processes(group: i32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().first().is_some_and(u8::is_ascii_digit))
        .filter_map(|entry| {
            let dir = entry.path();
            // A process name may contain any bytes.
            let stat = fs::read(dir.join("stat")).ok()?;
            let stat = Stat::read(&String::from_utf8_lossy(&stat))?;
            (stat.group == group && !stat.is_over).then_some(Process { dir, stat })
        })
        .collect()
}

/// The resources used by a group; `None` if the system does not report them.
#[must_use]
pub fn usage(group: i32) -> Option<Usage> {
    let processes = processes(group);
    if processes.is_empty() {
        return group_usage(group).map(|(ticks, bytes)| Usage { ticks, bytes, processes: 0 });
    }
    Some(processes.iter().fold(Usage { processes: processes.len(), ..Usage::default() }, |sum, process| {
        // Only readable by its owner and root; otherwise its CPU time has to suffice.
        let bytes = fs::read_to_string(process.dir.join("io")).ok().and_then(|io| bytes_moved(&io));
        Usage {
            ticks: sum.ticks.wrapping_add(process.stat.ticks),
            bytes: sum.bytes.wrapping_add(bytes.unwrap_or(0)),
            ..sum
        }
    }))
}

impl Process {
    /// The system call it is waiting in.
    #[must_use]
    pub fn blocked(&self) -> Option<BlockedCall> {
        BlockedCall::read(&fs::read_to_string(self.dir.join("syscall")).ok()?)
    }

    /// Whether it waits for somebody who opens the other end of a FIFO; known to root, from the name of the kernel's function.
    fn waits_for_fifo(&self) -> bool {
        fs::read_to_string(self.dir.join("wchan")).is_ok_and(|name| name.contains("wait_for_partner"))
    }

    /// Has it open the FIFO again that it waits for; returns whether it was waiting.
    #[must_use]
    pub fn opens_again(&self) -> bool {
        let number = self.dir.file_name().and_then(|name| name.to_str()?.parse().ok());
        number.is_some_and(|number| open_again(number, || self.waits_for_fifo()))
    }

    /// The strings that the first two arguments of a system call point to.
    #[must_use]
    pub fn names(&self, call: &BlockedCall) -> Vec<PathBuf> {
        call.arguments.iter().take(2).filter_map(|pointer| self.string(*pointer)).collect()
    }

    fn string(&self, pointer: u64) -> Option<PathBuf> {
        let memory = File::open(self.dir.join("mem")).ok()?;
        let mut bytes = vec![0; LONGEST_PATH];
        // A read that reaches the end of a mapping is short.
        let count = memory.read_at(&mut bytes, pointer).ok()?;
        let name = bytes[..count]
            .split(|byte| *byte == 0)
            .next()
            .filter(|name| !name.is_empty() && name.len() < count)?;
        Some(PathBuf::from(OsStr::from_bytes(name)))
    }

    /// The files and directories it has open below one of these directories, found without touching them.
    #[must_use]
    pub fn open_below(&self, dirs: &[&Path]) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.join("fd")).into_iter().flatten().flatten().take(OPEN_FILES);
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|path| dirs.iter().any(|dir| path != dir && path.starts_with(dir))).collect()
    }
}
