//! The output of Linux, macOS and their programs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use counterpart::fs::dir::FileIdentity;
use counterpart::linux::activity::{Stat, bytes_moved};
use counterpart::linux::blocked::BlockedCall;
use counterpart::linux::{fstab, locks, mounts, names, processes, sockets, systemd};
use counterpart::macos::{keychain, launchd, ownership};
use counterpart::marker::Prefix;
use counterpart::plan::schedule;
use counterpart::secret::Secret;
use counterpart::servers::macos_server;
use counterpart::servers::{mysql, openldap, postgres};

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
        assert!(mounts::left_out(&table, Path::new(source), |_| id.is_multiple_of(2)).len() <= table.len());
        let _ = mounts::locate(&table, id, Path::new(source));
    }
    if !data.contains(&0) {
        any_path_is_read(&Path::new("/").join(OsStr::from_bytes(data)));
    }
}

/// What the kernel writes of a path, at which something is mounted or which is a layer of an overlay, is that path again.
fn any_path_is_read(path: &Path) {
    let bytes = path.as_os_str().as_bytes();
    let written = escaped(bytes, b" \t\n\\");
    let line = [b"1 0 8:1 ", &*written, b" ", &written, b" rw - ext4 /dev/sda1 rw\n"].concat();
    let table = mounts::read(&line);
    assert_eq!(table.first().map(|mount| (&*mount.root, &*mount.point)), Some((path, path)));
    assert_eq!(mounts::locate(&table, 1, path).map(|(device, _)| device), Some("8:1"));

    // Whoever mounts the overlay has to put a backslash before these, and the kernel writes what was typed.
    let typed = bytes.iter().flat_map(|byte| match byte {
        b'\\' | b':' | b',' => vec![b'\\', *byte],
        _ => vec![*byte],
    });
    let layer = escaped(&typed.collect::<Vec<_>>(), b", \t\n\\");
    let start = b"1 0 0:40 / /m rw - overlay o rw,lowerdir=/lower:";
    let line = [start, &*layer, b",upperdir=", &layer, b",workdir=/w\n"].concat();
    let layers = mounts::read(&line).first().map(mounts::Mount::layers);
    assert_eq!(layers, Some(vec![path.to_owned(), "/lower".into(), path.to_owned()]));
}

/// As the kernel writes a text in its tables: some characters as octal digits (`seq_escape`).
fn escaped(text: &[u8], characters: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| {
        if characters.contains(byte) { format!("\\{byte:03o}").into_bytes() } else { vec![*byte] }
    };
    text.iter().flat_map(escape).collect()
}

/// `/etc/fstab`.
pub fn fstab(data: &[u8]) {
    let table = fstab::read(data);
    assert!(table.iter().filter(|entry| entry.is_mounted()).all(|entry| entry.point.is_absolute()));
    // A quote can only be one that was written as `\042`.
    let has_quote = |entry: &fstab::Entry| entry.device.as_encoded_bytes().contains(&b'"');
    assert!(data.contains(&b'\\') || !table.iter().any(has_quote));
    let _ = fstab::of(&table, "/");
}

/// `/proc/locks`: a lock is seen whatever stands before its line.
pub fn locks(data: &[u8]) {
    let (device, inode) = (0x1a, data.len() as u64);
    let line = format!("\n1: FLOCK  ADVISORY  WRITE 1234 00:{device:x}:{inode} 0 EOF\n");
    let file = FileIdentity { device, inode };
    let _ = locks::is_held(data, file);
    assert!(locks::is_held(&[data, line.as_bytes()].concat(), file));
}

/// `/proc/net/unix`.
pub fn sockets(data: &[u8]) {
    assert!(sockets::listening(data).iter().all(|socket| socket.path.is_absolute()));
    let _ = sockets::inode(data);
}

/// `/proc/PID/stat`, `/proc/PID/io` and `/proc/PID/syscall`.
pub fn blocked(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Stat::read(&text);
    let _ = bytes_moved(&text);
    let _ = BlockedCall::read(&text);
}

/// A server's lock file, a dump, and what the dumper says.
pub fn postgres(data: &[u8]) {
    let _ = postgres::port(OsStr::from_bytes(data));
    let _ = postgres::is_harmless(data);
    let text = String::from_utf8_lossy(data);
    for version in
        [postgres::Version::read(&text), postgres::Version::of_program(&text)].into_iter().flatten()
    {
        assert_eq!(postgres::Version::read(&version.to_string()), Some(version));
    }
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
    let _ = (mysql::is_socket(OsStr::from_bytes(data)), mysql::grants_all(data), mysql::strays(data));
    let in_pieces = |size: usize| {
        let (mut databases, mut names) = (mysql::Databases::default(), Vec::new());
        data.chunks(size).for_each(|piece| databases.read(piece, &mut |name| names.push(name)));
        names
    };
    assert_eq!(in_pieces(7), in_pieces(1 << 20));
}

/// What slapcat says, `/proc/PID/status` and `/proc/PID/cmdline`.
pub fn openldap(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (openldap::is_tool(data), openldap::last_database(&text), openldap::holds_nothing(&text));
    let _ = openldap::is_harmless(data);
    let _ = processes::Identity::read(&text).map(|found| found.user());
    let found = openldap::Configuration::of_command_line(data, Path::new("/var/lib"));
    assert!(found.is_none_or(|found| found.path().is_absolute()));
}

/// What becomes the name of a dump.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let wanted: Vec<(String, String)> = text
        .lines()
        .take(50)
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(name, apart)| (names::sanitised(name), names::sanitised(apart)))
        .collect();
    let mut told_apart = names::told_apart(&wanted);
    for name in &told_apart {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{name:?}");
    }
    told_apart.sort();
    told_apart.dedup();
    assert_eq!(told_apart.len(), wanted.len(), "two dumps of one name");
}

/// What `systemctl show` prints of a service and, behind a zero, of its timer; and a unit's words.
pub fn systemd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (service, timer) = text.split_once('\0').unwrap_or((&text, ""));
    assert!(!systemd::state(service, timer).last.is_empty());
    let Some(described) = described(data) else { return };
    let lines =
        |text: &str| text.lines().map(|line| line.split('=').next().unwrap_or(line).to_owned()).collect();
    let plain =
        schedule::Job { targets: vec![target("/x".into())], arguments: Vec::new(), ..described.clone() };
    let (written, usual): (Vec<String>, Vec<String>) =
        (lines(&systemd::service(&described)), lines(&systemd::service(&plain)));
    assert_eq!(written, usual, "an argument became a line of its own");
    let command = systemd::service(&described);
    let command = command.lines().find_map(|line| line.strip_prefix("ExecStart=/x -d ")).unwrap();
    assert_eq!(unquoted(command).as_deref(), described.arguments.get(1).map(String::as_str), "{command}");
}

/// A job with this argument and destination, if they can stand in a file.
fn described(data: &[u8]) -> Option<schedule::Job> {
    let argument = schedule::text(OsStr::from_bytes(data)).ok()?;
    Some(schedule::Job {
        name: "clone".parse().unwrap(),
        when: schedule::when::When::default(),
        program: "/x".to_owned(),
        targets: vec![target(Path::new("/").join(&argument))],
        arguments: vec!["-d".to_owned(), argument],
        search_path: "/usr/bin".to_owned(),
        when_plugged_in: false,
        on_ac: false,
    })
}

fn target(destination: PathBuf) -> schedule::Target {
    schedule::Target { destination, named: None, skips_if_missing: false }
}

/// A word of a unit's command line as systemd reads it.
fn unquoted(word: &str) -> Option<String> {
    let Some(inner) = word.strip_prefix('"') else { return Some(word.to_owned()) };
    let mut letters = inner.strip_suffix('"')?.chars();
    let mut read = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => read.push(letters.next()?),
            '%' | '$' => read.push(letters.next().filter(|second| *second == letter)?),
            _ => read.push(letter),
        }
    }
    Some(read)
}

/// What `launchctl` prints, and a job's file.
pub fn launchd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for told in [launchd::read_print(&text), launchd::read_list(&text)] {
        assert!(!told.last.is_empty());
    }
    let now = NaiveDate::from_ymd_opt(2026, 11, 23).and_then(|day| day.and_hms_opt(3, 29, 30)).unwrap();
    if let Some(next) = launchd::next_run(data, now) {
        assert!(next > now);
    }
    if let Some(described) = described(data) {
        let written = launchd::job(&described).unwrap();
        let next = launchd::next_run(&written, now).unwrap();
        assert_eq!((next - now).num_seconds(), 30, "the default is half past three");
    }
}

/// `vsdbutil` and `diskutil`.
pub fn ownership(data: &[u8]) {
    for succeeded in [false, true] {
        let _ = ownership::read_vsdbutil(data, b"", succeeded);
        let _ = ownership::read_vsdbutil(b"", data, succeeded);
    }
    let _ = ownership::Volume::read(data);
}

/// `security find-generic-password -g`, and a password on its way there.
pub fn keychain(data: &[u8]) {
    let _ = keychain::read_password(data);
    let mut secret = Secret::new(data.to_vec());
    let line = keychain::add_line(&Prefix::default().service(), &secret);
    if let Ok(line) = &line {
        let lines = line.split(|byte| *byte == b'\n').count();
        assert!(lines == 2 && line.ends_with(b"\n"), "a second command");
    }
    assert!(secret.objection().is_some() || line.is_ok(), "a good password cannot be kept");
    secret.strip_line_end();
    assert!(data.starts_with(secret.expose()));
}

/// `serveradmin`, a dump as it passes by, and a password on its way there.
pub fn server(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (macos_server::value(data, "postgres:state"), macos_server::read_status(data, "postgres"));
    let _ = (macos_server::is_gone(data, "wiki"), macos_server::read_directory(data));
    let _ = (
        macos_server::refusal(&text, ""),
        macos_server::refusal("", &text),
        macos_server::socket_port(&text),
    );
    let in_pieces = |size: usize| {
        let mut names = macos_server::DatabaseNames::default();
        data.chunks(size).for_each(|piece| names.push(piece));
        names.found().to_vec()
    };
    assert_eq!(in_pieces(7), in_pieces(1 << 20));
    let path = Path::new(OsStr::from_bytes(data));
    if let Ok(commands) = macos_server::archive_commands(path, &Secret::new(data.to_vec())) {
        assert_eq!(commands.split(|byte| *byte == b'\n').count(), 5, "a command too many");
    }
}
