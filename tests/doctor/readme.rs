//! The example in the guide matches the doctor's output.

use std::fs;

use crate::doctor::patient::{ask, healthy};
use crate::support::mounted::Mounted;

#[test]
fn the_example_is_what_is_printed() {
    let sandbox = healthy();
    // What an entry takes differs from filesystem to filesystem.
    let _mounted = [&sandbox.source, &sandbox.destination].map(|dir| Mounted::tmpfs(dir));
    sandbox.write("file", "content");
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "*.part\n").unwrap();
    let missing = sandbox.path().join("dump");
    let told = ask(&sandbox, &["-e", excludes.to_str().unwrap(), "-p", missing.to_str().unwrap()]);
    told.assert_code(68);
    let printed = told
        .lines
        .join("\n")
        .replace("@/host/log", "/var/log/counterpart")
        .replace("@/host/state", "/var/lib/counterpart")
        .replace("@/host/rsync/rsync", "/usr/bin/rsync")
        .replace("@/host/credstore", "/etc/credstore")
        .replace("@/host/tools/slapcat", "/usr/sbin/slapcat")
        .replace("@/source", "/srv")
        .replace("@/destination", "/mnt/clone")
        .replace("@/dump", "/usr/local/sbin/dump");
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md")).unwrap();
    let section = guide.split_once("\n## Ask the doctor\n").unwrap().1.split_once("\n## ").unwrap().0;
    let example: Vec<&str> = section
        .lines()
        .skip_while(|line| !line.starts_with("    OK  "))
        .map_while(|line| line.strip_prefix("    "))
        .collect();
    assert_eq!(example.join("\n"), printed);
}
