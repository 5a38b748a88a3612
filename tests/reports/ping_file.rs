//! `--ping-file`: an address that nobody else sees, and files that are no safe place for one.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::jobs::scene::{ENDS, Scene};
use crate::reports::pings::clone;
use crate::reports::server::Server;
use crate::support::nobody;
use crate::support::sandbox::Sandbox;

const SECRET: &str = "secret-uuid";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// A file for root alone.
fn file(dir: &Path, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join("ping");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn beginning_and_end_are_reported_and_no_process_or_log_shows_the_address() {
    let sandbox = sandbox();
    let server = Server::kind();
    let file = file(sandbox.path(), format!(" \t{}\r\n\n", server.url(&format!("/{SECRET}?a=b"))));
    // Once it was read it is not asked again.
    let post =
        sandbox.script("post", &format!("tr '\\0' ' ' </proc/$PPID/cmdline; env; rm '{}'", file.display()));
    let finished = clone(&sandbox, &["--ping-file", file.to_str().unwrap(), "-o", post.to_str().unwrap()]);
    finished.assert_code(0).assert_err("").assert_no_log(SECRET).assert_no_log("could not be pinged");
    finished.assert_log(&format!("--ping-file {}", file.display()));
    let whats = [format!("GET /{SECRET}/start?a=b"), format!("POST /{SECRET}?a=b")];
    assert_eq!(server.whats(), whats);
    assert!(!server.asked()[1].body.contains(SECRET), "{:?}", server.asked());
    for marker in ["stats.json", "id"] {
        assert!(!sandbox.read_marker(marker).contains(SECRET), "{marker}");
    }
}

#[test]
fn a_failure_before_the_destination_is_known_is_reported_too() {
    let sandbox = sandbox();
    let server = Server::kind();
    let file = file(sandbox.path(), server.url("/x"));
    let file = file.to_str().unwrap();
    clone(&sandbox, &["--ping-file", file, "--rsync", "/nonexistent"]).assert_code(85);
    clone(&sandbox, &["--ping-file", file, "-t"]).assert_code(70);
    fs::remove_dir_all(&sandbox.source).unwrap();
    clone(&sandbox, &["--ping-file", file]).assert_code(65);
    assert_eq!(server.whats(), ["POST /x/fail", "POST /x/fail"]);
}

/// Asserts that a clone and a test run refuse this file, which takes nothing from the good clone that is there.
#[track_caller]
fn refused(sandbox: &Sandbox, path: &Path, why: &str) {
    let sentence = format!("counterpart: The file {} of --ping-file {why}.\n", path.display());
    for more in [&["--ping-file", path.to_str().unwrap()][..], &["--ping-file", path.to_str().unwrap(), "-t"]]
    {
        let before = fs::read_to_string(sandbox.marker("completed")).unwrap();
        sandbox.write("later", "not copied");
        let finished = clone(sandbox, more);
        finished.assert_code(2).assert_err(&sentence).assert_no_log(SECRET);
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
        assert_eq!(fs::read_to_string(sandbox.marker("completed")).unwrap(), before);
        assert!(!sandbox.destination.join("later").exists());
    }
}

#[test]
fn a_file_that_is_no_place_for_a_secret_is_2_before_anything_else() {
    let sandbox = sandbox();
    let server = Server::kind();
    clone(&sandbox, &[]).assert_code(0);
    let dir = sandbox.path().join("of root");
    fs::create_dir(&dir).unwrap();
    let address = server.url(&format!("/{SECRET}"));
    let closed = "must belong to root and be closed to others (chmod 600)";
    let good = file(&dir, &address);
    refused(&sandbox, &dir.join("missing"), "cannot be read (No such file or directory)");
    refused(&sandbox, &dir, "cannot be read (is a directory)");
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
        fs::set_permissions(&good, fs::Permissions::from_mode(mode)).unwrap();
        refused(&sandbox, &good, closed);
    }
    fs::set_permissions(&good, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&good, Some(nobody::NOBODY), None).unwrap();
    refused(&sandbox, &good, closed);
    chown(&good, Some(0), None).unwrap();
    let pipe = dir.join("pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    refused(&sandbox, &pipe, "is not a regular file");
    // A link that another user has planted; root's own is followed.
    let planted = dir.join("planted");
    symlink(&good, &planted).unwrap();
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        &planted,
        Some(nobody::NOBODY.into()),
        None,
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )
    .unwrap();
    let finished = clone(&sandbox, &["--ping-file", planted.to_str().unwrap()]);
    finished.assert_code(2).assert_no_log(SECRET);
    assert_eq!(server.whats(), [] as [&str; 0]);
    fs::remove_file(&planted).unwrap();
    symlink(&good, &planted).unwrap();
    clone(&sandbox, &["--ping-file", planted.to_str().unwrap()]).assert_code(0);
    assert_eq!(server.whats().len(), 2);
}

#[test]
fn a_file_without_one_address_is_2_and_its_contents_are_not_shown() {
    let sandbox = sandbox();
    clone(&sandbox, &[]).assert_code(0);
    let long = format!("https://example.org/{}", "x".repeat(4096));
    for (text, why) in [
        (&b""[..], "is empty"),
        (b" \n\t\n", "is empty"),
        (b"https://example.org/secret-uuid\nhttps://example.org/secret-uuid\n", "has more than one line"),
        (b"https://example.org/secret-uuid\rx", "has more than one line"),
        (b"https://example.org/secret-uuid\xff", "is not UTF-8"),
        (b"secret-uuid", "holds no address to ping: it does not begin with https:// or http://"),
        (
            b"ftp://example.org/secret-uuid",
            "holds no address to ping: it does not begin with https:// or http://",
        ),
        (
            b"https://example.org/secret-uuid x",
            "holds no address to ping: it is not a URL: write https://HOST/PATH",
        ),
        (b"https://", "holds no address to ping: it is not a URL: write https://HOST/PATH"),
        (long.as_bytes(), "is larger than 4096 bytes"),
    ] {
        refused(&sandbox, &file(sandbox.path(), text), why);
    }
}

#[test]
fn it_is_one_or_the_other() {
    let sandbox = sandbox();
    let file = file(sandbox.path(), "https://example.org/x");
    let file = file.to_str().unwrap();
    let finished = sandbox.clone(&["--ping-file", file, "--ping", "https://example.org/x"]);
    assert_eq!(finished.code, 2, "{finished}");
    assert!(finished.err.contains("cannot be used with"), "{finished}");
    let finished = sandbox.clone(&["--ping-file", ""]);
    assert_eq!(finished.code, 2, "{finished}");
    assert!(finished.err.contains("--ping-file <FILE>"), "{finished}");
    assert_eq!(sandbox.markers(), [] as [&str; 0]);
}

#[test]
fn the_on_error_script_reports_a_file_that_is_wrong() {
    let sandbox = sandbox();
    let saw = sandbox.path().join("saw");
    let script = sandbox.script("error", &format!("echo \"$COUNTERPART_REASON\" >'{}'", saw.display()));
    clone(&sandbox, &["--ping-file", "/nonexistent", "--on-error", script.to_str().unwrap()]).assert_code(2);
    let sentence = "The file /nonexistent of --ping-file cannot be read (No such file or directory).\n";
    assert_eq!(fs::read_to_string(saw).unwrap(), sentence);
}

#[test]
fn a_user_has_a_file_of_their_own() {
    let sandbox = sandbox();
    let server = Server::kind();
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    let path = file(sandbox.path(), server.url("/x"));
    let options = ["--ping-file", path.to_str().unwrap()];
    let finished = nobody::clone(&sandbox, &options);
    assert_eq!(finished.code, 2, "{finished}");
    assert!(finished.err.contains(" of --ping-file cannot be read (Permission denied)."), "{finished}");
    nobody::give(&path);
    let finished = nobody::clone(&sandbox, &options);
    assert_eq!(finished.code, 0, "{finished}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let finished = nobody::clone(&sandbox, &options);
    assert_eq!(finished.code, 2, "{finished}");
    assert!(finished.err.contains("must belong to root or this user and be closed"), "{finished}");
    assert_eq!(server.whats(), ["GET /x/start", "POST /x"]);
}

#[test]
fn a_file_inside_the_destination_is_warned_of() {
    let sandbox = sandbox();
    let file = file(&sandbox.destination, Server::kind().url("/x"));
    clone(&sandbox, &["--adopt", "--ping-file", file.to_str().unwrap()]).assert_log(&format!(
        "Warning: the file of --ping-file {} lies inside the destination",
        file.display()
    ));
}

#[test]
fn the_doctor_says_which_host_it_names_and_pings_nobody() {
    let sandbox = sandbox();
    let server = Server::kind();
    let path = file(sandbox.path(), server.url(&format!("/{SECRET}")));
    let doctor = || {
        let words = sandbox.arguments(["--ping-file", path.to_str().unwrap()]);
        sandbox.run(std::iter::once("doctor".into()).chain(words))
    };
    let finished = doctor();
    let line =
        format!("OK    ping: {} holds an address at http://127.0.0.1; it was not pinged.\n", path.display());
    assert!(finished.out.contains(&line) && !finished.out.contains(SECRET), "{finished}");
    assert_eq!(server.whats(), [] as [&str; 0]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let finished = doctor();
    assert_eq!(finished.code, 2, "{finished}");
    let line = format!("FAIL  ping: The file {} of --ping-file must belong to root", path.display());
    assert!(finished.out.contains(&line), "{finished}");
}

#[test]
fn a_job_file_names_it_and_a_section_has_another() {
    let scene = Scene::new();
    let server = Server::kind();
    let other = scene.destination("other");
    let first = file(scene.sandbox.path(), server.url("/first"));
    let second = file(&scene.sandbox.host(), server.url("/second"));
    scene.job(
        "both",
        &format!(
            "source = \"SOURCE\"\nping-file = \"{}\"\n[destinations.a]\ndestination = \"DESTINATION\"\n\
             [destinations.b]\ndestination = \"{}\"\nping-file = \"{}\"\n",
            first.display(),
            other.display(),
            second.display()
        ),
    );
    assert_eq!(scene.run(&["both"]).code, 0);
    assert_eq!(server.whats(), ["GET /first/start", "POST /first", "GET /second/start", "POST /second"]);
    // The plugin, which is not root, does not read it.
    fs::remove_file(&first).unwrap();
    let finished = scene.sandbox.run(["check", "--job", "both"]);
    assert_eq!(finished.code, 0, "{finished}");
    let finished = scene.run(&["both", "--only", "a"]);
    assert_eq!(finished.code, 2, "{finished}");
    for text in
        ["ping-file = \"x\"", "ping-file = true", "ping-file = \"/x\"\nping = \"https://example.org\""]
    {
        scene.job("wrong", &format!("{ENDS}{text}\n"));
        assert_eq!(scene.run(&["wrong"]).code, 84, "{text}");
    }
}

#[test]
fn a_schedule_keeps_the_path_and_checks_the_file() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.host().join("jobs")).unwrap();
    let script = include_str!("../schedule/systemctl.sh");
    sandbox.tool("systemctl", &format!("DIRECTORY='{}'\n{script}", sandbox.path().display()));
    let path = file(sandbox.path(), format!("https://example.org/{SECRET}"));
    let install = || {
        let words = ["schedule", "install", "--"].map(Into::into).into_iter();
        sandbox.run(words.chain(sandbox.arguments(["--ping-file", path.to_str().unwrap()])))
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let finished = install();
    assert_eq!(finished.code, 2, "{finished}");
    assert!(
        finished.err.contains(" of --ping-file must belong to root and be closed to others"),
        "{finished}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let finished = install();
    assert_eq!(finished.code, 0, "{finished}");
    let service = fs::read_to_string(sandbox.host().join("jobs/counterpart-clone.service")).unwrap();
    assert!(service.contains(&format!(" --ping-file {}", path.display())), "{service}");
    assert!(!service.contains(SECRET), "{service}");
}
