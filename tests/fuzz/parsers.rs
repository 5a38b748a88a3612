//! Every parser of input from other programs, the kernel or strangers, as functions of bytes: for `cargo fuzz`, and for
//! `tests/corpus.rs`, which feeds them the fuzzer's findings. Each panics if something is wrong.

mod decisions;
mod systems;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use counterpart::display;
use counterpart::host::platform::MacOsVersion;
use counterpart::marker::identity::{Identity, read_uuid};
use counterpart::phases::safety_net::name::NetName;
use counterpart::process::lines::Splitter;
use counterpart::record::Statistics;
use counterpart::rsync::diagnostics::Diagnostics;
use counterpart::rsync::filter::rules;
use counterpart::rsync::itemized::Item;
use counterpart::rsync::progress::Progress;
use counterpart::rsync::version;

pub use decisions::{address, left_out, markers, metrics, schedule, state, stats_file};
pub use systems::{
    blocked, fstab, keychain, launchd, locks, mounts, mysql, names, openldap, ownership, postgres, server,
    sockets, systemd,
};

/// A parser, fed with anything.
pub type Parser = fn(&[u8]);

/// Every parser by its name, which is also that of its fuzz target and of its corpus in `tests/fixtures/fuzz`.
pub const PARSERS: [(&str, Parser); 32] = [
    ("address", address),
    ("blocked", blocked),
    ("diagnostics", diagnostics),
    ("fstab", fstab),
    ("identity", identity),
    ("itemized", itemized),
    ("keychain", keychain),
    ("launchd", launchd),
    ("left_out", left_out),
    ("lines", lines),
    ("locks", locks),
    ("markers", markers),
    ("metrics", metrics),
    ("mounts", mounts),
    ("mysql", mysql),
    ("names", names),
    ("net_name", net_name),
    ("openldap", openldap),
    ("ownership", ownership),
    ("postgres", postgres),
    ("progress", progress),
    ("rules", rules),
    ("schedule", schedule),
    ("server", server),
    ("shown", shown),
    ("sockets", sockets),
    ("state", state),
    ("statistics", statistics),
    ("stats_file", stats_file),
    ("systemd", systemd),
    ("version", version),
    ("version_of_macos", version_of_macos),
];

/// `rsync --version`, with what it printed to standard error behind the first zero.
pub fn version(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (out, err) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    assert!(!version::identify(out, err).to_string().is_empty());
}

/// `sw_vers -productVersion`.
pub fn version_of_macos(data: &[u8]) {
    if let Ok(version) = String::from_utf8_lossy(data).parse::<MacOsVersion>() {
        assert!(version.major >= 10);
    }
}

/// `rsync --stats`.
pub fn statistics(data: &[u8]) {
    let mut statistics = Statistics::default();
    let known = data.split(|byte| *byte == b'\n').filter(|line| statistics.read_line(line)).count();
    let told = statistics.original_lines().into_iter().chain(statistics.further_lines());
    let values = told.filter(|(_, value, _)| value.is_some()).count();
    assert!(values <= known, "a value came from nowhere");
    assert!(!statistics.is_complete() || values >= 6);
}

/// rsync's standard error.
pub fn diagnostics(data: &[u8]) {
    let mut found = Diagnostics::default();
    for line in data.split(|byte| *byte == b'\n') {
        found.read_line(line);
        found.read_output(line);
    }
    found.name_temporaries(|path| path.len() % 2 == 0);
    assert!(found.paths.len() as u64 <= found.failing);
    let limits = found.limited.iter().flat_map(|limited| limited.examples.iter().chain(&limited.or_no_room));
    let told = found.paths.iter().chain(&found.no_room).chain(found.missing_user.iter().flatten());
    for text in told.chain(&found.not_empty).chain(limits) {
        assert_harmless(text);
    }
    assert!(found.more() <= found.failing);
}

/// `--info=progress2`.
pub fn progress(data: &[u8]) {
    if let Some(progress) = Progress::read(data) {
        assert!(progress.percent <= 100);
    }
}

/// `--out-format='%i %n'`.
pub fn itemized(data: &[u8]) {
    if let Some(item) = Item::read(data) {
        assert!(data.ends_with(item.name));
        assert_eq!(item.is_dir(), data.ends_with(b"/") && !item.name.is_empty());
    }
}

/// An excludes file of the user.
pub fn rules(data: &[u8]) {
    if let Some(rest) = rules::after_clearing(data) {
        assert!(rest.len() < data.len() && data.ends_with(rest));
        assert_eq!(rules::after_clearing(rest), None, "the last one clears");
    }
    let rule = rules::leave_out(OsStr::from_bytes(data), false);
    assert!(rule.as_bytes().starts_with(b"- /") && rule.len() >= data.len() + 3);
}

/// Names, and what other programs print, on their way to people and back.
pub fn shown(data: &[u8]) {
    let text = display::line(data).to_string();
    assert_harmless(&text);
    assert_eq!(text, display::name(OsStr::from_bytes(data)).to_string());
    assert!(display::unescape(data).len() <= data.len());
    // What holds no escape of its own comes back as it was.
    if !data.windows(2).any(|pair| pair == b"\\#") && !data.ends_with(b"\\") {
        assert_eq!(display::unescape(text.as_bytes()), data);
    }
}

/// Nothing in a text can forge a line or drive a terminal.
fn assert_harmless(text: &str) {
    assert!(!text.chars().any(|character| character.is_control() && character != '\t'), "{text:?}");
}

/// The identity at a destination, and the UUID that a tool printed.
pub fn identity(data: &[u8]) {
    if let Some(identity) = Identity::read(data) {
        assert_eq!(identity.id.len(), 32);
        let again = Identity::read(identity.to_string().as_bytes());
        assert_eq!(again.as_ref(), Some(&identity), "what is written is read");
    }
    if let Some(uuid) = read_uuid(&String::from_utf8_lossy(data)) {
        assert!(uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}

/// The name of a safety net.
pub fn net_name(data: &[u8]) {
    let name = OsStr::from_bytes(data);
    if let Some(net) = NetName::read(name) {
        assert_eq!(net.to_os_string(), name, "no other form is accepted");
        assert_eq!(NetName::read_removing(&net.removing()), Some(net));
        assert!(net.fits(&net.to_string()) && net.fits(""));
    }
    assert!(NetName::read_removing(name).is_none() || NetName::read(name).is_none());
}

/// What a program prints, however it arrives: no piece is lost, and the same lines come out.
pub fn lines(data: &[u8]) {
    let in_pieces = |size: usize| {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        let mut emit = |line: &[u8], transient| lines.push((line.to_vec(), transient));
        data.chunks(size).for_each(|piece| splitter.push(piece, &mut emit));
        splitter.finish(&mut emit);
        lines
    };
    let lines = in_pieces(1 << 20);
    assert_eq!(in_pieces(1), lines);
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let all: Vec<u8> = lines.iter().flat_map(|(line, _)| line.clone()).collect();
    assert_eq!(all, data.iter().copied().filter(|byte| !is_end(byte)).collect::<Vec<_>>());
}
