//! The evidence on one fault: what each run with it returned and left behind, and whether anything was lost.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::audit::dir::shown;
use crate::support::audit::{Options, assert_same, audit};
use crate::support::sandbox::{Finished, RECORD, STEM, Sandbox};
use crate::support::tree::{Snapshot, snapshot};

/// The code for a killed run.
pub const KILLED: i32 = -1;

/// The markers of a destination that cannot be read.
const UNREADABLE: &str = "unreadable";

/// How many changes are reported.
const SHOWN: usize = 10;

/// One row of the matrix.
#[derive(Debug)]
pub struct Fault {
    /// The module and function that cause it.
    pub name: &'static str,
    /// What was done.
    pub what: &'static str,
    /// When in the run.
    pub when: When,
    /// The acceptable codes; more than one if several runs differ, or if it depends on the timing.
    pub codes: &'static [i32],
    /// The acceptable markers at the destination: their suffixes in order, separated by spaces.
    pub markers: &'static [&'static str],
    /// What must not change.
    pub unchanged: Unchanged,
    /// Causes it.
    pub run: fn(&mut Evidence),
}

/// The moment of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It exists when the run starts.
    Before,
    /// After the start, before rsync copies.
    BeforeCopying,
    /// While rsync copies.
    Copying,
    /// After rsync has ended.
    AfterCopying,
    /// At every moment, one after the other.
    AnyTime,
}

impl Display for When {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Before => "before the run",
            Self::BeforeCopying => "before the copy",
            Self::Copying => "during the copy",
            Self::AfterCopying => "after the copy",
            Self::AnyTime => "at any moment",
        })
    }
}

/// What a run must leave unchanged, in addition to what holds for every run.
#[derive(Debug, Clone, Copy)]
pub enum Unchanged {
    /// The source.
    Source,
    /// The source. What remains of the destination's contents is up to its filesystem's own repair.
    SourceAlone,
    /// The source, except for what the fault itself changes there.
    SourceBut(&'static [&'static str]),
    /// The source, and at the destination everything except our own files.
    Files,
    /// All of source and destination.
    Both,
}

/// Source and destination, and anything else that must not change, before a run.
#[derive(Debug)]
struct Before {
    source: (PathBuf, Snapshot),
    destination: (PathBuf, Option<Snapshot>),
    bystanders: Vec<(PathBuf, Snapshot)>,
    has_ended: bool,
}

/// The results of one fault's runs so far.
#[derive(Debug)]
pub struct Evidence {
    fault: &'static Fault,
    /// Differences allowed in a complete clone: nanoseconds, on a disk that stores whole seconds.
    pub options: Options,
    before: Option<Before>,
    codes: BTreeSet<i32>,
    losses: Vec<String>,
    compared: usize,
    repaired: usize,
}

impl Evidence {
    /// For a fault that has not happened yet.
    pub fn of(fault: &'static Fault) -> Self {
        Self {
            fault,
            options: Options::default(),
            before: None,
            codes: BTreeSet::new(),
            losses: Vec::new(),
            compared: 0,
            repaired: 0,
        }
    }

    /// Records source and destination before the run with the fault.
    pub fn watch(&mut self, sandbox: &Sandbox) {
        self.watch_at(&sandbox.source, &sandbox.destination);
    }

    /// The same, if they can be read in spite of the fault.
    #[track_caller]
    pub fn watch_at(&mut self, source: &Path, destination: &Path) {
        assert!(self.before.is_none(), "the run before has not been judged");
        let of_destination = destination.is_dir().then(|| snapshot(destination));
        self.before = Some(Before {
            source: (source.into(), snapshot(source)),
            destination: (destination.into(), of_destination),
            bystanders: Vec::new(),
            has_ended: false,
        });
    }

    /// Records a directory that is unrelated to the run.
    pub fn watch_bystander(&mut self, dir: &Path) {
        let before = self.before.as_mut().expect("nothing is watched");
        before.bystanders.push((dir.into(), snapshot(dir)));
    }

    /// Discards what was recorded: the fault did not happen.
    pub fn forget(&mut self) {
        self.before = None;
    }

    /// Compares what a run returned and left with what is expected, and both ends with their earlier state.
    #[track_caller]
    pub fn verify(&mut self, sandbox: &Sandbox, run: &Finished) {
        self.verify_end(sandbox, run);
        self.verify_loss(sandbox);
    }

    /// Checks only the run's code and markers; the rest follows when both ends can be read again.
    #[track_caller]
    pub fn verify_end(&mut self, sandbox: &Sandbox, run: &Finished) {
        if run.code != KILLED {
            run.assert_code(run.code);
        }
        self.verify_code(sandbox, run.code, run);
    }

    /// The same for a run of which only the code is known.
    #[track_caller]
    pub fn verify_code(&mut self, sandbox: &Sandbox, code: i32, told: &dyn Display) {
        self.codes.insert(code);
        let codes = self.fault.codes;
        assert!(codes.contains(&code), "the code is {code}, not one of {codes:?}: {told}");
        let markers = markers(sandbox);
        let right = self.fault.markers;
        assert!(
            right.contains(&markers.as_str()),
            "the markers are {markers:?}, not one of {right:?}: {told}"
        );
        self.before.as_mut().expect("nothing is watched").has_ended = true;
    }

    /// Compares source and destination with their earlier state.
    #[track_caller]
    pub fn verify_loss(&mut self, sandbox: &Sandbox) {
        let before = self.before.take().expect("nothing is watched");
        assert!(before.has_ended, "the run's end has not been judged");
        let after = (snapshot(&before.source.0), {
            let path = &before.destination.0;
            path.is_dir().then(|| snapshot(path))
        });
        self.compare_source(&before, &after.0);
        self.compare_destination(&before, after.1.as_ref());
        self.compare_copies(&before, &after.0, after.1.as_ref());
        for (dir, then) in &before.bystanders {
            let changes = then.changes(&snapshot(dir));
            self.lose("a bystander", changes);
        }
        self.compare_completion(sandbox, &before, after.1.as_ref());
        self.compared += 1;
        assert!(self.losses.is_empty(), "lost:\n{}", self.losses.join("\n"));
    }

    fn compare_source(&mut self, before: &Before, after: &Snapshot) {
        let but: &[&str] =
            if let Unchanged::SourceBut(paths) = self.fault.unchanged { paths } else { Default::default() };
        let without = |snapshot: &Snapshot| {
            but.iter().fold(snapshot.clone(), |snapshot, path| snapshot.without(Path::new(path)))
        };
        let mut changes = without(&before.source.1).changes(&without(after));
        if !but.is_empty() {
            // Creating or removing anything in the root changes its time.
            forget_time_of_root(&mut changes);
        }
        self.lose("the source", changes);
    }

    fn compare_destination(&mut self, before: &Before, after: Option<&Snapshot>) {
        let keeps_markers = match self.fault.unchanged {
            Unchanged::Source | Unchanged::SourceAlone | Unchanged::SourceBut(_) => return,
            Unchanged::Files => false,
            Unchanged::Both => true,
        };
        let (Some(before), Some(after)) = (&before.destination.1, after) else {
            self.losses.push("the destination is gone".to_owned());
            return;
        };
        if keeps_markers {
            self.lose("the destination", before.changes(after));
            return;
        }
        let mut changes = without_markers(before).changes(&without_markers(after));
        forget_time_of_root(&mut changes);
        self.lose("the destination", changes);
    }

    /// The destination still has what both ends had, and each of its files is a complete version.
    fn compare_copies(&mut self, before: &Before, source: &Snapshot, after: Option<&Snapshot>) {
        let Some(after) = after.filter(|_| !matches!(self.fault.unchanged, Unchanged::SourceAlone)) else {
            return;
        };
        let Some(destination) = &before.destination.1 else { return };
        let was = &before.source.1;
        let lost: Vec<String> = destination
            .paths()
            .filter(|path| was.has(path) && !self.is_of_the_fault(path) && !after.has(path))
            .map(|path| format!("{}: is gone though the source had it", shown(path)))
            .collect();
        let is_version = |path: &Path, contents: &str| {
            let same = |snapshot: &Snapshot| snapshot.contents(path) == Some(contents);
            same(was) || same(source) || same(destination)
        };
        let torn: Vec<String> = after
            .paths()
            .filter(|path| source.has(path) && !self.is_of_the_fault(path))
            .filter(|path| after.contents(path).is_some_and(|contents| !is_version(path, contents)))
            .map(|path| format!("{}: is no version of the file", shown(path)))
            .collect();
        self.lose("the destination", lost);
        self.lose("the destination", torn);
    }

    /// Whether the fault itself changes this path of the source.
    fn is_of_the_fault(&self, path: &Path) -> bool {
        matches!(self.fault.unchanged, Unchanged::SourceBut(paths) if paths.iter().any(|of| path.starts_with(of)))
    }

    /// A destination that claims to be complete must be exact or untouched by this run, or its users lose data.
    fn compare_completion(&mut self, sandbox: &Sandbox, before: &Before, after: Option<&Snapshot>) {
        let then = before.destination.1.as_ref();
        let is_unchanged = then.zip(after).is_some_and(|(then, after)| is_untouched(then, after));
        if !sandbox.marker("completed").exists() || is_unchanged {
            return;
        }
        let options = Options { root_mtime: false, ..self.options.clone() };
        let mut differences = audit(&before.source.0, &before.destination.0, &options);
        differences.retain(|difference| !self.is_of_the_fault(&difference.path));
        self.lose("it says that it is complete", differences.iter().map(ToString::to_string).collect());
    }

    /// Makes the clone that is due after the fault is repaired, and asserts that it is exact.
    #[track_caller]
    pub fn repair(&mut self, sandbox: &Sandbox) {
        self.mend_with(sandbox, &[]);
    }

    /// The same with additional options.
    #[track_caller]
    pub fn mend_with(&mut self, sandbox: &Sandbox, more: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut run = sandbox.clone(more);
        // An abandoned rsync holds the lock until it has ended too.
        while run.code == 80 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            run = sandbox.clone(more);
        }
        run.assert_code(0).assert_err("");
        let mut markers = sandbox.markers();
        // Hashes of an earlier run stay.
        markers.retain(|marker| marker != "hashes");
        assert_eq!(markers, ["completed", "id", "stats"], "{run}");
        assert_same(&sandbox.source, &sandbox.destination, &self.options);
        self.repaired += 1;
    }

    fn lose(&mut self, what: &str, mut changes: Vec<String>) {
        changes.truncate(SHOWN);
        self.losses.extend(changes.into_iter().map(|change| format!("{what}: {change}")));
    }

    /// Asserts that everything recorded was checked, and that something was recorded.
    pub fn assert_finished(&self) {
        assert!(self.before.is_none(), "a run has not been judged");
        assert!(self.compared > 0, "no run has been judged");
    }

    /// The codes that were actually returned.
    pub fn codes(&self) -> String {
        let name = |code: &i32| if *code == KILLED { "killed".to_owned() } else { code.to_string() };
        if self.codes.len() > 4 {
            return format!("{} codes", self.codes.len());
        }
        self.codes.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// Whether nothing was lost.
    pub fn lost_nothing(&self) -> &'static str {
        match (self.losses.is_empty(), self.compared) {
            (false, _) => "NO",
            (true, 0) => "not shown",
            (true, _) => "yes",
        }
    }

    /// Whether the next clone was exact, where there was one.
    pub fn was_mended(&self) -> &'static str {
        if self.repaired > 0 { "yes" } else { "-" }
    }
}

/// The markers at the destination; a temporary one without its random suffix. The record is omitted, as a run that
/// cannot write one is not at fault.
fn markers(sandbox: &Sandbox) -> String {
    let names = fs::read_dir(&sandbox.destination).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let Ok(names) = names else { return UNREADABLE.to_owned() };
    let name = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().strip_prefix(STEM)?.to_owned();
        Some(name.find(".tmp-").map_or(name.clone(), |end| name[..end].to_owned() + ".tmp"))
    };
    let mut markers: Vec<String> =
        names.iter().filter_map(name).filter(|name| !name.starts_with(RECORD)).collect();
    markers.sort();
    markers.join(" ")
}

/// A snapshot without our own files.
fn without_markers(snapshot: &Snapshot) -> Snapshot {
    let is_marker = |path: &&Path| path.as_os_str().as_bytes().starts_with(OsStr::new(STEM).as_bytes());
    let markers: Vec<PathBuf> = snapshot.paths().filter(is_marker).map(Path::to_owned).collect();
    markers.iter().fold(snapshot.clone(), |snapshot, marker| snapshot.without(marker))
}

/// Whether nothing has changed except what an interrupted probe leaves: its directory, and its effect on the root.
pub fn is_untouched(then: &Snapshot, now: &Snapshot) -> bool {
    let stem = format!("{STEM}probe");
    let is_probe = |path: &&Path| path.as_os_str().as_bytes().starts_with(stem.as_bytes());
    let probes: Vec<PathBuf> = now.paths().filter(is_probe).map(Path::to_owned).collect();
    let now = probes.iter().fold(now.clone(), |snapshot, probe| snapshot.without(probe));
    let mut changes = then.changes(&now);
    let of_root = format!("{}: ", shown(Path::new("")));
    changes.retain(|change| !change.starts_with(&of_root));
    changes.is_empty()
}

fn forget_time_of_root(changes: &mut Vec<String>) {
    let start = format!("{}: mtime ", shown(Path::new("")));
    changes.retain(|change| !change.starts_with(&start));
}
