//! Checks the machine itself: privileges, rsync, and the directories for our own files.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use crate::display;
use crate::doctor::ends::Ends;
use crate::doctor::exam::Exam;
use crate::host::platform::{MacOsVersion, Platform};
use crate::phases::log_header;
use crate::phases::ping::Service;
use crate::phases::preflight;
use crate::plan::Ping;
use crate::process::End;
use crate::rsync::exit_status;
use crate::rsync::version::Version;

/// Checks for root, or permission to do without.
pub fn rights(exam: &mut Exam<'_>) {
    const TOPIC: &str = "rights";
    let root = if exam.run.machine.host.is_root() {
        "Give the container or the service these rights, or run it as the machine's own root."
    } else {
        "For a complete clone, run it as root, without --allow-non-root."
    };
    if let Err(failure) = preflight::rights(exam.run) {
        let remedy =
            "Run the doctor with sudo too, or with --allow-non-root: what follows is what this user meets.";
        exam.fail_with(TOPIC, failure.to_string(), failure.exit_code(), remedy);
        return;
    }
    log_header::warn_of_rights(exam.run);
    let (_, is_warned) = exam.warnings(TOPIC, root);
    if !is_warned && exam.run.machine.host.is_root() && exam.run.machine.host.rights.lacks().is_empty() {
        exam.ok(TOPIC, "root.");
    }
}

/// Checks which rsync a clone would use, and what it lacks.
pub fn rsync(exam: &mut Exam<'_>) -> Option<preflight::Rsync> {
    const TOPIC: &str = "rsync";
    let newer = "Use rsync 3.5.1, built with access control lists and extended attributes; INSTALL.md, \"Which rsync\".";
    let rsync = exam.ask(TOPIC, "", preflight::rsync)?;
    let has =
        if rsync.capabilities.lacks.is_empty() { " and has every option that a clone uses" } else { "" };
    let spares = log_header::access_times(exam.run, &rsync);
    let details = spares.map(|what| format!("With this version {what}.")).into_iter().collect();
    exam.ok_with(
        TOPIC,
        format!("{} is version {}{has}.", display::path(&rsync.path), rsync.version),
        details,
    );
    log_header::warn_of_lacks(&rsync);
    exam.warnings(TOPIC, newer);
    log_header::warn_of_holes(&rsync);
    let holes = format!(
        "Update rsync: CVE-2026-53796, -53797, -53799, -53801, -53802 and -53803 are fixed in {}{}. Ask your \
         distribution whether it has fixed them in this one; INSTALL.md, \"Which rsync\".",
        Version::WITHOUT_KNOWN_HOLES,
        if rsync.version < Version::of(3, 4, 0) { ", CVE-2024-12747 in 3.4.0" } else { "" }
    );
    exam.warnings(TOPIC, &holes);
    Some(rsync)
}

/// The log directory: without it a clone still runs, but nobody can read what it did.
pub fn log(exam: &mut Exam<'_>) {
    let dir = exam.run.plan.log_dir.as_deref().unwrap_or(&exam.run.machine.host.log_dir);
    own_dir(
        exam,
        "log",
        dir,
        "The clone would continue without a log file. Free some space, or choose another --log-dir.",
    );
}

/// The state directory, which remembers the last runs.
pub fn state(exam: &mut Exam<'_>) {
    let remedy =
        "The clone would continue, but later runs could not recognise that the destination is not mounted.";
    own_dir(exam, "state", &exam.run.machine.host.state_dir, remedy);
}

/// The file with the address to ping, which is not pinged.
pub fn ping(exam: &mut Exam<'_>) {
    const TOPIC: &str = "ping";
    let Some(path) = exam.run.plan.ping.as_ref().and_then(Ping::file) else { return };
    let service = Service::find(exam.run);
    if exam.ask(TOPIC, "", |run| service.check(run)).is_some()
        && let Some(address) = service.address()
    {
        exam.ok(TOPIC, format!("{} holds an address at {address}; it was not pinged.", display::path(path)));
    }
}

fn own_dir(exam: &mut Exam<'_>, topic: &'static str, dir: &Path, remedy: &str) {
    let name = display::path(dir);
    match is_there(dir) {
        Err(error) => {
            exam.warn(topic, format!("{name} cannot be written: {}.", display::reason(&error)), remedy);
        }
        Ok(true) => exam.ok(topic, format!("{name} can be written.")),
        Ok(false) => exam.ok(topic, format!("{name} does not exist and can be created.")),
    }
}

/// Whether the directory exists. Errors if it can neither be written nor created.
fn is_there(dir: &Path) -> io::Result<bool> {
    for path in dir.ancestors() {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                let opened = opened?;
                if !opened.metadata()?.is_dir() {
                    return Err(io::Error::other(format!("{} is not a directory", display::path(path))));
                }
                faccessat(&opened, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS)?;
                return Ok(path == dir);
            }
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Whether macOS lets this process read everything: being root is not enough there.
pub fn full_disk_access(exam: &mut Exam<'_>, ends: &Ends) {
    const TOPIC: &str = "Full Disk Access";
    /// The database of these permissions; opening it takes Full Disk Access.
    const PROTECTED: &str = "Library/Application Support/com.apple.TCC/TCC.db";
    let remedy = "In System Settings, Privacy & Security, Full Disk Access, add the program that starts the clone: \
                  Terminal for one by hand, counterpart itself for a launchd job. INSTALL.md has the steps.";
    match exam.run.machine.host.platform {
        Platform::MacOs(version) if version >= MacOsVersion::MOJAVE => {}
        Platform::MacOs(_) | Platform::Linux => return,
    }
    let path = exam.run.machine.host.tools.system_root.join(PROTECTED);
    let name = display::path(&path);
    match File::open(&path) {
        Ok(_) => exam.ok(TOPIC, "this process has it."),
        Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
            let message =
                format!("macOS does not let this process open {name}, nor much else that is protected.");
            if ends.is_system() {
                let partial = exit_status::of_rsync(End::Exited(23)).exit_code();
                exam.fail_with(TOPIC, message, partial, remedy);
            } else {
                exam.warn(TOPIC, message, remedy);
            }
        }
        Err(error) => {
            let why = display::reason(&error);
            exam.warn(
                TOPIC,
                format!("whether this process has it cannot be determined from {name}: {why}."),
                remedy,
            );
        }
    }
}
