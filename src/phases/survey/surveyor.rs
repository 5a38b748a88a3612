//! Looks at every entry of both ends once, and counts what all phases want to know.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::stat::SFlag;

use crate::fs::attributes;
use crate::logging::Busy;
use crate::phases::exclusions::neighbours::Neighbours;
use crate::phases::hard_links::Links;
use crate::phases::survey::differences::{Both, Differences};
use crate::phases::survey::found::Survey;
use crate::phases::survey::in_place::InPlace;
use crate::phases::survey::linked_names::LinkedNames;
use crate::phases::survey::locked;
use crate::phases::survey::memory::{Found, Memory};
use crate::phases::survey::needs::Needs;
use crate::phases::survey::tally::{Linked, Tally};
use crate::process::interrupts::Interrupts;
use crate::tree::compare::{Difference, compare};
use crate::tree::pair::{Entry, Here, Trees, Unreadable, Visitor, kind, walk};
use crate::tree::sides::Side;

/// What a survey is to find out besides the counts.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The sizes of attributes.
    pub attributes: bool,
    /// Times are compared to the nanosecond.
    pub nanoseconds: bool,
    /// We are root.
    pub is_root: bool,
    /// Which files may be written in place.
    pub in_place: bool,
}

/// The maximum number of boundaries kept.
const MOST_BOUNDARIES: usize = 100;

/// Surveys both trees. Fails if a root cannot be read.
pub fn survey(
    trees: &Trees<'_>,
    interrupts: &Interrupts,
    wanted: Wanted,
    memory: Option<Memory<'_>>,
    busy: &Busy,
) -> Result<Survey, Unreadable> {
    let began = Instant::now();
    let surveyor = Surveyor {
        busy,
        wanted,
        memory,
        source: Linked::default(),
        destination: Linked::default(),
        names: LinkedNames::default(),
        links: Links::new(wanted.is_root, memory.is_some()),
        is_plain: AtomicBool::new(memory.is_some_and(Memory::asks_for_attributes)),
    };
    for root in [trees.roots.source, trees.roots.destination].into_iter().flatten() {
        surveyor.look_for_attributes(Some(root), c".");
    }
    let (tops, parts) = walk(trees, interrupts, &surveyor)?;
    let mut sum = Part::default();
    if let Some(top) = &tops.source {
        sum.source.count(&surveyor.source, top);
        sum.needs.see(c"", top);
    }
    if let Some(top) = &tops.destination {
        sum.destination.count(&surveyor.destination, top);
    }
    for part in parts {
        sum.add(part);
    }
    sum.locked.sort();
    let root = tops.source.zip(tops.destination);
    let saw_all = sum.locked.is_empty() && sum.source.unreadable + sum.destination.unreadable == 0;
    let clone = sum.destination.census(&surveyor.destination);
    Ok(Survey {
        knows_clone: clone.unreadable == 0 && !sum.neighbours.has_filesystems(),
        census: sum.source.census(&surveyor.source),
        clone,
        differences: sum.differences,
        needs: sum.needs,
        locked: sum.locked,
        boundaries: sum.boundaries,
        more_boundaries: sum.more_boundaries,
        linked: surveyor.names,
        links: surveyor.links,
        in_place: sum.in_place,
        neighbours: sum.neighbours,
        list: sum.memory.list,
        keys: sum.memory.keys,
        moves: sum.memory.moves,
        root,
        took: began.elapsed(),
        is_plain: surveyor.is_plain.into_inner() && saw_all,
        is_exact: false,
        before: None,
    })
}

struct Surveyor<'a> {
    busy: &'a Busy,
    wanted: Wanted,
    memory: Option<Memory<'a>>,
    source: Linked,
    destination: Linked,
    /// The names of hard-linked files of the source.
    names: LinkedNames,
    links: Links,
    /// No attribute or access control list was seen so far; not set if they are not looked for.
    is_plain: AtomicBool,
}

impl Surveyor<'_> {
    fn look_for_attributes(&self, dir: Option<impl AsFd>, name: &CStr) {
        if let Some(dir) = dir.filter(|_| self.is_plain.load(Ordering::Relaxed))
            && !attributes::has_none(dir, name)
        {
            self.is_plain.store(false, Ordering::Relaxed);
        }
    }
}

/// What one thread has found.
#[derive(Default)]
struct Part {
    /// Entries of this directory so far.
    seen: u64,
    memory: Found,
    neighbours: Neighbours,
    in_place: InPlace,
    source: Tally,
    destination: Tally,
    differences: Differences,
    needs: Needs,
    locked: Vec<PathBuf>,
    boundaries: Vec<PathBuf>,
    more_boundaries: u64,
}

impl Visitor for Surveyor<'_> {
    type Kept = Part;

    fn enter(&self, here: &Here<'_>, part: &mut Part) {
        if let Some(memory) = &self.memory {
            memory.enter(here, &mut part.memory);
        }
        if here.is_locked && !here.is_inside_locked {
            part.locked.push(here.path.to_owned());
            locked::bound(&mut part.locked);
        }
    }

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, part: &mut Part) {
        part.seen += 1;
        if let Some(stat) = entry.stats.source {
            part.source.count(&self.source, stat);
            if here.is_boundary(entry.name, stat) {
                part.see_boundary(here.path_of(entry.name));
            }
            if kind(stat) == SFlag::S_IFREG && stat.st_nlink > 1 {
                self.names.add_at(here.path, entry.name.to_bytes());
            }
            // What cannot be read is not copied.
            if here.is_locked {
                return;
            }
            part.needs.see(entry.name, stat);
            self.look_for_attributes(here.dirs.source, entry.name);
            if let Some(dir) = here.dirs.source.filter(|_| self.wanted.attributes) {
                part.needs.attributes = part.needs.attributes.max(attributes::size(dir, entry.name));
            }
        }
        if let Some(stat) = entry.stats.destination {
            part.destination.count(&self.destination, stat);
            part.neighbours.see(here, entry);
            self.look_for_attributes(here.dirs.destination, entry.name);
        }
        let is_known = self.memory.is_some_and(|memory| memory.knows(entry, &part.memory));
        let difference = match (entry.stats.source, entry.stats.destination) {
            (Some(source), Some(destination)) if !is_known => {
                compare(here, entry.name, source, destination, self.wanted.nanoseconds)
            }
            _ => Difference::Nothing,
        };
        let both = Both { source: &self.source, destination: &self.destination };
        let is_in_place = self.wanted.in_place && part.in_place.see(here, entry, difference);
        part.differences.see(here, entry, difference, both, is_in_place);
        // What is as it was then is linked as it was then.
        if is_known {
            return;
        }
        let memory = self.memory.as_ref();
        let is_listed = memory.is_some_and(|memory| memory.judge(here, entry, difference, &mut part.memory));
        self.links.see(here, entry, is_listed);
    }

    fn leave(&self, here: &Here<'_>, part: &mut Part) {
        if let Some(memory) = &self.memory {
            memory.leave(here, &mut part.memory);
        }
        self.busy.count(std::mem::take(&mut part.seen));
    }

    fn unreadable(&self, side: Side, _path: &Path, part: &mut Part) {
        match side {
            Side::Source => part.source.unreadable += 1,
            Side::Destination => part.destination.unreadable += 1,
        }
    }
}

impl Part {
    fn see_boundary(&mut self, path: PathBuf) {
        if self.boundaries.len() < MOST_BOUNDARIES {
            self.boundaries.push(path);
        } else {
            self.more_boundaries += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.neighbours.add(other.neighbours);
        self.in_place.add(other.in_place);
        self.memory.list.append(other.memory.list);
        self.memory.keys.extend(other.memory.keys);
        self.memory.moves |= other.memory.moves;
        self.source.add(&other.source);
        self.destination.add(&other.destination);
        self.differences.add(other.differences);
        self.needs.add(&other.needs);
        self.locked.extend(other.locked);
        locked::bound(&mut self.locked);
        other.boundaries.into_iter().for_each(|path| self.see_boundary(path));
        self.more_boundaries += other.more_boundaries;
    }
}
