//! `counterpart verify --alone`: compares a clone with the hashes that were kept of it, without its source.
//!
//! The file of hashes leads: whatever it names is looked for in the clone. What came later is not in it, and not looked at.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};

use crate::cli::verify::VerifyArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::{Dir, forget_cached, open_subdir};
use crate::fs::reading;
use crate::host::machine::Machine;
use crate::logging::{Screen, warning};
use crate::phases::endpoints;
use crate::phases::endpoints::{identity, lock};
use crate::phases::survey::memory::Stamp;
use crate::phases::transfer::meter::Meter;
use crate::plan::Plan;
use crate::process::interrupts::Interrupts;
use crate::run::{Mode, Run};
use crate::state::Store;
use crate::state::reading::Extent;
use crate::tree::pair::kind;
use crate::tree::parallel;
use crate::tree::sides::Side;
use crate::verify::completed::{begun_meanwhile, mark};
use crate::verify::finding::{Findings, Flaw};
use crate::verify::hashes::contents::{self, NoHash};
use crate::verify::hashes::file::Hashes;
use crate::verify::hashes::{Hashed, Kind};
use crate::verify::kept::number;
use crate::verify::report::{Against, Verified};
use crate::verify::sample::Chosen;
use crate::verify::{choose, remember};

/// How many files are open at once.
const OPEN: usize = 64;

/// Compares the clone with its hashes; `None` if it is missing, and may be.
pub fn verify(
    args: &VerifyArgs,
    plan: &Plan,
    machine: Machine<'_>,
    screen: &Screen,
) -> Result<Option<Verified>, Refusal> {
    let mount = endpoints::named::mount(plan, machine, Mode::Verify);
    let run = Run::new(plan, machine, Mode::Verify, mount.whereabouts());
    mount.log(&run);
    choose::rights(&run)?;
    let dir = match endpoints::destination(&run) {
        Err(failure) if plan.skip_if_missing && failure.means_missing() => return Ok(None),
        dir => dir?,
    };
    lock::look(&run, &dir)?;
    let complete = || mark(&dir, &plan.prefix);
    let before = complete().map_err(|error| refused(&run, &display::reason(&error)))?;
    let (hashes, on_clone) = {
        let _busy = screen.busy("Reading the hashes");
        newest(&run, &dir)?
    };
    if before.is_none() {
        warning("the clone is not complete: what has changed since the last complete one is not compared.");
    }
    run.go_on()?;
    let chosen = Chosen::of_today(args.sample);
    let all = chosen.of(hashes.bytes).unwrap_or(0);
    let meter = Meter::new(Some(screen.clone()).filter(Screen::draws), all);
    let compared =
        Comparison::new(&run, &dir, &hashes, &chosen, &meter).and_then(|comparison| comparison.all(&hashes));
    meter.clear();
    let findings = compared.map_err(|error| refused(&run, &display::reason(&error)))?;
    let interrupted = machine.interrupts.received();
    if interrupted.is_none() {
        if complete().ok() != Some(before) {
            return Err(begun_meanwhile(plan));
        }
        let extent = if args.sample.is_some() { Extent::Some } else { Extent::All };
        remember::save(&run, &dir, extent, findings.counts());
    }
    Ok(Some(Verified {
        against: Against::Hashes { kept: hashes.header.kept.seconds, on_clone },
        destination: display::path(dir.shown()).to_string(),
        started: hashes.header.started,
        basis: None,
        sample: args.sample,
        findings,
        repaired: None,
        failed: None,
        took: run.began.elapsed(),
        interrupted,
    }))
}

fn refused(run: &Run<'_>, why: &str) -> Refusal {
    let path = display::path(&run.plan.destination);
    Refusal(ExitCode::DESTINATION, format!("The clone in {path} cannot be verified: {why}."))
}

/// The newest hashes of the clone, and whether they are those on the clone itself.
fn newest(run: &Run<'_>, dir: &Dir) -> Result<(Hashes, bool), Refusal> {
    let id = identity::id(run, dir).ok();
    let prefix = &run.plan.prefix;
    let store = Store::new(&run.machine.host.state_dir);
    // Without its state this machine knows none.
    let names = store.hashes(run.location(), prefix).unwrap_or_default();
    let state = Dir::open(&run.machine.host.state_dir).ok();
    let mut here = names.iter().filter_map(|name| open(state.as_ref()?, name));
    // Of another disk at the same place they say nothing.
    let here = here.find(|hashes| id.as_deref() == Some(&*hashes.header.clone));
    let there = open(dir, &prefix.hashes());
    match (here, there) {
        (Some(here), Some(there)) if there.header.kept > here.header.kept => Ok((there, true)),
        (Some(here), _) => Ok((here, false)),
        (None, Some(there)) => Ok((there, true)),
        (None, None) => Err(refused(
            run,
            if id.is_none() {
                "nothing there says that it is one; mount its disk"
            } else {
                "there are no hashes of it, neither on this machine nor on the clone. Clone with --hashes both"
            },
        )),
    }
}

/// The hashes of this name, if they can be used.
fn open(dir: &Dir, name: &OsStr) -> Option<Hashes> {
    Hashes::open(dir, name).unwrap_or_else(|error| {
        let path = dir.shown().join(name);
        let why = display::reason(&error);
        warning(format_args!("the hashes in {} cannot be used: {why}.", display::path(&path)));
        None
    })
}

/// What lies where a directory is looked for.
#[derive(Debug, Clone)]
enum Obstacle {
    /// Nothing; and whether what was there may have gone since the hashes were taken.
    Gone(bool),
    /// Another filesystem is mounted on it.
    Covered,
    /// Something that cannot be read, for this reason.
    Unreadable(String),
}

/// A directory of the clone, or why there is none.
type Opened = Result<OwnedFd, Obstacle>;

/// What has come of a look at an entry.
enum Looked {
    /// It has been changed since its hash was taken.
    Changed,
    /// Another filesystem is mounted on a directory above it.
    Covered,
    /// It differs by these flaws, if there are any.
    Differs(Vec<Flaw>),
    /// It is to be read, whatever is wrong with it already.
    Open(File, Vec<Flaw>),
}

/// The entry of a file that is to be read, and what is wrong with it already.
type Waiting = (Hashed, File, Vec<Flaw>);

/// A comparison of a clone with its hashes.
struct Comparison<'a> {
    dir: &'a Dir,
    device: dev_t,
    kept: Stamp,
    interrupts: &'a Interrupts,
    chosen: &'a Chosen,
    meter: &'a Meter,
    /// The directory of the last entry, by its path.
    parent: Option<(Vec<u8>, Opened)>,
    waiting: Vec<Waiting>,
    findings: Findings,
}

impl<'a> Comparison<'a> {
    fn new(
        run: &Run<'a>,
        dir: &'a Dir,
        hashes: &Hashes,
        chosen: &'a Chosen,
        meter: &'a Meter,
    ) -> io::Result<Self> {
        let (kept, interrupts) = (hashes.header.kept, run.machine.interrupts);
        let device = fstat(dir)?.st_dev;
        let (waiting, findings) = (Vec::new(), Findings::default());
        Ok(Self { dir, device, kept, interrupts, chosen, meter, parent: None, waiting, findings })
    }

    /// Compares everything. Errors if the hashes cannot be read any more.
    fn all(mut self, hashes: &Hashes) -> io::Result<Findings> {
        for entry in hashes.read()? {
            if self.interrupts.received().is_some() {
                break;
            }
            self.entry(entry?);
        }
        self.flush();
        // In the order of their paths.
        let mut sorted = Findings::default();
        sorted.add(self.findings);
        Ok(sorted)
    }

    fn entry(&mut self, entry: Hashed) {
        self.findings.entries += 1;
        let (above, name) = parts(&entry.path);
        if self.parent.as_ref().is_none_or(|(path, _)| path != above) {
            let opened = self.enter(above);
            self.parent = Some((above.to_vec(), opened));
        }
        // No name of an entry holds a zero byte.
        let name = CString::new(name).unwrap_or_default();
        let looked = match self.parent.as_ref().map(|(_, opened)| opened) {
            Some(Ok(parent)) => self.look(&entry, parent, &name),
            Some(Err(Obstacle::Gone(true))) => Looked::Changed,
            Some(Err(Obstacle::Covered)) => Looked::Covered,
            Some(Err(Obstacle::Unreadable(why))) => Looked::Differs(vec![Flaw::Unreadable(why.clone())]),
            Some(Err(Obstacle::Gone(false))) | None => Looked::Differs(vec![Flaw::Missing]),
        };
        match looked {
            Looked::Changed => self.findings.changed += 1,
            Looked::Covered => {
                let why = "another filesystem is mounted there".to_owned();
                self.findings.leave(entry.path().to_owned(), Side::Destination, why);
            }
            Looked::Differs(flaws) => self.judge(&entry, flaws),
            Looked::Open(file, flaws) => {
                self.waiting.push((entry, file, flaws));
                if self.waiting.len() >= OPEN {
                    self.flush();
                }
            }
        }
    }

    /// Looks at the entry of this name in its directory.
    fn look(&self, entry: &Hashed, dir: &OwnedFd, name: &CStr) -> Looked {
        let stat = match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) if fstat(dir).is_ok_and(|dir| self.has_lost(&dir)) => {
                return Looked::Changed;
            }
            Err(Errno::ENOENT) => return Looked::Differs(vec![Flaw::Missing]),
            Err(errno) => return Looked::Differs(vec![Flaw::Unreadable(errno.desc().to_owned())]),
        };
        let mut flaws = properties(entry, &stat);
        let unreadable = |error: io::Error| Flaw::Unreadable(display::reason(&error));
        match entry.kind {
            _ if self.has_changed(&stat) && !flaws.is_empty() => Looked::Changed,
            _ if Kind::of(&stat) != Some(entry.kind) => Looked::Differs(flaws),
            Kind::Link => {
                match contents::of_link(dir, name) {
                    Ok(hash) if hash == entry.hash => {}
                    Ok(_) => flaws.push(Flaw::Target),
                    Err(error) => flaws.push(unreadable(error)),
                }
                Looked::Differs(flaws)
            }
            Kind::File if !self.chosen.has(entry.path()) => Looked::Differs(flaws),
            Kind::File => match reading::open(dir, name) {
                Ok(Some(file)) => Looked::Open(file, flaws),
                Ok(None) => Looked::Changed,
                Err(error) => {
                    flaws.push(unreadable(error));
                    Looked::Differs(flaws)
                }
            },
        }
    }

    /// Opens a directory by its path.
    fn enter(&self, path: &[u8]) -> Opened {
        let unreadable = |error: io::Error| Obstacle::Unreadable(display::reason(&error));
        let mut here = open_subdir(self.dir, c".").map_err(unreadable)?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let name = CString::new(name).unwrap_or_default();
            let below = match open_subdir(&here, &name) {
                Ok(below) => below,
                Err(error) => {
                    let is_gone = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP]
                        .map(|errno| Some(errno as i32))
                        .contains(&error.raw_os_error());
                    let has_changed = || fstat(&here).is_ok_and(|dir| self.has_lost(&dir));
                    return Err(if is_gone { Obstacle::Gone(has_changed()) } else { unreadable(error) });
                }
            };
            let stat = fstat(&below).map_err(|errno| unreadable(errno.into()))?;
            if stat.st_dev != self.device {
                return Err(Obstacle::Covered);
            }
            here = below;
        }
        Ok(here)
    }

    /// Whether an inode has changed since the hashes were taken.
    fn has_changed(&self, stat: &FileStat) -> bool {
        !Stamp::of(stat).is_before(self.kept)
    }

    /// Whether a program may have taken something from a directory since then. Our own files change the top's inode, but
    /// not its time.
    fn has_lost(&self, dir: &FileStat) -> bool {
        let modified = Stamp { seconds: dir.st_mtime, nanoseconds: dir.st_mtime_nsec };
        !modified.is_before(self.kept)
    }

    /// Reads the files that are open.
    fn flush(&mut self) {
        let (interrupts, meter) = (self.interrupts, self.meter);
        let read = |(entry, file, flaws): Waiting| {
            let bytes = std::cell::Cell::new(0);
            let count = |more: u64| {
                bytes.set(bytes.get() + more);
                meter.add(more);
            };
            // What was just written would be read from memory, whatever the disk has kept.
            forget_cached(&file);
            let length = fstat(&file).map_or(entry.size, |stat| number(stat.st_size));
            let hash = contents::of_file(&file, length, interrupts, &count);
            forget_cached(&file);
            (entry, flaws, bytes.get(), hash)
        };
        let waiting = std::mem::take(&mut self.waiting);
        for (entry, mut flaws, bytes, hash) in parallel::each(waiting, interrupts, read).into_iter().flatten()
        {
            match hash {
                Err(NoHash::Interrupted) => continue,
                Err(NoHash::Failed(at, error)) => {
                    let why = format!("{}, at offset {at}", display::reason(&error));
                    flaws.insert(0, Flaw::Unreadable(why));
                }
                Ok(hash) if hash != entry.hash => flaws.insert(0, Flaw::Hash),
                Ok(_) => {}
            }
            self.findings.files += 1;
            self.findings.bytes += bytes;
            // Contents that differ although size and time are what they were were not changed by a program.
            self.judge(&entry, flaws);
        }
    }

    /// Adds an entry with these flaws, if it has any.
    fn judge(&mut self, entry: &Hashed, flaws: Vec<Flaw>) {
        if !flaws.is_empty() {
            self.findings.damage(entry.path().to_owned(), flaws);
        }
    }
}

/// The directory of a path, and the name in it.
fn parts(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// By what an entry differs from what it was, without being read.
fn properties(entry: &Hashed, stat: &FileStat) -> Vec<Flaw> {
    let was = match entry.kind {
        Kind::File => SFlag::S_IFREG,
        Kind::Link => SFlag::S_IFLNK,
    };
    if kind(stat) != was {
        return vec![Flaw::Type(was, kind(stat))];
    }
    let mut flaws = Vec::new();
    if number(stat.st_size) != entry.size {
        flaws.push(Flaw::Size(entry.size, number(stat.st_size)));
    }
    if (stat.st_mtime, stat.st_mtime_nsec) != entry.modified {
        flaws.push(Flaw::Modified);
    }
    flaws
}
