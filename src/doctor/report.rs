//! The doctor's output: lines as results come in, or JSON at the end.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::exit_code::{ExitCode, Row};
use crate::host::Host;

/// The version of the JSON schema.
const SCHEMA: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One result.
#[derive(Debug, Serialize)]
struct Check {
    status: Status,
    topic: &'static str,
    message: String,
    remedy: Option<String>,
    exit_code: Option<u8>,
    details: Vec<String>,
}

/// All results.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: u32,
    counterpart: &'static str,
    host: String,
    system: String,
    exit_code: u8,
    checks: Vec<Check>,
    #[serde(skip)]
    json: bool,
    #[serde(skip)]
    end: ExitCode,
}

impl Report {
    /// An empty report for this machine.
    pub fn new(host: &Host, json: bool) -> Self {
        Self {
            schema: SCHEMA,
            counterpart: env!("CARGO_PKG_VERSION"),
            host: host.name.clone(),
            system: host.platform.to_string(),
            exit_code: ExitCode::SUCCESS.number(),
            checks: Vec::new(),
            json,
            end: ExitCode::SUCCESS,
        }
    }

    /// Adds a passed check.
    pub fn ok(&mut self, topic: &'static str, message: String, details: Vec<String>) {
        self.add(Check { status: Status::Ok, topic, message, remedy: None, exit_code: None, details });
    }

    /// Adds a problem that does not prevent a clone but needs attention; the remedy may be part of the message.
    pub fn warn(&mut self, topic: &'static str, message: String, remedy: String) {
        let details = Vec::new();
        self.add(Check {
            status: Status::Warn,
            topic,
            message,
            remedy: (!remedy.is_empty()).then_some(remedy),
            exit_code: None,
            details,
        });
    }

    /// Adds a problem that would end a clone with this code. The default remedy is the one in the table of exit codes.
    pub fn fail(&mut self, topic: &'static str, message: String, code: ExitCode, remedy: Option<String>) {
        if self.end == ExitCode::SUCCESS {
            self.end = code;
            self.exit_code = code.number();
        }
        let remedy = remedy.or_else(|| Row::of(code).map(|row| row.remedy.to_owned()));
        let (exit_code, details) = (Some(code.number()), Vec::new());
        self.add(Check { status: Status::Fail, topic, message, remedy, exit_code, details });
    }

    /// Whether a check on this topic has failed.
    pub fn has_failed(&self, topic: &str) -> bool {
        self.checks.iter().any(|check| check.status == Status::Fail && check.topic == topic)
    }

    fn add(&mut self, check: Check) {
        if !self.json {
            print(&check.lines());
        }
        self.checks.push(check);
    }

    /// Prints what has not been printed yet and returns the exit code.
    pub fn finish(self) -> ExitCode {
        if self.json {
            // Plain data with text keys: this cannot fail.
            print(&serde_json::to_string_pretty(&self).unwrap_or_default());
        } else {
            print(&self.sum());
        }
        self.end
    }

    fn sum(&self) -> String {
        let count = |status| self.checks.iter().filter(|check| check.status == status).count();
        let (ok, warn, fail) = (count(Status::Ok), count(Status::Warn), count(Status::Fail));
        let end = match self.end {
            ExitCode::SUCCESS => "nothing was found that would stop a clone.".to_owned(),
            code => format!("a clone would end with code {}.", code.number()),
        };
        format!("{ok} OK, {warn} WARN, {fail} FAIL: {end}")
    }
}

impl Check {
    fn lines(&self) -> String {
        let code = self.exit_code.map(|code| format!(" ({code})")).unwrap_or_default();
        let mut lines = format!("{:<4}  {}: {}{code}", self.status.word(), self.topic, self.message);
        for detail in &self.details {
            lines = lines + "\n        " + detail;
        }
        if let Some(remedy) = &self.remedy {
            lines = lines + "\n      To do: " + remedy;
        }
        lines
    }
}

fn print(text: &str) {
    // A closed output must not change the exit code.
    let _ = writeln!(io::stdout(), "{text}");
}
