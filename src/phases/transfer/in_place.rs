//! `--inplace`: what has changed of a large file is written into its copy, by an rsync of its own before the pass that does
//! the rest.
//!
//! rsync's own option would take all files, and it is not exact: a copy with several names is changed under all of them,
//! what replaces a public file is written where others may have it open, and together with `--sparse` wrong bytes are left.
//! So the survey chooses the files. What cannot be written so is left to the pass that follows.

use std::borrow::Cow;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use log::info;

use crate::failure::Failure;
use crate::host::platform::Platform;
use crate::host::rights::Rights;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::safety_net::Nets;
use crate::phases::survey::in_place::InPlace;
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::{Method, Transfer, rsync, timestamps};
use crate::process::End;
use crate::rsync::capabilities::Optional;
use crate::rsync::filter::rules::{Rules, keep_entry};
use crate::run::Run;

/// Whether users may link files that are not theirs: one could be put in the place of the copy that is written into.
const PROTECTED_LINKS: &str = "/proc/sys/fs/protected_hardlinks";

/// Refuses to write in place where that is not exact, or where others could divert it.
pub fn check(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints) -> Result<(), Failure> {
    if !run.plan.tuning.in_place {
        return Ok(());
    }
    let follows_no_links = ends.view.as_ref().is_some_and(|view| !view.follows_links());
    let protects_links = || std::fs::read(PROTECTED_LINKS).is_ok_and(|read| read.trim_ascii() == b"1");
    let why = if run.machine.host.platform != Platform::Linux {
        "this system is not known well enough"
    } else if run.machine.host.rights != Rights::ALL {
        "it needs all rights of root"
    } else if !rsync.capabilities.has(Optional::Nanoseconds) {
        "with an rsync before 3.1.3, or one that does not compare nanoseconds, a file that an interrupted run has left \
         half-written may look whole"
    } else if !follows_no_links {
        "there is no private view of both ends whose paths follow no links, and a user could put a link in the place of \
         a file"
    } else if !protects_links() {
        "users may make hard links to files that are not theirs (fs.protected_hardlinks is not 1), and could put one in \
         the place of a file"
    } else {
        return Ok(());
    };
    Err(Failure::InPlaceRefused { why: why.to_owned().into() })
}

/// What was written in place.
#[derive(Debug)]
pub struct Written<'a> {
    report: Report,
    files: &'a InPlace,
}

/// Writes these files in place; `None` if there are none.
pub fn update<'a>(
    transfer: &Transfer<'_>,
    files: &'a InPlace,
    nets: &mut Nets,
) -> Result<Option<Written<'a>>, Failure> {
    let Transfer { run, ends, .. } = *transfer;
    let count = files.paths().count();
    if count == 0 {
        return Ok(None);
    }
    // With whole seconds alone, what an interrupted run has left half-written could look whole.
    if !timestamps::keeps_nanoseconds(run, &ends.destination) {
        run.warn("the destination keeps no nanoseconds, so no file is written in place.");
        return Ok(None);
    }
    info!("Writing in place: {count} files.");
    let mut paths = Vec::new();
    for path in files.paths() {
        paths.extend_from_slice(&listed(path));
        paths.push(0);
    }
    let report = rsync::clone(&Transfer { method: Method::InPlace(&paths), ..*transfer }, nets)?;
    run.go_on()?;
    if let Some(stalled) = &report.stalled {
        return Err(stalled.clone().into());
    }
    if report.end != End::Exited(0) {
        info!("Not all of them could be written in place: what is left is replaced.");
    }
    Ok(Some(Written { report, files }))
}

/// A path as a list for rsync has it.
fn listed(path: &Path) -> Vec<u8> {
    [b"/", path.as_os_str().as_bytes()].concat()
}

impl Written<'_> {
    fn is_done(&self) -> bool {
        self.report.end == End::Exited(0)
    }

    /// The rules for the pass that follows: what is done is not replaced because it has changed again meanwhile.
    #[must_use]
    pub fn rules_for_the_rest<'r>(&self, rules: &'r Rules) -> Cow<'r, Rules> {
        if !self.is_done() {
            return Cow::Borrowed(rules);
        }
        let mut rules = rules.clone();
        rules.ours.extend(self.files.paths().flat_map(|path| keep_entry(path.as_os_str())));
        Cow::Owned(rules)
    }

    /// A list without what is done.
    #[must_use]
    pub fn without(&self, paths: &[u8]) -> Vec<u8> {
        if !self.is_done() {
            return paths.to_vec();
        }
        let done: HashSet<Vec<u8>> = self.files.paths().map(listed).collect();
        let rest = paths.split_inclusive(|byte| *byte == 0);
        rest.filter(|path| !done.contains(path.strip_suffix(b"\0").unwrap_or(path)))
            .flatten()
            .copied()
            .collect()
    }

    /// Counts it in the report of the pass that followed.
    pub fn add_to(&self, report: &mut Report) {
        report.statistics.add_earlier(&self.report.statistics);
        report.starts += self.report.starts;
    }
}
