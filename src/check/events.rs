//! The last success and the last failure of a clone, from every source that records them.

use crate::check::markers::Markers;
use crate::marker::stats::StatsFile;
use crate::record::{Record, Status};
use crate::state::State;

/// Some filesystems store times to two seconds only.
const COARSE: i64 = 2;

/// A complete clone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Success<'a> {
    /// When it finished, in seconds since 1970.
    pub at: i64,
    /// The run that made it, if known.
    pub record: Option<&'a Record>,
    /// Its statistics, if known.
    pub statistics: Option<&'a StatsFile>,
}

impl Success<'_> {
    /// Whether a completion at this time is this success.
    #[must_use]
    pub fn is_at(&self, at: i64) -> bool {
        self.at == at || self.record.is_some_and(|record| made(record, at))
    }
}

/// A run that failed after the last success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure<'a> {
    /// When it failed, in seconds since 1970.
    pub at: i64,
    /// Why.
    pub reason: &'a str,
    /// The run, if known.
    pub record: Option<&'a Record>,
}

/// What is known about a clone's runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History<'a> {
    /// The last success.
    pub success: Option<Success<'a>>,
    /// The last failure, unless a success has followed it.
    pub failure: Option<Failure<'a>>,
    /// Whether there is a trace of any run.
    pub was_begun: bool,
}

impl<'a> History<'a> {
    /// Combines the markers with this machine's state. A success later than `latest` has a wrong time, and overrides
    /// neither a failure nor another success.
    #[must_use]
    pub fn of(markers: Option<&'a Markers>, state: Option<&'a State>, latest: i64) -> Self {
        let last = state.and_then(|state| state.last.as_ref());
        let recorded = markers.and_then(|markers| markers.record.present());
        let records = [recorded, last, state.and_then(|state| state.last_success.as_ref())];
        let records: Vec<&Record> = records.into_iter().flatten().collect();
        let success = last_success(markers, state, &records, latest);
        let here = markers.map(|markers| of_markers(markers, &records)).unwrap_or_default();
        let failure = last_failure(here, state.map(of_state).unwrap_or_default(), latest);
        let has_markers = markers.is_some_and(|markers| {
            !markers.identity.is_absent() || !markers.statistics.is_absent() || !markers.completed.is_absent()
        });
        Self { success, failure, was_begun: has_markers || !records.is_empty() }
    }
}

fn is_success(record: &Record) -> bool {
    match record.outcome {
        Status::Success | Status::Warning => true,
        Status::Failed | Status::Skipped => false,
    }
}

/// The later success of markers and state. For the same run the marker's wins: its time is that of the completion
/// itself, while the run lasted until the post-clone script ended.
fn last_success<'a>(
    markers: Option<&'a Markers>,
    state: Option<&'a State>,
    records: &[&'a Record],
    latest: i64,
) -> Option<Success<'a>> {
    let known = state.and_then(|state| state.last_success.as_ref()).map(of_good_run);
    let marked = markers.and_then(|markers| marked_success(markers, records));
    match (known, marked) {
        (Some(known), Some(marked)) if known.is_at(marked.at) => Some(marked),
        (Some(known), Some(marked)) if (known.at > latest) != (marked.at > latest) => {
            Some(if known.at > latest { marked } else { known })
        }
        (Some(known), Some(marked)) if known.at > marked.at => Some(known),
        (known, marked) => marked.or(known),
    }
}

fn of_good_run(record: &Record) -> Success<'_> {
    Success { at: record.ended.epoch, record: Some(record), statistics: None }
}

/// `.completed`; during a run it is missing, and the statistics are those of the previous run.
fn marked_success<'a>(markers: &'a Markers, records: &[&'a Record]) -> Option<Success<'a>> {
    let file = markers.statistics.present();
    let of = |at: i64| Success {
        at,
        record: records.iter().copied().find(|record| is_success(record) && made(record, at)),
        statistics: file.filter(|file| tells_of(file, at)),
    };
    if let Some(at) = markers.completed.present() {
        return Some(of(*at));
    }
    let recorded = markers.record.present().filter(|record| is_success(record)).map(of_good_run);
    let counted = file.filter(|file| file.exit_code.is_some_and(is_complete)).and_then(completed);
    recorded.or(counted.map(of))
}

/// Whether a completion at this time belongs to this run.
fn made(record: &Record, at: i64) -> bool {
    record.started.epoch.saturating_sub(COARSE) <= at && at <= record.ended.epoch.saturating_add(COARSE)
}

/// A number beyond the range of file times is not a time.
fn completed(file: &StatsFile) -> Option<i64> {
    file.completed.and_then(|time| i64::try_from(time).ok())
}

fn tells_of(file: &StatsFile, at: i64) -> bool {
    let is_in_time = |completed: i64| completed <= at.saturating_add(COARSE);
    completed(file).is_some_and(is_in_time) && file.exit_code.is_none_or(is_complete)
}

/// 0; 24, where only vanished files are missing; or 78, where only the boot loader is. The original wrote no code.
fn is_complete(code: u64) -> bool {
    matches!(code, 0 | 24 | 78)
}

/// What one source says about the last run: each source knows the order of its own runs, whatever the clocks did.
#[derive(Debug, Clone, Copy, Default)]
struct Verdicts<'a> {
    /// The last run failed.
    failure: Option<Failure<'a>>,
    /// The last run succeeded, at this time.
    success: Option<i64>,
}

fn of_record(record: &Record) -> Failure<'_> {
    Failure {
        at: record.ended.epoch,
        reason: record.reason.as_deref().unwrap_or_default(),
        record: Some(record),
    }
}

fn of_state(state: &State) -> Verdicts<'_> {
    if let Some(last) = state.last.as_ref().filter(|last| last.outcome == Status::Failed) {
        return Verdicts { failure: Some(of_record(last)), success: None };
    }
    let success = state.last_success.as_ref().map(|success| success.ended.epoch);
    Verdicts { failure: None, success }
}

/// An error removes the completion marker and a completion the error marker; the original could leave both.
fn of_markers<'a>(markers: &'a Markers, records: &[&'a Record]) -> Verdicts<'a> {
    let failed = |record: &&Record| record.outcome == Status::Failed;
    let error = markers.error.present().map(|marker| Failure {
        at: marker.at,
        reason: &marker.reason,
        record: records.iter().copied().filter(failed).find(|record| made(record, marker.at)),
    });
    let recorded = markers.record.present().filter(failed).map(of_record);
    let failure = later(error, recorded);
    let completed = markers.completed.present().copied();
    match (failure, completed) {
        (Some(failure), Some(at)) if at > failure.at => Verdicts { failure: None, success: Some(at) },
        (Some(_), _) => Verdicts { failure, success: None },
        (None, _) => Verdicts { failure: None, success: completed },
    }
}

/// The failure from one source, unless the other has a success after it.
fn last_failure<'a>(here: Verdicts<'a>, there: Verdicts<'a>, latest: i64) -> Option<Failure<'a>> {
    let stands = |failure: &Failure<'_>, rival: Option<i64>| {
        rival.is_none_or(|success| success <= failure.at || success > latest)
    };
    let here_stands = here.failure.filter(|failure| stands(failure, there.success));
    later(here_stands, there.failure.filter(|failure| stands(failure, here.success)))
}

/// The later of two; in the same second the second one, which has more detail.
fn later<'a>(one: Option<Failure<'a>>, other: Option<Failure<'a>>) -> Option<Failure<'a>> {
    [one, other].into_iter().flatten().reduce(|best, next| if next.at >= best.at { next } else { best })
}
