//! Runs rsync: for the clone, and dry to see what a clone would change.

use chrono::{DateTime, Local};
use log::info;

use super::adoption::{self, Losses};
use super::endpoints::Endpoints;
use super::preflight::Rsync;
use super::safety_net::{self, Net, Nets};
use super::{Run, granularity, verdict, watchdog};
use crate::failure::Failure;
use crate::logging::{Screen, warning};
use crate::process::{Command, End, Line, Stream, stream};
use crate::record::Statistics;
use crate::rsync::arguments::{Arguments, Purpose};
use crate::rsync::diagnostics::Diagnostics;
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
}

/// Makes the clone.
pub fn clone(
    run: &Run<'_>,
    rsync: &Rsync,
    ends: &Endpoints,
    rules: &Rules,
    nets: &mut Nets,
) -> Result<Report, Failure> {
    run.go_on()?;
    // Each start gets a net of its own: a second one would put its leavings over those of the first.
    let net = safety_net::cast(run, ends, nets)?;
    let purpose = Purpose::Clone { progress: Screen::is_terminal() };
    let command = command(run, rsync, ends, rules, purpose, net.as_ref())?;
    info!("Cloning.");
    let (mut statistics, mut diagnostics) = (Statistics::default(), Diagnostics::default());
    let screen = run.screen();
    let mut see = |line: Line<'_>| {
        if line.stream == Stream::Out {
            if let Some(progress) = Progress::read(line.bytes) {
                let rest = format!("{}, {} left", progress.speed, progress.time);
                screen.show(progress.percent, progress.bytes, &rest);
                return;
            }
            if statistics.read_line(line.bytes) {
                screen.clear();
            }
        }
        note(&mut diagnostics, line);
    };
    let end = watchdog::watched(run.interrupts, || stream(&command, run.interrupts, &mut see));
    screen.clear();
    if let Some(net) = net {
        net.settle(&ends.destination);
    }
    let end = end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })?;
    Ok(Report { end, ended: Local::now(), statistics, diagnostics })
}

fn note(diagnostics: &mut Diagnostics, line: Line<'_>) {
    if line.bytes.trim_ascii().is_empty() {
        return;
    }
    if line.stream == Stream::Err {
        diagnostics.read_line(line.bytes);
    }
    info!("{}", shown::line(line.bytes));
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
    let command = command(run, rsync, ends, rules, Purpose::List, None)?;
    let mut diagnostics = Diagnostics::default();
    let end = stream(&command, run.interrupts, &mut |line| match line.stream {
        Stream::Out => {
            if let Some(item) = Item::read(line.bytes) {
                see(item);
            }
        }
        Stream::Err => note(&mut diagnostics, line),
    });
    let end = end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })?;
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
            losses.see(&item, ends.destination.folder.path());
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
    let arguments = Arguments {
        purpose,
        version: rsync.version,
        capabilities: &rsync.capabilities,
        nanoseconds: match purpose {
            Purpose::Clone { .. } => granularity::keeps_nanoseconds(run, &ends.destination),
            Purpose::List => granularity::shows_nanoseconds(&ends.destination),
        },
        root: run.host.is_root(),
        rules,
        backup_folder: net.map(Net::path),
        source: ends.source.folder.path(),
        destination: ends.destination.folder.path(),
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
    Ok(command)
}
