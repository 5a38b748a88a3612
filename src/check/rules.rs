//! What the markers and this machine's state mean together: pure, so that every combination can be tested.

use crate::check::events::{Failure, History, Success};
use crate::check::limits::Limits;
use crate::check::markers::{Found, Markers, Place};
use crate::check::status::{Figures, Finding, Status};
use crate::display::words::{count, moment, span};
use crate::record::{self, Lines, Moment, Record, Verification};
use crate::state::State;

/// Everything known about one clone.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was found at the destination.
    pub place: &'a Place,
    /// This machine's state, or why it cannot be read.
    pub state: Result<Option<&'a State>, &'a str>,
    /// The start of the markers' names.
    pub stem: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// Clocks of other machines, and file times, may be this many seconds ahead without being wrong.
pub const AHEAD: i64 = 60;

/// The exit code of a run during which files vanished.
pub const VANISHED: u64 = 24;

/// Checks a clone.
#[must_use]
pub fn evaluate(facts: &Facts<'_>, limits: Limits) -> Finding {
    let markers = markers(facts.place);
    let state = facts.state.ok().flatten();
    let history = History::of(markers, state, facts.now + AHEAD);
    let damage = damage(facts);
    let mut ending = match (&history.failure, &history.success) {
        (Some(failure), success) => failed(failure, success.as_ref(), facts.now),
        (None, Some(success)) => {
            let is_hidden = markers.is_some_and(|markers| markers.record == Found::Barred);
            succeeded(success, is_hidden, facts.now, limits)
        }
        (None, None) if !damage.is_empty() => Finding::unknown(String::new()),
        (None, None) if history.was_begun => never(),
        (None, None) => return Finding::unknown(unheard_of(facts.place)),
    };
    if history.failure.is_none() && markers.is_some_and(is_unfinished) {
        add(
            &mut ending.sentence,
            "the clone there is not complete at the moment: a run is under way or was killed",
        );
    }
    if let (None, Some(success), Some(markers)) = (&history.failure, &history.success, markers) {
        ending.details.extend(another_disk(success, markers));
    }
    if let Some(last) = state.and_then(|state| state.last.as_ref()).filter(|_| history.failure.is_none()) {
        ending.details.extend(skipped(last));
    }
    if let Some(state) = state {
        remark_on_proof(&mut ending, state, facts.now);
        remark_on_reading(&mut ending, state, facts.now);
    }
    remark_on_place(&mut ending, facts);
    for damage in damage {
        ending.status = ending.status.worse(Status::Unknown);
        add(&mut ending.sentence, &damage);
    }
    ending
}

/// A clone that did not boot is no worse than one that was never proven, but somebody should look at it.
fn remark_on_proof(ending: &mut Finding, state: &State, now: i64) {
    let Some(proof) = &state.proof else { return };
    let ago = span(now.saturating_sub(proof.at.epoch));
    if proof.booted {
        add(&mut ending.sentence, &format!("proven to boot {ago} ago"));
        return;
    }
    ending.status = ending.status.worse(Status::Warning);
    let reason = proof.reason.as_deref().unwrap_or("no reason is given");
    add(&mut ending.sentence, &format!("it did not boot when it was proven {ago} ago: {reason}"));
    if let Some(proven) = &state.proven {
        ending.details.push(format!("Last proven to boot: {}", moment(proven.epoch)));
    }
}

/// A damaged clone is no clone to rely on.
fn remark_on_reading(ending: &mut Finding, state: &State, now: i64) {
    let Some(reading) = state.disks.last().and_then(|disk| disk.reading.as_ref()) else { return };
    let Verification { oldest, damage_found, .. } = &reading.known;
    let ago = |at: &Moment| span(now.saturating_sub(at.epoch).max(0));
    if let Some(found) = damage_found {
        ending.status = ending.status.worse(Status::Critical);
        add(
            &mut ending.sentence,
            &format!("damage was found {} ago: run counterpart verify --repair", ago(found)),
        );
    } else if let Some(oldest) = oldest {
        add(&mut ending.sentence, &format!("every part of it was read again within {}", ago(oldest)));
    }
    ending.details.push(format!("Last read again: {}", moment(reading.known.at.epoch)));
}

/// The markers, if the place could be read.
#[must_use]
pub fn markers(place: &Place) -> Option<&Markers> {
    match place {
        Place::Seen(markers) => Some(markers),
        Place::Missing | Place::Barred | Place::Broken(_) | Place::Silent(_) | Place::NotMounted(_) => None,
    }
}

fn add(sentence: &mut String, more: &str) {
    if !sentence.is_empty() {
        sentence.push_str("; ");
    }
    sentence.push_str(more);
}

fn succeeded(success: &Success<'_>, is_hidden: bool, now: i64, limits: Limits) -> Finding {
    // A clock that is slightly ahead must not give a negative age.
    let age = now.saturating_sub(success.at).max(0);
    let figures = Figures { age: Some(age), ..figures(success) };
    let mut sentence = format!("completed {} ago ({})", span(age), moment(success.at));
    let mut status = Status::Ok;
    if success.at > now.saturating_add(AHEAD) {
        status = Status::Warning;
        sentence = format!(
            "completed at {}, which is {} in the future: a clock is or was wrong",
            moment(success.at),
            span(success.at.saturating_sub(now))
        );
    } else if age > limits.critical {
        status = Status::Critical;
        add(&mut sentence, &format!("that is longer ago than {}", span(limits.critical)));
    } else if age > limits.warning {
        status = Status::Warning;
        add(&mut sentence, &format!("that is longer ago than {}", span(limits.warning)));
    } else {
        sentence += &copied(&figures);
    }
    let mut details = Vec::new();
    if let Some(record) = success.record {
        if record.outcome == record::Status::Warning {
            status = status.worse(Status::Warning);
            let first = record.warnings.first.first().map_or("none is named", String::as_str);
            add(&mut sentence, &format!("with warnings: {first}"));
        }
        details.extend(about(record));
    } else if success.statistics.and_then(|statistics| statistics.exit_code) == Some(VANISHED) {
        status = status.worse(Status::Warning);
        add(&mut sentence, "with a warning: files vanished from the source while they were copied");
    } else if is_hidden {
        // Only a record that names files is private, and after a success those are files that need attention.
        status = status.worse(Status::Warning);
        add(&mut sentence, "with warnings that only root may read: see the log");
    }
    Finding { status, sentence, details, figures }
}

fn failed(failure: &Failure<'_>, success: Option<&Success<'_>>, now: i64) -> Finding {
    let reason = if failure.reason.is_empty() { "no reason is given" } else { failure.reason };
    let mut sentence = format!(
        "failed {} ago ({}): {}",
        span(now.saturating_sub(failure.at)),
        moment(failure.at),
        reason.trim_end_matches('.')
    );
    let age = success.map(|success| now.saturating_sub(success.at).max(0));
    match success.zip(age) {
        Some((success, age)) => {
            let last = format!("the last success was {} ago ({})", span(age), moment(success.at));
            add(&mut sentence, &last);
        }
        None => add(&mut sentence, "no earlier success is known"),
    }
    let figures = success.map(figures).unwrap_or_default();
    Finding {
        status: Status::Critical,
        sentence,
        details: failure.record.map(about).unwrap_or_default(),
        figures: Figures { age, ..figures },
    }
}

fn never() -> Finding {
    Finding { status: Status::Critical, ..Finding::unknown("no clone was ever completed".to_owned()) }
}

/// Why nothing is known of a clone.
#[must_use]
pub fn unheard_of(place: &Place) -> String {
    match place {
        Place::Seen(_) => {
            "there is no Counterpart marker there, and this machine has no record of a clone: check -d and -g; is its \
             disk mounted?"
                .to_owned()
        }
        Place::Missing => "it does not exist, and this machine has no record of a clone there: check -d".to_owned(),
        Place::Barred => "this user has no access to it, and this machine has no record of a clone there".to_owned(),
        Place::NotMounted(why) => {
            format!("it was not examined ({why}), and this machine has no record of a clone there")
        }
        Place::Broken(why) => {
            format!("it cannot be examined ({why}), and this machine has no record of a clone there")
        }
        Place::Silent(limit) => {
            format!("it did not answer within {limit} s, and this machine has no record of a clone there")
        }
    }
}

/// A run removes `.completed` before it changes the first byte, and leaves it or `.error` at its end.
#[must_use]
pub fn is_unfinished(markers: &Markers) -> bool {
    markers.completed.is_absent() && markers.error.is_absent() && !is_bare(markers)
}

fn is_bare(markers: &Markers) -> bool {
    let Markers { completed, error, statistics, record, identity } = markers;
    completed.is_absent()
        && error.is_absent()
        && statistics.is_absent()
        && record.is_absent()
        && identity.is_absent()
}

fn remark_on_place(ending: &mut Finding, facts: &Facts<'_>) {
    let basis = match facts.state {
        Ok(Some(_)) => ", according to this machine's records",
        Ok(None) | Err(_) => "",
    };
    let Some(remark) = remark(facts.place) else { return };
    let sentence = &mut ending.sentence;
    match facts.place {
        Place::Silent(_) => {
            ending.status = Status::Unknown;
            *sentence = format!("{remark}; this machine's records say: {sentence}");
        }
        Place::Broken(_) => {
            ending.status = ending.status.worse(Status::Unknown);
            add(sentence, &format!("{remark}{basis}"));
        }
        Place::Seen(_) | Place::Missing | Place::Barred | Place::NotMounted(_) => {
            add(sentence, &format!("{remark}{basis}"));
        }
    }
}

/// What is to be said of the place itself.
#[must_use]
pub fn remark(place: &Place) -> Option<String> {
    Some(match place {
        Place::Seen(markers) if is_bare(markers) => {
            "there is no Counterpart marker there now; perhaps its disk is not mounted".to_owned()
        }
        Place::Seen(_) => return None,
        Place::Missing => "the destination is not there now".to_owned(),
        Place::Barred => "this user has no access to the destination".to_owned(),
        Place::NotMounted(why) => {
            format!("the destination was not examined ({})", why.trim_end_matches('.'))
        }
        Place::Broken(why) => format!("the destination cannot be examined ({why})"),
        Place::Silent(limit) => format!("the destination did not answer within {limit} s"),
    })
}

/// What cannot be read, a sentence each.
#[must_use]
pub fn damage(facts: &Facts<'_>) -> Vec<String> {
    let mut damage = Vec::new();
    if let Some(markers) = markers(facts.place) {
        let Markers { completed, error, statistics, record, identity } = markers;
        let found = [
            ("completed", completed.damage()),
            ("error", error.damage()),
            ("stats", statistics.damage()),
            ("stats.json", record.damage()),
            ("id", identity.damage()),
        ];
        damage.extend(found.into_iter().filter_map(|(suffix, why)| {
            why.map(|why| format!("{}{suffix} cannot be read: {why}", facts.stem))
        }));
    }
    if let Err(why) = facts.state {
        damage.push(format!("this machine's records cannot be read: {why}"));
    }
    damage
}

/// The numbers of a run, without its age.
#[must_use]
pub fn figures(success: &Success<'_>) -> Figures {
    if let Some(record) = success.record {
        let figures = record.statistics.unwrap_or_default();
        return Figures {
            age: None,
            duration: Some(record.seconds),
            files: figures.files,
            transferred: figures.transferred,
            size: figures.total_size,
            transferred_size: figures.transferred_size,
            deleted: figures.deleted,
        };
    }
    let Some(file) = success.statistics else { return Figures::default() };
    Figures {
        age: None,
        duration: file.seconds().and_then(|seconds| u32::try_from(seconds).ok()).map(f64::from),
        files: file.files,
        transferred: file.transferred,
        size: file.total_size,
        transferred_size: file.transferred_size,
        deleted: file.deleted,
    }
}

fn copied(figures: &Figures) -> String {
    let mut text = String::new();
    if let (Some(transferred), Some(files)) = (figures.transferred, figures.files) {
        text = format!(", {} of {} files copied", count(transferred), count(files));
        if let Some(seconds) = figures.duration {
            #[allow(clippy::cast_possible_truncation, reason = "a cast from floating point saturates")]
            let seconds = seconds.round() as i64;
            text = text + " in " + &span(seconds);
        }
    }
    text
}

/// The details of a run that help to investigate it.
fn about(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reason) = &record.reason {
        lines.push(format!("Reason: {reason}"));
    }
    lines.extend(listed("Warning", &record.warnings));
    lines.extend(listed("Failing path", &record.failing_paths));
    lines.push(format!("Source: {} on {}", record.source, record.host));
    if let Some(log) = &record.log {
        lines.push(format!("Log: {log}"));
    }
    lines
}

fn listed(what: &str, list: &Lines) -> Vec<String> {
    let mut lines: Vec<String> = list.first.iter().map(|line| format!("{what}: {line}")).collect();
    if list.more > 0 {
        lines.push(format!("{what}: and {} more", count(list.more)));
    }
    lines
}

/// Disks may alternate at one path; the last success may then be another disk's.
#[must_use]
pub fn another_disk(success: &Success<'_>, markers: &Markers) -> Option<String> {
    if let Some(at) = markers.completed.present().filter(|at| !success.is_at(**at)) {
        return Some(format!("The disk that is there now holds the clone of {}", moment(*at)));
    }
    let error = markers.error.present()?;
    Some(format!("The disk that is there now has the error of {}: {}", moment(error.at), error.reason))
}

/// That the last run was skipped, if it was.
#[must_use]
pub fn skipped(last: &Record) -> Option<String> {
    (last.outcome == record::Status::Skipped).then(|| {
        format!("The last run, at {}, was skipped: the destination was not there", moment(last.ended.epoch))
    })
}
