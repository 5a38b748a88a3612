//! Runs rsync: for the clone, and dry to see what a clone would change.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::{DateTime, Local};
use log::info;

use super::adoption::{self, Losses};
use super::census::LinkedNames;
use super::endpoints::Endpoints;
use super::preflight::Rsync;
use super::safety_net::{self, Net, Nets};
use super::stall::{Stall, Stalled};
use super::view::View;
use super::{Run, granularity, second_look, verdict, watchdog};
use crate::failure::Failure;
use crate::logging::printed::Printed;
use crate::logging::{Screen, warning};
use crate::process::lines::Piece;
use crate::process::{Command, End, Guarded, Line, Stream, stream_guarded};
use crate::record::Statistics;
use crate::rsync::arguments::{Arguments, Purpose};
use crate::rsync::diagnostics::{Diagnostics, vanished};
use crate::rsync::exit_status;
use crate::rsync::itemized::{Change, Item};
use crate::rsync::progress::Progress;
use crate::rsync::rules::Rules;
use crate::shown;

/// What an rsync has done.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// When it ended.
    pub ended: DateTime<Local>,
    /// What it counted.
    pub statistics: Statistics,
    /// What it complained about.
    pub diagnostics: Diagnostics,
    /// How many starts of rsync it took.
    pub starts: u32,
    /// A file of several names that vanished; as shown.
    pub linked_vanished: Option<String>,
    /// It was ended because it did nothing any more.
    pub stalled: Option<Stalled>,
}

/// Makes the clone.
pub fn clone(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    linked: &LinkedNames,
    nets: &mut Nets,
) -> Result<Report, Failure> {
    run.go_on()?;
    // Whoever unplugged the disk during a wait must not find it filled below its mount point.
    ends.ensure_in_place(run)?;
    // Each start gets a net of its own: a second one would put its leavings over those of the first.
    let net = safety_net::cast(run, ends, nets)?;
    let purpose = Purpose::Clone { progress: Screen::is_terminal() };
    let command = command(run, rsync, ends, rules, purpose, net.as_ref())?;
    info!("Cloning.");
    let (mut statistics, mut diagnostics) = (Statistics::default(), Diagnostics::default());
    let (screen, names) = (run.screen(), ends.names());
    let (mut printed, mut linked_vanished) = (Printed::new(""), None);
    let mut see = |line: Line<'_>| {
        if line.stream == Stream::Out {
            if let Some(progress) = Progress::read(line.bytes) {
                let rest = format!("{}, {} left", progress.speed, progress.time);
                screen.show(progress.percent, progress.bytes, &rest);
                return;
            }
            if line.piece.begins && statistics.read_line(line.bytes) {
                screen.clear();
                printed.log_in_any_case(line);
                return;
            }
        }
        let text = names.restore(line.bytes);
        let line = Line { bytes: &text, ..line };
        if line.stream == Stream::Err
            && linked_vanished.is_none()
            && let Some(path) = vanished(line.bytes)
            && has_other_names(path, ends.source.folder.path(), linked)
        {
            linked_vanished = Some(shown::line(path).to_string());
        }
        note(&mut diagnostics, &mut printed, line);
    };
    let mut stall = guard(run, ends);
    let end =
        watchdog::watched(run.interrupts, || stream_guarded(&command, run.interrupts, &mut stall, &mut see));
    screen.clear();
    printed.finish();
    let given_up = matches!(end, Ok(Guarded::GivenUp { .. }));
    // A destination that does not answer would let us hang as well: the next run puts the net in order.
    if let Some(net) = net.filter(|_| !given_up) {
        net.settle(&ends.destination);
    }
    let (end, stalled) =
        match end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })? {
            Guarded::Ended(end) => (end, None),
            Guarded::GivenUp { left_behind } => (KILLED, Some(stall.verdict(left_behind))),
        };
    diagnostics.name_temporaries(|path| second_look::is_in_source(ends, path));
    Ok(Report { end, ended: Local::now(), statistics, diagnostics, starts: 1, linked_vanished, stalled })
}

/// Whether a path that rsync has printed is one of several of its file. What is not below the source, as it should be,
/// counts as such.
fn has_other_names(printed: &[u8], source: &Path, linked: &LinkedNames) -> bool {
    let path = shown::unescape(printed);
    path.strip_prefix(source.as_os_str().as_bytes()).is_none_or(|below| linked.may_hold(below))
}

/// The end of an rsync that was given up.
const KILLED: End = End::Killed(nix::libc::SIGKILL);

fn guard(run: &Run<'_>, ends: &Endpoints) -> Stall {
    Stall::new(run.plan.stall_timeout, ends.paths(), ends.names())
}

fn note(diagnostics: &mut Diagnostics, printed: &mut Printed, line: Line<'_>) {
    if line.piece == Piece::LINE && line.bytes.trim_ascii().is_empty() {
        return;
    }
    if line.piece.begins {
        match line.stream {
            Stream::Err => diagnostics.read_line(line.bytes),
            Stream::Out => {
                diagnostics.read_output(line.bytes);
            }
        }
    }
    printed.log(line);
}

/// Lists what a clone would change and hands each item to `see`; an rsync that fails as a whole is a failure.
pub fn list(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    see: &mut dyn FnMut(Item<'_>),
) -> Result<End, Failure> {
    run.go_on()?;
    ends.ensure_in_place(run)?;
    let command = command(run, rsync, ends, rules, Purpose::List, None)?;
    let (mut diagnostics, mut printed, names) = (Diagnostics::default(), Printed::new(""), ends.names());
    let mut stall = guard(run, ends);
    let end = stream_guarded(&command, run.interrupts, &mut stall, &mut |line| match line.stream {
        Stream::Out => {
            if let Some(item) = Item::read(line.bytes).filter(|_| line.piece.begins) {
                see(item);
            }
        }
        Stream::Err => {
            let bytes: &[u8] = &names.restore(line.bytes);
            note(&mut diagnostics, &mut printed, Line { bytes, ..line });
        }
    });
    printed.finish();
    let end = end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })?;
    let end = match end {
        Guarded::Ended(end) => end,
        Guarded::GivenUp { left_behind } => return Err(stall.verdict(left_behind).into()),
    };
    run.go_on()?;
    match end {
        End::Exited(0 | 23 | 24) => Ok(end),
        End::Exited(_) | End::Killed(_) => Err(verdict::of_rsync(end)),
    }
}

/// The test run: logs everything that a clone would change.
pub fn list_changes(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints, rules: &Rules) -> Result<(), Failure> {
    let (mut created, mut changed, mut deleted) = (0_u64, 0_u64, 0_u64);
    let needs_leave = adoption::needs_leave(run, &ends.destination)?;
    let mut losses = Losses::default();
    let end = list(run, rsync, ends, rules, &mut |item| {
        let name = shown::line(item.name);
        match item.change {
            Change::Create => {
                created += 1;
                info!("Would create {name}");
            }
            Change::Replace | Change::Attributes => {
                changed += 1;
                info!("Would change {name} ({})", item.letters);
            }
            Change::Delete => {
                deleted += 1;
                info!("Would delete {name}");
            }
        }
        if needs_leave {
            losses.see(&item, &ends.destination.folder);
        }
    })?;
    if let End::Exited(code @ 1..) = end {
        warning(format_args!(
            "rsync ended with code {code}: {}. The list may be incomplete.",
            exit_status::meaning(code)
        ));
    }
    if let Some(refusal) = losses.refusal(&run.plan.destination) {
        warning(format_args!(
            "a real run would be refused with code {}. {refusal}",
            refusal.exit_code().number()
        ));
    }
    info!(
        "Test run: would create {created}, change {changed} and delete {deleted} entries. Nothing was changed."
    );
    Ok(())
}

fn command(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    purpose: Purpose,
    net: Option<&Net>,
) -> Result<Command, Failure> {
    let (source, destination) = ends.paths();
    let arguments = Arguments {
        purpose,
        version: rsync.version,
        capabilities: &rsync.capabilities,
        nanoseconds: match purpose {
            Purpose::Clone { .. } => granularity::keeps_nanoseconds(run, &ends.destination),
            Purpose::List => granularity::shows_nanoseconds(&ends.destination),
        },
        rights: run.host.rights,
        rules,
        backup_folder: net.map(Net::path),
        source: &source,
        destination: &destination,
    };
    let mut command = Command::tool(&rsync.path, arguments.to_vec());
    command.input = rules.users.clone().unwrap_or_default().into();
    // rsync holds the lock too: should we be killed, nobody else begins before it has ended.
    command.lock = ends
        .destination
        .lock
        .as_ref()
        .map(crate::host::lock::Lock::share)
        .transpose()
        .map_err(|error| Failure::Internal(format!("the lock cannot be shared with rsync: {error}")))?;
    command.namespace = ends
        .view
        .as_ref()
        .map(View::namespace)
        .transpose()
        .map_err(|error| Failure::Internal(format!("the view cannot be shared with rsync: {error}")))?;
    Ok(command)
}
