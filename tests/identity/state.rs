//! This machine's state: damaged, of another version, or not writable.

use std::fs;

use crate::identity::scene::{Plugged, disk, id, known, refused, sandbox, state, state_file};
use crate::support::mounted::Mounted;
use crate::support::sandbox::Sandbox;
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// Two disks, of which the first has been cloned to and the second has the clone of an older version.
fn two() -> (Sandbox, crate::support::disk::LoopDisk, crate::support::disk::LoopDisk) {
    let (sandbox, one, other) = (sandbox(), disk("ext4"), disk("ext4"));
    fs::write(other.path().join(".me.jedda.counterpart.id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let plugged = Plugged::at(&sandbox.destination, &one);
    sandbox.clone(&[]).assert_code(0);
    drop(plugged);
    (sandbox, one, other)
}

#[test]
fn a_damaged_memory_refuses_the_disk_at_hand() {
    for damage in ["", "{", "[]", "{\"schema\":1,\"disks\":[{}]}", "{\"schema\":1,\"disks\":7}"] {
        let (sandbox, _, other) = two();
        fs::write(state_file(&sandbox), damage).unwrap();
        let _plugged = Plugged::at(&sandbox.destination, &other);
        let before = snapshot_with_ctime(&sandbox.destination);
        let told = format!(
            "The destination {} cannot be verified: this machine's record of it, in {}, cannot \
             be read (",
            sandbox.destination.display(),
            sandbox.host().join("state").display()
        );
        let finished = sandbox.clone(&[]);
        finished.assert_code(88).assert_log(&format!("Error: {told}"));
        assert!(finished.err.contains("If this is the right disk, run once with --adopt"), "{finished}");
        sandbox
            .clone(&["-t"])
            .assert_code(70)
            .assert_log(&format!("Warning: a real run would end with 88. {told}"));
        assert_unchanged(&before, &snapshot_with_ctime(&sandbox.destination));
        assert_eq!(
            fs::read_to_string(state_file(&sandbox)).unwrap(),
            damage,
            "what is damaged may be mended"
        );
        let finished = sandbox.clone(&["--adopt"]);
        finished
            .assert_code(0)
            .assert_log(" and is rewritten. Whichever disk is there now is accepted as the right one.");
        assert_eq!(known(&sandbox), [id(&sandbox)]);
        assert_eq!(state(&sandbox)["last"]["outcome"], "warning");
        sandbox.clone(&[]).assert_code(0).assert_no_log("cannot be read");
    }
}

#[test]
fn a_memory_from_before_disks_were_kept_knows_none() {
    let (sandbox, _, other) = two();
    let mut old = state(&sandbox);
    old.as_object_mut().unwrap().remove("disks");
    fs::write(state_file(&sandbox), old.to_string()).unwrap();
    let _plugged = Plugged::at(&sandbox.destination, &other);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox), [id(&sandbox)]);
}

#[test]
fn a_memory_that_cannot_be_written_stops_no_clone() {
    let (sandbox, disk) = (sandbox(), disk("ext4"));
    let dir = sandbox.host().join("state");
    fs::create_dir(&dir).unwrap();
    let read_only = Mounted::bind_read_only(&dir, &dir);
    let _plugged = Plugged::at(&sandbox.destination, &disk);
    for _ in 0..2 {
        let finished = sandbox.clone(&[]);
        finished.assert_code(0).assert_log("Warning: the state of this run could not be saved in ");
    }
    drop(read_only);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox), [id(&sandbox)]);
}

#[test]
fn a_refusal_is_recorded_and_changes_nothing_else() {
    let (sandbox, _, other) = two();
    let before = state(&sandbox);
    let _plugged = Plugged::at(&sandbox.destination, &other);
    refused(&sandbox, &["there is 0123456789abcdef0123456789abcdef on filesystem "]);
    let after = state(&sandbox);
    assert_eq!([&after["disks"], &after["last_success"]], [&before["disks"], &before["last_success"]]);
    assert_eq!(before["last"]["exit_code"], 0);
    // The run without a source that was made last failed before it.
    sandbox.clone(&[]).assert_code(88);
    let last = &state(&sandbox)["last"];
    assert_eq!(
        [&last["exit_code"], &last["outcome"]],
        [&serde_json::json!(88), &serde_json::json!("failed")]
    );
    assert!(last["reason"].as_str().unwrap().contains("has changed"), "{last}");
}

#[test]
fn a_failed_adoption_is_known_afterwards() {
    let (sandbox, _, other) = two();
    let _plugged = Plugged::at(&sandbox.destination, &other);
    sandbox.rsync("case \"$*\" in *--version*) exec /usr/bin/rsync \"$@\" ;; esac; exit 30");
    sandbox.clone(&["--adopt"]).assert_code(30);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(known(&sandbox).len(), 2);
}

#[test]
fn each_prefix_has_disks_of_its_own() {
    let (sandbox, _, other) = two();
    let _plugged = Plugged::at(&sandbox.destination, &other);
    sandbox.clone(&["-g", "org.example"]).assert_code(0).assert_err("");
    sandbox.clone(&["-g", "org.example"]).assert_code(0).assert_err("");
    // To that prefix the markers of another one are a stranger's.
    sandbox.clone(&[]).assert_code(76);
}
