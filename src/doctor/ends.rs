//! Checks the source and the destination, each alone and both together.

use std::path::Path;

use crate::display;
use crate::doctor::exam::Exam;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::linux::mounts::Ownership;
use crate::phases::endpoints;
use crate::phases::endpoints::named::Mount;
use crate::phases::endpoints::ownership;
use crate::phases::endpoints::{Endpoints, Source};
use crate::phases::{log_header, outputs, snapshot};
use crate::plan::frozen::Frozen;

/// What was found about both ends.
#[derive(Debug, Default)]
pub struct Ends {
    /// The source, if it can be read.
    pub source: Option<Source>,
    /// The destination, if it can be written.
    pub destination: Option<Dir>,
    /// Both, if a clone would accept them.
    pub both: Option<Endpoints>,
}

impl Ends {
    /// Whether the filesystem mounted at this place below the source is part of the clone.
    pub fn has_part(&self, place: &Path) -> bool {
        let source = self.both.as_ref().map(|both| &both.source).or(self.source.as_ref());
        source.is_some_and(|source| source.filesystems.iter().any(|it| it.place == place))
    }

    /// Whether the source is the root directory of a system.
    pub fn is_system(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is_system)
    }
}

/// Checks them in the order in which a clone does.
pub fn examine(exam: &mut Exam<'_>, mount: &Mount<'_>) -> Ends {
    let mut ends = Ends::default();
    if exam.inquiry.has_source {
        ends.source = exam.ask("source", "", endpoints::source);
        if let Some(source) = &ends.source {
            let what = if source.is_system { "the root of a system" } else { "a directory of data" };
            exam.ok("source", format!("{} can be read and is {what}.", display::path(source.dir.path())));
        }
    }
    if exam.inquiry.has_destination {
        named(exam, mount);
        ends.destination = exam.ask("destination", "", endpoints::destination);
        if let Some(dir) = &ends.destination {
            exam.ok("destination", format!("{} can be written.", display::path(dir.shown())));
            owners(exam, dir);
            exam.ask("outputs", "", |run| outputs::check(run, dir));
        }
    }
    together(exam, &mut ends);
    if let (None, None, Some(source)) = (&ends.both, &ends.destination, &mut ends.source) {
        let chosen = exam.ask("filesystems", "", |run| {
            endpoints::filesystems::choose(run, &source.dir, source.is_system, None)
        });
        source.filesystems = chosen.unwrap_or_default();
    }
    let source = ends.both.as_ref().map(|both| &both.source).or(ends.source.as_ref());
    if let Some(source) = source {
        left_out(exam, source, ends.destination.as_ref());
    }
    ends
}

/// Reports where a destination named by a tag was found.
fn named(exam: &mut Exam<'_>, mount: &Mount<'_>) {
    mount.log(exam.run);
    let (remarks, _) = exam.warnings("destination", "Unmount it everywhere and check it with fsck.");
    for remark in remarks {
        exam.ok("destination", remark);
    }
}

fn owners(exam: &mut Exam<'_>, dir: &Dir) {
    const TOPIC: &str = "ownership";
    if exam.ask(TOPIC, "", |run| ownership::refuse_known(run, dir)).is_none() {
        return;
    }
    match ownership::known(exam.run, dir) {
        Ownership::Kept => exam.ok(TOPIC, "the destination preserves file ownership."),
        Ownership::Unknown | Ownership::Ignored(_) => exam.warn(
            TOPIC,
            "the system does not report whether the destination preserves file ownership.",
            "A clone probes it with a temporary file, and exits with 90 if the owner is lost.",
        ),
    }
}

fn together(exam: &mut Exam<'_>, ends: &mut Ends) {
    const TOPIC: &str = "both ends";
    // A problem reported for one end alone is not reported again.
    let destination = ends.destination.as_ref().filter(|_| !exam.report.has_failed("ownership"));
    match (&ends.source, destination) {
        (Some(_), Some(_)) => {
            let Some(both) = exam.ask(TOPIC, "", endpoints::claim) else { return };
            exam.ok(
                TOPIC,
                match &both.source.holds_destination {
                    Some(_) => "the destination lies inside the source and is left out of the copy.",
                    None => "neither lies inside the other, and no other Counterpart is cloning to the destination.",
                },
            );
            view(exam, &both);
            snapshot(exam, &both);
            ends.both = Some(both);
        }
        (Some(source), None) => {
            exam.ask("source", "", |run| endpoints::refuse_sealed(run, source));
        }
        (None, Some(dir)) => {
            exam.ask("destination", "", |run| endpoints::check_destination(run, dir));
        }
        (None, None) => {}
    }
}

/// Whether the source will stand still.
fn snapshot(exam: &mut Exam<'_>, both: &Endpoints) {
    const TOPIC: &str = "snapshot";
    let is_required = exam.run.plan.snapshot == Frozen::Require;
    if !snapshot::is_wanted(exam.run, both) {
        return;
    }
    match snapshot::foresee(exam.run, both) {
        Ok(paths) => {
            exam.ok(TOPIC, format!("the clone will be made from snapshots of {}.", paths.join(", ")));
        }
        Err(why) if is_required => exam.fail(TOPIC, &snapshot::refused(exam.run, why)),
        Err(why) => exam.ok(TOPIC, format!("the source will be cloned while it changes: {why}.")),
    }
}

/// Whether rsync will work on exactly the directories that were checked, even if their paths change.
fn view(exam: &mut Exam<'_>, both: &Endpoints) {
    const TOPIC: &str = "private view";
    let is_possible = matches!(exam.run.machine.host.platform, Platform::Linux);
    if both.view.is_some() {
        exam.ok(
            TOPIC,
            "rsync will see source and destination as they are now, whatever is mounted or unmounted.",
        );
    } else if !is_possible {
        exam.ok(
            TOPIC,
            "macOS has none: the paths of source and destination are checked before and after rsync.",
        );
    } else {
        exam.warn(
            TOPIC,
            "not available here: rsync is given the paths of source and destination, which are checked before and \
             after.",
            "On Linux 5.2 and later, run as root with CAP_SYS_ADMIN. Without it, keep others from mounting or \
             unmounting anything there during a clone; see SECURITY.md.",
        );
    }
}

fn left_out(exam: &mut Exam<'_>, source: &Source, destination: Option<&Dir>) {
    const TOPIC: &str = "other filesystems";
    if !source.filesystems.is_empty() {
        let names = source.filesystems.iter().map(|it| display::path(it.dir.path()).to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        exam.ok(TOPIC, format!("part of the clone: {names}."));
    }
    log_header::warn_of_left_out(exam.run, source, destination);
    let remedy = "Clone it in a separate run, or do without it; docs/guide.md, \"One filesystem\".";
    let (_, warned) = exam.warnings(TOPIC, remedy);
    if !warned {
        exam.ok(TOPIC, "none is mounted below the source that its clone would leave out.");
    }
}
