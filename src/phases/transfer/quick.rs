//! The quick pass: rsync gets a list of what differs, and looks at nothing else.

use std::os::unix::fs::MetadataExt as _;

use chrono::Local;

use crate::failure::Failure;
use crate::phases::hard_links;
use crate::phases::safety_net::Nets;
use crate::phases::survey;
use crate::phases::survey::census::Census;
use crate::phases::survey::found::Survey;
use crate::phases::survey::list::{List, for_rsync};
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::stall::Stalled;
use crate::phases::transfer::verdict::Ended;
use crate::phases::transfer::{Method, Transfer, doubtful, in_place, regroup, retry, rsync, verdict};
use crate::process::End;
use crate::record::{Kinds, Statistics};
use crate::rsync::diagnostics::Diagnostics;
use crate::run::Run;
use crate::tree::pair::Trees;

/// What a quick pass has come to.
#[derive(Debug)]
pub enum Pass {
    /// rsync has done all of it, or failed for good.
    Done {
        /// How it ended.
        ended: Box<Ended>,
        /// The list as rsync was given it.
        paths: Vec<u8>,
    },
    /// A full pass has to follow.
    Incomplete {
        /// How often rsync was started.
        starts: u32,
    },
}

impl Pass {
    /// rsync was not started.
    pub const UNFIT: Self = Self::Incomplete { starts: 0 };
}

/// Hands rsync what the survey has listed, and if `root` is set the root itself.
pub fn pass(transfer: &Transfer<'_>, survey: &Survey, root: bool, nets: &mut Nets) -> Result<Pass, Failure> {
    let Transfer { run, rsync, ends, rules, .. } = *transfer;
    let left_out = survey::left_out(run, ends, rules);
    let trees = survey::trees(ends, &left_out);
    let list = &survey.list;
    let Some(names) = regrouped(run, &trees, survey) else { return Ok(Pass::UNFIT) };
    run.go_on()?;
    if !list.is_whole() || !names.is_whole() || list.needs_rules() {
        return Ok(Pass::UNFIT);
    }
    hard_links::separate(run, &trees, &survey.links)?;
    doubtful::reveal(run, ends, list);
    run.go_on()?;
    let paths = for_rsync([list, &names]);
    let root = root || list.touches_root() || names.touches_root();
    let written = in_place::update(transfer, &survey.in_place, nets)?;
    let rest = written.as_ref().map(|written| written.without(&paths));
    let (mut report, is_final) = transfer_both(transfer, rest.as_ref().unwrap_or(&paths), root, nets)?;
    if let Some(written) = written {
        written.add_to(&mut report);
    }
    if !is_final {
        return Ok(Pass::Incomplete { starts: report.starts });
    }
    describe(&mut report.statistics, &survey.census);
    if !root && let Ok(source) = ends.source.dir.metadata() {
        // Our own markers have changed the time of the destination's root. If it cannot be set back, the next run does.
        let _ = ends.destination.dir.set_modified(source.mtime(), source.mtime_nsec());
    }
    retry::note(run, rsync, &report, report.starts);
    let ending = verdict::check(run, ends, &report);
    Ok(Pass::Done { ended: Box::new((report, ending)), paths })
}

/// Every name of the hard links that rsync has to see together; `None` if they are not known.
fn regrouped(run: &Run<'_>, trees: &Trees<'_>, survey: &Survey) -> Option<List> {
    let inodes = survey.links.regrouped()?;
    if inodes.is_empty() {
        return Some(List::default());
    }
    regroup::names(trees, run.machine.interrupts, &inodes).ok()
}

/// Starts rsync for the paths and for the root, where there is something to do; returns whether its end is final, and no
/// full pass may do better.
fn transfer_both(
    transfer: &Transfer<'_>,
    paths: &[u8],
    root: bool,
    nets: &mut Nets,
) -> Result<(Report, bool), Failure> {
    let run = transfer.run;
    // With retries, a full pass is the first of them.
    let may_not_retry = |stalled: &Stalled| run.plan.retries == 0 || stalled.is_left_behind();
    let mut report = nothing();
    for method in [(!paths.is_empty()).then_some(Method::Listed(paths)), root.then_some(Method::Root)] {
        let Some(method) = method else { continue };
        let mut next = rsync::clone(&Transfer { method, ..*transfer }, nets)?;
        next.statistics.add_earlier(&report.statistics);
        next.starts += report.starts;
        report = next;
        if report.end != End::Exited(0) {
            let has_stalled = report.stalled.as_ref().is_some_and(may_not_retry);
            return Ok((report, has_stalled || run.machine.interrupts.received().is_some()));
        }
    }
    Ok((report, true))
}

/// The report of no rsync at all.
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
