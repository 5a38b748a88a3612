//! What is shown of one clone.

use serde::Serialize;

use crate::check::events::{Failure, History, Success};
use crate::check::looking::Looked;
use crate::check::markers::Found;
use crate::check::rules;
use crate::check::rules::{AHEAD, Facts};
use crate::check::status::Figures;
use crate::check::subjects::Subject;
use crate::display;
use crate::fs::dir::FileIdentity;
use crate::fs::lock::Lock;
use crate::host::Host;
use crate::host::platform::Platform;
use crate::linux;
use crate::record;
use crate::record::{Hashing, Moment, Proof, Record, Verification};
use crate::state::State;

/// The state of a clone in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// There is a complete clone, and no run has failed since.
    Ok,
    /// The same, but the run that made it needs attention.
    Warning,
    /// A run is under way.
    Running,
    /// There is no complete clone there, and no run is known to be under way.
    Unfinished,
    /// A run has failed since the last success.
    Failed,
    /// No run ever succeeded.
    Never,
    /// It cannot be found out.
    Unknown,
}

impl Word {
    /// The word.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Running => "running",
            Self::Unfinished => "unfinished",
            Self::Failed => "failed",
            Self::Never => "never",
            Self::Unknown => "unknown",
        }
    }
}

/// The last complete clone.
#[derive(Debug, Serialize)]
pub struct Completed {
    /// When; `None` for a time that cannot be written.
    pub at: Option<Moment>,
    /// How long ago, in seconds; negative if a clock was wrong.
    pub age_seconds: i64,
    /// How long that run took.
    pub seconds: Option<f64>,
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// The size of all files, in bytes.
    pub size: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// Their size, in bytes.
    pub transferred_size: Option<u64>,
    /// Entries deleted at the destination.
    pub deleted: Option<u64>,
    /// The filesystems that it was made from a snapshot of.
    pub snapshots: Vec<String>,
    /// The hashes that were kept of it.
    pub hashes: Option<Hashing>,
    /// What needs attention: the first lines.
    pub warnings: Vec<String>,
}

/// A run that failed after it.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// When; `None` for a time that cannot be written.
    pub at: Option<Moment>,
    /// The exit code, if it is known.
    pub exit_code: Option<u8>,
    /// Why.
    pub reason: Option<String>,
    /// Its log.
    pub log: Option<String>,
}

/// A schedule that makes the clone.
#[derive(Debug, Serialize)]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// The job that it starts.
    pub job: Option<String>,
    /// Whether the system has loaded it; `None` if that is not known.
    pub loaded: Option<bool>,
    /// When it starts next.
    pub next_run: Option<Moment>,
}

/// One clone.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its name: the destination and, if it is not the usual one, the prefix.
    pub name: String,
    /// What was cloned.
    pub source: Option<String>,
    /// The machine that was cloned.
    pub source_host: Option<String>,
    /// Where to; `None` if a damaged state file hides it.
    pub destination: Option<String>,
    /// The prefix of the clone's files.
    pub prefix: Option<String>,
    /// Its state in a word.
    pub state: Word,
    /// The last success.
    pub last_success: Option<Completed>,
    /// The failure after it.
    pub failure: Option<Failed>,
    /// The next run by any schedule.
    pub next_run: Option<Moment>,
    /// The schedules that make it.
    pub schedules: Vec<Scheduled>,
    /// When it was last proven to boot.
    pub proven: Option<Moment>,
    /// The last proof.
    pub proof: Option<Proof>,
    /// What is known of the clone that was read again.
    pub verification: Option<Verification>,
    /// Whatever else is worth knowing, a sentence each without its full stop.
    pub notes: Vec<String>,
}

/// All that is known of a clone, but for its schedules.
pub fn entry(subject: &Subject, looked: Option<&Looked>, host: &Host, now: i64) -> Entry {
    let state = subject.state.as_ref().ok().and_then(Option::as_ref);
    let place = looked.and_then(|looked| looked.place.as_ref().ok());
    let markers = place.and_then(rules::markers);
    let history = History::of(markers, state, now.saturating_add(AHEAD));
    let hides_warnings = markers.is_some_and(|markers| markers.record == Found::Barred);
    let is_unfinished = markers.is_some_and(rules::is_unfinished);
    let is_running = looked.and_then(|looked| looked.directory).is_some_and(|dir| is_locked(host, dir));
    let last_success = history.success.as_ref().map(|success| completed(success, hides_warnings, now));
    let known = record_of(&history, state);
    let disk = state.and_then(|state| state.disks.last());
    let verification = disk.and_then(|disk| disk.reading.as_ref()).map(|reading| reading.known.clone());
    let is_damaged = verification.as_ref().is_some_and(|known| known.damage_found.is_some());
    Entry {
        name: subject.name.clone(),
        source: known.map(|run| &run.source).or(disk.map(|disk| &disk.source)).map(|text| line(text)),
        source_host: known.map(|run| &run.host).or(disk.map(|disk| &disk.host)).map(|text| line(text)),
        destination: subject.target.as_ref().map(|target| match state {
            Some(state) => line(&state.destination),
            None => display::path(&target.destination).to_string(),
        }),
        prefix: subject.target.as_ref().map(|target| target.prefix.to_string()),
        state: word(&history, last_success.as_ref(), is_running, is_unfinished, is_damaged),
        last_success,
        failure: history.failure.as_ref().map(failed),
        next_run: None,
        schedules: Vec::new(),
        proven: state.and_then(|state| state.proven.clone()),
        proof: state.and_then(|state| state.proof.clone()).map(|proof| Proof {
            reason: proof.reason.as_deref().map(line),
            kernel: proof.kernel.as_deref().map(line),
            ..proof
        }),
        verification,
        notes: notes(subject, looked, &history, now),
    }
}

fn word(
    history: &History<'_>,
    success: Option<&Completed>,
    is_running: bool,
    is_unfinished: bool,
    is_damaged: bool,
) -> Word {
    match (&history.failure, success) {
        _ if is_running => Word::Running,
        (Some(_), _) => Word::Failed,
        (None, _) if is_unfinished => Word::Unfinished,
        (None, Some(success)) if success.warnings.is_empty() && !is_damaged => Word::Ok,
        (None, Some(_)) => Word::Warning,
        (None, None) if history.was_begun => Word::Never,
        (None, None) => Word::Unknown,
    }
}

/// The run that says best what is cloned.
fn record_of<'a>(history: &History<'a>, state: Option<&'a State>) -> Option<&'a Record> {
    let of_success = history.success.and_then(|success| success.record);
    let of_failure = history.failure.and_then(|failure| failure.record);
    of_success.or(of_failure).or(state.and_then(|state| state.last.as_ref()))
}

fn completed(success: &Success<'_>, hides_warnings: bool, now: i64) -> Completed {
    let Figures { duration, files, transferred, size, transferred_size, deleted, .. } =
        rules::figures(success);
    let mut warnings: Vec<String> = Vec::new();
    match success.record {
        Some(record) if record.outcome == record::Status::Warning => {
            warnings.extend(record.warnings.first.iter().map(|text| line(text)));
            if record.warnings.more > 0 || warnings.is_empty() {
                warnings.push("There are more warnings: see the log".to_owned());
            }
        }
        None if success.statistics.and_then(|file| file.exit_code) == Some(rules::VANISHED) => {
            warnings.push("Files vanished from the source while they were copied".to_owned());
        }
        None if hides_warnings => warnings.push("Only root may read the warnings: see the log".to_owned()),
        Some(_) | None => {}
    }
    Completed {
        at: Moment::at(success.at),
        age_seconds: now.saturating_sub(success.at),
        seconds: duration.map(|seconds| seconds.max(0.0)),
        files,
        size,
        transferred,
        transferred_size,
        deleted,
        snapshots: success
            .record
            .iter()
            .flat_map(|record| &record.snapshots)
            .map(|path| line(path))
            .collect(),
        hashes: success.record.and_then(|record| record.hashes),
        warnings,
    }
}

fn failed(failure: &Failure<'_>) -> Failed {
    Failed {
        at: Moment::at(failure.at),
        exit_code: failure.record.map(|record| record.exit_code).filter(|code| *code > 0),
        reason: Some(line(failure.reason)).filter(|reason| !reason.is_empty()),
        log: failure.record.and_then(|record| record.log.as_deref()).map(line),
    }
}

fn notes(subject: &Subject, looked: Option<&Looked>, history: &History<'_>, now: i64) -> Vec<String> {
    let state = subject.state.as_ref().map(Option::as_ref).map_err(String::as_str);
    let mut notes = Vec::new();
    match (&subject.target, looked.map(|looked| &looked.place)) {
        (Some(target), Some(Ok(place))) => {
            if history.was_begun || history.failure.is_some() || history.success.is_some() {
                notes.extend(rules::remark(place));
            }
            notes.extend(rules::damage(&Facts { place, state, stem: &target.prefix.stem(), now }));
            if let (Some(success), Some(markers), None) =
                (&history.success, rules::markers(place), &history.failure)
            {
                notes.extend(rules::another_disk(success, markers));
            }
        }
        (Some(_), Some(Err(why))) => notes.push(why.clone()),
        (Some(_) | None, _) => notes.extend(state.err().map(str::to_owned)),
    }
    let last = state.ok().flatten().and_then(|state| state.last.as_ref());
    notes.extend(last.filter(|_| history.failure.is_none()).and_then(rules::skipped));
    notes.extend(subject.notes.iter().cloned());
    notes.iter().map(|note| line(note.trim_end_matches('.'))).collect()
}

/// Whether the destination's lock is held. An ordinary user sees the locks of their own runs alone.
fn is_locked(host: &Host, directory: FileIdentity) -> bool {
    if host.platform != Platform::Linux {
        return false;
    }
    let Ok(Some(file)) = Lock::examine(&host.lock_dir, directory) else { return false };
    std::fs::read("/proc/locks").is_ok_and(|table| linux::locks::is_held(&table, file))
}

/// Text from a file that others may have written.
fn line(text: &str) -> String {
    display::line(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Completed, History, Word, word};

    fn success(warnings: &[&str]) -> Completed {
        Completed {
            at: None,
            age_seconds: 0,
            seconds: None,
            files: None,
            size: None,
            transferred: None,
            transferred_size: None,
            deleted: None,
            snapshots: Vec::new(),
            hashes: None,
            warnings: warnings.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn each_state_has_its_word() {
        let none = History { success: None, failure: None, was_begun: false };
        let begun = History { was_begun: true, ..none };
        assert_eq!(word(&none, None, false, false, false), Word::Unknown);
        assert_eq!(word(&begun, None, false, false, false), Word::Never);
        assert_eq!(word(&begun, None, false, true, false), Word::Unfinished);
        assert_eq!(word(&begun, Some(&success(&[])), false, false, false), Word::Ok);
        assert_eq!(word(&begun, Some(&success(&[])), false, false, true), Word::Warning);
        assert_eq!(word(&begun, Some(&success(&["x"])), false, false, false), Word::Warning);
        assert_eq!(word(&begun, Some(&success(&[])), true, true, false), Word::Running);
        let failure = crate::check::events::Failure { at: 1, reason: "", record: None };
        let failed = History { failure: Some(failure), ..begun };
        assert_eq!(word(&failed, Some(&success(&[])), false, true, false), Word::Failed);
        assert_eq!(word(&failed, None, true, false, false), Word::Running);
        for word in [Word::Ok, Word::Warning, Word::Running, Word::Unfinished, Word::Failed, Word::Never] {
            assert_eq!(serde_json::to_value(word).unwrap(), word.text());
        }
    }
}
