//! Whether clones are scheduled, and how the last one went.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::display;
use crate::doctor::exam::Exam;
use crate::host::platform::Platform;
use crate::record::{Record, Status};
use crate::state::Store;

/// Reports the last run to the destination, from this machine's state.
pub fn last_run(exam: &mut Exam<'_>) {
    const TOPIC: &str = "last run";
    if !exam.inquiry.has_destination {
        return;
    }
    let plan = exam.run.plan;
    match Store::new(&exam.run.machine.host.state_dir).load(exam.run.location(), &plan.prefix) {
        Err(error) => exam.warn(
            TOPIC,
            format!("this machine's record of this destination cannot be read: {}.", display::reason(&error)),
            "A clone is refused with 88 until it can be read; --adopt rewrites it.",
        ),
        Ok(None) => exam.ok(TOPIC, "this machine has no record of a run to this destination."),
        Ok(Some(state)) => match state.last {
            None => exam.ok(TOPIC, "this machine has no record of a run to this destination."),
            Some(last) => report(exam, TOPIC, &last),
        },
    }
}

fn report(exam: &mut Exam<'_>, topic: &'static str, last: &Record) {
    let text = |text: &str| display::line(text.as_bytes()).to_string();
    let (when, log) = (text(&last.ended.rfc3339), text(last.log.as_deref().unwrap_or("the log")));
    match last.outcome {
        Status::Success => exam.ok(topic, format!("it succeeded, {when}.")),
        Status::Skipped => exam.ok(topic, format!("it was skipped, {when}: the destination was not there.")),
        Status::Warning => {
            let message = format!("it succeeded with warnings, {when}, with code {}.", last.exit_code);
            exam.warn(topic, message, format!("Read {log}."));
        }
        Status::Failed => {
            let reason = text(last.reason.as_deref().unwrap_or("The reason is not known."));
            let message = format!("it failed, {when}, with code {}. {reason}", last.exit_code);
            exam.warn(
                topic,
                message,
                format!("Read {log}, and check whether anything above still prevents a clone."),
            );
        }
    }
}

/// Reports the scheduled jobs that start a clone.
pub fn jobs(exam: &mut Exam<'_>) {
    const TOPIC: &str = "schedule";
    let (root, units) = (&exam.run.machine.host.tools.system_root, &exam.run.machine.host.job_dir);
    let found = match exam.run.machine.host.platform {
        Platform::MacOs(_) => named(units, ".plist"),
        Platform::Linux => {
            let timers = named(units, ".timer");
            let idle: Vec<_> = timers.iter().filter(|timer| !is_enabled(units, timer)).collect();
            for timer in idle {
                exam.warn(
                    TOPIC,
                    format!("{} is installed but not enabled.", display::path(timer)),
                    "Enable it with systemctl enable --now, or remove it.",
                );
            }
            timers.into_iter().chain(cron(root)).collect()
        }
    };
    if found.is_empty() {
        exam.warn(
            TOPIC,
            "no scheduled clone was found.",
            "Have the clone made every night: counterpart schedule install -- -s SOURCE -d DESTINATION",
        );
    } else {
        let details = found.iter().map(|path| display::path(path).to_string()).collect();
        exam.ok_with(
            TOPIC,
            "there are jobs for Counterpart; whether they make this clone was not checked.",
            details,
        );
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The files of a directory whose names contain ours and end like this.
fn named(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths = entries(dir);
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.contains("counterpart") && name.ends_with(ending)
    });
    paths
}

/// Whether any target wants the unit, which is what `systemctl enable` sets up.
fn is_enabled(units: &Path, unit: &Path) -> bool {
    let name = unit.file_name().unwrap_or_default();
    let mut wants =
        entries(units).into_iter().filter(|path| path.extension().is_some_and(|end| end == "wants"));
    wants.any(|dir| std::fs::symlink_metadata(dir.join(name)).is_ok())
}

/// The crontabs that start Counterpart; other users' crontabs are ignored, except root's.
fn cron(root: &Path) -> Vec<PathBuf> {
    let mut tables = vec![
        root.join("etc/crontab"),
        root.join("var/spool/cron/crontabs/root"),
        root.join("var/spool/cron/root"),
    ];
    for dir in ["cron.d", "cron.daily", "cron.weekly"] {
        tables.extend(entries(&root.join("etc").join(dir)));
    }
    tables.retain(|table| speaks_of_us(table));
    tables
}

fn speaks_of_us(table: &Path) -> bool {
    /// The most that is read, in bytes.
    const LARGEST: u64 = 1 << 20;
    let read = || {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::options().read(true).custom_flags(flags.bits()).open(table)?;
        let mut content = Vec::new();
        if file.metadata()?.is_file() {
            file.take(LARGEST).read_to_end(&mut content)?;
        }
        Ok::<_, std::io::Error>(content)
    };
    let content = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("counterpart"))
}
