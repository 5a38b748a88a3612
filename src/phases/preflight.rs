//! Checks for root, and for an rsync that can make a clone.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use crate::display;
use crate::failure::Failure;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::process::{Captured, Command, End, capture};
use crate::record;
use crate::rsync::capabilities::{Capabilities, Optional};
use crate::rsync::version::{Implementation, Version, identify};
use crate::run::Run;

/// How long rsync may take to report its version.
const LIMIT: Duration = Duration::from_secs(30);

/// An rsync that can make a clone.
#[derive(Debug)]
pub struct Rsync {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
    /// What it supports.
    pub capabilities: Capabilities,
}

/// Checks that we are root, or need not be.
pub fn rights(run: &Run<'_>) -> Result<(), Failure> {
    if run.machine.host.is_root() || run.plan.allow_non_root { Ok(()) } else { Err(Failure::NotRoot) }
}

/// Finds the first rsync that is Samba's and at least 3.0.9, and queries its options; it must support a safety net if
/// one is wanted.
pub fn rsync(run: &Run<'_>) -> Result<Rsync, Failure> {
    let search = Search { machine: run.machine, named: run.plan.rsync.as_deref() };
    let rsync = find(&search)?;
    if run.plan.safety_net.is_some() && !rsync.version.keeps_backups() {
        return Err(Failure::LosesBackups { path: rsync.path, version: rsync.version.to_string() });
    }
    Ok(rsync)
}

/// A search for an rsync.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The machine we run on, and the signals that may end us.
    pub machine: Machine<'a>,
    /// The rsync to use, instead of searching.
    pub named: Option<&'a Path>,
}

impl Search<'_> {
    fn go_on(&self) -> Result<(), Failure> {
        self.machine.go_on()
    }
}

/// Finds the first rsync that is Samba's and at least 3.0.9, and queries its options.
pub fn find(search: &Search<'_>) -> Result<Rsync, Failure> {
    let install = install_hint(search.machine.host.platform);
    let candidates = candidates(search);
    let mut wrong = None;
    for path in &candidates {
        let found = identified(search, path)?;
        match found.implementation {
            Implementation::Samba(version) if version >= Version::OLDEST => {
                let platform = search.machine.host.platform;
                let capabilities = if found.accepts_all {
                    Capabilities::all(platform, version)
                } else {
                    Capabilities::probe(platform, version, |options| accepts(search, path, options))?
                };
                return Ok(Rsync { path: path.clone(), version, capabilities });
            }
            other @ (Implementation::Samba(_) | Implementation::OpenRsync | Implementation::Unknown) => {
                search.go_on()?;
                wrong.get_or_insert_with(|| (path.clone(), other));
            }
        }
    }
    Err(match wrong {
        Some((path, found)) => {
            Failure::WrongRsync { path, found: found.to_string(), install: install.to_owned() }
        }
        None => Failure::RsyncNotFound { searched: searched(search), install: install.to_owned() },
    })
}

fn install_hint(platform: Platform) -> &'static str {
    match platform {
        Platform::MacOs(_) => {
            "Install one with: brew install rsync (Homebrew) or: port install rsync (MacPorts)."
        }
        Platform::Linux => {
            "Install one with: apt-get install rsync (Debian, Ubuntu) or: dnf install rsync (Fedora)."
        }
    }
}

fn candidates(search: &Search<'_>) -> Vec<PathBuf> {
    if let Some(rsync) = search.named {
        return if is_executable(rsync) { vec![rsync.to_owned()] } else { Vec::new() };
    }
    let mut found: Vec<PathBuf> =
        search.machine.host.rsync_dirs.iter().map(|dir| dir.join("rsync")).collect();
    found.retain(|path| is_executable(path));
    // A relative entry in PATH would mean another program in every directory.
    let absolute = std::env::split_paths(&search.machine.host.search_path).filter(|dir| dir.is_absolute());
    if let Ok(joined) = std::env::join_paths(absolute)
        && let Ok(more) = which::which_in_all("rsync", Some(joined), "/")
    {
        found.extend(more);
    }
    found
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

fn searched(search: &Search<'_>) -> String {
    if let Some(rsync) = search.named {
        return display::path(rsync).to_string();
    }
    let dirs = search.machine.host.rsync_dirs.iter().map(|dir| display::path(dir).to_string());
    dirs.chain([display::name(&search.machine.host.search_path).to_string()]).collect::<Vec<_>>().join(", ")
}

/// What a program says that it is.
struct Identified {
    implementation: Implementation,
    /// It accepts every wanted option.
    accepts_all: bool,
}

/// Asks for the version and for all options at once, and if that is not answered for the version alone.
fn identified(search: &Search<'_>, path: &Path) -> Result<Identified, Failure> {
    let wanted: Vec<Optional> = Optional::wanted(search.machine.host.platform).collect();
    for (options, accepts_all) in [(&*wanted, true), (&[], false)] {
        let Ok(printed) = version(search, path, options) else { break };
        search.go_on()?;
        let implementation = identify(&printed.out, &printed.err);
        let is_answer = printed.end == End::Exited(0) && matches!(implementation, Implementation::Samba(_));
        if is_answer || !accepts_all {
            return Ok(Identified { implementation, accepts_all });
        }
    }
    Ok(Identified { implementation: Implementation::Unknown, accepts_all: false })
}

fn accepts(search: &Search<'_>, path: &Path, options: &[Optional]) -> Result<bool, Failure> {
    let printed = version(search, path, options)
        .map_err(|source| Failure::RsyncNotRun { path: path.to_owned(), source })?;
    search.go_on()?;
    Ok(printed.end == End::Exited(0))
}

/// Runs `rsync OPTIONS --version`.
fn version(search: &Search<'_>, path: &Path, options: &[Optional]) -> io::Result<Captured> {
    let arguments = options.iter().map(|option| option.argument()).chain(["--version"]);
    capture(&Command::tool(path, arguments), search.machine.interrupts, LIMIT)
}

/// The record's entry for rsync before it has transferred anything.
#[must_use]
pub fn describe(rsync: &Rsync) -> record::Rsync {
    let options = rsync.capabilities.lacks.iter().copied().map(Optional::argument);
    record::Rsync {
        path: display::path(&rsync.path).to_string(),
        version: rsync.version.to_string(),
        dropped_options: options.map(str::to_owned).collect(),
        attempts: 0,
        exit_code: None,
        signal: None,
    }
}
