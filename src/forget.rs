//! `counterpart forget`: removes what this machine remembers of a clone that was given up.
//!
//! The destination may hang or be gone for good: only a process of its own, which may be left behind, looks for it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::check::looking::{Looked, look_at_all};
use crate::check::rules::{markers, remark};
use crate::check::subjects::Target;
use crate::cli::status::ForgetArgs;
use crate::display;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::is_no_room;
use crate::fs::location::Location;
use crate::fs::lock::Lock;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::linux;
use crate::schedule::made;
use crate::schedule::made::Made;
use crate::state::{State, Store};

/// How long a destination may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the subcommand, and returns what to print.
pub fn run(args: &ForgetArgs, machine: Machine<'_>) -> Result<String, Refusal> {
    let host = machine.host;
    // Schedules run as root, and what an ordinary user remembers is of that user's own runs.
    let all = if host.is_root() { made::all(machine)? } else { Vec::new() };
    let own = Target { destination: args.destination.clone(), prefix: args.organisation_prefix.clone() };
    let scheduled = targets(&all, &own);
    let targets: Vec<Option<Target>> =
        std::iter::once(&own).chain(scheduled.iter().map(|(target, _)| target)).cloned().map(Some).collect();
    let mut looked = look_at_all(&targets, PATIENCE, Instant::now() + PATIENCE).into_iter().flatten();
    let Some(place) = looked.next() else { return Err(Refusal::new("The destination has no path.")) };
    machine.go_on()?;

    let forgetting = Forgetting { host, own: &own, place: &place, store: Store::new(&host.state_dir) };
    let files = forgetting.files()?;
    for schedule in &all {
        if let Err(why) = &schedule.clones {
            return Err(forgetting.undecided(schedule, why));
        }
    }
    for ((_, schedule), there) in scheduled.iter().zip(looked) {
        if forgetting.is_same(&there)? {
            return Err(forgetting.still_made(schedule));
        }
    }
    let lock = forgetting.lock()?;
    let text = forgetting.remove(&files)?;
    drop(lock);
    Ok(text)
}

/// The clones with our prefix that the schedules make.
fn targets<'a>(schedules: &'a [Made], own: &Target) -> Vec<(Target, &'a Made)> {
    let mut found = Vec::new();
    for schedule in schedules {
        for plan in schedule.clones.iter().flatten().filter(|plan| plan.prefix == own.prefix) {
            let target = Target { destination: plan.destination.clone(), prefix: plan.prefix.clone() };
            found.push((target, schedule));
        }
    }
    found
}

struct Forgetting<'a> {
    host: &'a Host,
    own: &'a Target,
    place: &'a Looked,
    store: Store,
}

impl Forgetting<'_> {
    /// The names of the files to remove; refuses if there is none, or they are root's.
    fn files(&self) -> Result<Vec<OsString>, Refusal> {
        let files = self.of(&self.store, &self.place.location)?;
        if !files.is_empty() {
            return Ok(files);
        }
        let shown = self.shown();
        if self.is_also_roots()? {
            return Err(Refusal::new(format!(
                "forget must be run as root: what is remembered of {shown} is in {}.",
                display::path(&self.host.system_state_dir)
            )));
        }
        Err(Refusal::new(format!(
            "This machine remembers no clone at {shown}. Those that it remembers: counterpart status"
        )))
    }

    fn of(&self, store: &Store, location: &Location) -> Result<Vec<OsString>, Refusal> {
        store.files(location, &self.own.prefix).map_err(|error| {
            Refusal::new(format!(
                "What this machine remembers cannot be searched for {}: {}. Nothing was forgotten.",
                self.shown(),
                display::reason(&error)
            ))
        })
    }

    /// Whether root's own records name it as well, which an ordinary user cannot change.
    fn is_also_roots(&self) -> Result<bool, Refusal> {
        if self.host.is_root() {
            return Ok(false);
        }
        Ok(!self.of(&Store::new(&self.host.system_state_dir), &self.place.location)?.is_empty())
    }

    /// Whether a schedule's destination is this one: by its path, its filesystem, or what is remembered of it.
    fn is_same(&self, there: &Looked) -> Result<bool, Refusal> {
        let (one, other) = (&self.place.location, &there.location);
        if one.resolved == other.resolved || one.given == other.given {
            return Ok(true);
        }
        let (own, theirs) = (self.of(&self.store, one)?, self.of(&self.store, other)?);
        Ok(own.iter().any(|name| theirs.contains(name)))
    }

    fn undecided(&self, schedule: &Made, why: &str) -> Refusal {
        let name = &schedule.name;
        Refusal::new(format!(
            "Whether the schedule {name} makes the clone at {} cannot be determined: {why}. If nobody needs it, remove it \
             first: sudo counterpart schedule remove {name}",
            self.shown()
        ))
    }

    fn still_made(&self, schedule: &Made) -> Refusal {
        let (name, shown) = (&schedule.name, self.shown());
        let (by, instead) = match &schedule.job {
            Some(job) => (
                format!(", by the job {job}"),
                " If the job has other destinations, take this one out of its file instead.",
            ),
            None => (String::new(), ""),
        };
        Refusal::new(format!(
            "The schedule {name} still makes the clone at {shown}{by}. Remove it first: sudo counterpart schedule remove \
             {name}{}{instead}",
            if instead.is_empty() { "" } else { "." }
        ))
    }

    /// Holds the destination's lock, so that no run begins meanwhile; refuses if one is under way.
    ///
    /// The lock of a destination that could not be opened has no known name: then no run at all may be under way.
    fn lock(&self) -> Result<Option<Lock>, Refusal> {
        let (locks, destination) = (&self.host.lock_dir, &self.own.destination);
        let failed = |error: &io::Error| {
            Refusal::new(format!(
                "Whether a clone to {} is being made cannot be determined: the locks in {} cannot be read: {}.",
                self.shown(),
                display::path(locks),
                display::reason(error)
            ))
        };
        let locked = || Refusal::from(Failure::Locked { path: destination.clone() });
        let Some(directory) = self.place.directory else {
            if !Lock::any_held(locks).map_err(|error| failed(&error))? {
                return Ok(None);
            }
            let Refusal(code, _) = locked();
            let why = self.place.place.as_ref().ok().and_then(remark);
            let why = why.unwrap_or_else(|| "the destination could not be examined".to_owned());
            return Err(Refusal(
                code,
                format!(
                    "A clone is being made at the moment, perhaps that to {}: {why}. Forget it when that run has ended.",
                    self.shown()
                ),
            ));
        };
        let is_full =
            |error: &io::Error| is_no_room(error) || error.raw_os_error() == Some(Errno::EROFS as i32);
        let held = match Lock::take(locks, directory) {
            Ok(None) => return Err(locked()),
            Ok(held) => held,
            Err(error) if is_full(&error) => None,
            Err(error) => return Err(failed(&error)),
        };
        // Without space for a lock file, a run locks the directory itself.
        if (held.is_none() || !Lock::has_room(locks)) && self.host.platform == Platform::Linux {
            let table = std::fs::read("/proc/locks").map_err(|error| failed(&error))?;
            if linux::locks::is_held(&table, directory) {
                return Err(locked());
            }
        }
        Ok(held)
    }

    /// Removes the files, and says which.
    fn remove(&self, files: &[OsString]) -> Result<String, Refusal> {
        let dir = &self.host.state_dir;
        let states: Vec<Option<State>> = {
            let known = self.store.all().unwrap_or_default();
            let of = |name: &OsString| {
                let found = known.iter().find(|(path, _)| path.file_name() == Some(name));
                found.and_then(|(_, state)| state.as_ref().ok()).cloned()
            };
            files.iter().map(of).collect()
        };
        let also_roots = self.is_also_roots()?;
        self.store.remove(files).map_err(|error| {
            Refusal::new(format!(
                "Not all that is remembered of {} could be removed from {}: {}.",
                self.shown(),
                display::path(dir),
                display::reason(&error)
            ))
        })?;
        let state = states.into_iter().flatten().next();
        let mut text = format!("Forgotten: {}.\n", self.described(state.as_ref()));
        let paths: Vec<PathBuf> = files.iter().map(|name| dir.join(name)).collect();
        for (at, path) in paths.iter().enumerate() {
            let title = if at == 0 { "Removed:" } else { "" };
            text = text + &format!("{title:<10} {}", display::path(path)) + "\n";
        }
        text += "Nothing at the destination was touched";
        let markers = self.place.place.as_ref().ok().and_then(markers);
        let is_clone = markers.is_some_and(|markers| !markers.identity.is_absent());
        text += if is_clone { "; what is there stays a clone.\n" } else { ".\n" };
        if also_roots {
            let dir = display::path(&self.host.system_state_dir);
            text = text
                + &format!("What root remembers of it, in {dir}, stays: only root can remove that.")
                + "\n";
        }
        Ok(text)
    }

    fn described(&self, state: Option<&State>) -> String {
        let shown = self.shown();
        let Some(state) = state else {
            return format!("the clone at {shown}, whose record could not be read");
        };
        let line = |text: &str| display::line(text.as_bytes()).to_string();
        let source = state.last.as_ref().map(|run| &run.source);
        let of = source.map_or_else(String::new, |source| format!(" of {}", line(source)));
        let at = line(&state.destination);
        let spelled = if at == display::path(&self.own.destination).to_string() {
            String::new()
        } else {
            format!(", known as {at}")
        };
        let last = match &state.last_success {
            Some(run) => format!("last completed {}", crate::display::words::moment(run.ended.epoch)),
            None => "never completed".to_owned(),
        };
        format!("the clone{of} at {shown}{spelled}, {last}")
    }

    /// The destination as it was typed, and the prefix if it is not the usual one.
    fn shown(&self) -> String {
        let path = display::path(&self.own.destination);
        if self.own.prefix == crate::marker::Prefix::default() {
            path.to_string()
        } else {
            format!("{path} ({})", self.own.prefix)
        }
    }
}
