//! One run of rsync to make the clone.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::{DateTime, Local};
use log::info;

use crate::display;
use crate::failure::Failure;
use crate::logging::printed::Printed;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::safety_net;
use crate::phases::safety_net::{Net, Nets};
use crate::phases::survey::LinkedNames;
use crate::phases::transfer::stall::{Stall, Stalled};
use crate::phases::transfer::{Method, Transfer};
use crate::phases::transfer::{source_entry, timestamps, watchdog};
use crate::process::lines::Piece;
use crate::process::{Command, End, Guarded, Line, Stream, stream_guarded};
use crate::record::Statistics;
use crate::rsync::arguments::{Arguments, Purpose};
use crate::rsync::diagnostics::{Diagnostics, vanished};
use crate::rsync::filter::rules::Rules;
use crate::rsync::itemized::Item;
use crate::rsync::progress::Progress;
use crate::run::Run;
use crate::volume::view::View;

/// The result of running rsync.
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
    /// How often rsync was started.
    pub starts: u32,
    /// A hard-linked file that vanished; as shown.
    pub linked_vanished: Option<String>,
    /// It was killed because it no longer did anything.
    pub stalled: Option<Stalled>,
}

/// Makes the clone.
pub fn clone(transfer: &Transfer<'_>, nets: &mut Nets) -> Result<Report, Failure> {
    let Transfer { run, rsync, ends, rules, linked, method, meter } = *transfer;
    run.go_on()?;
    // If the disk was unplugged during a wait, the directory below its mount point must not be filled.
    ends.ensure_in_place(run)?;
    // Each start gets its own net: a second one would overwrite files from the first.
    let net = if matches!(method, Method::Root) { None } else { safety_net::create(run, ends, nets)? };
    let progress = run.screen().draws();
    let purpose = match method {
        Method::Full { deletes_first, is_plain } => Purpose::Clone { progress, deletes_first, is_plain },
        Method::Listed(_) => Purpose::Listed { progress },
        Method::InPlace(_) => Purpose::InPlace { progress },
        Method::Root => Purpose::Root,
    };
    let mut command = command(run, rsync, ends, rules, purpose, net.as_ref())?;
    match method {
        Method::Full { .. } => info!("Cloning."),
        Method::Listed(paths) | Method::InPlace(paths) => command.input = paths.to_vec().into(),
        Method::Root => command.input = Vec::new().into(),
    }
    let (mut statistics, mut diagnostics) = (Statistics::default(), Diagnostics::default());
    let (before, names, changes) = (meter.copied(), ends.names(), run.changes());
    let (mut printed, mut linked_vanished) = (Printed::new(""), None);
    let mut see = |line: Line<'_>| {
        if line.stream == Stream::Out {
            if let Some(progress) = Progress::read(line.bytes) {
                meter.set(before.saturating_add(progress.bytes));
                return;
            }
            if let Some(item) = Item::read(line.bytes).filter(|_| line.piece == Piece::LINE) {
                if !item.is_root_time() {
                    changes.add(item.letters, item.name);
                }
                return;
            }
            if line.piece.begins && statistics.read_line(line.bytes) {
                meter.clear();
                printed.log_in_any_case(line);
                return;
            }
        }
        let text = names.restore(line.bytes);
        let line = Line { bytes: &text, ..line };
        if line.stream == Stream::Err
            && linked_vanished.is_none()
            && let Some(path) = vanished(line.bytes)
            && has_other_names(path, ends.source.dir.path(), linked)
        {
            linked_vanished = Some(display::line(path).to_string());
        }
        note(&mut diagnostics, &mut printed, line);
    };
    let mut stall = guard(run, ends);
    let end = watchdog::watched(run.machine.interrupts, || {
        stream_guarded(&command, run.machine.interrupts, &mut stall, &mut see)
    });
    meter.clear();
    printed.finish();
    changes.flush();
    let given_up = matches!(end, Ok(Guarded::GivenUp { .. }));
    // A destination that does not respond would make us hang too: the next run tidies up the net.
    if let Some(net) = net.filter(|_| !given_up) {
        net.settle(&ends.destination, changes.path().as_deref());
    }
    let (end, stalled) =
        match end.map_err(|source| Failure::RsyncNotRun { path: rsync.path.clone(), source })? {
            Guarded::Ended(end) => (end, None),
            Guarded::GivenUp { left_behind } => (KILLED, Some(stall.describe(left_behind))),
        };
    diagnostics.name_temporaries(|path| source_entry::is_in_source(ends, path));
    Ok(Report { end, ended: Local::now(), statistics, diagnostics, starts: 1, linked_vanished, stalled })
}

/// Whether a path printed by rsync belongs to a hard-linked file. A path that is unexpectedly not below the source
/// counts as one.
fn has_other_names(printed: &[u8], source: &Path, linked: &LinkedNames) -> bool {
    let path = display::unescape(printed);
    path.strip_prefix(source.as_os_str().as_bytes()).is_none_or(|below| linked.may_hold(below))
}

/// How an rsync ended that we killed.
const KILLED: End = End::Killed(nix::libc::SIGKILL);

pub(super) fn guard(run: &Run<'_>, ends: &Endpoints) -> Stall {
    Stall::new(run.plan.stall_timeout, ends.paths(), ends.names())
}

pub(super) fn note(diagnostics: &mut Diagnostics, printed: &mut Printed, line: Line<'_>) {
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
    match line.stream {
        Stream::Err => printed.log_complaint(line),
        Stream::Out => printed.log(line),
    }
}

pub(super) fn command(
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
            Purpose::Clone { .. } | Purpose::Listed { .. } | Purpose::InPlace { .. } | Purpose::Root => {
                timestamps::keeps_nanoseconds(run, &ends.destination)
            }
            Purpose::List => timestamps::shows_nanoseconds(&ends.destination),
        },
        rights: run.machine.host.rights,
        // In the view nothing is mounted below the source but what belongs to it.
        one_file_system: ends.source.filesystems.is_empty(),
        rules,
        bandwidth: run.plan.tuning.bandwidth,
        checksum: run.plan.tuning.checksum,
        itemize: run.changes().is_wanted(),
        whole_file: run.plan.tuning.whole_file,
        backup_dir: net.map(Net::path),
        source: &source,
        destination: &destination,
    };
    let mut command = Command::tool(&rsync.path, arguments.to_vec());
    command.input = rules.input().unwrap_or_default().into();
    // rsync holds the lock as well: if we are killed, no other run starts before rsync has exited.
    command.lock = ends
        .destination
        .lock
        .as_ref()
        .map(crate::fs::lock::Lock::share)
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
