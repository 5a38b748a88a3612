//! Kills an rsync that hangs: a disk that does not respond, or a tree that was changed under it at the wrong moment,
//! makes it wait forever (measured with 3.5.0), and its own `--timeout` does not fire.
//!
//! It counts as active as long as any of its processes prints, moves bytes or uses CPU time.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::display;
use crate::failure::Failure;
use crate::phases::transfer::group;
use crate::phases::transfer::group::Usage;
use crate::process::Guard;
use crate::rsync::names::Names;

/// The longest interval between two checks.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The shortest one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// An rsync that was killed for hanging.
#[derive(Debug, Clone)]
pub struct Stalled {
    limit: Duration,
    last: Option<String>,
    left_behind: bool,
}

impl Stalled {
    /// Whether a process of it could not be ended.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        self.left_behind
    }
}

impl From<Stalled> for Failure {
    fn from(stalled: Stalled) -> Self {
        let Stalled { limit, last, left_behind } = stalled;
        Self::Stalled { limit, last, left_behind }
    }
}

/// Watches one rsync.
#[derive(Debug)]
pub struct Stall {
    /// How long it may be inactive; without a limit, forever.
    limit: Option<Duration>,
    /// The paths of both ends, as rsync was given them.
    ends: [PathBuf; 2],
    names: Names,
    /// When it was last seen active.
    moved: Instant,
    looked: Instant,
    seen: Option<Usage>,
    has_printed: bool,
    last: Option<OsString>,
}

impl Stall {
    /// Starts watching an rsync with these ends; `names` maps them to the users' paths.
    #[must_use]
    pub fn new(limit: Option<Duration>, ends: (PathBuf, PathBuf), names: Names) -> Self {
        let now = Instant::now();
        let ends = [ends.0, ends.1];
        Self { limit, ends, names, moved: now, looked: now, seen: None, has_printed: false, last: None }
    }

    /// Describes the stall after rsync was killed.
    #[must_use]
    pub fn describe(&self, left_behind: bool) -> Stalled {
        Stalled {
            limit: self.limit.unwrap_or_default(),
            last: self.last.as_deref().map(|path| display::name(path).to_string()),
            left_behind,
        }
    }

    fn look(&mut self, group: i32, limit: Duration) -> bool {
        self.looked = Instant::now();
        let usage = group::usage(group);
        // Without usage data, silence proves nothing.
        if self.has_printed || usage.is_none() || usage != self.seen {
            self.moved = self.looked;
        }
        self.seen = usage;
        self.has_printed = false;
        if self.moved.elapsed() < limit {
            return false;
        }
        let last = where_it_is(group, &[&self.ends[0], &self.ends[1]]);
        self.last = last.map(|path| OsString::from_vec(self.names.restore(path.as_bytes()).into_owned()));
        true
    }
}

impl Guard for Stall {
    fn gives_up(&mut self, group: i32, has_printed: bool) -> bool {
        self.has_printed |= has_printed;
        let Some(limit) = self.limit else { return false };
        let pause = (limit / 20).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.looked.elapsed() >= pause && self.look(group, limit)
    }

    fn is_alive(&self, group: i32) -> bool {
        !group::processes(group).is_empty()
    }
}

/// The path that one of the processes has open, or else is accessing in a system call.
fn where_it_is(group: i32, ends: &[&Path]) -> Option<OsString> {
    let processes = group::processes(group);
    let open = || {
        let open = processes.iter().flat_map(|process| process.open_below(ends));
        // The longest is the most specific: the others are its ancestors.
        open.max_by_key(|path| path.as_os_str().len()).map(OsString::from)
    };
    let asked = || {
        let names = processes.iter().filter_map(|process| Some(process.names(&process.blocked()?)));
        names.flatten().find(|name| is_readable(name.as_os_str())).map(OsString::from)
    };
    open().or_else(asked)
}

/// Not every argument of every system call is a path.
fn is_readable(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|text| !text.chars().any(char::is_control))
}
