//! `--repair`: copies damaged entries anew through rsync, by a list as in a quick pass, and compares them once more.
//!
//! The completion marker goes before the first write, and comes back with the time that it had: the clone is as complete as
//! it was, and no younger.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::FileTimes;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::{FileStat, SFlag};

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::phases::endpoints::Endpoints;
use crate::phases::hard_links::groups::Original;
use crate::phases::markers::suspended::Suspended;
use crate::phases::preflight::Rsync;
use crate::phases::safety_net::Nets;
use crate::phases::survey::found::Survey;
use crate::phases::survey::list::{List, Why, for_rsync};
use crate::phases::transfer::meter::Meter;
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::verdict::PARTIAL;
use crate::phases::transfer::{Method, Transfer, regroup, second_look, verdict};
use crate::phases::{markers, safety_net, survey};
use crate::process::End;
use crate::rsync::capabilities::Optional;
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::tree::pair::{Entry, Here, Visitor, kind, names_of, walk};
use crate::verify::finding::{Damage, Flaw};

/// What is repaired, and with what.
pub struct Repair<'a> {
    /// The run, which writes.
    pub run: &'a Run<'a>,
    /// The rsync to use.
    pub rsync: &'a Rsync,
    /// Both ends.
    pub ends: &'a Endpoints,
    /// The clone's rules.
    pub rules: &'a Rules,
    /// What the source leaves out.
    pub left_out: &'a LeftOut,
    /// Both ends as they are now.
    pub survey: &'a Survey,
    /// The damaged entries.
    pub damages: &'a [Damage],
    /// When the clone's top was modified, in seconds and nanoseconds since 1970.
    pub top: (i64, i64),
}

/// Repairs the damage. Returns the paths, relative to the roots, that rsync was given.
pub fn repair(repair: &Repair<'_>) -> Result<HashSet<PathBuf>, Refusal> {
    let Repair { run, ends, survey, .. } = *repair;
    refuse_unfit(repair)?;
    let (paths, list) = list(repair)?;
    let mut nets = safety_net::make_ready(run, &ends.destination, survey)?;
    ends.ensure_in_place(run)?;
    let suspended = Suspended::suspend(run, &ends.destination.dir)?;
    if let Err(failure) = write(repair, &paths, &mut nets).and_then(|()| conclude(repair, suspended)) {
        // A disk that does not answer would make us wait as well.
        if !matches!(failure, Failure::Stalled { .. }) {
            markers::record_failure(run, &ends.destination, &failure);
        }
        return Err(failure.into());
    }
    Ok(list)
}

/// Lets rsync copy what is damaged.
fn write(repair: &Repair<'_>, paths: &[u8], nets: &mut Nets) -> Result<(), Failure> {
    let Repair { run, rsync, ends, rules, survey, damages, .. } = *repair;
    for damage in damages {
        run.go_on()?;
        // What cannot be made to look different stays damaged, which the second comparison says.
        let _ = reveal(&ends.destination.dir, damage);
    }
    let (meter, linked) = (Meter::new(None, 0), &survey.linked);
    let methods = [
        damages.iter().any(|damage| !is_top(damage)).then_some(Method::Listed(paths)),
        damages.iter().any(is_top).then_some(Method::Root),
    ];
    for method in methods.into_iter().flatten() {
        let transfer = Transfer { run, rsync, ends, rules, method, linked, meter: &meter };
        check(run, ends, &second_look::clone(&transfer, nets)?)?;
    }
    Ok(())
}

/// Puts the completion back, and the time of the clone's top, which ours have changed.
fn conclude(repair: &Repair<'_>, suspended: Suspended) -> Result<(), Failure> {
    let Repair { run, ends, survey, damages, top, .. } = *repair;
    let dir = &ends.destination.dir;
    suspended.resume(run, dir)?;
    let (seconds, nanoseconds) = match &survey.root {
        Some((source, _)) if damages.iter().any(is_top) => (source.st_mtime, source.st_mtime_nsec),
        Some(_) | None => top,
    };
    let put_back = dir.set_modified(seconds, nanoseconds).and_then(|()| dir.sync());
    put_back
        .map_err(|error| Failure::DestinationLost { path: run.plan.destination.clone(), why: error.into() })
}

/// Whether everything that was written is on the disk. What rsync could not copy is as it was.
fn check(run: &Run<'_>, ends: &Endpoints, report: &Report) -> Result<(), Failure> {
    match verdict::check(run, ends, report) {
        Ok(_) => Ok(()),
        Err(Failure::Rsync { .. }) if report.end == End::Exited(PARTIAL) => {
            let path = || run.plan.destination.clone();
            let flushed = ends.destination.dir.flush_filesystem();
            flushed.map_err(|error| Failure::FlushFailed { path: path(), why: error.into() })
        }
        Err(failure) => Err(failure),
    }
}

/// A list names paths, so that nobody may be able to lead rsync elsewhere meanwhile.
fn refuse_unfit(repair: &Repair<'_>) -> Result<(), Refusal> {
    let Repair { run, rsync, ends, survey, .. } = *repair;
    for (is_fit, why) in [
        (run.machine.host.platform == Platform::Linux, "this system is not known well enough"),
        (rsync.capabilities.has(Optional::Nanoseconds), "this rsync is too old"),
        (ends.view.is_some(), "there is no private view of both ends"),
        (
            ends.view.as_ref().is_none_or(|view| !view.follows_links()),
            "this kernel cannot keep paths from following links",
        ),
        (survey.is_exact, "an exclusion cannot be applied exactly"),
    ] {
        if !is_fit {
            return Err(refusal(why));
        }
    }
    Ok(())
}

fn refusal(why: &str) -> Refusal {
    let sentence =
        format!("Nothing was repaired, since {why}. A clone with --checksum copies damaged files anew.");
    Refusal(ExitCode::DAMAGE, sentence)
}

fn is_top(damage: &Damage) -> bool {
    damage.path == Path::new(".")
}

/// What rsync has to look at: as it takes it, and as paths.
fn list(repair: &Repair<'_>) -> Result<(Vec<u8>, HashSet<PathBuf>), Refusal> {
    let Repair { run, ends, left_out, damages, .. } = *repair;
    let is_whole = |flaw: &Flaw| matches!(flaw, Flaw::Missing | Flaw::Type(..));
    let lister = Lister {
        paths: damages.iter().map(|damage| &*damage.path).collect(),
        trees: damages
            .iter()
            .filter(|damage| damage.flaws.iter().any(is_whole))
            .map(|damage| &*damage.path)
            .collect(),
    };
    let trees = survey::trees(ends, left_out);
    let broken =
        |error: io::Error| Failure::DestinationLost { path: run.plan.destination.clone(), why: error.into() };
    let (_, parts) = walk(&trees, run.machine.interrupts, &lister).map_err(|error| broken(error.into()))?;
    run.go_on()?;
    let (mut list, mut linked) = (List::default(), HashSet::new());
    for part in parts {
        list.append(part.list);
        linked.extend(part.linked);
    }
    let names = if linked.is_empty() {
        List::default()
    } else {
        regroup::names(&trees, run.machine.interrupts, &linked).map_err(broken)?
    };
    run.go_on()?;
    if !list.is_whole() || !names.is_whole() {
        return Err(refusal("more is damaged than a list can hold"));
    }
    let all = for_rsync([&list, &names]);
    let path = |path: &[u8]| PathBuf::from(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)));
    let paths = all.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(path).collect();
    Ok((all, paths))
}

/// Lists what is damaged, and all that is below a directory that is missing.
struct Lister<'a> {
    paths: HashSet<&'a Path>,
    trees: HashSet<&'a Path>,
}

#[derive(Default)]
struct Listed {
    list: List,
    /// Files of the source that have other names, which rsync has to see together.
    linked: HashSet<Original>,
}

impl Visitor for Lister<'_> {
    type Kept = Listed;

    fn see(&self, here: &Here<'_>, entry: &Entry<'_>, listed: &mut Listed) {
        let path = here.path_of(entry.name);
        let is_below = || path.ancestors().any(|above| self.trees.contains(above));
        if !self.paths.contains(&*path) && !is_below() {
            return;
        }
        let Some(source) = entry.stats.source else {
            // What is below it goes with it.
            if here.dirs.source.is_some() && !entry.is_left_out {
                listed.list.add(Why::Deleted, here, entry.name);
            }
            return;
        };
        listed.list.add(Why::Changed, here, entry.name);
        let is_dir = kind(source) == SFlag::S_IFDIR;
        if !is_dir && names_of(source) > 1 {
            listed.linked.insert((source.st_dev, source.st_ino));
        }
    }
}

/// Makes a copy look different, by which rsync copies it again: contents have another time, and a name that is linked to
/// others is taken away, of which the others keep what it holds.
fn reveal(root: &Dir, damage: &Damage) -> io::Result<()> {
    let (Some(parent), Some(name)) = (damage.path.parent(), damage.path.file_name()) else { return Ok(()) };
    let has = |wanted: fn(&Flaw) -> bool| damage.flaws.iter().any(wanted);
    let parent = root.enter_path(parent)?;
    if has(|flaw| matches!(flaw, Flaw::HardLinks)) {
        let has_others = |stat: &FileStat| names_of(stat) > 1;
        if parent.stat(name)?.as_ref().is_some_and(has_others) {
            return parent.remove_file(name);
        }
    }
    let differs = has(|flaw| matches!(flaw, Flaw::Contents(_) | Flaw::Unreadable(_)));
    let shows = has(|flaw| matches!(flaw, Flaw::Size(..)));
    if !differs || shows {
        return Ok(());
    }
    let Some(copy) = parent.open_regular(name)? else { return Ok(()) };
    let modified = copy.metadata()?.modified()?;
    let second = Duration::from_secs(1);
    let other = modified.checked_sub(second).or_else(|| modified.checked_add(second));
    let other = other.ok_or_else(|| io::Error::other("its time cannot be changed"))?;
    copy.set_times(FileTimes::new().set_modified(other))
}
