//! The last success and the last failure of a clone, found among all that tells of them.

use super::marks::Marks;
use crate::host::state::State;
use crate::record::{Record, Verdict};
use crate::stats_file::StatsFile;

/// A filesystem may keep times to two seconds only.
const COARSE: i64 = 2;

/// A complete clone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Success<'a> {
    /// When it was completed, in seconds since 1970.
    pub at: i64,
    /// The run that made it, where it is known.
    pub record: Option<&'a Record>,
    /// Its statistics, where they are known.
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
    /// Why, in words.
    pub reason: &'a str,
    /// The run, where it is known.
    pub record: Option<&'a Record>,
}

/// What is known of a clone's runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History<'a> {
    /// The last success.
    pub success: Option<Success<'a>>,
    /// The last failure, if no success has followed it.
    pub failure: Option<Failure<'a>>,
    /// Whether anything at all tells of a run.
    pub was_begun: bool,
}

impl<'a> History<'a> {
    /// Puts together what the marks and this machine's memory tell. A success later than `latest` has a wrong time, and
    /// never outweighs a failure.
    #[must_use]
    pub fn of(marks: Option<&'a Marks>, state: Option<&'a State>, latest: i64) -> Self {
        let last = state.and_then(|state| state.last.as_ref());
        let told = marks.and_then(|marks| marks.record.present());
        let records = [told, last, state.and_then(|state| state.last_success.as_ref())];
        let records: Vec<&Record> = records.into_iter().flatten().collect();
        let success = last_success(marks, &records);
        let failure = last_failure(marks, &records)
            .filter(|failure| success.is_none_or(|success| success.at <= failure.at || success.at > latest));
        let has_marks = marks.is_some_and(|marks| {
            !marks.identity.is_absent() || !marks.statistics.is_absent() || !marks.completed.is_absent()
        });
        Self { success, failure, was_begun: has_marks || !records.is_empty() }
    }
}

fn is_success(record: &Record) -> bool {
    match record.outcome {
        Verdict::Success | Verdict::Warning => true,
        Verdict::Failed | Verdict::Skipped => false,
    }
}

fn last_success<'a>(marks: Option<&'a Marks>, records: &[&'a Record]) -> Option<Success<'a>> {
    let good = || records.iter().copied().filter(|record| is_success(record));
    let of_record =
        |record: &'a Record| Success { at: record.ended.epoch, record: Some(record), statistics: None };
    let known = good().max_by_key(|record| record.ended.epoch).map(of_record);
    // The mark's time is the completion itself; its run went on until the post-clone script had ended.
    let marked = marks.and_then(|marks| marks.completed.present()).map(|at| Success {
        at: *at,
        record: good().find(|record| made(record, *at)),
        statistics: marks.and_then(|marks| marks.statistics.present()).filter(|file| tells_of(file, *at)),
    });
    // While a run is under way `.completed` is gone, and the statistics are those of the run before.
    let counted = marks.and_then(|marks| marks.statistics.present()).and_then(|file| {
        let at = file.completed.filter(|_| file.exit_code.is_some_and(is_complete))?;
        Some(Success { at, record: good().find(|record| made(record, at)), statistics: Some(file) })
    });
    // The later one; of the same run what stands nearer to the end of this list.
    let same_run = |one: &Success<'a>, other: &Success<'a>| {
        one.is_at(other.at) || one.record.is_some() && one.record == other.record
    };
    [known, counted, marked]
        .into_iter()
        .flatten()
        .reduce(|best, next| if next.at >= best.at || same_run(&best, &next) { next } else { best })
}

/// Whether a completion at this time belongs to this run.
fn made(record: &Record, at: i64) -> bool {
    record.started.epoch.saturating_sub(COARSE) <= at && at <= record.ended.epoch.saturating_add(COARSE)
}

fn tells_of(file: &StatsFile, at: i64) -> bool {
    let is_in_time = |completed: i64| completed <= at.saturating_add(COARSE);
    file.completed.is_some_and(is_in_time) && file.exit_code.is_none_or(is_complete)
}

/// 0, and 24, after which only what vanished is missing. The original wrote no code.
fn is_complete(code: u8) -> bool {
    matches!(code, 0 | 24)
}

fn last_failure<'a>(marks: Option<&'a Marks>, records: &[&'a Record]) -> Option<Failure<'a>> {
    let of_record = |record: &'a Record| Failure {
        at: record.ended.epoch,
        reason: record.reason.as_deref().unwrap_or_default(),
        record: Some(record),
    };
    let failed = || records.iter().copied().filter(|record| record.outcome == Verdict::Failed);
    let known = failed().max_by_key(|record| record.ended.epoch).map(of_record);
    let marked = marks.and_then(|marks| marks.error.present()).map(|mark| Failure {
        at: mark.at,
        reason: &mark.reason,
        record: failed().find(|record| made(record, mark.at)),
    });
    // Where both tell of the same run the record knows more.
    [marked, known].into_iter().flatten().reduce(|best, next| if next.at >= best.at { next } else { best })
}
