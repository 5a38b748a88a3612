//! The quick pass: rsync gets a list of what differs, and looks at nothing else.

use chrono::Local;

use crate::failure::Failure;
use crate::phases::hard_links;
use crate::phases::hard_links::Links;
use crate::phases::safety_net::Nets;
use crate::phases::survey;
use crate::phases::survey::census::Census;
use crate::phases::survey::list::List;
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::stall::Stalled;
use crate::phases::transfer::verdict::Ended;
use crate::phases::transfer::{Method, Transfer, doubtful, regroup, retry, rsync, verdict};
use crate::process::End;
use crate::record::{Kinds, Statistics};
use crate::rsync::diagnostics::Diagnostics;

/// What a quick pass works on.
#[derive(Debug)]
pub struct Work<'a> {
    /// The paths that differ.
    pub list: List,
    /// The hard links of both ends.
    pub links: &'a Links,
    /// What the source holds.
    pub census: &'a Census,
    /// The root's own attributes differ.
    pub root: bool,
}

/// What a quick pass has done.
#[derive(Debug)]
pub struct Passed {
    /// How it ended.
    pub ended: Ended,
    /// The list as rsync was given it.
    pub paths: Vec<u8>,
}

/// Hands the list to rsync; `None` if a full pass has to follow.
pub fn pass(transfer: &Transfer<'_>, work: Work<'_>, nets: &mut Nets) -> Result<Option<Passed>, Failure> {
    let Transfer { run, rsync, ends, rules, .. } = *transfer;
    let left_out = survey::left_out(run, ends, rules);
    let trees = survey::trees(ends, &left_out);
    let Work { mut list, links, census, root } = work;
    let Some(inodes) = links.regrouped() else { return Ok(None) };
    if !inodes.is_empty() {
        match regroup::names(&trees, run.interrupts, &inodes) {
            Ok(names) => list.append(names),
            Err(_) => return Ok(None),
        }
    }
    run.go_on()?;
    if !list.is_whole() || list.needs_rules() {
        return Ok(None);
    }
    hard_links::separate(run, &trees, links)?;
    doubtful::reveal(run, ends, &list);
    run.go_on()?;
    let paths = list.for_rsync();
    let mut report = None;
    let root = root || list.touches_root();
    for method in [(!paths.is_empty()).then_some(Method::Listed(&paths)), root.then_some(Method::Root)] {
        let Some(method) = method else { continue };
        let mut next = rsync::clone(&Transfer { method, ..*transfer }, nets)?;
        // With retries, a full pass is the first of them.
        let may_not_retry = |stalled: &Stalled| run.plan.retries == 0 || stalled.is_left_behind();
        let is_final =
            next.stalled.as_ref().is_some_and(may_not_retry) || run.interrupts.received().is_some();
        if next.end != End::Exited(0) && !is_final {
            return Ok(None);
        }
        if let Some(before) = report.take() {
            merge(&mut next, &before);
        }
        report = Some(next);
    }
    let mut report = report.unwrap_or_else(nothing);
    describe(&mut report.statistics, census);
    if !root && let Some((source, _)) = roots(transfer) {
        // Our own markers have changed the time of the destination's root.
        let _ = ends.destination.dir.set_modified(source.0, source.1);
    }
    retry::note(run, rsync, &report, report.starts);
    let ending = verdict::check(run, ends, &report);
    Ok(Some(Passed { ended: (report, ending), paths }))
}

/// The modification times of both roots.
fn roots(transfer: &Transfer<'_>) -> Option<((i64, i64), (i64, i64))> {
    use std::os::unix::fs::MetadataExt as _;
    let time =
        |dir: &crate::fs::dir::Dir| dir.metadata().ok().map(|found| (found.mtime(), found.mtime_nsec()));
    time(&transfer.ends.source.dir).zip(time(&transfer.ends.destination.dir))
}

fn merge(report: &mut Report, before: &Report) {
    report.statistics.add_earlier(&before.statistics);
    report.starts += before.starts;
}

/// rsync need not be started.
fn nothing() -> Report {
    let none = Some(0);
    let kinds = Some(Kinds::default());
    let statistics = Statistics {
        created: none,
        deleted: none,
        transferred: none,
        transferred_size: none,
        literal: none,
        matched: none,
        created_by_kind: kinds,
        deleted_by_kind: kinds,
        sent: none,
        received: none,
        ..Statistics::default()
    };
    Report {
        end: End::Exited(0),
        ended: Local::now(),
        statistics,
        diagnostics: Diagnostics::default(),
        starts: 0,
        linked_vanished: None,
        stalled: None,
    }
}

/// rsync has counted its list; the totals are those of the source.
pub fn describe(statistics: &mut Statistics, census: &Census) {
    statistics.files = Some(census.entries);
    statistics.files_by_kind = Some(census.kinds);
    statistics.total_size = Some(census.size);
}
