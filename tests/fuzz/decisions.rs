//! Input from destinations, this machine's state and users, and the decisions based on it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use counterpart::check::answer::answer;
use counterpart::check::limits::Limits;
use counterpart::check::markers;
use counterpart::check::markers::Place;
use counterpart::check::rules::{Facts, evaluate};
use counterpart::check::status::Status;
use counterpart::display;
use counterpart::linux::systemd;
use counterpart::macos::launchd;
use counterpart::marker::stats::StatsFile;
use counterpart::marker::{Marker, Prefix};
use counterpart::plan::ping_url::Address;
use counterpart::plan::schedule::Name;
use counterpart::plan::schedule::when::{Clock, When};
use counterpart::record::prometheus;
use counterpart::rsync::filter::matcher::LeftOut;
use counterpart::rsync::filter::rules::{Rules, hides};
use counterpart::state::State;

use super::assert_harmless;

/// A run that succeeded, as this machine remembers it.
const REMEMBERED: &[u8] = include_bytes!("../fixtures/fuzz/state/seed-01");

/// The moment of every judgement, in seconds since 1970.
const NOW: i64 = 1_795_403_300;

/// An address that is told how a run went.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(address) = text.parse::<Address>() else { return };
    let shown = address.to_string();
    assert!(shown.starts_with("http") && !shown.contains('@') && !shown.contains('?'), "{shown}");
    assert_eq!(shown.matches('/').count(), 2, "{shown}");
    for more in ["", "/start", "/1"] {
        let whole = address.with(more);
        let again = whole.parse::<Address>().unwrap();
        assert_eq!((again.with(""), again.is_encrypted()), (whole, address.is_encrypted()));
    }
}

/// A path and, in further lines, an excludes file: what it leaves out.
pub fn left_out(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (path, users) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
    let relative = names.join(&b'/');
    let rules = Rules { users: Some(users.to_vec()), ..Rules::default() };
    let prefix = Prefix::default();
    for contents in [false, true] {
        let destination = Some((OsStr::from_bytes(&relative), contents)).filter(|_| !names.is_empty());
        let left_out = LeftOut::of(&rules, &prefix, destination);
        let (mut place, mut is_out) = (left_out.top(), false);
        for name in &names {
            let (as_file, as_dir) = (left_out.has(&place, name, false), left_out.has(&place, name, true));
            assert!(as_dir || !as_file, "what leaves out any entry leaves out a directory");
            is_out |= as_dir;
            place = place.below(name);
        }
        is_out |= left_out.has(&place, b"any", false);
        assert!(is_out || names.is_empty(), "a destination inside the source is cloned into itself");
        if let Some(first) = names.first().filter(|first| hides(&prefix, OsStr::from_bytes(first))) {
            assert!(left_out.has(&left_out.top(), first, false), "a mark of ours is cloned");
        }
    }
    assert!(hides(&prefix, &prefix.marker(Marker::Completed)));
}

/// What a look at a destination tells, whose files strangers can write, and what monitoring is told of it.
pub fn markers(data: &[u8]) {
    let Some(look) = markers::parse(data) else { return };
    answered(&look.place, None);
    answered(&look.place, State::parse(REMEMBERED).ok().as_ref());
}

/// The answer holds one line for each that is meant, whatever the files say.
fn answered(place: &Place, state: Option<&State>) {
    let limits = Limits { warning: 26 * 3600, critical: 50 * 3600 };
    let ending =
        evaluate(&Facts { place, state: Ok(state), stem: ".me.jedda.counterpart.", now: NOW }, limits);
    let lines = ending.details.len();
    let (status, text) = answer(&[("/destination".to_owned(), ending.clone())], limits);
    assert!(text.starts_with("CLONE ") && text.ends_with('\n'));
    text.lines().for_each(assert_harmless);
    assert!((lines + 1..=lines + 2).contains(&text.matches('\n').count()), "{text:?}");
    assert!(text.matches('|').count() <= 1, "{text:?}");
    assert!(status != Status::Ok || ending.figures.age.is_some_and(|age| age <= limits.warning));
}

/// An earlier file of metrics, and a destination's name in it.
pub fn metrics(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = prometheus::last_success(&text, "/destination");
    let Some(mut record) = State::parse(REMEMBERED).ok().and_then(|state| state.last) else { return };
    record.destination = display::line(data).to_string();
    let written = prometheus::text(&record, Some(NOW));
    assert_eq!(prometheus::last_success(&written, &record.destination), Some(NOW), "{written}");
    "/destination".clone_into(&mut record.destination);
    assert_eq!(written.lines().count(), prometheus::text(&record, Some(NOW)).lines().count());
}

/// The name and the times of a schedule, and the prefix of a clone.
pub fn schedule(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = text.parse::<Name>() {
        let timer = systemd::unit(&name) + ".timer";
        assert_eq!(systemd::name_of(OsStr::new(&timer)).as_ref(), Some(&name));
        let file = launchd::label(&name) + ".plist";
        assert_eq!(launchd::name_of(OsStr::new(&file)).as_ref(), Some(&name));
        assert!(!timer.contains('/') && !file.contains('/'));
    }
    let _ = (systemd::name_of(OsStr::from_bytes(data)), launchd::name_of(OsStr::from_bytes(data)));
    if let Ok(clock) = text.parse::<Clock>() {
        assert_eq!(clock.to_string().parse(), Ok(clock));
    }
    match When::every(&text) {
        Ok(When::Hours(hours)) => assert_eq!(24 % hours, 0),
        Ok(When::Minutes(minutes)) => assert!(minutes < 60 && 60 % minutes == 0),
        Ok(other) => panic!("{other}"),
        Err(_) => {}
    }
    let (day, time) = text.split_once(' ').unwrap_or((&text, "4:00"));
    assert!(!matches!(When::weekly(day, time), Ok(When::Daily(_) | When::Hours(_) | When::Minutes(_))));
    if let Ok(prefix) = text.parse::<Prefix>() {
        let marker = prefix.marker(Marker::Identity);
        assert!(hides(&prefix, &marker) && prefix.owns(&marker) && !marker.as_bytes().contains(&b'/'));
        assert!(marker.len() < 200 && !marker.as_bytes().starts_with(b".."));
    }
}

/// The statistics at a destination, ours or the original's.
pub fn stats_file(data: &[u8]) {
    let file = StatsFile::read(data);
    assert!(
        file.last_complete.is_some() || file.last_complete(true).is_none_or(|_| file.completed.is_some())
    );
    assert!(file.seconds().is_none_or(|seconds| Some(seconds) <= file.completed.or(file.ended)));
}

/// What is remembered of a destination.
pub fn state(data: &[u8]) {
    let Ok(mut state) = State::parse(data) else { return };
    assert!(state.disks.iter().all(|disk| data.len() > disk.id.len()));
    if let Some(disk) = state.disks.first().cloned() {
        state.see(disk.clone());
        assert_eq!(state.disks.last().map(|last| &last.id), Some(&disk.id));
    }
    let place = Place::Missing;
    answered(&place, Some(&state));
}
