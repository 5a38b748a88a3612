//! The result as JSON, for programs; `examples/check.schema.json` describes it.

use serde::Serialize;

use crate::check::limits::Limits;
use crate::check::status::{Figures, Finding, Status};
use crate::display;

/// The version of the form.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: u32,
    counterpart: &'static str,
    status: &'static str,
    exit_code: u8,
    reason: Option<String>,
    warning_seconds: Option<i64>,
    critical_seconds: Option<i64>,
    clones: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    status: &'static str,
    sentence: String,
    details: Vec<String>,
    age_seconds: Option<i64>,
    seconds: Option<f64>,
    files: Option<u64>,
    transferred: Option<u64>,
    size: Option<u64>,
    transferred_size: Option<u64>,
    deleted: Option<u64>,
}

/// The whole answer; the reason is why no clone could be checked.
#[must_use]
pub fn document(
    status: Status,
    reason: Option<&str>,
    found: &[(String, Finding)],
    limits: Option<Limits>,
) -> String {
    let document = Document {
        schema: SCHEMA,
        counterpart: env!("CARGO_PKG_VERSION"),
        status: status.word(),
        exit_code: status.number(),
        reason: reason.map(harmless),
        warning_seconds: limits.map(|limits| limits.warning),
        critical_seconds: limits.map(|limits| limits.critical),
        clones: found.iter().map(|(name, finding)| row(name, finding)).collect(),
    };
    // Plain data with text keys: this cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn row<'a>(name: &'a str, finding: &Finding) -> Row<'a> {
    let Figures { age, duration, files, transferred, size, transferred_size, deleted } = finding.figures;
    Row {
        name,
        status: finding.status.word(),
        sentence: harmless(&finding.sentence),
        details: finding.details.iter().map(|line| harmless(line)).collect(),
        age_seconds: age,
        seconds: duration.map(|seconds| seconds.max(0.0)),
        files,
        transferred,
        size,
        transferred_size,
        deleted,
    }
}

/// Text from a file is shown as everywhere else.
fn harmless(text: &str) -> String {
    display::line(text.as_bytes()).to_string()
}
