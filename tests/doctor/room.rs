//! Free space.

use std::fs;

use crate::mounted::Mounted;
use crate::patient::{ask, ask_for, healthy};

#[test]
fn a_disk_is_compared_with_a_disk() {
    let mut sandbox = healthy();
    let (from, to) = (sandbox.path().join("from"), sandbox.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    let (_source, _destination) = (Mounted::tmpfs(&from), Mounted::tmpfs(&to));
    (sandbox.source, sandbox.destination) = (from.clone(), to.clone());
    fs::write(from.join("file"), vec![1; 4 << 20]).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert(
        "free space",
        &["OK    free space: the source's filesystem holds 4.00 MiB, and the destination has room for 16.00 MiB, what it holds \
           now included."],
    );
    // What lies there now is last night's clone.
    fs::write(to.join("file"), vec![1; 14 << 20]).unwrap();
    let told = ask(&sandbox, &["--adopt"]);
    assert!(told.of_topic("free space")[0].starts_with("OK  "), "{told:?}");
    // A folder of the disk has only what is left.
    sandbox.destination = to.join("folder");
    fs::create_dir(&sandbox.destination).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert(
        "free space",
        &[
            "WARN  free space: the source's filesystem holds 4.00 MiB, and the destination has room for 2.00 MiB.",
            "      To do: Use a larger disk, or exclude more with -e: a full destination ends a clone with 74.",
        ],
    );
    sandbox.clone(&[]).assert_code(74);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let mut sandbox = healthy();
    let to = sandbox.path().join("to");
    fs::create_dir(&to).unwrap();
    let _destination = Mounted::tmpfs(&to);
    sandbox.destination.clone_from(&to);
    ask(&sandbox, &[]).assert(
        "free space",
        &["OK    free space: 16.00 MiB at the destination. The source is a part of its filesystem, so what it holds is not \
           counted."],
    );
    ask_for(&sandbox, ["-d", to.to_str().unwrap()])
        .assert("free space", &["OK    free space: 16.00 MiB at the destination."]);
}
