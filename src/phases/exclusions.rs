//! What is excluded: the system's patterns, the user's file, our own files, and a destination inside the source.

pub mod neighbours;
mod swap;
pub mod tagged;

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use log::info;
use nix::fcntl::OFlag;

use crate::failure::Failure;
use crate::fs::resolve;
use crate::host::platform::{Platform, System};
use crate::logging::warning;
use crate::phases::endpoints::{Endpoints, Source};
use crate::rsync::filter::matcher::LeftOut;
use crate::rsync::filter::rules::Rules;
use crate::rsync::filter::{doubts, rules};
use crate::run::Run;
use crate::volume::btrfs;
use crate::{display, linux, macos};

/// The largest exclude file, in bytes: enough for a hundred thousand paths, but not for a disk image given by mistake.
const LARGEST: u64 = 32 << 20;

/// How long a FIFO may take to deliver everything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gathers the rules for this clone.
pub fn gather(run: &Run<'_>, ends: &Endpoints) -> Result<Rules, Failure> {
    let mut rules = gather_for(run, &ends.source)?;
    warn_of_excluded(run, &ends.source, &rules);
    neighbours::protect_mount_points(run, ends, &mut rules)?;
    Ok(rules)
}

/// Warns of filesystems that are to be part of the clone and are excluded all the same.
fn warn_of_excluded(run: &Run<'_>, source: &Source, rules: &Rules) {
    let left_out = LeftOut::of(rules, &run.plan.prefix, None);
    for it in &source.filesystems {
        let mut above = left_out.top();
        let is_excluded = it.place.iter().any(|name| {
            let is_excluded = left_out.has(&above, name.as_bytes(), true);
            above = above.below(name.as_bytes());
            is_excluded
        });
        if is_excluded {
            run.warn(format_args!("{} is excluded, and is not cloned.", display::path(it.dir.path())));
        }
    }
}

/// Does the same for a source whose destination may be unknown.
pub fn gather_for(run: &Run<'_>, source: &Source) -> Result<Rules, Failure> {
    run.go_on()?;
    let mut users = run.plan.exclude_from.as_deref().map(read).transpose()?;
    if let Some(path) = &run.plan.exclude_from {
        info!("Exclusions: {}", display::path(path));
    }
    // A pattern may hold the path as it was typed, or the one that it leads to.
    let resolved = std::fs::canonicalize(&run.plan.source).unwrap_or_else(|_| run.plan.source.clone());
    for doubt in doubts::of(users.as_deref().unwrap_or_default(), &[&run.plan.source, &resolved]) {
        run.warn_publicly(format_args!("the excludes file may not do what it should: {doubt}."));
    }
    let (system, own) = match run.machine.host.platform {
        Platform::MacOs(_) => (System::MacOs, macos::exclusions::FILESYSTEMS_OWN),
        Platform::Linux => (System::Linux, linux::exclusions::FILESYSTEMS_OWN),
    };
    let mut ours = rules::own_files(&run.plan.prefix);
    ours.extend(own.iter().map(|name| rules::protect(&format!("/{name}"))));
    if let Some((relative, is_mount_point)) = &source.holds_destination {
        info!("The destination lies inside the source and is left out of the copy.");
        // A mount point is part of the source; what is mounted there is not.
        ours.push(rules::leave_out(relative, *is_mount_point));
    }
    let mut left_out = swap::below(run, source);
    left_out.extend(snapshots(source));
    ours.extend(left_out.iter().map(|path| rules::leave_out(path, false)));
    let mut built_in = built_in(system, source.is_system);
    if let Some(rest) = users.as_deref().and_then(rules::after_clearing) {
        warning("the excludes file holds a lone \"!\", which clears the built-in exclusions.");
        built_in.clear();
        users = Some(rest.to_vec());
    }
    Ok(Rules { ours, built_in, users, left_out, ..Rules::default() })
}

/// The directories where a run keeps its snapshots of a source on btrfs.
fn snapshots(source: &Source) -> Vec<OsString> {
    source.roots_on_btrfs().map(|(place, _)| place.join(btrfs::PLACE).into_os_string()).collect()
}

/// The built-in exclusions of a clone, in order.
#[must_use]
pub fn built_in(system: System, is_system: bool) -> Vec<&'static str> {
    let (always, of_systems): (&[_], _) = match system {
        System::MacOs => (macos::exclusions::ALWAYS, macos::exclusions::SYSTEM),
        System::Linux => (&[], linux::exclusions::SYSTEM),
    };
    let mut patterns = always.to_vec();
    if is_system {
        patterns.extend_from_slice(of_systems);
    }
    patterns
}

/// Checks only the user's file.
pub fn check(run: &Run<'_>) -> Result<(), Failure> {
    run.plan.exclude_from.as_deref().map_or(Ok(()), |path| read(path).map(|_| ()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |why: String| Failure::ExcludesUnreadable { path: path.to_owned(), why: why.into() };
    // rsync itself treats a directory as a file without rules, and clones everything.
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(unreadable("it is a directory".to_owned()));
    }
    let path = path.to_owned();
    let (send, receive) = mpsc::channel();
    // A FIFO without a writer would block forever; the thread ends with the process.
    std::thread::spawn(move || send.send(read_whole(&path)));
    match receive.recv_timeout(PATIENCE) {
        Ok(read) => read.map_err(|error| unreadable(display::reason(&error))),
        Err(_) => Err(unreadable(format!("its end was not reached within {} seconds", PATIENCE.as_secs()))),
    }
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = resolve::file(path, OFlag::O_RDONLY | OFlag::O_NOCTTY)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 32 MiB; is it the right file?"));
    }
    // Standard input must not be empty, as if no file had been given.
    if !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    Ok(content)
}
