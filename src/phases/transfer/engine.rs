//! Chooses how the clone is made: a quick pass over what differs, or a full one; and closes up afterwards, until the clone
//! is no older than one survey.

use std::path::{Path, PathBuf};
use std::time::Duration;

use log::info;

use crate::failure::Failure;
use crate::fs::space::Space;
use crate::phases::endpoints::Endpoints;
use crate::phases::hard_links;
use crate::phases::safety_net::Nets;
use crate::phases::survey;
use crate::phases::survey::census::Census;
use crate::phases::survey::found::Survey;
use crate::phases::survey::memory::{Memory, Settled, Stamp};
use crate::phases::transfer::quick::{Pass, describe};
use crate::phases::transfer::remember::{Proved, Remembered};
use crate::phases::transfer::rsync::Report;
use crate::phases::transfer::verdict::Ended;
use crate::phases::transfer::{
    Method, Transfer, doubtful, first_copy, in_place, quick, recheck, retry, timestamps,
};
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::tree::compare::differs_in_attributes;

/// A tree with fewer entries than this is always looked at as a whole: rsync takes no time for it.
const LEAST: u64 = 1000;

/// A full pass is made if more than one entry in this many is listed.
const SHARE: u64 = 8;

/// A closing pass is not made of a list that is longer than that share and than this.
const LONG: u64 = 10_000;

/// How many closing passes there are at most.
const CLOSING: u32 = 3;

/// How long after a change its time differs from that of the next for certain.
const TICK: Duration = Duration::from_millis(25);

/// A run of this length is no older at its end than a survey may be.
const SHORT: Duration = Duration::from_secs(2);

/// Makes the clone. `remembered` is what is known of the last one, or why no quick pass is possible.
pub fn clone(
    transfer: &Transfer<'_>,
    survey: &Survey,
    remembered: &Result<Remembered, String>,
    nets: &mut Nets,
) -> Result<Ended, Failure> {
    let Transfer { run, ends, rules, .. } = *transfer;
    let _phase = run.phase("transfer");
    let coarse = Err("the destination keeps no nanoseconds".to_owned());
    let keeps_times = remembered.is_err() || timestamps::keeps_nanoseconds(run, &ends.destination);
    let remembered = if keeps_times { remembered } else { &coarse };
    let mut starts = 0;
    if let Some(why) = why_full(remembered, rules, survey) {
        info!("Full pass: {why}.");
        if remembered.as_ref().is_ok_and(|remembered| remembered.why_full.is_none()) {
            doubtful::reveal(run, ends, &survey.list);
            run.go_on()?;
        }
    } else {
        info!("Quick pass: {} of {} entries differ.", survey.list.count(), survey.census.entries);
        let root = needs_root(remembered, ends, survey);
        let is_idle = survey.list.count() == 0 && !root && !is_split(survey);
        match quick::pass(transfer, survey, root, nets)? {
            Pass::Done { ended, paths } => {
                let paths = (!is_idle).then_some(&*paths);
                return finish_quick(transfer, survey, remembered, nets, *ended, paths);
            }
            Pass::Incomplete { starts: before } => starts = before,
        }
        info!("The quick pass was not complete, so a full pass follows.");
    }
    // Where the source is watched for changes meanwhile.
    let closes = survey.census.entries >= LEAST && rules.apart.is_empty();
    let has_room = survey.differences.written() <= free(run, ends);
    let copied = match remembered {
        Ok(remembered)
            if closes
                && has_room
                && run.plan.tuning.lets_us_copy()
                && remembered.copies_attributes()
                && first_copy::is_fit(survey) =>
        {
            Some(first_copy::copy(transfer, survey, remembered.began.0))
        }
        Ok(_) | Err(_) => None,
    };
    run.go_on()?;
    let method = Method::Full { deletes_first: !has_room, is_plain: closes && survey.is_plain };
    let mut ended = full(&Transfer { method, ..*transfer }, survey, nets)?;
    if starts > 0 || copied.is_some() {
        ended.0.starts += starts;
        if let Some(copied) = copied {
            ended.0.statistics.add_earlier(&copied);
        }
        retry::note(run, transfer.rsync, &ended.0, ended.0.starts);
    }
    let (Ok(remembered), Ok(_)) = (remembered, &ended.1) else { return Ok(ended) };
    if !closes {
        return Ok(ended);
    }
    close(transfer, survey, remembered, nets, ended, true)
}

/// Lets rsync look at everything.
fn full(transfer: &Transfer<'_>, survey: &Survey, nets: &mut Nets) -> Result<Ended, Failure> {
    let Transfer { run, ends, rules, method, .. } = *transfer;
    let left_out = survey::left_out(run, ends, rules);
    hard_links::separate(run, &survey::trees(ends, &left_out), &survey.links)?;
    if matches!(method, Method::Full { deletes_first: true, .. }) {
        info!("Room is short, so deletions come first.");
    }
    let Some(written) = in_place::update(transfer, &survey.in_place, nets)? else {
        return retry::clone(transfer, nets);
    };
    let rules = written.rules_for_the_rest(rules);
    let mut ended = retry::clone(&Transfer { rules: &rules, ..*transfer }, nets)?;
    written.add_to(&mut ended.0);
    retry::note(run, transfer.rsync, &ended.0, ended.0.starts);
    Ok(ended)
}

/// The bytes that may still be written to the destination; as many as you like if that is not known.
fn free(run: &Run<'_>, ends: &Endpoints) -> u64 {
    Space::of(&ends.destination.dir).map_or(u64::MAX, |space| space.free_for(run.machine.host.is_root()))
}

/// Why a quick pass would not do.
fn why_full(remembered: &Result<Remembered, String>, rules: &Rules, survey: &Survey) -> Option<String> {
    let Survey { census, clone, list, .. } = survey;
    let remembered = match remembered {
        Ok(remembered) => remembered,
        Err(why) => return Some(format!("no quick pass is made here, since {why}")),
    };
    if census.entries < LEAST {
        return Some("the source is small".to_owned());
    }
    if let Some(why) = &remembered.why_full {
        return Some(why.clone());
    }
    let reason = if !rules.apart.is_empty() {
        "there is another clone inside the destination"
    } else if !list.is_whole() || list.count() > census.entries / SHARE {
        "more than an eighth of the entries differ"
    } else if list.needs_rules() {
        "the destination holds what is excluded"
    } else if census.unreadable + clone.unreadable > 0 {
        "something cannot be read"
    } else if !survey.is_exact {
        "an exclusion cannot be applied exactly"
    } else if !survey.boundaries.is_empty() || !survey.locked.is_empty() {
        "the source has other filesystems or locked directories in it"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

fn needs_root(remembered: &Result<Remembered, String>, ends: &Endpoints, survey: &Survey) -> bool {
    let (Ok(remembered), Some((source, destination))) = (remembered, &survey.root) else { return true };
    !remembered.knows_root(source)
        || differs_in_attributes(source, destination)
        || !remembered.has_equal_roots(ends)
}

/// Whether names that are one file on one side are several on the other.
fn is_split(survey: &Survey) -> bool {
    survey.links.regrouped().is_none_or(|inodes| !inodes.is_empty())
}

/// Remembers what a quick pass has proved; closes up if it may have missed something. Without `paths` it had nothing to do.
fn finish_quick(
    transfer: &Transfer<'_>,
    survey: &Survey,
    remembered: &Result<Remembered, String>,
    nets: &mut Nets,
    ended: Ended,
    paths: Option<&[u8]>,
) -> Result<Ended, Failure> {
    let Transfer { run, ends, .. } = *transfer;
    let (Ok(remembered), Ok(_)) = (remembered, &ended.1) else { return Ok(ended) };
    let root = survey.root.as_ref();
    if survey.moves {
        return close(transfer, survey, remembered, nets, ended, false);
    }
    let Some(paths) = paths else {
        remembered.save(run, Proved { keys: Vec::new(), root, settled: None }, false);
        return Ok(ended);
    };
    run.machine.interrupts.sleep(TICK);
    run.go_on()?;
    let (began, clock) = remembered.began;
    let is_short = clock.elapsed() < SHORT.max(survey.took * 3);
    if let Some(now) = Stamp::now().ok().filter(|_| is_short) {
        let settled = Settled { source: began, destination: now };
        if let Some(keys) = recheck::keys(run, ends, &remembered.as_met(), settled, paths) {
            remembered.save(run, Proved { keys, root, settled: Some(settled) }, false);
            return Ok(ended);
        }
    }
    close(transfer, survey, remembered, nets, ended, false)
}

/// Surveys again and transfers what has changed meanwhile, until nothing has.
fn close(
    transfer: &Transfer<'_>,
    before: &Survey,
    remembered: &Remembered,
    nets: &mut Nets,
    mut ended: Ended,
    was_full: bool,
) -> Result<Ended, Failure> {
    let Transfer { run, ends, rules, .. } = *transfer;
    let mut source = remembered.began.0;
    // What stands still is looked at once more for the index alone, and for what rsync gets right at the second attempt.
    let rounds = if remembered.is_frozen { 1 } else { CLOSING };
    for round in 1..=rounds {
        run.machine.interrupts.sleep(TICK);
        run.go_on()?;
        let Ok(now) = Stamp::now() else { return Ok(ended) };
        let settled = Settled { source, destination: now };
        let plain = before.is_plain.then_some(remembered.began.0);
        let memory = Memory { plain, ..remembered.memory(Some(settled)) };
        let mut survey = survey::again(run, ends, rules, memory)?;
        if let Some(why) = survey::refuse_closing(run, &survey, before) {
            run.warn_publicly(format_args!(
                "what has changed since the copy is left to the next run: {why}."
            ));
            return Ok(ended);
        }
        let keys = std::mem::take(&mut survey.keys);
        let is_split = is_split(&survey);
        // Names that are linked wrongly would count as proved.
        if !is_split {
            let root = survey.root.as_ref();
            remembered.save(run, Proved { keys, root, settled: Some(settled) }, was_full);
        }
        let root = survey.root.as_ref().is_some_and(|(source, copy)| differs_in_attributes(source, copy))
            || !remembered.has_equal_roots(ends);
        let count = survey.list.count();
        // Every line of the log would ask for another pass.
        if survey.list.count_besides(&own_outputs(run, ends)) == 0 && !root && !is_split {
            describe_now(&mut ended.0, &survey.census, was_full);
            if survey.moves {
                source = remembered.since(now);
                continue;
            }
            return Ok(ended);
        }
        if remembered.is_frozen {
            info!("Closing pass: {count} entries are looked at once more.");
        } else {
            info!("Closing pass {round}: {count} entries have changed meanwhile.");
        }
        let is_long = count > (survey.census.entries / SHARE).max(LONG);
        let passed = if is_long { Pass::UNFIT } else { quick::pass(transfer, &survey, root, nets)? };
        let (mut report, ending) = match passed {
            Pass::Done { ended, .. } => *ended,
            Pass::Incomplete { starts } => {
                ended.0.starts += starts;
                retry::note(run, transfer.rsync, &ended.0, ended.0.starts);
                // What was listed may have moved on: the next survey finds it, for what changed since then is as unsettled.
                if starts > 0 && round < rounds {
                    continue;
                }
                info!("They are left to the next run.");
                return Ok(ended);
            }
        };
        if let Err(failure) = ending {
            return Ok((ended.0, Err(failure)));
        }
        report.statistics.add_earlier(&ended.0.statistics);
        report.starts += ended.0.starts;
        retry::note(run, transfer.rsync, &report, report.starts);
        ended.0 = report;
        source = remembered.since(now);
    }
    if !remembered.is_frozen {
        info!("The source keeps changing: what has changed since is left to the next run.");
    }
    Ok(ended)
}

/// What this run writes to below the source while it goes on, and its directories, relative to the source.
fn own_outputs(run: &Run<'_>, ends: &Endpoints) -> Vec<PathBuf> {
    let changes = run.changes().path();
    let files = [run.log_path(), changes.as_deref()];
    let both = files.into_iter().flatten().flat_map(|path| [Some(path), path.parent()]).flatten();
    let below = both.filter_map(|path| path.strip_prefix(ends.source.dir.path()).ok());
    below.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect()
}

/// After a quick pass the totals are the last survey's; a full rsync has counted by itself.
fn describe_now(report: &mut Report, census: &Census, was_full: bool) {
    if !was_full {
        describe(&mut report.statistics, census);
    }
}
