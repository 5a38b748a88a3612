//! The file that identifies the destination: its contents are only compared, and cannot do harm.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::identity::scene::{
    Plugged, disk, id, id_lines, known, lines_of_destination, refused, refused_with, sandbox, uuid,
};
use crate::support::nobody;
use crate::support::sandbox::{Finished, Sandbox};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A destination with an old clone and this id file, of which this machine knows nothing.
fn with_id(content: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = sandbox();
    sandbox.write_destination("old", "x");
    sandbox.write_destination(".me.jedda.counterpart.completed", "");
    fs::write(sandbox.marker("id"), content).unwrap();
    sandbox
}

#[test]
fn an_id_alone_is_kept_and_extended() {
    let sandbox = with_id(format!("{ID}\n"));
    sandbox.clone(&[]).assert_code(0).assert_err("");
    let lines = lines_of_destination(&sandbox);
    assert_eq!(lines[0], ID);
    assert_eq!(lines.last().unwrap(), &format!("Source: testhost:{}", sandbox.source.display()));
    assert_eq!(known(&sandbox), [ID]);
    let inode = fs::metadata(sandbox.marker("id")).unwrap().ino();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(fs::metadata(sandbox.marker("id")).unwrap().ino(), inode, "and then it is not written again");
}

#[test]
fn a_clone_of_another_machine_or_directory_is_refused() {
    let sandbox = with_id("");
    let ours = sandbox.source.display().to_string();
    for source in ["other.example:/".to_owned(), format!("other.example:{ours}"), "testhost:/home".to_owned()]
    {
        fs::write(sandbox.marker("id"), format!("{ID}\nSource: {source}\n")).unwrap();
        let told = format!(
            "it is the clone of {source}, and this run clones testhost:{ours}. If that clone may be \
                            deleted, run once with --adopt."
        );
        refused(&sandbox, &[&told]);
    }
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_ne!(id(&sandbox), ID, "the machine that knew it must not take it for its own");
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_clone_of_ours_is_known_again_by_a_machine_that_forgot_everything() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let _plugged = Plugged::at(&sandbox.destination, &disk);
    sandbox.clone(&[]).assert_code(0);
    let first = id(&sandbox);
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox), [first]);
}

#[test]
fn a_machine_that_got_another_name_knows_its_disk() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let first = id(&sandbox);
    fs::write(sandbox.host().join("name"), "renamed").unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(id(&sandbox), first);
    assert!(sandbox.read_marker("id").contains("\nSource: renamed:/"), "{}", sandbox.read_marker("id"));
    // Without its memory it does not.
    fs::write(sandbox.host().join("name"), "renamed again").unwrap();
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    refused(&sandbox, &["it is the clone of renamed:/"]);
}

#[test]
fn another_source_for_a_known_disk_is_refused() {
    let mut sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let (first, link) = (sandbox.source.clone(), sandbox.path().join("link"));
    symlink(&first, &link).unwrap();
    sandbox.source = link;
    sandbox.clone(&[]).assert_code(0).assert_err("");
    sandbox.source = sandbox.path().join("second");
    sandbox.write("other", "content");
    refused(&sandbox, &["it is the clone of testhost:/", "/link, and this run clones testhost:/"]);
    // The directory that the clone was made of is gone, and nobody can tell whether it had another name.
    fs::remove_file(sandbox.path().join("link")).unwrap();
    refused(&sandbox, &["it is the clone of testhost:/"]);
    sandbox.clone(&["--adopt"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["other"]);
}

#[test]
fn a_damaged_id_counts_for_none_and_is_replaced() {
    let huge = [b"x".repeat(70_000), format!("\n{ID}\n").into_bytes()].concat();
    for content in [b"".as_slice(), b"x\n", b"\0\xff\n", &ID.as_bytes()[1..], &huge] {
        let sandbox = with_id(content);
        sandbox.clone(&[]).assert_code(0).assert_err("");
        let id = id(&sandbox);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(known(&sandbox), [id]);
    }
}

#[test]
fn a_huge_file_with_an_id_is_read_to_a_limit() {
    let content = format!("{ID}\n{}\nSource: other.example:/\n", "x".repeat(10_000_000));
    let sandbox = with_id(content);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(id(&sandbox), ID);
    assert!(sandbox.read_marker("id").len() < 1000);
}

#[test]
fn what_is_planted_as_an_id_is_not_followed() {
    for kind in ["link", "dangling", "fifo", "directory"] {
        let sandbox = sandbox();
        let (marker, victim) = (sandbox.marker("id"), sandbox.path().join("victim"));
        // It would be known at once, if the link were followed.
        fs::write(&victim, format!("{ID}\nSource: other.example:/\n")).unwrap();
        match kind {
            "link" => symlink(&victim, marker).unwrap(),
            "dangling" => symlink("nowhere", marker).unwrap(),
            "fifo" => mkfifo(&marker, Mode::from_bits_truncate(0o644)).unwrap(),
            _ => fs::create_dir(marker).unwrap(),
        }
        sandbox.clone(&[]).assert_code(0).assert_err("");
        assert!(fs::symlink_metadata(sandbox.marker("id")).unwrap().is_file(), "{kind}");
        assert_ne!(id(&sandbox), ID);
        assert_eq!(fs::read_to_string(victim).unwrap(), format!("{ID}\nSource: other.example:/\n"));
    }
}

#[test]
fn what_an_id_says_cannot_drive_a_terminal() {
    let sandbox = with_id(format!("{ID}\nSource: a\u{1b}[2J:/b\u{202e}\n"));
    let finished = refused(&sandbox, &["it is the clone of a\\#033[2J:/b\\#342\\#200\\#256, and"]);
    assert!(!finished.out.contains('\u{1b}') && !finished.err.contains('\u{1b}'));
}

#[test]
fn the_id_of_the_default_prefix_speaks_for_the_disk() {
    let sandbox = with_id(format!("{ID}\nSource: other.example:/\n"));
    refused_with(&sandbox, 88, &["-g", "org.example"], &["it is the clone of other.example:/"]);
    fs::write(sandbox.marker("id"), format!("{ID}\n")).unwrap();
    sandbox.clone(&["-g", "org.example"]).assert_code(0).assert_err("");
    assert_ne!(known(&sandbox), [ID], "each prefix has an id of its own");
}

#[test]
fn a_source_with_any_name_is_known_again() {
    let mut sandbox = sandbox();
    sandbox.source = sandbox.path().join("two\nlines:/ \\#012 \u{202e}");
    sandbox.write("file", "content");
    for _ in 0..2 {
        sandbox.clone(&[]).assert_code(0).assert_err("");
    }
    assert_eq!(sandbox.read_marker("id").lines().count(), id_lines(&sandbox).len());
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn without_root_the_id_alone_tells() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let _plugged = Plugged::at(&sandbox.destination, &disk);
    // What belongs to root there could not be deleted without root.
    fs::remove_dir(sandbox.destination.join("lost+found")).unwrap();
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    let clone = |sandbox: &Sandbox| -> Finished { nobody::clone(sandbox, &[]) };
    clone(&sandbox).assert_code(0).assert_err("");
    clone(&sandbox).assert_code(0).assert_err("");
    assert_eq!(lines_of_destination(&sandbox).len(), 2, "a user may not read the device");
    let first = id(&sandbox);
    fs::write(sandbox.marker("id"), format!("{ID}\n")).unwrap();
    nobody::give(&sandbox.destination);
    let finished = clone(&sandbox);
    finished.assert_code(88).assert_log(&format!(
        "there is {ID} on filesystem without a known UUID, but the disks known here are: {first}"
    ));
    // A run as root adds what it can find out.
    fs::write(sandbox.marker("id"), format!("{first}\n")).unwrap();
    fs::remove_dir_all(sandbox.host().join("lock")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(id_lines(&sandbox)[..2], [first, format!("Filesystem: {}", uuid(&disk))]);
}
