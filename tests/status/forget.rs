//! `counterpart forget`: what it removes, under whichever name it was known, and what it leaves.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::state::{State, Store};

use crate::check::scene::{cloned, memories, sandbox};
use crate::named::scene as named;
use crate::status::scene::{forget, refused, shown, status};
use crate::support::disk::BareDisk;
use crate::support::faulty::FaultyFuse;
use crate::support::nobody;
use crate::support::sandbox::{Finished, STEM, Sandbox, names_of};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// The names in the directory of the state.
fn known(sandbox: &Sandbox) -> Vec<OsString> {
    names_of(&sandbox.host().join("state"))
}

#[track_caller]
fn forgotten(finished: &Finished) {
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert!(finished.out.starts_with("Forgotten: the clone"), "{finished}");
}

/// A clone of the sandbox's source to another directory.
fn clone_to(sandbox: &Sandbox, path: &Path, more: &[&str]) {
    fs::create_dir_all(path).unwrap();
    let ends = ["-s", sandbox.source.to_str().unwrap(), "-d", path.to_str().unwrap()];
    sandbox.run(ends.iter().chain(more)).assert_code(0);
}

#[test]
fn all_that_is_remembered_goes_and_nothing_else() {
    let sandbox = sandbox();
    let kept = sandbox.path().join("kept");
    clone_to(&sandbox, &kept, &[]);
    clone_to(&sandbox, &sandbox.destination, &["-g", "org.example"]);
    clone_to(&sandbox, &sandbox.destination, &["--adopt"]);
    let state = memories(&sandbox)
        .into_iter()
        .find(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.contains("/destination\"") && text.contains("\"prefix\": \"me.jedda\"")
        })
        .unwrap();
    fs::write(state.with_extension("index"), "an index").unwrap();
    let log = sandbox.logs();
    let before = snapshot_with_ctime(&sandbox.destination);
    let completed = shown(&sandbox, &["-d", sandbox.destination.to_str().unwrap()]);
    let completed = completed["clones"][0]["last_success"]["at"]["rfc3339"].as_str().unwrap().to_owned();
    let finished = forget(&sandbox, &sandbox.destination, &[]);
    forgotten(&finished);
    assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
    let (source, destination) = (sandbox.source.display(), sandbox.destination.display());
    let day = &completed[..10];
    let start = format!("Forgotten: the clone of {source} at {destination}, last completed {day} ");
    assert!(finished.out.starts_with(&start), "{finished}");
    let removed = format!(
        "\nRemoved:   {}\n           {}\nNothing at the destination was touched; what is there stays a clone.\n",
        state.with_extension("index").display(),
        state.display()
    );
    assert!(finished.out.ends_with(&removed), "{finished}");
    assert_eq!(sandbox.logs(), log);
    let names: Vec<String> = known(&sandbox).into_iter().map(|name| name.into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let all = status(&sandbox, &[]).out;
    assert!(all.contains(&format!("{destination} (org.example)\n")), "{all}");
    assert!(all.contains(&format!("{}\n", kept.display())), "{all}");
    assert!(!all.contains(&format!("{destination}\n")), "{all}");
    assert!(!sandbox.run(["check"]).out.contains(&format!("{destination}: ")));
    refused(
        &forget(&sandbox, &sandbox.destination, &[]),
        1,
        &[&format!("This machine remembers no clone at {destination}. ")],
    );
    // Its markers gave way to the other's.
    let finished = forget(&sandbox, &sandbox.destination, &["-g", "org.example"]);
    forgotten(&finished);
    assert!(finished.out.ends_with("\nNothing at the destination was touched.\n"), "{finished}");
    forgotten(&forget(&sandbox, &kept, &[]));
    assert_eq!(known(&sandbox), [] as [&str; 0]);
    assert_eq!(status(&sandbox, &[]).out, "This machine remembers no clone.\n");
    // A forgotten clone is one that this machine meets for the first time.
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(known(&sandbox).len(), 1);
}

#[test]
fn a_disk_that_is_gone_is_forgotten_by_every_spelling() {
    for spelling in ["disk/clone", "disk/../disk/clone", "link/clone", "gone/../disk/clone"] {
        let sandbox = sandbox();
        symlink("disk", sandbox.path().join("link")).unwrap();
        let path = sandbox.path().join("disk/clone");
        fs::create_dir_all(&path).unwrap();
        let through = sandbox.path().join("link/clone");
        clone_to(&sandbox, &through, &[]);
        fs::remove_dir_all(sandbox.path().join("disk")).unwrap();
        let finished = forget(&sandbox, sandbox.path().join(spelling), &[]);
        forgotten(&finished);
        assert!(finished.out.ends_with("\nNothing at the destination was touched.\n"), "{finished}");
        assert_eq!(known(&sandbox), [] as [&str; 0], "{spelling}");
    }
    // A link that is itself on the disk that is gone.
    let sandbox = sandbox();
    let disk = sandbox.path().join("disk");
    fs::create_dir_all(disk.join("real/clone")).unwrap();
    symlink("real", disk.join("link")).unwrap();
    clone_to(&sandbox, &disk.join("link/clone"), &[]);
    fs::remove_dir_all(&disk).unwrap();
    let finished = forget(&sandbox, disk.join("link/clone"), &[]);
    forgotten(&finished);
    let known_as = format!(", known as {}, last completed ", disk.join("real/clone").display());
    assert!(finished.out.contains(&known_as), "{finished}");
    assert_eq!(known(&sandbox), [] as [&str; 0]);
}

#[test]
fn a_disk_is_forgotten_by_any_of_its_names_there_or_not() {
    for is_there in [true, false] {
        for by_label in [true, false] {
            let sandbox = named::sandbox();
            let label = named::label();
            let disk = BareDisk::new("ext4", &["-L", &label]);
            let (uuid, label) = (named::uuid(&disk), format!("LABEL={label}"));
            named::clone(&sandbox, &label, &[]).assert_code(0);
            assert_eq!(named::state(&sandbox)["destination"], uuid);
            if !is_there {
                disk.unplug();
            }
            let name = if by_label { &label } else { &uuid };
            let before = named::digest(&disk);
            let finished = forget(&sandbox, name, &[]);
            forgotten(&finished);
            assert_eq!(known(&sandbox), [] as [&str; 0], "{name} {is_there}");
            assert_eq!(named::digest(&disk), before);
            assert!(finished.out.contains(&format!(" at {name}, ")), "{finished}");
        }
    }
}

#[test]
fn a_disk_that_hangs_is_forgotten_without_it() {
    let sandbox = cloned();
    let fuse = FaultyFuse::new();
    let path = fuse.path();
    fs::write(path.join(format!("{STEM}stats")), "Exit Code: 0\n").unwrap();
    // As if it had been cloned to.
    let state = State::parse(&fs::read(&memories(&sandbox)[0]).unwrap()).unwrap();
    let state = State { destination: path.to_str().unwrap().to_owned(), ..state };
    let store = Store::new(&sandbox.host().join("state"));
    store.save(&Location::unresolved(&path), &Prefix::default(), &state).unwrap();
    fuse.tell(&format!("hang /{STEM}stats"));
    let finished = forget(&sandbox, &path, &[]);
    fuse.tell("");
    forgotten(&finished);
    assert!(finished.out.ends_with("\nNothing at the destination was touched.\n"), "{finished}");
    assert_eq!(known(&sandbox).len(), 1);
}

#[test]
fn a_record_that_cannot_be_read_can_be_forgotten() {
    let sandbox = cloned();
    fs::write(&memories(&sandbox)[0], "{").unwrap();
    let finished = forget(&sandbox, &sandbox.destination, &[]);
    forgotten(&finished);
    assert!(finished.out.contains(", whose record could not be read.\n"), "{finished}");
    assert_eq!(known(&sandbox), [] as [&str; 0]);
    // One that might be meant is not passed over.
    let sandbox = self::sandbox();
    let disk = sandbox.path().join("disk");
    fs::create_dir_all(disk.join("real/clone")).unwrap();
    symlink("real", disk.join("link")).unwrap();
    clone_to(&sandbox, &disk.join("link/clone"), &[]);
    fs::remove_dir_all(&disk).unwrap();
    fs::write(&memories(&sandbox)[0], "{").unwrap();
    let finished = forget(&sandbox, disk.join("link/clone"), &[]);
    refused(&finished, 1, &["What this machine remembers cannot be searched for ", "Nothing was forgotten."]);
    assert_eq!(known(&sandbox).len(), 1);
}

/// A clone of the ordinary user, in a place of theirs.
fn of_nobody() -> (Sandbox, PathBuf) {
    let sandbox = sandbox();
    for path in [&sandbox.source, &sandbox.destination] {
        nobody::give(path);
    }
    nobody::clone(&sandbox, &[]).assert_code(0);
    let state = sandbox.host().join("state");
    assert_eq!(names_of(&state).len(), 1);
    (sandbox, state)
}

#[test]
fn only_root_forgets_what_root_remembers() {
    let (sandbox, state) = of_nobody();
    let (path, system) = (sandbox.destination.to_str().unwrap(), sandbox.host().join("system-state"));
    fs::rename(&state, &system).unwrap();
    let finished = nobody::run(&sandbox, ["forget", "-d", path]);
    let words =
        format!("forget must be run as root: what is remembered of {path} is in {}.\n", system.display());
    refused(&finished, 1, &[&words]);
    assert_eq!(names_of(&system).len(), 1);
    // Their own runs are theirs to forget.
    nobody::clone(&sandbox, &[]).assert_code(0);
    let finished = nobody::run(&sandbox, ["forget", "-d", path]);
    forgotten(&finished);
    let words =
        format!("What root remembers of it, in {}, stays: only root can remove that.\n", system.display());
    assert!(finished.out.ends_with(&words), "{finished}");
    assert_eq!((names_of(&state).len(), names_of(&system).len()), (0, 1));
}
