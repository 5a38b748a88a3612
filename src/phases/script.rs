//! The pre-clone, post-clone and on-error scripts.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use log::info;
use nix::unistd::{AccessFlags, access};

use crate::display;
use crate::exit_code::Row;
use crate::failure::{Failure, Moment};
use crate::fs::resolve;
use crate::fs::trust;
use crate::logging::printed::Printed;
use crate::logging::warning;
use crate::marker::Marker;
use crate::outcome::Outcome;
use crate::phases::outputs;
use crate::process::{Command, End, stream};
use crate::record::Script;
use crate::run::Run;

/// What a script inherits from our environment; `PATH` is fixed, and everything else is removed.
const PASSED_ON: [&str; 7] = ["HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];

/// How much of a script's first line is read, in bytes; Linux itself reads 256.
const FIRST_LINE: u64 = 256;

/// Checks the scripts before anything else runs.
pub fn check(run: &Run<'_>) -> Result<(), Failure> {
    outputs::warn_of_inputs(run);
    [Moment::PreClone, Moment::PostClone, Moment::OnError]
        .into_iter()
        .try_for_each(|which| check_of(run, which))
}

/// Checks one of them, if given.
pub fn check_of(run: &Run<'_>, which: Moment) -> Result<(), Failure> {
    let Some(path) = named(run, which) else { return Ok(()) };
    let interpreter = check_one(path).map_err(|why| Failure::ScriptNotExecutable {
        which,
        was_checked: false,
        path: path.to_owned(),
        why: why.into(),
    })?;
    for program in [Some(path), interpreter.as_deref()].into_iter().flatten() {
        warn_of_strangers(run, which, program);
    }
    Ok(())
}

/// Anybody who can change a script run by root, or the path to it, is effectively root.
fn warn_of_strangers(run: &Run<'_>, which: Moment, program: &Path) {
    let shown = display::path(program);
    match trust::changeable(program, run.machine.host.effective_uid) {
        Ok(None) => {}
        Ok(Some(place)) => run.warn_publicly(format_args!(
            "the {which} script runs {shown}, and users other than this one can change {}: they can do whatever this \
             user can. Only its owner, or root, should be able to write to it and to each directory above it.",
            display::path(&place)
        )),
        Err(error) => run.warn_publicly(format_args!(
            "the {which} script runs {shown}, and it is not known who can change that: {}.",
            display::reason(&error)
        )),
    }
}

/// The script for this moment.
#[must_use]
pub fn named<'a>(run: &Run<'a>, which: Moment) -> Option<&'a Path> {
    match which {
        Moment::PreClone => run.plan.pre_script.as_deref(),
        Moment::PostClone => run.plan.post_script.as_deref(),
        Moment::OnError => run.plan.on_error.as_deref(),
    }
}

/// Runs the pre-clone script, if there is one.
pub fn run_pre_clone(run: &Run<'_>) -> Result<(), Failure> {
    let Some(path) = run.plan.pre_script.as_deref() else { return Ok(()) };
    run_in_clone(run, Moment::PreClone, path, None)
}

/// Runs the post-clone script, if there is one.
pub fn run_post_clone(run: &Run<'_>, outcome: &Outcome) -> Result<(), Failure> {
    // It runs after a success only.
    let Some(path) = run.plan.post_script.as_deref().filter(|_| !matches!(outcome, Outcome::Flawed(_)))
    else {
        return Ok(());
    };
    run_in_clone(run, Moment::PostClone, path, Some(outcome))
}

/// Runs the on-error script, if there is one and the run failed. Its outcome changes nothing.
pub fn run_on_error(run: &Run<'_>, outcome: &Outcome) {
    let (Some(path), Outcome::Failed(failure) | Outcome::Flawed(failure)) =
        (run.plan.on_error.as_deref(), outcome)
    else {
        return;
    };
    if matches!(failure, Failure::ScriptNotExecutable { which: Moment::OnError, .. }) {
        return;
    }
    match execute(run, Moment::OnError, path, Some(outcome)) {
        Ok(End::Exited(0)) => {}
        Ok(end) => warning(failed(Moment::OnError, path, end)),
        Err(failure) => warning(failure),
    }
}

/// Returns the interpreter, if the script needs one.
fn check_one(path: &Path) -> Result<Option<PathBuf>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| display::reason(&error))?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if access(path, AccessFlags::X_OK).is_err() {
        return Err("it has no execute permission; chmod +x it".to_owned());
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FIRST_LINE).read_to_end(&mut start))
        .map_err(|error: io::Error| display::reason(&error))?;
    if is_program(&start) { Ok(None) } else { check_interpreter(&start).map(Some) }
}

/// Whether it is ELF, or Mach-O of either byte order and width, or a universal binary.
fn is_program(start: &[u8]) -> bool {
    [
        *b"\x7fELF",
        *b"\xfe\xed\xfa\xce",
        *b"\xfe\xed\xfa\xcf",
        *b"\xce\xfa\xed\xfe",
        *b"\xcf\xfa\xed\xfe",
        *b"\xca\xfe\xba\xbe",
    ]
    .iter()
    .any(|magic| start.starts_with(magic))
}

fn check_interpreter(start: &[u8]) -> Result<PathBuf, String> {
    let Some(line) = start.strip_prefix(b"#!") else {
        return Err("it is not a program and does not begin with a #! line".to_owned());
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // The kernel accepts no other separators: a Windows line ending becomes part of the name.
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).skip_while(|word| word.is_empty());
    let interpreter = words.next().unwrap_or_default();
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    if access(interpreter, AccessFlags::X_OK).is_err() || !interpreter.is_file() {
        return Err(format!("its interpreter {} cannot be executed", display::path(interpreter)));
    }
    Ok(interpreter.to_owned())
}

/// The variables that describe the run to each script. Before the clone, its outcome is unknown.
fn variables(run: &Run<'_>, which: Moment, outcome: Option<&Outcome>) -> Vec<(OsString, OsString)> {
    let plan = run.plan;
    // What was mounted for the run is unmounted by then.
    let is_over = which == Moment::OnError;
    let destination = run.place().filter(|_| !is_over).unwrap_or(&plan.destination);
    let statistics = destination.join(plan.prefix.marker(Marker::Statistics));
    let mut variables = vec![
        ("COUNTERPART_SOURCE", plan.source.clone().into_os_string()),
        ("COUNTERPART_DESTINATION", destination.as_os_str().to_owned()),
        ("COUNTERPART_STATS", statistics.into_os_string()),
    ];
    variables.extend(run.log_path().map(|path| ("COUNTERPART_LOG", path.as_os_str().to_owned())));
    variables.extend(run.changes().path().map(|path| ("COUNTERPART_CHANGES", path.into_os_string())));
    if let Some(outcome) = outcome {
        variables.push(("COUNTERPART_OUTCOME", run.status(outcome).word().into()));
        variables.push(("COUNTERPART_EXIT_CODE", outcome.exit_code().number().to_string().into()));
        if let Outcome::Failed(failure) | Outcome::Flawed(failure) = outcome {
            variables.push(("COUNTERPART_REASON", failure.to_string().into()));
            let remedy = Row::of(failure.exit_code()).map(|row| row.remedy.replace('`', ""));
            variables.extend(remedy.map(|remedy| ("COUNTERPART_REMEDY", remedy.into())));
        }
    }
    variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn environment() -> Vec<(OsString, OsString)> {
    let path = crate::process::tool_environment().into_iter().filter(|(name, _)| name == "PATH");
    let passed_on =
        PASSED_ON.iter().filter_map(|name| std::env::var_os(name).map(|value| (name.into(), value)));
    path.chain(passed_on).collect()
}

/// Runs a script that is part of the clone: with `--strict-scripts`, its failure is the run's.
fn run_in_clone(run: &Run<'_>, which: Moment, path: &Path, outcome: Option<&Outcome>) -> Result<(), Failure> {
    run.go_on()?;
    let _phase = run.phase(match which {
        Moment::PreClone => "pre-clone script",
        Moment::PostClone => "post-clone script",
        Moment::OnError => "on-error script",
    });
    let step = run.step(match which {
        Moment::PreClone => "pre-clone script",
        Moment::PostClone => "post-clone script",
        Moment::OnError => "on-error script",
    });
    let end = execute(run, which, path, outcome)?;
    drop(step);
    run.note(|journal| journal.scripts.push(record(which, path, end)));
    run.go_on()?;
    if end == End::Exited(0) {
        return Ok(());
    }
    let failure = failed(which, path, end);
    if run.plan.strict_scripts {
        return Err(failure);
    }
    run.warn_publicly(format_args!("{failure} The run continues (see --strict-scripts)."));
    Ok(())
}

fn execute(run: &Run<'_>, which: Moment, path: &Path, outcome: Option<&Outcome>) -> Result<End, Failure> {
    info!("Running the {which} script {}.", display::path(path));
    if let Some(part) = resolve::open_to_others(path) {
        warning(format_args!(
            "the {which} script {} can be changed by users other than root ({}), and runs as root.",
            display::path(path),
            display::path(&part)
        ));
    }
    let mut command = Command::tool(path, [] as [&str; 0]);
    command.environment = environment();
    command.environment.extend(variables(run, which, outcome));
    let mut printed = Printed::new(format!("{which} script: "));
    let end = stream(&command, run.machine.interrupts, &mut |line| printed.log(line));
    printed.finish();
    let end = end.map_err(|error| Failure::ScriptNotExecutable {
        which,
        was_checked: true,
        path: path.to_owned(),
        why: error.into(),
    })?;
    if end == End::Exited(0) {
        info!("The {which} script ended with exit code 0.");
    }
    Ok(end)
}

fn failed(which: Moment, path: &Path, end: End) -> Failure {
    let how = match end {
        End::Exited(code) => format!("it ended with exit code {code}"),
        End::Killed(signal) => format!("it was killed by signal {signal}"),
    };
    Failure::ScriptFailed { which, path: path.to_owned(), how }
}

fn record(which: Moment, path: &Path, end: End) -> Script {
    let (exit_code, signal) = match end {
        End::Exited(code) => (Some(code), None),
        End::Killed(signal) => (None, Some(signal)),
    };
    Script { which: which.to_string(), path: display::path(path).to_string(), exit_code, signal }
}
