//! systemd: a service and a timer in its directory for the administrator's units.

use std::ffi::OsString;
use std::path::Path;

use crate::display;
use crate::failure::refusal::Refusal;
use crate::linux::systemd;
use crate::linux::systemd::{SERVICE_PROPERTIES, TIMER_PROPERTIES, unit};
use crate::plan::schedule::{Job, Name, State};
use crate::schedule::files;
use crate::schedule::files::File;
use crate::schedule::scheduler::Scheduler;

fn service_name(name: &Name) -> String {
    unit(name) + ".service"
}

fn timer_name(name: &Name) -> String {
    unit(name) + ".timer"
}

/// The names of the schedule's files.
pub fn file_names(name: &Name) -> Vec<OsString> {
    vec![service_name(name).into(), timer_name(name).into()]
}

/// What systemd rejects in a program's path even if quoted (measured with 252), and `$`, which it would expand.
const UNFIT: [char; 4] = ['\'', '"', '\\', '$'];

/// The job's files.
pub fn files(job: &Job) -> Result<Vec<File>, Refusal> {
    if job.program.contains(UNFIT) {
        return Err(Refusal::new(format!(
            "systemd cannot start a program whose path contains quotes, backslashes or dollar signs: {}. Move it.",
            display::path(Path::new(&job.program))
        )));
    }
    let contents = [systemd::service(job), systemd::timer(job)];
    let named = file_names(&job.name).into_iter().zip(contents);
    Ok(named.map(|(name, content)| File { name, content: content.into_bytes() }).collect())
}

/// Writes the files and starts the timer. If systemd refuses, a new schedule is removed again.
pub fn install(
    scheduler: &Scheduler<'_>,
    name: &Name,
    files: &[File],
    before: &[File],
) -> Result<(), Refusal> {
    let dir = &scheduler.machine.host.job_dir;
    refuse_shadowing(scheduler, name)?;
    if is_started_by_disk(dir, name) {
        // Its link to another disk would stay.
        control(scheduler, &["disable", &service_name(name)])?;
    }
    files::write(dir, files)?;
    load(scheduler, name).map_err(|Refusal(code, why)| {
        Refusal(code, format!("{why} {}", take_back(scheduler, name, files, before)))
    })
}

fn load(scheduler: &Scheduler<'_>, name: &Name) -> Result<(), Refusal> {
    let timer = timer_name(name);
    control(scheduler, &["daemon-reload"])?;
    control(scheduler, &["enable", &timer])?;
    if is_started_by_disk(&scheduler.machine.host.job_dir, name) {
        control(scheduler, &["enable", &service_name(name)])?;
    }
    // A timer that is already active keeps its old times until restarted.
    control(scheduler, &["restart", &timer])
}

/// Whether the service that is installed now is one that a disk starts.
fn is_started_by_disk(dir: &Path, name: &Name) -> bool {
    std::fs::read_to_string(dir.join(service_name(name))).is_ok_and(|unit| unit.contains("\n[Install]\n"))
}

/// Whether a schedule is one that skips its runs on battery.
pub fn needs_mains(files: &[File]) -> bool {
    let line = format!("\n{}\n", systemd::ON_AC);
    files.iter().any(|file| String::from_utf8_lossy(&file.content).contains(&line))
}

/// Undoes an installation that systemd refused, and describes what remains.
fn take_back(scheduler: &Scheduler<'_>, name: &Name, files: &[File], before: &[File]) -> String {
    let (dir, timer) = (&scheduler.machine.host.job_dir, timer_name(name));
    if is_started_by_disk(dir, name) {
        let _ = control(scheduler, &["disable", &service_name(name)]);
    }
    // How far systemd got is unknown, and the refusal is already reported: every step is attempted.
    let _ = control(scheduler, &["disable", "--now", &timer]);
    let undone = files::remove(dir, files).and_then(|()| files::write(dir, before));
    let _ = control(scheduler, &["daemon-reload"]);
    if let Err(Refusal(_, why)) = undone {
        return why;
    }
    if before.is_empty() {
        return "Nothing was installed.".to_owned();
    }
    match load(scheduler, name) {
        Ok(()) => "The earlier schedule has been restored.".to_owned(),
        Err(_) => "The earlier files have been restored, but are not loaded: install again with --replace."
            .to_owned(),
    }
}

/// Refuses to hide a unit of the same name from elsewhere.
fn refuse_shadowing(scheduler: &Scheduler<'_>, name: &Name) -> Result<(), Refusal> {
    for unit in [service_name(name), timer_name(name)] {
        let shown = show(scheduler, "FragmentPath", &unit)?;
        let path = systemd::properties(&shown).get("FragmentPath").copied().unwrap_or_default().to_owned();
        if !path.is_empty() && Path::new(&path) != scheduler.machine.host.job_dir.join(&unit) {
            return Err(Refusal::new(format!(
                "{} is already a unit of that name. Choose another --name.",
                display::path(Path::new(&path))
            )));
        }
    }
    Ok(())
}

/// Stops the timer and removes the files.
pub fn remove(scheduler: &Scheduler<'_>, name: &Name, files: &[File]) -> Result<(), Refusal> {
    let (service, timer) = (service_name(name), timer_name(name));
    if files.iter().any(|file| file.name == *timer) {
        control(scheduler, &["disable", "--now", &timer])?;
        // Or a new schedule of that name would first make up for a run missed by this one. Older ones have no `clean`.
        let _ = control(scheduler, &["clean", "--what=state", &timer]);
    }
    if is_started_by_disk(&scheduler.machine.host.job_dir, name) {
        control(scheduler, &["disable", &service])?;
    }
    // A failed run would be listed forever; systemctl reports an error if there was none.
    let _ = control(scheduler, &["reset-failed", &service]);
    files::remove(&scheduler.machine.host.job_dir, files)?;
    control(scheduler, &["daemon-reload"])
}

/// Starts the service without waiting.
pub fn start(scheduler: &Scheduler<'_>, name: &Name) -> Result<(), Refusal> {
    control(scheduler, &["start", "--no-block", &service_name(name)])
}

/// The state of the schedule.
pub fn state(scheduler: &Scheduler<'_>, name: &Name) -> Result<State, Refusal> {
    let service = show(scheduler, SERVICE_PROPERTIES, &service_name(name))?;
    let timer = show(scheduler, TIMER_PROPERTIES, &timer_name(name))?;
    let state = systemd::state(&shown_lines(&service), &shown_lines(&timer));
    let next_at = if state.next.is_some() { next_at(scheduler, name)? } else { None };
    Ok(State { next_at, ..state })
}

/// When the timer elapses next: asked once more, in UTC, as a zone's abbreviation has no one meaning.
fn next_at(scheduler: &Scheduler<'_>, name: &Name) -> Result<Option<i64>, Refusal> {
    const PROPERTY: &str = "NextElapseUSecRealtime";
    let timer = timer_name(name);
    let shown = scheduler.tool_in_utc(
        &scheduler.machine.host.tools.systemctl,
        ["show", "--no-pager", "--property", PROPERTY, &timer],
    )?;
    Ok(systemd::properties(&shown).get(PROPERTY).and_then(|next| systemd::moment(next)))
}

/// systemd's own commands to inspect a schedule.
pub fn how_to_see(name: &Name) -> Vec<String> {
    vec![
        format!("systemctl list-timers {}", timer_name(name)),
        format!("sudo journalctl -u {}", service_name(name)),
    ]
}

fn show(scheduler: &Scheduler<'_>, properties: &str, unit: &str) -> Result<String, Refusal> {
    scheduler
        .tool(&scheduler.machine.host.tools.systemctl, ["show", "--no-pager", "--property", properties, unit])
}

fn shown_lines(text: &str) -> String {
    text.lines().map(|line| display::line(line.as_bytes()).to_string() + "\n").collect()
}

fn control(scheduler: &Scheduler<'_>, arguments: &[&str]) -> Result<(), Refusal> {
    scheduler.tool(&scheduler.machine.host.tools.systemctl, arguments.iter().copied()).map(|_| ())
}
