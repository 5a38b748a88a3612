//! The summary that a run ends with on a terminal.

use std::time::Duration;

use indicatif::HumanBytes;

use crate::display::words::{count, took};
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::record::{Record, Statistics};
use crate::run::Run;

/// The lines of the summary. Why a run failed is the last word, on standard error.
pub fn lines(run: &Run<'_>, record: &Record, outcome: &Outcome) -> Vec<String> {
    let how = how(record, outcome);
    let mut lines = vec![match outcome {
        Outcome::Skipped => how,
        Outcome::Completed
        | Outcome::Vanished
        | Outcome::Flawed(_)
        | Outcome::TestRun
        | Outcome::Failed(_) => format!("{how}, after {}", took(span(record.seconds))),
    }];
    if matches!(outcome, Outcome::Completed | Outcome::Vanished | Outcome::Flawed(_)) {
        lines.extend(found(record));
        lines.extend(kept(run, record));
    }
    lines.extend(record.changes.as_ref().map(|changes| row("Changes", changes)));
    lines.extend(record.log.as_ref().map(|log| row("Log", log)));
    lines
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A row of the summary.
#[must_use]
pub fn row(name: &str, text: &str) -> String {
    format!("  {name:12}{text}")
}

fn how(record: &Record, outcome: &Outcome) -> String {
    let warnings =
        u64::try_from(record.warnings.first.len()).unwrap_or(u64::MAX).saturating_add(record.warnings.more);
    let with = match warnings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        several => format!(", with {} warnings", count(several)),
    };
    match outcome {
        Outcome::Completed | Outcome::TestRun => format!("The clone is complete{with}"),
        Outcome::Vanished => format!("The clone is complete, but for files that vanished meanwhile{with}"),
        Outcome::Flawed(Failure::Damaged { .. }) => {
            format!("The copy is complete, but the clone is damaged{with}")
        }
        Outcome::Flawed(Failure::Interrupted { .. }) => {
            format!("The clone is complete{with}, but what follows it was interrupted")
        }
        Outcome::Flawed(_) => format!("The copy is complete, but it does not start a machine{with}"),
        Outcome::Skipped => "Nothing was cloned: the destination is missing".to_owned(),
        Outcome::Failed(_) => "The clone failed".to_owned(),
    }
}

/// What was done, by what was counted.
fn found(record: &Record) -> Vec<String> {
    let Some(statistics) = &record.statistics else { return Vec::new() };
    let changes =
        [(statistics.created, "created"), (updated(statistics), "updated"), (statistics.deleted, "deleted")];
    let changes: Vec<String> =
        changes.into_iter().filter_map(|(number, what)| Some(format!("{} {what}", count(number?)))).collect();
    let of = |entries: u64| format!("{}: {}", count(entries), changes.join(", "));
    let entries = record.census.map(|census| census.entries).or(statistics.files);
    let size = record.census.and_then(|census| census.bytes).or(statistics.total_size);
    let copied = statistics.transferred_size.map(|copied| match size {
        Some(size) => format!("{} of {}", HumanBytes(copied), HumanBytes(size)),
        None => HumanBytes(copied).to_string(),
    });
    let rows =
        [entries.map(|entries| row("Entries", &of(entries))), copied.map(|copied| row("Copied", &copied))];
    rows.into_iter().flatten().collect()
}

/// Files whose contents were copied over those of an earlier clone.
fn updated(statistics: &Statistics) -> Option<u64> {
    Some(statistics.transferred?.saturating_sub(statistics.created_by_kind?.files))
}

/// Where to find what was deleted or overwritten.
fn kept(run: &Run<'_>, record: &Record) -> Option<String> {
    let days = run.plan.safety_net?;
    let statistics = record.statistics.as_ref()?;
    let is_kept = statistics.deleted.unwrap_or(1) > 0 || updated(statistics).unwrap_or(1) > 0;
    let plural = if days == 1 { "" } else { "s" };
    is_kept.then(|| {
        row(
            "Safety net",
            &format!("what was deleted or overwritten is kept for {days} day{plural} (counterpart restore)"),
        )
    })
}
