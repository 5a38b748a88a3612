//! `counterpart doctor`: tells what a clone would meet, changing nothing.
//!
//! The phases of a clone are asked themselves, in their order, as an examination: so the doctor says what
//! a clone would say, and its first FAIL has the code that the clone would end with.

mod boot;
mod ends;
mod machine;
mod preparations;
mod report;
mod room;
mod schedule;
mod servers;

use crate::cli::clone::Inquiry;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::host::Host;
use crate::logging::complain;
use crate::logging::kept::Kept;
use crate::process::interrupts::Interrupts;
use crate::run::{Mode, Run};
use report::Report;

/// Examines everything that was asked for and prints it. Returns success, or the code that the clone would end with.
#[must_use]
pub fn run(inquiry: &Inquiry, host: &Host, interrupts: &Interrupts) -> ExitCode {
    let run = Run::new(&inquiry.plan, host, interrupts).in_mode(Mode::Examine);
    let mut exam = Exam { run: &run, inquiry, kept: Kept::start(), report: Report::new(host, inquiry.json) };
    machine::rights(&mut exam);
    machine::log(&mut exam);
    let rsync = machine::rsync(&mut exam);
    let ends = ends::examine(&mut exam);
    let mut rules = preparations::examine(&mut exam, &ends);
    room::examine(&mut exam, &ends, rules.as_mut());
    preparations::first_clone(&mut exam, rsync.as_ref(), &ends, rules.as_ref());
    servers::examine(&mut exam, &ends);
    machine::full_disk_access(&mut exam, &ends);
    machine::state(&mut exam);
    schedule::last_run(&mut exam);
    schedule::jobs(&mut exam);
    boot::examine(&mut exam, &ends);
    if let Some(signal) = interrupts.received() {
        complain(&format!("The examination was interrupted ({signal})."));
        return ExitCode::from_interruption(signal);
    }
    exam.report.finish()
}

/// An examination under way.
struct Exam<'a> {
    run: &'a Run<'a>,
    inquiry: &'a Inquiry,
    kept: Kept,
    report: Report,
}

impl<'a> Exam<'a> {
    /// Asks a phase of the clone. Its failure becomes a FAIL, and each of its warnings a WARN with this remedy.
    fn ask<T>(
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

    /// Tells the warnings that were logged meanwhile, and returns the other messages and whether there was a warning.
    fn warnings(&mut self, topic: &'static str, remedy: &str) -> (Vec<String>, bool) {
        let (warnings, others) = self.kept.take();
        let warned = !warnings.is_empty();
        for warning in warnings {
            self.warn(topic, warning, remedy);
        }
        (others, warned)
    }

    fn ok(&mut self, topic: &'static str, message: impl Into<String>) {
        self.ok_with(topic, message, Vec::new());
    }

    fn ok_with(&mut self, topic: &'static str, message: impl Into<String>, details: Vec<String>) {
        if self.goes_on() {
            self.report.ok(topic, message.into(), details);
        }
    }

    fn warn(&mut self, topic: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        if self.goes_on() {
            self.report.warn(topic, message.into(), remedy.into());
        }
    }

    fn fail(&mut self, topic: &'static str, failure: &Failure) {
        if self.goes_on() {
            self.report.fail(topic, failure.to_string(), failure.exit_code(), None);
        }
    }

    fn fail_with(&mut self, topic: &'static str, message: String, code: ExitCode, remedy: &str) {
        if self.goes_on() {
            self.report.fail(topic, message, code, Some(remedy.to_owned()));
        }
    }

    /// After a signal every phase says that it was interrupted, and nothing else.
    fn goes_on(&self) -> bool {
        self.run.interrupts.received().is_none()
    }
}
