//! What was found, for people and as JSON; `examples/verify.schema.json` describes that.

use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::HumanBytes;
use serde::Serialize;

use crate::display::words::{count, moment, took};
use crate::exit_code::{ExitCode, Signal};
use crate::plan::share::{Share, WHOLE};
use crate::record::Moment;
use crate::tree::sides::Side;
use crate::verify::completed::Mark;
use crate::verify::contents::Difference;
use crate::verify::finding::{Damage, Findings, Flaw};
use crate::verify::kept::Kept;

/// The version of the form.
const SCHEMA: u32 = 1;

/// What a clone was compared with.
#[derive(Debug)]
pub enum Against {
    /// Its source, as it is shown.
    Source(String),
    /// The hashes of its files.
    Hashes {
        /// When they were taken, in seconds since 1970.
        kept: i64,
        /// They are those on the clone itself.
        on_clone: bool,
    },
}

/// What a repair relies on.
#[derive(Debug, Clone, Copy)]
pub struct Basis {
    /// Which complete clone it is.
    pub mark: Mark,
    /// The properties that were compared.
    pub kept: Kept,
    /// When the clone's top was modified, in seconds and nanoseconds since 1970.
    pub top: (i64, i64),
}

/// A verification that has ended.
#[derive(Debug)]
pub struct Verified {
    /// What it was compared with.
    pub against: Against,
    /// The clone, as it is shown.
    pub destination: String,
    /// When the clone was begun, in seconds since 1970.
    pub started: i64,
    /// What it may be repaired by; `None` without its source.
    pub basis: Option<Basis>,
    /// The share of the files that was to be read.
    pub sample: Option<Share>,
    /// What was found.
    pub findings: Findings,
    /// What was found after the repair, if there was one.
    pub repaired: Option<Findings>,
    /// The exit code of a repair that failed.
    pub failed: Option<ExitCode>,
    /// How long it took.
    pub took: Duration,
    /// The signal that has ended it early.
    pub interrupted: Option<Signal>,
}

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    counterpart: &'static str,
    source: Option<String>,
    hashes: Option<Taken>,
    destination: String,
    clone_started: Option<Moment>,
    exit_code: u8,
    complete: bool,
    sample_percent: f64,
    entries: u64,
    files_read: u64,
    bytes_read: u64,
    changed_since: u64,
    damaged: u64,
    not_compared: u64,
    seconds: f64,
    damages: Vec<Damaged>,
    left: Vec<Left>,
    repair: Option<Repaired>,
}

#[derive(Debug, Serialize)]
struct Taken {
    at: Option<Moment>,
    on_clone: bool,
}

#[derive(Debug, Serialize)]
struct Repaired {
    damaged: u64,
    damages: Vec<Damaged>,
}

#[derive(Debug, Serialize)]
struct Damaged {
    path: String,
    flaws: Vec<&'static str>,
    message: String,
    offset: Option<u64>,
    length: Option<u64>,
    bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Left {
    path: String,
    side: &'static str,
    reason: String,
}

impl Verified {
    /// Whether there is something to repair.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.interrupted.is_none() && self.findings.damaged > 0
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let findings = &self.findings;
        if let Some(code) = self.failed {
            return code;
        }
        match self.interrupted {
            Some(signal) => ExitCode::from_interruption(signal),
            None if findings.damaged > 0 => match &self.repaired {
                Some(repaired) if repaired.damaged == 0 => ExitCode::REPAIRED,
                Some(_) | None => ExitCode::DAMAGE,
            },
            None if findings.source_in_the_way > 0 => ExitCode::SOURCE,
            None if findings.uncompared > 0 => ExitCode::DESTINATION,
            None => ExitCode::SUCCESS,
        }
    }

    /// Prints it.
    pub fn print(&self, json: bool) {
        // Plain data with text keys: this cannot fail.
        let text = if json {
            serde_json::to_string_pretty(&self.document()).unwrap_or_default() + "\n"
        } else {
            self.lines()
        };
        // A closed output must not change the exit code.
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn lines(&self) -> String {
        let findings = &self.findings;
        let mut lines: Vec<String> = Vec::new();
        for damage in &findings.damages {
            lines.push(format!("Damaged: {}: {}.", damage.shown(), damage.message()));
        }
        let more = |all: u64, shown: usize| all.saturating_sub(shown as u64);
        if let more @ 1.. = more(findings.damaged, findings.damages.len()) {
            lines.push(format!("And {} more are damaged.", count(more)));
        }
        for left in &findings.not_compared {
            let side = side(left.side);
            lines.push(format!("Not compared: {} ({side}): {}.", left.shown(), left.why));
        }
        if let more @ 1.. = more(findings.uncompared, findings.not_compared.len()) {
            lines.push(format!("And {} more were not compared.", count(more)));
        }
        if findings.links_left {
            lines.push("There are more hard links than can be remembered: not all were compared.".to_owned());
        }
        lines.push(format!(
            "{}: {} entries and the contents of {} files ({}) compared with {} in {}; the clone was begun on {}.",
            self.destination,
            count(findings.entries),
            count(findings.files),
            HumanBytes(findings.bytes),
            self.against(),
            took(self.took),
            moment(self.started)
        ));
        lines.push(format!(
            "{} damaged, {} changed since the clone, {} not compared.",
            count(findings.damaged),
            count(findings.changed),
            count(findings.uncompared)
        ));
        if let Some(repaired) = &self.repaired {
            for damage in &repaired.damages {
                lines.push(format!("Still damaged: {}: {}.", damage.shown(), damage.message()));
            }
            lines.push(match repaired.damaged {
                0 => "All of it is repaired.".to_owned(),
                left => format!("{} are still damaged after the repair.", count(left)),
            });
        }
        lines.join("\n") + "\n"
    }

    fn against(&self) -> String {
        match &self.against {
            Against::Source(source) => source.clone(),
            Against::Hashes { kept, on_clone } => {
                let place = if *on_clone { "the clone" } else { "this machine" };
                format!("their hashes of {}, kept on {place},", moment(*kept))
            }
        }
    }

    fn document(&self) -> Document {
        let findings = &self.findings;
        let (source, hashes) = match &self.against {
            Against::Source(source) => (Some(source.clone()), None),
            Against::Hashes { kept, on_clone } => {
                (None, Some(Taken { at: Moment::at(*kept), on_clone: *on_clone }))
            }
        };
        Document {
            schema: SCHEMA,
            counterpart: env!("CARGO_PKG_VERSION"),
            source,
            hashes,
            destination: self.destination.clone(),
            clone_started: Moment::at(self.started),
            exit_code: self.exit_code().number(),
            complete: self.interrupted.is_none(),
            sample_percent: f64::from(self.sample.map_or(WHOLE, |share| share.0)) / 1000.0,
            entries: findings.entries,
            files_read: findings.files,
            bytes_read: findings.bytes,
            changed_since: findings.changed,
            damaged: findings.damaged,
            not_compared: findings.uncompared,
            seconds: self.took.as_secs_f64(),
            damages: findings.damages.iter().map(damaged).collect(),
            left: findings
                .not_compared
                .iter()
                .map(|left| Left { path: left.shown(), side: side(left.side), reason: left.why.clone() })
                .collect(),
            repair: self.repaired.as_ref().map(|repaired| Repaired {
                damaged: repaired.damaged,
                damages: repaired.damages.iter().map(damaged).collect(),
            }),
        }
    }
}

fn damaged(damage: &Damage) -> Damaged {
    let difference = damage.flaws.iter().find_map(Flaw::difference);
    Damaged {
        path: damage.shown(),
        flaws: damage.flaws.iter().map(Flaw::word).collect(),
        message: damage.message(),
        offset: difference.map(|Difference { offset, .. }| offset),
        length: difference.map(|Difference { length, .. }| length),
        bytes: difference.map(|Difference { bytes, .. }| bytes),
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Destination => "clone",
    }
}
