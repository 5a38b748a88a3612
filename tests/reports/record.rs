//! `.stats.json`: its contents after every kind of end, checked against its schema by an independent validator.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::DateTime;
use serde_json::{Value, json};

use crate::support::disk::LoopDisk;
use crate::support::fakes;
use crate::support::sandbox::{FAKE_HOST, Finished, RECORD, STEM, Sandbox, names_of};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/stats.schema.json");

const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator, FormatChecker
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
errors = list(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(json.load(open(sys.argv[2]))))
print('\\n'.join(f'{list(error.path)}: {error.message}' for error in errors))
";

/// What the validator objects to, a line each.
fn objections(record: &Path) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", VALIDATE, SCHEMA]).arg(record);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox
}

/// The record of a run that has just ended so, after it was validated.
#[track_caller]
fn record_of(sandbox: &Sandbox, finished: &Finished, outcome: &str) -> Value {
    let record = sandbox.record().unwrap_or_else(|| panic!("no record: {finished}"));
    assert_eq!(objections(&sandbox.marker(RECORD)), "", "{record:#}");
    assert_eq!(record["outcome"], outcome, "{record:#}");
    assert_eq!(record["exit_code"], finished.code, "{record:#}");
    assert_eq!(record["destination"], sandbox.destination.to_str().unwrap());
    assert_eq!(record["source"], sandbox.source.to_str().unwrap());
    let log = sandbox.logs().pop().unwrap();
    assert_eq!(record["log"], log.to_str().unwrap());
    let list = sandbox.changes();
    assert_eq!(record["changes"].as_str(), list.exists().then(|| list.to_str().unwrap()));
    let reason = finished.err.strip_prefix("counterpart: ").map(str::trim_end);
    assert_eq!(record["reason"].as_str(), reason, "{finished}");
    let metadata = fs::symlink_metadata(sandbox.marker(RECORD)).unwrap();
    // One that names files is root's alone.
    let mode = metadata.mode() & 0o7777;
    assert!(metadata.is_file() && [0o644, 0o600].contains(&mode), "{mode:o}");
    record
}

/// A failure whose record and reason are at the destination.
#[track_caller]
fn failed(sandbox: &Sandbox, code: i32, more: &[&str]) -> Value {
    let finished = sandbox.clone(more);
    finished.assert_code(code);
    let record = record_of(sandbox, &finished, "failed");
    let (reason, public) = (record["reason"].as_str().unwrap(), sandbox.read_marker("error"));
    // The reason for everybody does not name the file on a full disk.
    assert!(
        reason == public.trim_end() || (code == 74 && public.contains(" is full. ")),
        "{reason} {public}"
    );
    assert!(!sandbox.marker("completed").exists());
    record
}

#[test]
fn a_success_is_told_in_full() {
    let sandbox = Sandbox::new();
    sandbox.write("a", &"x".repeat(1_234_567));
    sandbox.write("directory/b", "four");
    symlink("a", sandbox.source.join("link")).unwrap();
    sandbox.write_destination("old", "x");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    let finished = sandbox.clone(&[]);
    finished.assert_code(0).assert_err("");
    let record = record_of(&sandbox, &finished, "success");
    let none = json!({ "first": [], "more": 0 });
    assert_eq!((&record["warnings"], &record["failing_paths"]), (&none, &none));
    assert_eq!(record["prefix"], "me.jedda");
    assert_eq!(record["counterpart"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["host"], "testhost");
    assert_eq!(record["scripts"], json!([]));
    let statistics = &record["statistics"];
    for (name, value) in [
        ("files", 5),
        ("created", 4),
        ("deleted", 1),
        ("transferred", 2),
        ("total_size", 1_234_572),
        ("transferred_size", 1_234_571),
        ("literal", 1_234_571),
        ("matched", 0),
    ] {
        assert_eq!(statistics[name], value, "{name}: {statistics:#}");
    }
    let kinds = |files: u64, dirs: u64, links: u64| json!({ "files": files, "folders": dirs, "links": links, "devices": 0, "special": 0 });
    assert_eq!(statistics["files_by_kind"], kinds(2, 2, 1));
    assert_eq!(statistics["created_by_kind"], kinds(2, 1, 1));
    assert_eq!(statistics["deleted_by_kind"], kinds(1, 0, 0));
    assert!(statistics["sent"].as_u64().unwrap() > 1_234_571, "{statistics:#}");
    assert!(statistics["list_generation_ms"].is_u64() && statistics["received"].is_u64());
    let rsync = &record["rsync"];
    assert_eq!(
        (&rsync["attempts"], &rsync["exit_code"], &rsync["signal"]),
        (&json!(1), &json!(0), &json!(null))
    );
    finished.assert_log(&format!(
        "rsync: {}, version {}.",
        rsync["path"].as_str().unwrap(),
        rsync["version"].as_str().unwrap()
    ));
    for option in rsync["dropped_options"].as_array().unwrap() {
        finished.assert_log(&format!("this rsync lacks {}: ", option.as_str().unwrap()));
    }
    let phases: Vec<&str> =
        record["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert!(phases.contains(&"flush") && phases.contains(&"transfer"), "{phases:?}");
    let spent: f64 =
        record["phases"].as_array().unwrap().iter().map(|phase| phase["seconds"].as_f64().unwrap()).sum();
    // The flush is a part of the transfer.
    assert!(spent <= 2.0 * record["seconds"].as_f64().unwrap() + 0.01, "{record:#}");
}

#[test]
fn both_forms_of_a_time_are_the_same_moment() {
    let sandbox = sandbox();
    let before = chrono::Utc::now().timestamp();
    let mut command = sandbox.command(sandbox.arguments([] as [&str; 0]));
    let finished = Finished::from(command.env("TZ", "Australia/Sydney").output().unwrap());
    finished.assert_code(0);
    let record = record_of(&sandbox, &finished, "success");
    let moments = ["started", "ended"].map(|name| {
        let moment = &record[name];
        let time = DateTime::parse_from_rfc3339(moment["rfc3339"].as_str().unwrap()).unwrap();
        assert_eq!(time.timestamp(), moment["epoch"].as_i64().unwrap(), "{moment}");
        time.timestamp()
    });
    assert!(before <= moments[0] && moments[0] <= moments[1] && moments[1] <= chrono::Utc::now().timestamp());
}

#[test]
fn the_schema_refuses_what_is_no_record() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let good = sandbox.record().unwrap();
    let file = sandbox.path().join("changed.json");
    let objections_after = |change: &dyn Fn(&mut Value)| {
        let mut record = good.clone();
        change(&mut record);
        fs::write(&file, record.to_string()).unwrap();
        objections(&file)
    };
    assert_eq!(objections_after(&|_| {}), "");
    for name in good.as_object().unwrap().keys() {
        let without = objections_after(&|record| {
            record.as_object_mut().unwrap().remove(name);
        });
        assert!(without.contains("is a required property"), "{name}: {without}");
    }
    for (pointer, value) in [
        ("/outcome", json!("skipped")),
        ("/outcome", json!("failed")),
        ("/exit_code", json!(23)),
        ("/reason", json!("none")),
        ("/schema", json!(2)),
        ("/seconds", json!(-1)),
        ("/started/rfc3339", json!("yesterday")),
        ("/statistics/files", json!("5")),
        ("/rsync/dropped_options", json!(["acls"])),
        ("/warnings/first", json!(vec!["x"; 21])),
    ] {
        let told = objections_after(&|record| *record.pointer_mut(pointer).unwrap() = value.clone());
        assert_ne!(told, "", "{pointer} = {value}");
    }
}

#[test]
fn scripts_are_in_it_and_a_failing_one_is_a_warning() {
    let sandbox = sandbox();
    let (pre, post) = (sandbox.script("pre", "true"), sandbox.script("post", "kill -9 $$"));
    let arguments = ["-p", pre.to_str().unwrap(), "-o", post.to_str().unwrap()];
    let finished = sandbox.clone(&arguments);
    finished.assert_code(0).assert_err("");
    let record = record_of(&sandbox, &finished, "warning");
    assert_eq!(
        record["scripts"],
        json!([
            { "which": "pre-clone", "path": pre.to_str().unwrap(), "exit_code": 0, "signal": null },
            { "which": "post-clone", "path": post.to_str().unwrap(), "exit_code": null, "signal": 9 },
        ])
    );
    let warning = record["warnings"]["first"][0].as_str().unwrap();
    assert!(warning.contains("it was killed by signal 9"), "{warning}");
    finished.assert_log(&format!("Warning: {warning}"));
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    sandbox.script("post", "true");
    let finished = sandbox.clone(&arguments);
    finished.assert_code(0);
    record_of(&sandbox, &finished, "success");
}

#[test]
fn vanished_files_are_a_warning() {
    let sandbox =
        fakes::sandbox("echo \"file has vanished: \\\"${source}gone\\\"\" >&2; statistics; exit 24");
    for (options, code) in [(&[][..], 24), (&["--vanished-ok", "--allow-shrink"][..], 0)] {
        let finished = sandbox.clone(options);
        finished.assert_code(code).assert_err("");
        let record = record_of(&sandbox, &finished, "warning");
        assert_eq!(record["rsync"]["exit_code"], 24);
        assert!(record["warnings"]["first"][0].as_str().unwrap().contains("vanished"), "{record:#}");
        assert_eq!(record["statistics"]["total_size"], 24_697_752, "groups of digits are read");
    }
}

#[test]
fn failures_of_every_kind_are_told() {
    let sandbox = fakes::sandbox("statistics; exit 23");
    assert_eq!(failed(&sandbox, 23, &[])["statistics"]["files"], 1507);
    fakes::rsync(
        &sandbox,
        "i=0; while [ $i -lt 25 ]; do echo \"rsync: [sender] send_files failed to open \\\"/s/$i\\\": Permission denied (13)\" >&2; i=$((i+1)); done; statistics; exit 23",
    );
    let paths = &failed(&sandbox, 23, &[])["failing_paths"];
    assert_eq!((paths["first"].as_array().unwrap().len(), &paths["more"]), (20, &json!(5)), "{paths}");
    fakes::rsync(&sandbox, "echo 'rsync: write failed on \"/x\": No space left on device (28)' >&2; exit 11");
    let record = failed(&sandbox, 74, &[]);
    assert_eq!((&record["statistics"], &record["rsync"]["exit_code"]), (&json!(null), &json!(11)));
    fakes::rsync(&sandbox, "kill -9 $$");
    let record = failed(&sandbox, 137, &[]);
    assert_eq!((&record["rsync"]["signal"], &record["rsync"]["exit_code"]), (&json!(9), &json!(null)));
    fakes::rsync(&sandbox, "kill -TERM $PPID; sleep 20");
    failed(&sandbox, 20, &[]);
    // Before rsync is started, and before both ends are known.
    let script = sandbox.script("script", "exit 7");
    let record = failed(&sandbox, 81, &["--strict-scripts", "-p", script.to_str().unwrap()]);
    assert_eq!(record["rsync"]["attempts"], 0);
    let nothing = sandbox.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    let mut command = sandbox.command(sandbox.arguments([""; 0]));
    let finished = Finished::from(command.env("PATH", &nothing).output().unwrap());
    finished.assert_code(85);
    assert_eq!(record_of(&sandbox, &finished, "failed")["rsync"], json!(null));
    fs::remove_file(sandbox.source.join("file")).unwrap();
    failed(&sandbox, 65, &[]);
}

#[test]
fn a_failing_script_that_counts_fails_the_record_and_the_statistics() {
    let sandbox = sandbox();
    let script = sandbox.script("script", "exit 7");
    let script = script.to_str().unwrap();
    failed(&sandbox, 81, &["--strict-scripts", "-p", script]);
    let record = failed(&sandbox, 82, &["--strict-scripts", "-o", script]);
    assert_eq!(record["scripts"][0]["exit_code"], 7);
    assert_eq!(record["rsync"]["exit_code"], 0, "rsync itself had succeeded");
    let text = sandbox.read_marker("stats");
    assert!(text.contains("\nClone Ended: ") && !text.contains("Clone Completed"), "{text}");
    assert!(text.contains("\nNumber of files: 2\n") && text.contains("\nExit Code: 82\n"), "{text}");
    // The same is true of a signal that arrives while the script runs.
    sandbox.script("script", "kill -TERM $PPID; sleep 20");
    failed(&sandbox, 20, &["-o", script]);
    let text = sandbox.read_marker("stats");
    assert!(!text.contains("Clone Completed") && text.contains("\nExit Code: 20\n"), "{text}");
    sandbox.clone(&[]).assert_code(0);
    let text = sandbox.read_marker("stats");
    assert!(text.contains("\nClone Completed: ") && text.contains("\nExit Code: 0\n"), "{text}");
}

#[test]
fn a_refused_destination_and_a_test_run_get_none() {
    let sandbox = sandbox();
    sandbox.write_destination("precious", "x");
    sandbox.clone(&[]).assert_code(76);
    sandbox.clone(&["-t"]).assert_code(70);
    assert_eq!(names_of(&sandbox.destination), ["precious"]);
    sandbox.clone(&["--adopt"]).assert_code(0);
    let before = fs::read(sandbox.marker(RECORD)).unwrap();
    sandbox.clone(&["-t"]).assert_code(70);
    let destination = sandbox.destination.to_str().unwrap();
    sandbox.run(["-s", destination, "-d", destination]).assert_code(87);
    assert_eq!(fs::read(sandbox.marker(RECORD)).unwrap(), before);
}

#[test]
fn the_roots_time_stays_the_sources() {
    let sandbox = sandbox();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 123_456_789);
    fs::File::open(&sandbox.source).unwrap().set_modified(time).unwrap();
    let post = sandbox.script("post", "exit 3");
    for options in [&[][..], &["-o", post.to_str().unwrap()][..]] {
        sandbox.clone(options).assert_code(0);
        assert!(sandbox.marker(RECORD).exists());
        assert_eq!(fs::metadata(&sandbox.destination).unwrap().modified().unwrap(), time);
    }
}

#[test]
fn planted_links_and_directories_are_replaced() {
    let sandbox = sandbox();
    let target = sandbox.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, sandbox.marker(RECORD)).unwrap();
    sandbox.clone(&["--adopt"]).assert_code(0);
    record_of(&sandbox, &sandbox.clone(&[]), "success");
    fs::remove_file(sandbox.marker(RECORD)).unwrap();
    fs::create_dir(sandbox.marker(RECORD)).unwrap();
    symlink(&target, sandbox.marker(RECORD).join("link")).unwrap();
    record_of(&sandbox, &sandbox.clone(&[]), "success");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn it_does_not_make_a_destination_ours_and_does_not_travel() {
    let sandbox = sandbox();
    sandbox.write_destination("precious", "x");
    sandbox.write_destination(format!("{STEM}{RECORD}"), "{}");
    sandbox.clone(&[]).assert_code(76);
    fs::remove_file(sandbox.destination.join("precious")).unwrap();
    sandbox.write(".org.example.counterpart.stats.json", "of the source");
    sandbox.write(format!("{STEM}{RECORD}"), "of the source");
    let finished = sandbox.clone(&["--adopt"]);
    finished.assert_code(0);
    record_of(&sandbox, &finished, "success");
    assert_eq!(sandbox.names(), ["file"]);
    assert_eq!(fs::read_to_string(sandbox.source.join(format!("{STEM}{RECORD}"))).unwrap(), "of the source");
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.marker("stats.json.tmp-01234567"), "half").unwrap();
    sandbox.clone(&[]).assert_code(0);
    assert!(!sandbox.marker("stats.json.tmp-01234567").exists());
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn what_names_hold_is_escaped() {
    let mut sandbox = Sandbox::new();
    let odd: PathBuf = sandbox.path().join("de\nst\"\\");
    fs::create_dir(&odd).unwrap();
    sandbox.destination = odd;
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let record = sandbox.record().unwrap();
    assert_eq!(objections(&sandbox.marker(RECORD)), "");
    assert!(record["destination"].as_str().unwrap().ends_with("/de\\#012st\"\\"), "{record:#}");
}

#[test]
fn a_disk_that_is_full_after_the_clone_costs_only_the_record() {
    let mut sandbox = Sandbox::new();
    let disk = LoopDisk::new("ext4", 16, &["-m", "0"], "");
    sandbox.destination = disk.path().to_owned();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    assert!(sandbox.record().is_some());
    let filler = sandbox.destination.join("filler");
    let fill = format!("cat /dev/zero >>'{}' 2>/dev/null; sync; ", filler.display());
    let post = sandbox.script("post", &format!("{fill}{fill}exit 1"));
    let options = ["-o", post.to_str().unwrap()];
    let finished = sandbox.clone(&options);
    finished.assert_code(0).assert_err("");
    finished.assert_log("The clone is complete.");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{finished}");
    match sandbox.record() {
        // With the old one away there was room.
        Some(record) => assert_eq!(record["outcome"], "warning", "nothing older is left: {record:#}"),
        None => {
            finished.assert_log("Warning: the record of this run could not be written to the destination: ");
        }
    }
}

#[test]
fn a_record_that_cannot_be_written_is_a_warning_and_leaves_nothing_older() {
    let sandbox = sandbox();
    sandbox.clone(&[]).assert_code(0);
    let before = sandbox.record().unwrap();
    // Larger than the files that the product may write: of all that it writes there only the record is so large.
    let post = sandbox.script("post", "exit 1");
    let dir = sandbox.path().join("x".repeat(200)).join("y".repeat(200));
    fs::create_dir_all(&dir).unwrap();
    let pre = dir.join("pre");
    fs::copy(&post, &pre).unwrap();
    let size = fs::metadata(sandbox.marker(RECORD)).unwrap().len();
    let arguments = sandbox.arguments(["-p", pre.to_str().unwrap(), "-o", post.to_str().unwrap()]);
    // Where the limit is met there is a signal too, which would end the product.
    let mut command = Command::new("env");
    command.args(["--ignore-signal=XFSZ", "prlimit", &format!("--fsize={size}"), FAKE_HOST]).args(arguments);
    command.env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    let finished = Finished::from(command.output().unwrap());
    assert_eq!(finished.code, 0, "{finished}");
    finished.assert_log(
        "Warning: the record of this run could not be written to the destination: File too large.",
    );
    assert_eq!(sandbox.record(), None, "{before:#}");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
}
