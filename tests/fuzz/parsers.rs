//! Everything that reads what other programs, the kernel or strangers wrote, as functions of bytes: for `cargo fuzz`, and
//! for `tests/corpus.rs`, which feeds them what the fuzzer has found. Each panics where something is wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use counterpart::host::platform::MacOsVersion;
use counterpart::host::state::State;
use counterpart::identity::{Identity, read_uuid};
use counterpart::linux::blocked::{BlockedCall, process_group};
use counterpart::linux::{mounts, mysql, openldap, postgres, sockets};
use counterpart::macos::{keychain, ownership, server};
use counterpart::phases::safety_net::name::NetName;
use counterpart::rsync::diagnostics::Diagnostics;
use counterpart::rsync::itemized::Item;
use counterpart::rsync::progress::Progress;
use counterpart::rsync::statistics::Statistics;
use counterpart::rsync::{rules, version};
use counterpart::shown;
use counterpart::stats_file::StatsFile;

/// A parser, fed with anything.
pub type Parser = fn(&[u8]);

/// Every parser by its name, which is also that of its fuzz target and of its corpus in `tests/fixtures/fuzz`.
pub const PARSERS: [(&str, Parser); 21] = [
    ("blocked", blocked),
    ("diagnostics", diagnostics),
    ("identity", identity),
    ("itemized", itemized),
    ("keychain", keychain),
    ("mounts", mounts),
    ("mysql", mysql),
    ("net_name", net_name),
    ("openldap", openldap),
    ("ownership", ownership),
    ("postgres", postgres),
    ("progress", progress),
    ("rules", rules),
    ("server", server),
    ("shown", shown),
    ("sockets", sockets),
    ("state", state),
    ("statistics", statistics),
    ("stats_file", stats_file),
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
    }
    assert!(found.paths.len() as u64 <= found.failing);
    for text in found.paths.iter().chain(&found.no_room).chain(found.missing_user.iter().flatten()) {
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
        assert_eq!(item.is_folder(), data.ends_with(b"/") && !item.name.is_empty());
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
    let text = shown::line(data).to_string();
    assert_harmless(&text);
    assert_eq!(text, shown::name(OsStr::from_bytes(data)).to_string());
    assert!(shown::unescape(data).len() <= data.len());
    // What holds no escape of its own comes back as it was.
    if !data.windows(2).any(|pair| pair == b"\\#") && !data.ends_with(b"\\") {
        assert_eq!(shown::unescape(text.as_bytes()), data);
    }
}

fn assert_harmless(text: &str) {
    assert!(!text.chars().any(|character| character.is_control() && character != '\t'), "{text:?}");
}

/// `/proc/PID/mountinfo`, and `/proc/PID/fdinfo/FD`.
pub fn mounts(data: &[u8]) {
    let table = mounts::read(data);
    let text = String::from_utf8_lossy(data);
    let id = mounts::mount_id(&text).unwrap_or(1);
    let _ = mounts::device_name(&text);
    for mount in &table {
        let _ = (
            mount.layers(),
            mount.upper_layer(),
            mount.ownership(),
            mount.keeps_sizes(),
            mount.has_fixed_inodes(),
        );
    }
    for source in ["/", "/home", "relative"] {
        assert!(mounts::left_out(&table, id, Path::new(source)).len() <= table.len());
        let _ = mounts::locate(&table, id, Path::new(source));
    }
}

/// `/proc/net/unix`.
pub fn sockets(data: &[u8]) {
    assert!(sockets::listening(data).iter().all(|path| path.is_absolute()));
}

/// `/proc/PID/stat` and `/proc/PID/syscall`.
pub fn blocked(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = process_group(&text);
    let _ = BlockedCall::read(&text);
}

/// A server's lock file, a dump, and what the dumper says.
pub fn postgres(data: &[u8]) {
    assert!(postgres::data_folder(data).is_none_or(|folder| folder.is_absolute()));
    let _ = postgres::Version::read(&String::from_utf8_lossy(data));
    let _ = postgres::Socket::read(Path::new(OsStr::from_bytes(data)));
    let _ = postgres::is_harmless(data);
    let in_pieces = |size: usize| {
        let (mut databases, mut names) = (postgres::Databases::default(), Vec::new());
        data.chunks(size).for_each(|piece| databases.read(piece, &mut |name| names.push(name)));
        names
    };
    assert_eq!(in_pieces(7), in_pieces(1 << 20));
}

/// A list of databases, and a dump.
pub fn mysql(data: &[u8]) {
    assert!(mysql::listed(data).iter().all(|name| !name.is_empty()));
    let _ = mysql::is_socket(Path::new(OsStr::from_bytes(data)));
    let in_pieces = |size: usize| {
        let (mut databases, mut names) = (mysql::Databases::default(), Vec::new());
        data.chunks(size).for_each(|piece| databases.read(piece, &mut |name| names.push(name)));
        names
    };
    assert_eq!(in_pieces(7), in_pieces(1 << 20));
}

/// What slapcat says, and `/proc/PID/status`.
pub fn openldap(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (openldap::owner(&text), openldap::last_database(&text), openldap::holds_nothing(&text));
    let _ = openldap::is_harmless(data);
}

/// `vsdbutil` and `diskutil`.
pub fn ownership(data: &[u8]) {
    for succeeded in [false, true] {
        let _ = ownership::read_vsdbutil(data, b"", succeeded);
        let _ = ownership::read_vsdbutil(b"", data, succeeded);
    }
    let _ = ownership::Volume::read(data);
}

/// `security find-generic-password -g`.
pub fn keychain(data: &[u8]) {
    let _ = keychain::read_password(data);
}

/// `serveradmin`.
pub fn server(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (server::value(data, "postgres:state"), server::read_status(data, "postgres"));
    let _ = (server::is_gone(data, "wiki"), server::read_directory(data));
    let _ = (server::refusal(&text, ""), server::refusal("", &text), server::socket_port(&text));
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

/// The statistics at a destination, ours or the original's.
pub fn stats_file(data: &[u8]) {
    let _ = StatsFile::read(data);
}

/// What is remembered of a destination.
pub fn state(data: &[u8]) {
    if let Ok(state) = State::parse(data) {
        assert!(state.disks.iter().all(|disk| data.len() > disk.id.len()));
    }
}

/// The name of a safety net.
pub fn net_name(data: &[u8]) {
    let name = OsStr::from_bytes(data);
    if let Some(net) = NetName::read(name) {
        assert_eq!(net.to_os_string(), name, "no other form is accepted");
        assert!(NetName::is_removing(&net.removing()));
    }
    assert!(!(NetName::is_removing(name) && NetName::read(name).is_some()));
}
