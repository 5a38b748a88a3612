//! Counterpart's parts. The binary calls [`main_on`] with the real host; the tests call it with fake ones.
//!
//! The flow: argv → `cli` → [`plan::Plan`] → [`pipeline::run`] → [`outcome::Outcome`] → exit code.

pub mod check;
pub mod cli;
pub mod display;
pub mod doctor;
pub mod exclusions;
pub mod exit_code;
pub mod failure;
pub mod forget;
pub mod fs;
pub mod generate;
pub mod host;
pub mod job;
pub mod linux;
pub mod logging;
pub mod macos;
pub mod marker;
pub mod outcome;
pub mod password_store;
pub mod phases;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod prove;
pub mod record;
pub mod restore;
pub mod rsync;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod servers;
pub mod setpass;
pub mod state;
pub mod status;
pub(crate) mod sys;
pub mod tree;
pub mod verify;
pub mod volume;

use std::io::{self, Write as _};
use std::process::ExitCode as ProcessExitCode;

use cli::clone::Inquiry;
use cli::job::RunArgs;
use display::words::moment;
use exit_code::ExitCode;
use failure::Failure;
use failure::refusal::Refusal;
use host::Host;
use host::machine::Machine;
use job::Work;
use logging::complain;
use logging::shown::Shown;
use outcome::Outcome;
use phases::conclusion::summary::row;
use process::interrupts::Interrupts;

/// Parses the command line, carries it out on the host returned by `find_host`, and returns the exit code.
///
/// This is the only place where an outcome becomes an exit code.
pub fn main_on(find_host: impl FnOnce() -> anyhow::Result<Host>) -> ProcessExitCode {
    sys::disable_backtraces();
    // Until it is known that there is no password, or it is no longer needed.
    process::wipe_freed_memory(true);
    let action = cli::parse();
    if let Some(password) = action.as_ref().ok().and_then(cli::Action::typed_password) {
        password.show(process::hide_argument);
    }
    process::wipe_freed_memory(action.as_ref().is_ok_and(cli::Action::may_hold_a_password));
    let code = match action {
        Err(error) => {
            // Nothing can be done about a closed output, and the exit code is enough.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(ExitCode::USAGE.number())
        }
        Ok(cli::Action::Generate(args)) => finish(generate::run(&args)),
        Ok(cli::Action::Exclusions(args)) => match find_host() {
            Err(error) => finish(Err(error)),
            Ok(host) => exclusions::run(&args, &host).number(),
        },
        Ok(cli::Action::Check(args)) => check::run(&args, find_host).number(),
        Ok(cli::Action::ExplainCheck(error)) => check::explain(&error).number(),
        Ok(cli::Action::Look(args)) => {
            finish(find_host().and_then(|host| check::markers::print(&args, &host)))
        }
        Ok(cli::Action::Status(args)) => on(find_host, |machine| report(status::run(&args, machine))),
        Ok(cli::Action::Forget(args)) => on(find_host, |machine| report(forget::run(&args, machine))),
        Ok(cli::Action::Setpass(args)) => on(find_host, |machine| report(setpass::run(&args, machine))),
        Ok(cli::Action::Schedule(action)) => on(find_host, |machine| report(schedule::run(&action, machine))),
        Ok(cli::Action::Restore(args)) => {
            on(find_host, |machine| report(restore::run(&args, machine).map(|()| String::new())))
        }
        Ok(cli::Action::Verify(args)) => on(find_host, |machine| verify::run(&args, machine)),
        Ok(cli::Action::Prove(args)) => on(find_host, |machine| report(prove::run(&args, machine))),
        Ok(cli::Action::Prepare(args)) => {
            on(find_host, |machine| report(prepare::run(&args, machine).map(|()| String::new())))
        }
        Ok(cli::Action::Doctor(inquiry)) => on(find_host, |machine| doctor::run(&inquiry, machine)),
        Ok(cli::Action::Clone(plan)) => on(find_host, |machine| clone(&plan, machine).exit_code()),
        Ok(cli::Action::Run(args)) => on(find_host, |machine| run_job(&args, machine)),
        Ok(cli::Action::DoctorJob(args)) => {
            on(find_host, |machine| match job::examine::work("doctor", &args, &[], machine.host) {
                Ok(Work::Here(plan)) => doctor::run(&Inquiry::of_both_ends(*plan, args.json), machine),
                Ok(Work::Each(steps)) => job::each::each(&steps, machine.interrupts),
                Err(refusal) => report(Err(refusal)),
            })
        }
        Ok(cli::Action::InitJob(init)) => {
            on(find_host, |machine| report(job::init::run(&init, machine.host)))
        }
    };
    ProcessExitCode::from(code)
}

/// Runs an action on the host, with signal handlers installed, and returns its exit code.
fn on(find_host: impl FnOnce() -> anyhow::Result<Host>, act: impl FnOnce(Machine<'_>) -> ExitCode) -> u8 {
    let ready = || {
        let host = find_host()?;
        let interrupts = Interrupts::install(|| say_goodbye(ExitCode::INTERRUPTED))?;
        anyhow::Ok((host, interrupts))
    };
    match ready() {
        Ok((host, interrupts)) => act(Machine { host: &host, interrupts: &interrupts }).number(),
        Err(error) => finish(Err(error)),
    }
}

/// Prints the result of a subcommand.
fn report(done: Result<String, Refusal>) -> ExitCode {
    match done {
        Ok(text) => {
            // A closed output must not make a success look like a failure.
            let _ = write!(
                io::stdout(),
                "{text}{}",
                if text.is_empty() || text.ends_with('\n') { "" } else { "\n" }
            );
            ExitCode::SUCCESS
        }
        Err(Refusal(code, sentence)) => {
            complain(&sentence);
            code
        }
    }
}

fn run_job(args: &RunArgs, machine: Machine<'_>) -> ExitCode {
    match job::run::work(args, machine.host) {
        Ok(Work::Here(plan)) => {
            process::wipe_freed_memory(plan.backup.is_some());
            let outcome = clone(&plan, machine);
            let is_skipped = matches!(outcome, Outcome::Skipped);
            if is_skipped && args.member { job::each::skipped() } else { outcome.exit_code() }
        }
        Ok(Work::Each(steps)) => job::each::each(&steps, machine.interrupts),
        Err(refusal) => report(Err(refusal)),
    }
}

fn clone(plan: &plan::Plan, machine: Machine<'_>) -> Outcome {
    // A panic would exit with 101, which is not documented, and leave the markers as they are.
    let run = std::panic::AssertUnwindSafe(|| pipeline::run(plan, machine));
    let outcome = std::panic::catch_unwind(run)
        .unwrap_or_else(|_| Outcome::Failed(Failure::Internal("a panic, described above".to_owned())));
    say_next_run(plan, machine);
    if let Outcome::Failed(failure) | Outcome::Flawed(failure) = &outcome {
        complain(&failure.to_string());
    }
    let code = outcome.exit_code();
    say_goodbye(code);
    outcome
}

/// The last line of the summary on a terminal.
fn say_next_run(plan: &plan::Plan, machine: Machine<'_>) {
    if Shown::chosen().is_some_and(Shown::is_for_people)
        && machine.go_on().is_ok()
        && let Some((at, name)) = schedule::made::next_run(machine, plan)
    {
        let _ = writeln!(io::stdout(), "{}", row("Next run", &format!("{} ({name})", moment(at))));
    }
}

fn say_goodbye(code: ExitCode) {
    logging::close(format_args!("Counterpart exited with code {}.", code.number()));
}

fn finish(result: anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => ExitCode::SUCCESS.number(),
        Err(error) => {
            complain(&format!("{error:#}."));
            ExitCode::NOT_ROOT_OR_INTERNAL.number()
        }
    }
}
