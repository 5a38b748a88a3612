//! An examination in progress.

use crate::cli::clone::Inquiry;
use crate::doctor::report::Report;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::logging::kept::Kept;
use crate::run::Run;

/// An examination in progress.
pub struct Exam<'a> {
    pub run: &'a Run<'a>,
    pub inquiry: &'a Inquiry,
    pub kept: Kept,
    pub report: Report,
}

impl<'a> Exam<'a> {
    /// Runs a phase of the clone. A failure becomes a FAIL, and each of its warnings a WARN with this remedy.
    pub fn ask<T>(
        &mut self,
        topic: &'static str,
        remedy: &str,
        phase: impl FnOnce(&Run<'a>) -> Result<T, Failure>,
    ) -> Option<T> {
        let answer = phase(self.run);
        self.warnings(topic, remedy);
        match answer {
            Ok(answer) => Some(answer),
            Err(failure) => {
                self.fail(topic, &failure);
                None
            }
        }
    }

    /// Reports the warnings logged meanwhile; returns the other messages and whether there was a warning.
    pub fn warnings(&mut self, topic: &'static str, remedy: &str) -> (Vec<String>, bool) {
        let (warnings, others) = self.kept.take();
        let warned = !warnings.is_empty();
        for warning in warnings {
            self.warn(topic, warning, remedy);
        }
        (others, warned)
    }

    pub fn ok(&mut self, topic: &'static str, message: impl Into<String>) {
        self.ok_with(topic, message, Vec::new());
    }

    pub fn ok_with(&mut self, topic: &'static str, message: impl Into<String>, details: Vec<String>) {
        if self.goes_on() {
            self.report.ok(topic, message.into(), details);
        }
    }

    pub fn warn(&mut self, topic: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        if self.goes_on() {
            self.report.warn(topic, message.into(), remedy.into());
        }
    }

    pub fn fail(&mut self, topic: &'static str, failure: &Failure) {
        if self.run.plan.skip_if_missing && failure.means_missing() {
            self.warn(topic, format!("{failure} A clone is skipped now (--skip-if-missing)."), "");
        } else if self.goes_on() {
            self.report.fail(topic, failure.to_string(), failure.exit_code(), None);
        }
    }

    pub fn fail_with(&mut self, topic: &'static str, message: String, code: ExitCode, remedy: &str) {
        if self.goes_on() {
            self.report.fail(topic, message, code, Some(remedy.to_owned()));
        }
    }

    /// After a signal every phase only reports that it was interrupted.
    pub fn goes_on(&self) -> bool {
        self.run.machine.interrupts.received().is_none()
    }
}
