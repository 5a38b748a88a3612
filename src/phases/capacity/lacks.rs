//! Finds what the source has and the destination cannot hold, path by path.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, OsStr};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::DateTime;
use indicatif::HumanBytes;
use log::info;
use nix::dir::Dir as Entries;
use nix::fcntl::AtFlags;
use nix::libc::{dev_t, ino_t};
use nix::sys::stat::{FileStat, SFlag, fstatat};

use crate::display;
use crate::failure::Failure;
use crate::fs::attributes;
use crate::fs::dir::open_subdir;
use crate::marker::Prefix;
use crate::phases::capacity::holds::Capacity;
use crate::phases::capacity::probe::{Probe, Stored};
use crate::phases::endpoints::Source;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::hides;
use crate::run::Run;
use crate::tree::pair::{Entry, Here, Trees, Visitor, kind, names_of, walk};
use crate::tree::sides::Sides;

/// The maximum number of paths logged.
const LOGGED: usize = 1000;

/// The maximum number of paths in the failure message.
const EXAMPLES: usize = 5;

/// How often the destination is probed at most; after that, anything doubtful counts as something it cannot hold.
const MOST_QUESTIONS: u64 = 20_000;

/// The maximum number of names in one directory compared with each other.
const MOST_ALIKE: usize = 1000;

/// A limit of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    Alike,
    Name,
    Time,
    Size,
    Links,
    Target,
    Attributes,
}

impl Limit {
    fn words(self) -> &'static str {
        match self {
            Self::Alike => "names that are identical there",
            Self::Name => "names that it does not accept",
            Self::Time => "times out of its range",
            Self::Size => "files that are too large for it",
            Self::Links => "files with too many hard links for it",
            Self::Target => "symbolic links that are too long for it",
            Self::Attributes => "attributes that are too large for it",
        }
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Lacks {
    count: u64,
    limits: BTreeSet<Limit>,
    /// The first paths, relative to the source, and what is wrong with each.
    paths: Vec<(PathBuf, String)>,
    /// Names that the destination stores in another Unicode form.
    reformed: u64,
}

impl Lacks {
    /// Logs each path, up to a limit.
    pub fn log(&self, source: &Path) {
        for (path, why) in &self.paths {
            info!("Cannot be stored: {}: {why}.", display::path(&source.join(path)));
        }
        if let more @ 1.. = self.count - self.paths.len() as u64 {
            info!("  and {more} more.");
        }
    }

    /// Returns the refusal, if anything was found.
    pub fn refusal(&self, run: &Run<'_>) -> Option<Failure> {
        if self.reformed > 0 {
            run.warn(format_args!(
                "the destination stores names in another Unicode form; {} names of the source are copied again by \
                 every run.",
                self.reformed
            ));
        }
        if self.count == 0 {
            return None;
        }
        let named = self.paths.iter().take(EXAMPLES);
        let mut examples: Vec<String> = named
            .map(|(path, why)| format!("{} ({why})", display::path(&run.plan.source.join(path))))
            .collect();
        if let more @ 1.. = self.count - examples.len() as u64 {
            examples.push(format!("{more} more"));
        }
        let what: Vec<&str> = self.limits.iter().map(|limit| limit.words()).collect();
        Some(Failure::CannotHold {
            path: run.plan.destination.clone(),
            what: what.join("; "),
            examples: examples.join(", "),
        })
    }
}

/// Walks the source and checks every entry. Without a probe, only definite conflicts count.
pub fn find(
    run: &Run<'_>,
    source: &Source,
    left_out: &LeftOut,
    capacity: &Capacity,
    probe: Option<&Probe>,
) -> io::Result<Lacks> {
    let comparison = Comparison {
        capacity,
        probe,
        left_out,
        prefix: &run.plan.prefix,
        numbers: RandomState::new(),
        found: Mutex::default(),
        linked: Mutex::default(),
        questions: AtomicU64::new(0),
        trouble: Mutex::default(),
        stopped: AtomicBool::new(false),
    };
    let trees = Trees { roots: Sides::source(&source.dir), left_out, points: &source.points };
    let (tops, _) = walk(&trees, run.machine.interrupts, &comparison)?;
    tops.source.iter().for_each(|top| comparison.compare_properties(Path::new(""), top));
    if let Some(error) = locked(&comparison.trouble).take() {
        return Err(error);
    }
    let mut found = comparison.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.paths.sort();
    Ok(found)
}

struct Comparison<'a> {
    capacity: &'a Capacity,
    probe: Option<&'a Probe>,
    left_out: &'a LeftOut,
    prefix: &'a Prefix,
    numbers: RandomState,
    found: Mutex<Lacks>,
    /// How many names were seen of each inode that has more links than the destination allows.
    linked: Mutex<HashMap<(dev_t, ino_t), u64>>,
    questions: AtomicU64,
    /// The error that stopped the probing.
    trouble: Mutex<Option<io::Error>>,
    stopped: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread records about the directory it reads: a hash of the folded form of each name.
#[derive(Default)]
struct Keys(Vec<u64>);

impl Visitor for Comparison<'_> {
    type Kept = Keys;

    fn enter(&self, _here: &Here<'_>, keys: &mut Keys) {
        keys.0.clear();
    }

    fn see(&self, directory: &Here<'_>, entry: &Entry<'_>, keys: &mut Keys) {
        let (Some(dir), Some(stat), name) = (directory.dirs.source, entry.stats.source, entry.name) else {
            return;
        };
        if directory.is_locked || self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let bytes = name.to_bytes();
        let path = || directory.path.join(OsStr::from_bytes(bytes));
        if !self.takes(bytes) {
            self.add(path(), Limit::Name, "the destination does not accept this name".to_owned());
        }
        if self.exceeds_properties(stat) {
            self.compare_properties(&path(), stat);
        }
        if let Some(most) = self.capacity.attributes
            && attributes::size(dir, name) > most
            && self.ask(|probe| probe.holds_attributes(dir, name)) != Some(true)
        {
            self.add(path(), Limit::Attributes, "its attributes do not fit".to_owned());
        }
        if self.capacity.folds.any() {
            // Without memory for the hash, a name clash could go unnoticed.
            if keys.0.try_reserve(1).is_err() {
                self.stop(io::ErrorKind::OutOfMemory.into());
                return;
            }
            keys.0.push(self.numbers.hash_one(self.capacity.folds.key(bytes)));
            self.compare_with_own(directory, bytes);
        }
        if self.capacity.changes_form && is_decomposable(bytes) {
            locked(&self.found).reformed += 1;
        }
    }

    fn leave(&self, directory: &Here<'_>, keys: &mut Keys) {
        keys.0.sort_unstable();
        let alike: BTreeSet<u64> = keys
            .0
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .take(MOST_ALIKE)
            .collect();
        if alike.is_empty() {
            return;
        }
        for (first, name) in self.clashing(directory, &alike).unwrap_or_else(|error| {
            self.stop(error);
            Vec::new()
        }) {
            let path = directory.path.join(OsStr::from_bytes(&name));
            self.add(
                path,
                Limit::Alike,
                format!("the destination treats it as the same name as {}", display::line(&first)),
            );
        }
    }
}

/// Names of a directory that clash, each after the earlier name it clashes with.
type Clashes = Vec<(Vec<u8>, Vec<u8>)>;

impl Comparison<'_> {
    fn add(&self, path: PathBuf, limit: Limit, why: String) {
        let mut found = locked(&self.found);
        found.count += 1;
        found.limits.insert(limit);
        if found.paths.len() < LOGGED {
            found.paths.push((path, why));
        }
    }

    fn stop(&self, error: io::Error) {
        self.stopped.store(true, Ordering::Relaxed);
        locked(&self.trouble).get_or_insert(error);
    }

    /// Probes the destination; `None` without a probe, or if it was used too often.
    fn ask<T>(&self, question: impl FnOnce(&Probe) -> io::Result<T>) -> Option<T> {
        let probe = self.probe?;
        if self.questions.fetch_add(1, Ordering::Relaxed) >= MOST_QUESTIONS {
            return None;
        }
        match question(probe) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.stop(error);
                None
            }
        }
    }

    /// Whether the destination accepts this name; probes only if it might not.
    fn takes(&self, name: &[u8]) -> bool {
        let is_long = self.capacity.name.is_some_and(|most| name.len() as u64 > most);
        let is_strange = self.capacity.refuses.iter().any(|kind| kind.has(name));
        if !is_long && !is_strange {
            return true;
        }
        match self.ask(|probe| probe.store(name)) {
            Some(stored) => stored != Stored::Not,
            None => false,
        }
    }

    fn exceeds_properties(&self, stat: &FileStat) -> bool {
        let (capacity, size) = (self.capacity, u64::try_from(stat.st_size).unwrap_or(0));
        let is_more = |value: u64, most: Option<u64>| most.is_some_and(|most| value > most);
        capacity.times.is_some_and(|(earliest, latest)| stat.st_mtime < earliest || stat.st_mtime > latest)
            || is_more(size, capacity.size)
            || is_more(size, capacity.target)
            || is_more(names_of(stat), capacity.links)
    }

    /// Checks what the metadata of an entry alone can show.
    fn compare_properties(&self, path: &Path, stat: &FileStat) {
        let (capacity, kind) = (self.capacity, kind(stat));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if let Some((earliest, latest)) = capacity.times
            && (stat.st_mtime < earliest || stat.st_mtime > latest)
        {
            let why = format!(
                "its time is {}, and the destination's times range from {} to {}",
                date(stat.st_mtime),
                date(earliest),
                date(latest)
            );
            self.add(path.to_owned(), Limit::Time, why);
        }
        if let Some(most) = capacity.size.filter(|most| kind == SFlag::S_IFREG && size > *most) {
            let why =
                format!("it has {}; a file there can have at most {}", HumanBytes(size), HumanBytes(most));
            self.add(path.to_owned(), Limit::Size, why);
        }
        if let Some(most) = capacity.target.filter(|most| kind == SFlag::S_IFLNK && size > *most) {
            let why = match most {
                0 => "symbolic links are not supported there".to_owned(),
                _ => format!("its target has {size} bytes; the limit there is {most}"),
            };
            self.add(path.to_owned(), Limit::Target, why);
        }
        if let Some(most) = capacity.links.filter(|most| kind != SFlag::S_IFDIR && names_of(stat) > *most) {
            let mut linked = locked(&self.linked);
            let names = linked.entry((stat.st_dev, stat.st_ino)).or_default();
            *names += 1;
            // Names outside the source do not count.
            if *names == most + 1 {
                drop(linked);
                let why = match most {
                    1 => "hard links are not supported there, and this file has some".to_owned(),
                    _ => format!("it has more than {most} names"),
                };
                self.add(path.to_owned(), Limit::Links, why);
            }
        }
    }

    /// Finds names that would be mistaken for our own files at the destination's root.
    fn compare_with_own(&self, directory: &Here<'_>, name: &[u8]) {
        if !directory.path.as_os_str().is_empty() || hides(self.prefix, OsStr::from_bytes(name)) {
            return;
        }
        let folds = self.capacity.folds;
        let stem = self.prefix.stem();
        if folds.key(name).starts_with(&folds.key(stem.as_bytes())) {
            let why = "there it would be taken for one of Counterpart's own files".to_owned();
            self.add(PathBuf::from(OsStr::from_bytes(name)), Limit::Alike, why);
        }
    }

    /// Reads a directory again to find the names that clash at the destination.
    fn clashing(&self, directory: &Here<'_>, alike: &BTreeSet<u64>) -> io::Result<Clashes> {
        let mut groups: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        let mut gathered = 0;
        let dir = directory.dirs.source.ok_or(io::ErrorKind::NotFound)?;
        for entry in Entries::from_fd(open_subdir(dir, c".")?)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let key = self.capacity.folds.key(name.to_bytes());
            if !alike.contains(&self.numbers.hash_one(&key)) || self.is_left_out(directory, name) {
                continue;
            }
            groups.entry(key.into_owned()).or_default().push(name.to_bytes().to_vec());
            gathered += 1;
            if gathered == MOST_ALIKE {
                break;
            }
        }
        let mut clashes = Clashes::new();
        for mut names in groups.into_values() {
            names.sort();
            let asked: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            let answer = self.ask(|probe| probe.clashes(&asked));
            for (index, name) in names.iter().enumerate().skip(1) {
                let first = match &answer {
                    Some(answer) => answer[index],
                    None => Some(0),
                };
                clashes.extend(first.map(|first| (names[first].clone(), name.clone())));
            }
        }
        Ok(clashes)
    }

    fn is_left_out(&self, directory: &Here<'_>, name: &CStr) -> bool {
        let Some(dir) = directory.dirs.source else { return true };
        // What is gone in the meantime no longer counts.
        fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_or(true, |stat| {
            self.left_out.has(directory.place, name.to_bytes(), kind(&stat) == SFlag::S_IFDIR)
        })
    }
}

/// Whether a name is not in the form that HFS+ stores.
fn is_decomposable(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|text| !text.is_ascii() && !unicode_normalization::is_nfd(text))
}

fn date(seconds: i64) -> String {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => format!("{seconds} seconds since 1970"),
    }
}
