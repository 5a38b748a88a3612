//! Free space.

use std::fs;

use crate::doctor::patient::{ask, ask_for, assert_foretold, healthy};
use crate::support::mounted::Mounted;

#[test]
fn a_clone_that_cannot_fit_is_what_a_clone_meets() {
    let sandbox = healthy();
    let _mounted = Mounted::tmpfs(&sandbox.destination);
    fs::write(sandbox.source.join("file"), vec![1; 4 << 20]).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert(
        "free space",
        &["OK    free space: the source holds 2 entries, 4.00 MiB in use; 16.00 MiB are free at the destination."],
    );
    fs::write(sandbox.source.join("more"), vec![1; 20 << 20]).unwrap();
    let told = assert_foretold(&sandbox, &[], 74);
    assert!(told.of_topic("free space")[0].starts_with("FAIL  free space: "), "{told:?}");
    ask(&sandbox, &["--no-space-check"]).assert_code(0);
}

#[test]
fn without_a_source_only_the_room_is_told() {
    let sandbox = healthy();
    let _mounted = Mounted::tmpfs(&sandbox.destination);
    ask_for(&sandbox, ["-d", sandbox.destination.to_str().unwrap()])
        .assert("free space", &["OK    free space: 16.00 MiB are free at the destination."]);
}
