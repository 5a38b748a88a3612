//! `-t --json`, checked against its schema.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::status::scene::{assert_strict, valid};
use crate::support::sandbox::{Finished, Sandbox};

const SCHEMA: &str = "test-run.schema.json";

fn listed(sandbox: &Sandbox, more: &[&str]) -> Finished {
    sandbox.clone(&[&["-t", "--json"], more].concat())
}

#[test]
fn everything_that_would_change_is_listed() {
    let sandbox = Sandbox::new();
    for (name, content) in [("same", "same"), ("changed", "old"), ("mode", "same"), ("gone/below", "x")] {
        sandbox.write(name, content);
    }
    sandbox.clone(&[]).assert_code(0);
    fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
    sandbox.write("changed", "new content");
    sandbox.write("directory/two\n\"lines\"", "x");
    fs::write(sandbox.source.join(OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    symlink("target", sandbox.source.join("link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(sandbox.source.join("mode"), mode).unwrap();
    let run = listed(&sandbox, &[]);
    assert_eq!((run.code, &*run.err), (70, ""), "{run}");
    let document = valid(SCHEMA, &run);
    let mut changes = document["changes"].as_array().unwrap().clone();
    changes.sort_by_key(|change| change["path"].as_str().unwrap().to_owned());
    let row = |change: &Value| json!([change["path"], change["change"], change["kind"]]);
    assert_eq!(
        changes.iter().map(row).collect::<Vec<_>>(),
        [
            json!(["/", "attributes", "directory"]),
            json!(["/bad\\#377", "create", "file"]),
            json!(["/changed", "contents", "file"]),
            json!(["/directory", "create", "directory"]),
            json!(["/directory/two\\#012\"lines\"", "create", "file"]),
            json!(["/gone", "delete", "directory"]),
            json!(["/gone/below", "delete", null]),
            json!(["/link", "create", "symlink"]),
            json!(["/mode", "attributes", "file"]),
        ]
    );
    assert!(changes[2]["itemized"].as_str().unwrap().starts_with(">f.s"), "{document:#}");
    assert_eq!(document["totals"], json!({ "created": 4, "changed": 3, "deleted": 2, "bytes": 13 }));
    assert_eq!(document["complete"], true);
    assert_eq!(document["source"], sandbox.source.to_str().unwrap());
    assert_strict(
        SCHEMA,
        &document,
        &[
            ("/schema", json!(2)),
            ("/changes/0/path", json!("relative")),
            ("/changes/0/change", json!("other")),
            ("/changes/0/kind", json!("fifo")),
            ("/changes/0", json!({})),
            ("/totals/bytes", json!(-1)),
            ("/totals", json!({})),
            ("/complete", json!("yes")),
        ],
    );
    // The log has it all, and a warning is on standard error.
    let log = fs::read_to_string(sandbox.logs().last().unwrap()).unwrap();
    assert!(log.contains("Would create link\n") && log.contains("Counterpart exited with code 70."), "{log}");
    sandbox.clone(&[]).assert_code(0);
    let idle = valid(SCHEMA, &listed(&sandbox, &["-q"]));
    assert_eq!(idle["changes"], json!([]));
}

#[test]
fn what_cannot_be_listed_is_no_complete_answer() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let fails = |code: u32| {
        sandbox.rsync(&format!(
            "case \" $* \" in *' --version '*) echo 'rsync  version 3.5.0  protocol version 32'; exit;; esac\n\
             echo '>f+++++++++ file'; exit {code}"
        ));
        listed(&sandbox, &[])
    };
    let partial = fails(23);
    assert_eq!(partial.code, 70, "{partial}");
    assert!(partial.err.contains("Warning: rsync ended with code 23: "), "{partial}");
    let failed = fails(12);
    assert_eq!(failed.code, 12, "{failed}");
    for run in [partial, failed] {
        let document = valid(SCHEMA, &run);
        assert_eq!((&document["complete"], &document["totals"]["created"]), (&json!(false), &json!(1)));
    }
    let missing = sandbox.clone(&["-t", "--json", "-e", "/nonexistent"]);
    assert_eq!((missing.code, &*missing.out), (67, ""), "{missing}");
    assert!(missing.err.contains("/nonexistent"), "{missing}");
}

#[test]
fn it_is_for_a_test_run_that_is_typed() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for arguments in [&["--json"][..], &["-t", "--json", "-v"]] {
        let refused = sandbox.clone(arguments);
        assert_eq!((refused.code, &*refused.out), (2, ""), "{refused}");
        assert!(!refused.err.is_empty());
    }
    let (source, destination) = (sandbox.source.to_str().unwrap(), sandbox.destination.to_str().unwrap());
    let job = sandbox.run(["job", "init", "x", "--", "-s", source, "-d", destination, "-t", "--json"]);
    assert_eq!((job.code, &*job.out), (2, ""), "{job}");
}
