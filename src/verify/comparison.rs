//! Compares a clone with its source in one walk of both.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::logging::Screen;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey;
use crate::phases::transfer::meter::Meter;
use crate::rsync::filter::matcher::{LeftOut, Place};
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::tree::pair::{Here, Unreadable, walk};
use crate::tree::sides::{Side, Sides};
use crate::verify::finding::Findings;
use crate::verify::kept::Kept;
use crate::verify::links::Links;
use crate::verify::sample::Chosen;
use crate::verify::verifier::{Part, Verifier};
use crate::volume::kind::Kind;

/// A clone, and what it was made of.
#[derive(Debug, Clone, Copy)]
pub struct CloneOf<'a> {
    /// Both ends.
    pub ends: &'a Endpoints,
    /// What belongs to the clone.
    pub rules: &'a Rules,
    /// How many bytes the source holds.
    pub content: u64,
    /// When the clone was begun, in seconds since 1970.
    pub started: i64,
}

/// Compares both ends, and the contents of the files that are chosen.
pub fn compare(
    run: &Run<'_>,
    clone: &CloneOf<'_>,
    kept: Kept,
    chosen: Chosen,
    screen: &Screen,
) -> Result<Findings, Failure> {
    let CloneOf { ends, rules, content, started } = *clone;
    let all = chosen.of(content);
    // Of a few files nobody waits for the end.
    let watched = Some(screen.clone()).filter(|screen| screen.draws() && all.is_some());
    let meter = Meter::new(watched, all.unwrap_or(0));
    let left_out = survey::left_out(run, ends, rules);
    let mut sources = ends.source.filesystems.iter().map(|it| &it.dir).chain([&ends.source.dir]);
    let verifier = Verifier {
        ends,
        left_out: &left_out,
        interrupts: run.machine.interrupts,
        meter: &meter,
        kept,
        started,
        stamps_changes: sources.all(|dir| Kind::of(dir).is_ok_and(Kind::stamps_changes)),
        chosen,
        links: Links::default(),
    };
    let findings = findings(run, ends, &left_out, &verifier);
    meter.clear();
    findings
}

/// Walks both ends.
fn findings(
    run: &Run<'_>,
    ends: &Endpoints,
    left_out: &LeftOut,
    verifier: &Verifier<'_>,
) -> Result<Findings, Failure> {
    let trees = survey::trees(ends, left_out);
    let unreadable = |Unreadable { side, error }| match side {
        Side::Source => Failure::SourceUnreadable { path: run.plan.source.clone(), why: error.into() },
        Side::Destination => {
            Failure::DestinationUnusable { path: run.plan.destination.clone(), why: error.into() }
        }
    };
    let (tops, parts) = walk(&trees, run.machine.interrupts, verifier).map_err(unreadable)?;
    let mut sum = Part::default();
    let open = |dir: &Dir| dir.as_fd().try_clone_to_owned();
    if let (Some(source), Some(copy), Ok(here), Ok(there)) =
        (&tops.source, &tops.destination, open(&ends.source.dir), open(&ends.destination.dir))
    {
        let here = Here {
            dirs: Sides::both(&here, &there),
            path: Path::new(""),
            is_locked: false,
            is_inside_locked: false,
            devices: Sides::default(),
            points: &[],
            place: &Place::default(),
        };
        verifier.roots(&here, (source, copy), &mut sum);
    }
    let mut findings = sum.findings;
    for part in parts {
        findings.add(part.findings);
    }
    Ok(findings)
}
