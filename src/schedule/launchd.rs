//! launchd: one property list among the system's daemons.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{Local, NaiveDateTime, TimeZone as _};

use crate::display;
use crate::failure::refusal::Refusal;
use crate::host::platform::MacOsVersion;
use crate::macos::launchd;
use crate::macos::launchd::{error_file, label, next_run};
use crate::plan::schedule::{Job, Name, State};
use crate::process::End;
use crate::schedule::files;
use crate::schedule::files::File;
use crate::schedule::scheduler::Scheduler;

/// The first version of macOS with `bootstrap`, `bootout`, `kickstart` and `print`.
const DOMAINS: MacOsVersion = MacOsVersion { major: 10, minor: 10 };

/// How long launchd may take to unload a job.
const PATIENCE: Duration = Duration::from_secs(10);

/// The exit code of a `bootout` that is still in progress: macOS's EINPROGRESS.
const IN_PROGRESS: i32 = 36;

/// The name of the schedule's file.
pub fn file_names(name: &Name) -> Vec<OsString> {
    vec![(label(name) + ".plist").into()]
}

/// The job's file.
pub fn files(job: &Job) -> Result<Vec<File>, Refusal> {
    let content = launchd::job(job)
        .map_err(|error| Refusal::new(format!("The job cannot be written as a property list: {error}.")))?;
    Ok(file_names(&job.name).into_iter().map(|name| File { name, content: content.clone() }).collect())
}

/// Writes the file and loads it. If launchd refuses, a new schedule is removed again.
pub fn install(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
    files: &[File],
    before: &[File],
) -> Result<(), Refusal> {
    let dir = &scheduler.machine.host.job_dir;
    if job_state(scheduler, version, name)?.is_some() {
        if before.is_empty() {
            return Err(Refusal::new(format!(
                "launchd has a job {} already, from another file. Choose another --name.",
                label(name)
            )));
        }
        unload(scheduler, version, name, before)?;
    }
    files::write(dir, files)?;
    load(scheduler, version, name, files).map_err(|Refusal(code, why)| {
        let undone = files::remove(dir, files).and_then(|()| files::write(dir, before));
        Refusal(
            code,
            match undone {
                Ok(()) if before.is_empty() => format!("{why} Nothing was installed."),
                Ok(()) => format!(
                    "{why} The earlier file has been restored, but is not loaded: install it again with --replace."
                ),
                Err(Refusal(_, more)) => format!("{why} {more}"),
            },
        )
    })
}

fn load(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
    files: &[File],
) -> Result<(), Refusal> {
    for file in files {
        let path = path(&scheduler.machine.host.job_dir, file)?;
        if version >= DOMAINS {
            // A disabled job would be refused.
            control(scheduler, &["enable", &target(name)])?;
            control(scheduler, &["bootstrap", "system", &path])?;
        } else {
            control(scheduler, &["load", "-w", &path])?;
        }
    }
    // The older one always exits with 0.
    if job_state(scheduler, version, name)?.is_some() {
        return Ok(());
    }
    Err(Refusal::new(format!("launchd did not load {}.", label(name))))
}

fn unload(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
    files: &[File],
) -> Result<(), Refusal> {
    if version >= DOMAINS {
        let arguments = ["bootout".into(), target(name).into()].into();
        match scheduler.ask(&scheduler.machine.host.tools.launchctl, arguments)?.end {
            End::Exited(0 | IN_PROGRESS) => {}
            End::Exited(_) | End::Killed(_) => control(scheduler, &["bootout", &target(name)])?,
        }
    } else {
        for file in files {
            control(scheduler, &["unload", "-w", &path(&scheduler.machine.host.job_dir, file)?])?;
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while job_state(scheduler, version, name)?.is_some() {
        if Instant::now() > deadline {
            return Err(Refusal::new(format!("launchd did not unload {}.", label(name))));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Unloads the job and removes its file.
pub fn remove(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
    files: &[File],
) -> Result<(), Refusal> {
    if job_state(scheduler, version, name)?.is_some() {
        unload(scheduler, version, name, files)?;
    }
    files::remove(&scheduler.machine.host.job_dir, files)
}

/// Starts the job without waiting.
pub fn start(scheduler: &Scheduler<'_>, version: MacOsVersion, name: &Name) -> Result<(), Refusal> {
    if version >= DOMAINS {
        control(scheduler, &["kickstart", &target(name)])
    } else {
        control(scheduler, &["start", &label(name)])
    }
}

/// The state of the schedule. launchd does not report the next run, so it is computed from the job's own file.
pub fn state(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
    now: NaiveDateTime,
) -> Result<State, Refusal> {
    let names = file_names(name);
    let files = files::find(&scheduler.machine.host.job_dir, names.iter().map(|name| &**name))?;
    let next = files.first().and_then(|file| next_run(&file.content, now));
    let job_state = job_state(scheduler, version, name)?;
    Ok(State {
        loaded: job_state.is_some(),
        running: job_state.as_ref().is_some_and(|job_state| job_state.running),
        next_at: next
            .and_then(|next| Local.from_local_datetime(&next).earliest())
            .map(|next| next.timestamp()),
        next: next.map(|next| next.format("%a %Y-%m-%d %H:%M").to_string()),
        last: match job_state {
            Some(job_state) if job_state.running => format!("running; before that: {}", job_state.last),
            Some(job_state) => job_state.last,
            None => "unknown".to_owned(),
        },
    })
}

/// launchd's report on a job; `None` if the job is unknown.
fn job_state(
    scheduler: &Scheduler<'_>,
    version: MacOsVersion,
    name: &Name,
) -> Result<Option<launchd::JobState>, Refusal> {
    let (arguments, read): (Vec<OsString>, fn(&str) -> launchd::JobState) = if version >= DOMAINS {
        (vec!["print".into(), target(name).into()], launchd::read_print)
    } else {
        (vec!["list".into(), label(name).into()], launchd::read_list)
    };
    let printed = scheduler.ask(&scheduler.machine.host.tools.launchctl, arguments)?;
    let lines = printed.out.split(|byte| *byte == b'\n');
    let text: String = lines.map(|line| display::line(line).to_string() + "\n").collect();
    Ok((printed.end == End::Exited(0)).then(|| read(&text)))
}

/// launchd's own commands to inspect a schedule.
pub fn how_to_see(version: MacOsVersion, name: &Name) -> Vec<String> {
    let state = if version >= DOMAINS {
        format!("sudo launchctl print {}", target(name))
    } else {
        format!("sudo launchctl list {}", label(name))
    };
    vec![state, format!("cat {}", error_file(name).display())]
}

fn target(name: &Name) -> String {
    format!("system/{}", label(name))
}

fn path(dir: &Path, file: &File) -> Result<String, Refusal> {
    let path = dir.join(&file.name).into_os_string().into_string();
    path.map_err(|path| Refusal::new(format!("{} is no text.", display::name(&path))))
}

fn control(scheduler: &Scheduler<'_>, arguments: &[&str]) -> Result<(), Refusal> {
    scheduler.tool(&scheduler.machine.host.tools.launchctl, arguments.iter().copied()).map(|_| ())
}
