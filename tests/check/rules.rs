//! The rules by themselves, on every combination of what can be known.

use counterpart::check::limits::Limits;
use counterpart::check::markers::{ErrorMark, Found, Markers, Place};
use counterpart::check::rules::{Facts, evaluate};
use counterpart::check::status::{Finding, Status};
use counterpart::marker::Prefix;
use counterpart::marker::stats::StatsFile;
use counterpart::record::{Lines, Moment, Record, SCHEMA, Statistics, Status as Outcome};
use counterpart::state::State;

/// The present; ages are counted back from here.
pub const NOW: i64 = 1_800_000_000;

const HOUR: i64 = 3600;

const LIMITS: Limits = Limits { warning: 26 * HOUR, critical: 50 * HOUR };

const STEM: &str = ".me.jedda.counterpart.";

fn moment(epoch: i64) -> Moment {
    Moment { rfc3339: String::new(), epoch }
}

/// A run of four minutes that ended so long ago.
pub fn record(outcome: Outcome, ago: i64) -> Record {
    Record {
        schema: SCHEMA,
        counterpart: "2.0.0".to_owned(),
        host: "host".to_owned(),
        system: "Linux".to_owned(),
        source: "/".to_owned(),
        destination: "/mnt/clone".to_owned(),
        prefix: "me.jedda".to_owned(),
        outcome,
        exit_code: u8::from(outcome == Outcome::Failed) * 12,
        reason: (outcome == Outcome::Failed).then(|| "The cable fell out.".to_owned()),
        warnings: Lines::default(),
        started: moment(NOW - ago - 240),
        ended: moment(NOW - ago),
        seconds: 240.0,
        phases: Vec::new(),
        rsync: None,
        statistics: Some(Statistics {
            files: Some(133_002),
            transferred: Some(1204),
            ..Statistics::default()
        }),
        census: None,
        scripts: Vec::new(),
        failing_paths: Lines::default(),
        log: Some("/var/log/counterpart/Counterpart_x".to_owned()),
        changes: None,
        snapshots: Vec::new(),
        hashes: None,
        proof: None,
        verification: None,
    }
}

pub fn state(last: Option<Record>, last_success: Option<Record>) -> State {
    let path = std::path::Path::new("/mnt/clone");
    State { last, last_success, ..State::new(path, &Prefix::default()) }
}

/// What is remembered after a success so long ago.
fn good(ago: i64) -> State {
    state(Some(record(Outcome::Success, ago)), Some(record(Outcome::Success, ago)))
}

/// What is remembered after a failure, and a success before it.
fn bad(ago: i64, success: Option<i64>) -> State {
    state(Some(record(Outcome::Failed, ago)), success.map(|ago| record(Outcome::Success, ago)))
}

fn bare() -> Markers {
    Markers {
        completed: Found::Absent,
        error: Found::Absent,
        statistics: Found::Absent,
        record: Found::Absent,
        identity: Found::Absent,
    }
}

/// The markers after a success so long ago.
fn complete(ago: i64) -> Markers {
    Markers {
        completed: Found::Present(NOW - ago),
        statistics: Found::Present(statistics(ago, Some(0))),
        identity: Found::Present(()),
        ..bare()
    }
}

fn statistics(ago: i64, exit_code: Option<u64>) -> StatsFile {
    StatsFile {
        started: u64::try_from(NOW - ago - 60).ok(),
        completed: u64::try_from(NOW - ago).ok(),
        files: Some(10),
        transferred: Some(3),
        exit_code,
        ..StatsFile::default()
    }
}

fn error(ago: i64) -> Found<ErrorMark> {
    Found::Present(ErrorMark { at: NOW - ago, reason: "The disk is full.".to_owned() })
}

fn seen(markers: Markers) -> Place {
    Place::Seen(Box::new(markers))
}

fn of(place: &Place, state: Option<&State>) -> Finding {
    evaluate(&Facts { place, state: Ok(state), stem: STEM, now: NOW }, LIMITS)
}

#[track_caller]
fn expect(place: &Place, state: Option<&State>, status: Status, words: &[&str]) -> Finding {
    let ending = of(place, state);
    assert_eq!(ending.status, status, "{ending:?}");
    for word in words {
        assert!(ending.sentence.contains(word), "{word:?} is not in {:?}", ending.sentence);
    }
    ending
}

#[test]
fn age_alone_decides_after_a_success() {
    for (ago, status) in [
        (0, Status::Ok),
        (LIMITS.warning, Status::Ok),
        (LIMITS.warning + 1, Status::Warning),
        (LIMITS.critical, Status::Warning),
        (LIMITS.critical + 1, Status::Critical),
    ] {
        for (place, state) in [
            (seen(complete(ago)), None),
            (seen(complete(ago)), Some(good(ago))),
            (Place::Missing, Some(good(ago))),
            (Place::Barred, Some(good(ago))),
            (seen(bare()), Some(good(ago))),
        ] {
            let ending = expect(&place, state.as_ref(), status, &["completed "]);
            assert_eq!(ending.figures.age, Some(ago), "{ending:?}");
        }
    }
}

#[test]
fn the_words_are_those_of_a_person() {
    let ending = expect(&seen(complete(3 * HOUR + 12 * 60)), None, Status::Ok, &[]);
    let sentence = &ending.sentence;
    assert!(sentence.starts_with("completed 3 h 12 min ago (2027-01-1"), "{sentence}");
    assert!(sentence.ends_with("), 3 of 10 files copied in 1 min"), "{sentence}");
    let ending = expect(&seen(complete(HOUR)), Some(&good(HOUR)), Status::Ok, &[]);
    assert!(ending.sentence.ends_with("), 1,204 of 133,002 files copied in 4 min"), "{ending:?}");
    assert_eq!(ending.details, ["Source: / on host", "Log: /var/log/counterpart/Counterpart_x"]);
    expect(
        &seen(complete(60 * HOUR)),
        None,
        Status::Critical,
        &["completed 2 d 12 h ago", "longer ago than 2 d 2 h"],
    );
}

#[test]
fn a_failure_after_the_last_success_is_critical_wherever_it_is_known_from() {
    let failed = Markers { error: error(HOUR), identity: Found::Present(()), ..bare() };
    let words = &["failed 1 h ago", "The disk is full; the last success was 20 h ago"][..];
    expect(&seen(failed.clone()), Some(&good(20 * HOUR)), Status::Critical, words);
    expect(&seen(failed.clone()), None, Status::Critical, &["The disk is full; no earlier success is known"]);
    // Not written to the destination: it was refused, or read-only, or not there.
    let memory = bad(HOUR, Some(20 * HOUR));
    for place in [seen(complete(20 * HOUR)), seen(bare()), Place::Missing, Place::Barred] {
        let ending = expect(
            &place,
            Some(&memory),
            Status::Critical,
            &["The cable fell out; the last success was 20 h"],
        );
        assert_eq!(ending.figures.age, Some(20 * HOUR));
        assert_eq!(ending.details[0], "Reason: The cable fell out.");
    }
    // Told by the statistics in JSON alone.
    let told = Markers { record: Found::Present(record(Outcome::Failed, HOUR)), ..complete(20 * HOUR) };
    expect(&seen(told), None, Status::Critical, &["The cable fell out"]);
}

#[test]
fn a_failure_before_the_last_success_is_over() {
    // The original left its error when a later run succeeded.
    let both = Markers { error: error(30 * HOUR), ..complete(HOUR) };
    expect(&seen(both.clone()), None, Status::Ok, &["completed 1 h ago"]);
    // Another machine, or the original, has cloned since.
    expect(&seen(complete(HOUR)), Some(&bad(30 * HOUR, None)), Status::Ok, &["completed 1 h ago"]);
    let later = Markers { error: error(HOUR), ..complete(30 * HOUR) };
    expect(&seen(later), None, Status::Critical, &["failed 1 h ago"]);
}

#[test]
fn each_source_knows_the_order_of_its_own_runs_whatever_the_clocks_did() {
    // The clock was set back between the success and the failure that removed its marker.
    let markers = Markers { completed: Found::Absent, error: error(3 * HOUR), ..complete(HOUR) };
    expect(&seen(markers), None, Status::Critical, &["failed 3 h ago", "the last success was 1 h ago"]);
    expect(&Place::Missing, Some(&bad(3 * HOUR, Some(HOUR))), Status::Critical, &["failed 3 h ago"]);
}

#[test]
fn a_failure_in_the_same_second_as_a_success_counts() {
    expect(&seen(complete(HOUR)), Some(&bad(HOUR, Some(HOUR))), Status::Critical, &["failed 1 h ago"]);
    expect(&seen(Markers { error: error(HOUR), ..complete(HOUR) }), None, Status::Critical, &["failed"]);
}

#[test]
fn a_run_that_never_succeeded_is_critical() {
    let begun = Markers { identity: Found::Present(()), ..bare() };
    expect(
        &seen(begun.clone()),
        None,
        Status::Critical,
        &["no clone was ever completed", "under way or was killed"],
    );
    let skipped = state(Some(record(Outcome::Skipped, HOUR)), None);
    expect(&Place::Missing, Some(&skipped), Status::Critical, &["no clone was ever completed"]);
    // The original wrote "Clone Completed" after failures as well: without its marker that says nothing.
    let only = Markers { statistics: Found::Present(statistics(HOUR, None)), ..bare() };
    expect(&seen(only), None, Status::Critical, &["no clone was ever completed"]);
    let of_failure = Markers { statistics: Found::Present(statistics(HOUR, Some(12))), ..begun };
    expect(&seen(of_failure), None, Status::Critical, &["no clone was ever completed"]);
}

#[test]
fn what_nobody_has_heard_of_is_unknown() {
    for (place, words) in [
        (seen(bare()), "there is no Counterpart marker there"),
        (Place::Missing, "it does not exist"),
        (Place::Barred, "has no access to it"),
        (Place::Broken("Input/output error".to_owned()), "Input/output error"),
        (Place::Silent(10.0), "did not answer within 10 s"),
    ] {
        let ending = expect(&place, None, Status::Unknown, &[words, "has no record of a clone"]);
        assert_eq!(ending.figures.age, None);
        // A memory without a run is none.
        expect(&place, Some(&state(None, None)), Status::Unknown, &[]);
    }
}

#[test]
fn warnings_of_a_success_are_a_warning_until_it_is_too_old() {
    let mut run = record(Outcome::Warning, HOUR);
    run.warnings.push("the post-clone script ended with 3".to_owned());
    run.warnings.more = 1;
    let memory = state(Some(run.clone()), Some(run.clone()));
    for place in [Place::Missing, seen(complete(HOUR)), seen(complete(HOUR + 100))] {
        let ending =
            expect(&place, Some(&memory), Status::Warning, &["with warnings: the post-clone script ended"]);
        assert_eq!(ending.details[0], "Warning: the post-clone script ended with 3");
        assert_eq!(ending.details[1], "Warning: and 1 more");
    }
    let told = Markers { record: Found::Present(run), ..complete(HOUR) };
    expect(&seen(told), None, Status::Warning, &["post-clone"]);
    let vanished = Markers { statistics: Found::Present(statistics(HOUR, Some(24))), ..complete(HOUR) };
    expect(&seen(vanished), None, Status::Warning, &["files vanished"]);
    let old = record(Outcome::Warning, 60 * HOUR);
    expect(&Place::Missing, Some(&state(Some(old.clone()), Some(old))), Status::Critical, &["with warnings"]);
    // A warning of an earlier run is over.
    let earlier = state(Some(record(Outcome::Warning, 20 * HOUR)), Some(record(Outcome::Warning, 20 * HOUR)));
    expect(&seen(complete(HOUR)), Some(&earlier), Status::Ok, &[]);
}

#[test]
fn a_run_that_is_under_way_or_was_killed_is_judged_by_the_success_before() {
    for (ago, status) in
        [(20 * HOUR, Status::Ok), (30 * HOUR, Status::Warning), (60 * HOUR, Status::Critical)]
    {
        let markers = Markers { completed: Found::Absent, ..complete(ago) };
        let ending =
            expect(&seen(markers.clone()), None, status, &["is not complete", "under way or was killed"]);
        assert_eq!(ending.figures.age, Some(ago));
        expect(&seen(markers), Some(&good(ago)), status, &["under way or was killed"]);
    }
}

#[test]
fn a_skipped_run_leaves_it_to_the_age() {
    for (ago, status) in
        [(20 * HOUR, Status::Ok), (30 * HOUR, Status::Warning), (60 * HOUR, Status::Critical)]
    {
        let memory = state(Some(record(Outcome::Skipped, HOUR)), Some(record(Outcome::Success, ago)));
        let ending = expect(&Place::Missing, Some(&memory), status, &["the destination is not there now"]);
        assert!(ending.details.last().unwrap().contains("was skipped"), "{ending:?}");
    }
}

#[test]
fn a_time_in_the_future_is_a_warning_and_outweighs_no_failure() {
    let ending = expect(&seen(complete(-2 * HOUR)), None, Status::Warning, &["2 h in the future", "clock"]);
    assert_eq!(ending.figures.age, Some(0));
    // A minute may be another machine's clock.
    let ending = expect(&seen(complete(-30)), None, Status::Ok, &["completed 0 s ago"]);
    assert_eq!(ending.figures.age, Some(0));
    expect(&seen(complete(-2 * HOUR)), Some(&bad(HOUR, None)), Status::Critical, &["failed 1 h ago"]);
    expect(&seen(Markers { error: error(-2 * HOUR), ..bare() }), None, Status::Critical, &["failed 0 s ago"]);
    expect(&seen(complete(i64::MIN + NOW + 1)), None, Status::Warning, &["in the future"]);
    expect(&seen(complete(i64::MAX)), None, Status::Critical, &["longer ago than"]);
}

#[test]
fn damage_is_unknown_unless_something_worse_is_known() {
    let damage = || "it is not a regular file".to_owned();
    let all: [fn(Markers, String) -> Markers; 5] = [
        |markers, why| Markers { completed: Found::Damaged(why), ..markers },
        |markers, why| Markers { error: Found::Damaged(why), ..markers },
        |markers, why| Markers { statistics: Found::Damaged(why), ..markers },
        |markers, why| Markers { record: Found::Damaged(why), ..markers },
        |markers, why| Markers { identity: Found::Damaged(why), ..markers },
    ];
    for (break_it, name) in all.iter().zip(["completed", "error", "stats", "stats.json", "id"]) {
        let told = format!("{STEM}{name} cannot be read: it is not a regular file");
        let place = seen(break_it(complete(HOUR), damage()));
        expect(&place, Some(&good(HOUR)), Status::Unknown, &[&told]);
        expect(&place, Some(&bad(60, Some(HOUR))), Status::Critical, &["failed", &told]);
        expect(&seen(break_it(bare(), damage())), None, Status::Unknown, &[&told]);
        let old = seen(break_it(complete(30 * HOUR), damage()));
        expect(&old, Some(&good(30 * HOUR)), Status::Warning, &["longer ago", &told]);
    }
}

#[test]
fn a_memory_that_cannot_be_read_is_unknown_unless_something_worse_is_known() {
    for (place, status) in [
        (seen(complete(HOUR)), Status::Unknown),
        (seen(complete(60 * HOUR)), Status::Critical),
        (Place::Missing, Status::Unknown),
        (seen(bare()), Status::Unknown),
    ] {
        let facts = Facts { place: &place, state: Err("EOF while parsing"), stem: STEM, now: NOW };
        let ending = evaluate(&facts, LIMITS);
        assert_eq!(ending.status, status, "{ending:?}");
        assert!(ending.sentence.ends_with("this machine's records cannot be read: EOF while parsing"));
        assert!(!ending.sentence.contains("according to"), "{ending:?}");
    }
}

#[test]
fn a_destination_that_breaks_or_hangs_is_unknown_and_what_is_remembered_is_told() {
    let broken = Place::Broken("Stale file handle".to_owned());
    expect(
        &broken,
        Some(&good(HOUR)),
        Status::Unknown,
        &["completed 1 h ago", "Stale file handle", "according to"],
    );
    expect(&broken, Some(&bad(HOUR, None)), Status::Critical, &["failed 1 h ago", "Stale file handle"]);
    for memory in [good(HOUR), good(60 * HOUR), bad(HOUR, None)] {
        let words = &["did not answer within 0.5 s; this machine's records say: ", " ago ("][..];
        expect(&Place::Silent(0.5), Some(&memory), Status::Unknown, words);
    }
}

#[test]
fn disks_that_take_turns_are_told() {
    let ending = expect(&seen(complete(30 * HOUR)), Some(&good(HOUR)), Status::Ok, &["completed 1 h ago"]);
    assert!(
        ending.details.iter().any(|line| line.contains("now holds the clone of 2027-01-1")),
        "{ending:?}"
    );
    let failed = Markers { error: error(30 * HOUR), identity: Found::Present(()), ..bare() };
    let ending = expect(&seen(failed), Some(&good(HOUR)), Status::Ok, &["completed 1 h ago"]);
    assert!(ending.details.iter().any(|line| line.contains("has the error of 2027")), "{ending:?}");
    let ending = expect(&seen(complete(HOUR)), Some(&good(HOUR)), Status::Ok, &[]);
    assert!(!ending.details.iter().any(|line| line.contains("The disk")), "{ending:?}");
}

#[test]
fn the_completion_is_when_rsync_was_done_and_not_when_the_scripts_were() {
    // The run went on for an hour after the marker.
    let mut run = record(Outcome::Success, HOUR);
    run.started = moment(NOW - 3 * HOUR);
    let ending = of(&seen(complete(2 * HOUR)), Some(&state(Some(run.clone()), Some(run))));
    assert_eq!((ending.status, ending.figures.age), (Status::Ok, Some(2 * HOUR)), "{ending:?}");
    assert_eq!(ending.figures.files, Some(133_002), "the record's");
}

#[test]
fn every_combination_is_consistent() {
    let ages = [None, Some(HOUR), Some(30 * HOUR), Some(60 * HOUR)];
    let mut seen_at_all = [0; 4];
    for completed in ages {
        for failed in ages {
            for remembered in ages {
                for remembered_failure in [None, Some(HOUR / 2), Some(40 * HOUR)] {
                    if remembered
                        .is_some_and(|success| remembered_failure.is_some_and(|failure| failure > success))
                    {
                        // The last run is the last run.
                        continue;
                    }
                    let markers = Markers {
                        completed: completed.map_or(Found::Absent, |ago| Found::Present(NOW - ago)),
                        error: failed.map_or(Found::Absent, error),
                        ..bare()
                    };
                    let success = remembered.map(|ago| record(Outcome::Success, ago));
                    let failure = remembered_failure.map(|ago| record(Outcome::Failed, ago));
                    let memory = state(failure.or_else(|| success.clone()), success);
                    let ending = of(&seen(markers), Some(&memory));
                    let newest = |ages: [Option<i64>; 2]| ages.into_iter().flatten().min();
                    let (good, bad) = (newest([completed, remembered]), newest([failed, remembered_failure]));
                    let expected = match (good, bad) {
                        (None, None) => Status::Unknown,
                        (None, Some(_)) => Status::Critical,
                        (Some(good), Some(bad)) if bad <= good => Status::Critical,
                        (Some(good), _) if good > LIMITS.critical => Status::Critical,
                        (Some(good), _) if good > LIMITS.warning => Status::Warning,
                        (Some(_), _) => Status::Ok,
                    };
                    assert_eq!(ending.status, expected, "{ending:?} {completed:?} {failed:?} {remembered:?}");
                    assert_eq!(ending.figures.age, good, "{ending:?}");
                    seen_at_all[usize::from(expected.number())] += 1;
                }
            }
        }
    }
    assert!(seen_at_all.iter().all(|count| *count > 0), "{seen_at_all:?}");
}
