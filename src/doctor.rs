//! `counterpart doctor`: checks what a clone would run into, changing nothing.
//!
//! It runs the phases of a clone themselves, in their order, in a mode that only examines: so the doctor reports what a
//! clone would report, and its first FAIL has the code that the clone would end with.

mod boot;
mod ends;
mod exam;
mod machine;
mod over_time;
mod preparations;
mod report;
mod room;
mod schedule;
mod servers;

use crate::cli::clone::Inquiry;
use crate::doctor::exam::Exam;
use crate::exit_code::ExitCode;
use crate::host::machine::Machine;
use crate::logging::complain;
use crate::logging::kept::Kept;
use crate::phases::endpoints;
use crate::phases::transfer::in_place;
use crate::run::{Mode, Run};
use report::Report;

/// Runs and prints every check that was asked for. Returns success, or the code that the clone would end with.
#[must_use]
pub fn run(inquiry: &Inquiry, machine: Machine<'_>) -> ExitCode {
    let mount = endpoints::named::mount(&inquiry.plan, machine, Mode::Examine);
    let run = Run::new(&inquiry.plan, machine, Mode::Examine, mount.whereabouts());
    let mut exam =
        Exam { run: &run, inquiry, kept: Kept::start(), report: Report::new(machine.host, inquiry.json) };
    machine::rights(&mut exam);
    machine::log(&mut exam);
    machine::ping(&mut exam);
    let rsync = machine::rsync(&mut exam);
    let ends = ends::examine(&mut exam, &mount);
    if let (Some(rsync), Some(both)) = (&rsync, &ends.both) {
        exam.ask("writing in place", "", |run| in_place::check(run, rsync, both));
    }
    let mut rules = preparations::examine(&mut exam, &ends);
    let survey = room::examine(&mut exam, &ends, rules.as_mut());
    preparations::first_clone(&mut exam, &ends, survey.as_ref());
    servers::examine(&mut exam, &ends);
    machine::full_disk_access(&mut exam, &ends);
    machine::state(&mut exam);
    schedule::last_run(&mut exam);
    over_time::examine(&mut exam);
    schedule::jobs(&mut exam);
    boot::examine(&mut exam, &ends);
    if let Some(signal) = machine.interrupts.received() {
        complain(&format!("The examination was interrupted ({signal})."));
        return ExitCode::from_interruption(signal);
    }
    exam.report.finish()
}
