//! A run in Prometheus's text format.

use std::fmt::{Display, Write as _};

use crate::record::{Record, Statistics, Status};

/// The metric that has to survive a failed run.
const LAST_SUCCESS: &str = "counterpart_last_success_timestamp_seconds";

/// A metric that rsync counted: its name, its help text, and how to get it.
type Figure = (&'static str, &'static str, fn(&Statistics) -> Option<u64>);

/// What rsync counted.
const FIGURES: [Figure; 8] = [
    ("counterpart_files", "Entries of every kind in the source.", |found| found.files),
    ("counterpart_created_files", "Entries made at the destination.", |found| found.created),
    ("counterpart_deleted_files", "Entries deleted at the destination.", |found| found.deleted),
    ("counterpart_transferred_files", "Files whose contents were copied.", |found| found.transferred),
    ("counterpart_size_bytes", "Size of all files in the source.", |found| found.total_size),
    ("counterpart_transferred_bytes", "Size of the files whose contents were copied.", |found| {
        found.transferred_size
    }),
    ("counterpart_literal_bytes", "Bytes that were sent as they are.", |found| found.literal),
    ("counterpart_matched_bytes", "Bytes that the destination had already.", |found| found.matched),
];

/// The text, built up gauge by gauge.
struct Text {
    text: String,
    destination: String,
}

impl Text {
    fn describe(&mut self, name: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.describe(name, help);
        let line = sample(name, &self.destination, value);
        self.text += &line;
    }
}

fn sample(name: &str, destination: &str, value: impl Display) -> String {
    format!("{name}{{destination=\"{destination}\"}} {value}\n")
}

/// The value of a label, with backslash, quote and line end escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The whole file. Unknown numbers are omitted.
#[must_use]
pub fn text(record: &Record, last_success: Option<i64>) -> String {
    let mut text = Text { text: String::new(), destination: escaped(&record.destination) };
    text.gauge("counterpart_last_run_timestamp_seconds", "When the last run ended.", record.ended.epoch);
    if let Some(epoch) = last_success {
        text.gauge(LAST_SUCCESS, "When the last run that made a complete clone ended.", epoch);
    }
    text.gauge("counterpart_exit_code", "Exit code of the last run.", record.exit_code);
    text.describe("counterpart_outcome", "How the last run ended: 1 for the one that is true.");
    for verdict in Status::ALL {
        let (word, value) = (verdict.word(), u8::from(verdict == record.outcome));
        let _ = writeln!(
            text.text,
            "counterpart_outcome{{destination=\"{}\",outcome=\"{word}\"}} {value}",
            text.destination
        );
    }
    let warnings = u64::try_from(record.warnings.first.len()).unwrap_or(u64::MAX);
    text.gauge(
        "counterpart_warnings",
        "Warnings of the last run.",
        warnings.saturating_add(record.warnings.more),
    );
    text.gauge("counterpart_duration_seconds", "How long the last run took.", record.seconds);
    if let Some(proof) = &record.proof {
        text.gauge("counterpart_proof_timestamp_seconds", "When the clone was last proven.", proof.at.epoch);
        let booted = u8::from(proof.booted);
        text.gauge("counterpart_proof_booted", "Whether it booted then: 1 or 0.", booted);
    }
    if let Some(read) = &record.verification {
        let help = "When a part of the clone was last read again.";
        text.gauge("counterpart_verification_timestamp_seconds", help, read.at.epoch);
        if let Some(oldest) = &read.oldest {
            let help = "Since when every file of the clone has been read again.";
            text.gauge("counterpart_verification_oldest_timestamp_seconds", help, oldest.epoch);
        }
        let damaged = u8::from(read.damage_found.is_some());
        text.gauge(
            "counterpart_verification_damaged",
            "Whether damage was found and is not known to be repaired: 1 or 0.",
            damaged,
        );
    }
    for (name, help, value) in FIGURES {
        if let Some(value) = record.statistics.as_ref().and_then(value) {
            text.gauge(name, help, value);
        }
    }
    text.text
}

/// The time of the last success, from an earlier file for this destination.
#[must_use]
pub fn last_success(earlier: &str, destination: &str) -> Option<i64> {
    let start = sample(LAST_SUCCESS, &escaped(destination), "");
    earlier.lines().find_map(|line| line.strip_prefix(start.trim_end())?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{last_success, text};
    use crate::record::tests::record;

    #[test]
    fn the_last_success_is_found_again() {
        let mut record = record();
        record.destination = "/mnt/\"a\\b".to_owned();
        let written = text(&record, Some(1_795_391_326));
        let line = "counterpart_last_success_timestamp_seconds{destination=\"/mnt/\\\"a\\\\b\"} 1795391326\n";
        assert!(written.contains(line), "{written}");
        assert_eq!(last_success(&written, &record.destination), Some(1_795_391_326));
        assert_eq!(last_success(&written, "/mnt/other"), None);
        assert_eq!(last_success(&text(&record, None), &record.destination), None);
        assert_eq!(last_success("rubbish\n\u{0}", "/mnt"), None);
    }

    #[test]
    fn one_outcome_is_true() {
        let written = text(&record(), None);
        assert!(written.contains("outcome=\"failed\"} 1\n"), "{written}");
        assert_eq!(written.matches(",outcome=").count(), 4);
        assert_eq!(
            written.lines().filter(|line| line.contains(",outcome=") && line.ends_with(" 1")).count(),
            1
        );
        assert!(written.contains("counterpart_exit_code{destination=\"/mnt/clone\"} 74\n"), "{written}");
    }
}
