//! `--log-changes`: the list of what a run changes, beside its log.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::disk::Tmpfs;
use crate::support::fakes;
use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::Sandbox;
use crate::support::tree::many_files;
use crate::systems::terminal::on_terminal;

/// The list of the last run, sorted.
#[track_caller]
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let path = sandbox.changes();
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Every path below a directory as rsync names it: with a slash at the end of a directory's.
fn names_below(root: &Path, below: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            names.insert(format!("{name}/"));
            names_below(root, &format!("{name}/"), names);
        } else {
            names.insert(name);
        }
    }
}

#[test]
fn every_kind_of_change_is_listed_by_every_rsync() {
    with_each(|sandbox, version| {
        sandbox.write("changed", "old");
        sandbox.write("mode", "same");
        sandbox.write("gone/file", "gone");
        sandbox.write("same", "same");
        sandbox.clone(&["--adopt"]).assert_code(0);
        assert_eq!(listed(sandbox).len(), 5, "{version}");
        sandbox.write("changed", "longer");
        sandbox.write("new/file\n\u{202e}", "new");
        symlink("same", sandbox.source.join("link")).unwrap();
        fs::set_permissions(sandbox.source.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_dir_all(sandbox.source.join("gone")).unwrap();
        sandbox
            .clone(&[])
            .assert_code(0)
            .assert_log(&format!("What was changed is listed in {}.", sandbox.changes().display()));
        // The times of the files that are written anew may be equal, in seconds.
        let lines: Vec<String> =
            listed(sandbox).iter().map(|line| line.replacen(">f.s.......", ">f.st......", 1)).collect();
        let expected = [
            "*deleting   gone/",
            "*deleting   gone/file",
            ".f...p..... mode",
            ">f+++++++++ new/file\\#012\\#342\\#200\\#256",
            ">f.st...... changed",
            "cL+++++++++ link",
            "cd+++++++++ new/",
        ];
        assert_eq!(lines, expected, "{version}");
        assert_eq!(fs::metadata(sandbox.changes()).unwrap().mode() & 0o7777, 0o600);
        sandbox.clone(&[]).assert_code(0).assert_no_log("is listed in");
        assert!(!sandbox.changes().exists(), "nothing was changed");
    });
}

#[test]
fn a_first_copy_and_a_quick_pass_list_each_path_once() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 1500, 10);
    sandbox.write("odd \\#012", "x");
    symlink("nowhere", sandbox.source.join("link")).unwrap();
    fs::hard_link(sandbox.source.join("odd \\#012"), sandbox.source.join("other name")).unwrap();
    let first = sandbox.clone(&[]);
    first.assert_code(0).assert_log("First copy: ");
    let mut expected = BTreeSet::new();
    names_below(&sandbox.source, "", &mut expected);
    expected.remove("odd \\#012");
    expected.insert("odd \\#134#012".to_owned());
    let lines = listed(&sandbox);
    assert!(lines.iter().all(|line| line.split(' ').next().unwrap().ends_with("+++++++++")), "{lines:?}");
    let names: Vec<&str> = lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(names.len(), expected.len());
    assert_eq!(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), expected);
    // What has changed just before a clone is looked at once more by the next.
    for _ in 0..3 {
        sandbox.clone(&[]).assert_code(0);
    }
    for name in ["one", "two", "three"] {
        sandbox.write(name, name);
    }
    sandbox.clone(&[]).assert_code(0).assert_log("Quick pass: ");
    assert_eq!(listed(&sandbox), [">f+++++++++ one", ">f+++++++++ three", ">f+++++++++ two"]);
}

#[test]
fn it_can_be_left_out() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for option in ["--log-changes=no", "-t"] {
        sandbox.clone(&[option]);
        assert!(!sandbox.changes().exists(), "{option}");
    }
    let wrong = sandbox.clone(&["--log-changes=perhaps"]);
    assert_eq!((wrong.code, &*wrong.out), (2, ""), "{wrong}");
    sandbox.write("more", "content");
    sandbox.clone(&["--log-changes"]).assert_code(0);
    assert_eq!(listed(&sandbox).len(), 1);
}

#[test]
fn scripts_know_the_list() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let saw = sandbox.path().join("saw");
    let script = sandbox.script("script", &format!("cat \"$COUNTERPART_CHANGES\" >'{}'", saw.display()));
    sandbox.clone(&["-o", script.to_str().unwrap()]).assert_code(0).assert_err("");
    assert_eq!(fs::read_to_string(&saw).unwrap(), ">f+++++++++ file\n");
    fakes::rsync(&sandbox, "echo '>f+++++++++ half'; statistics; exit 23");
    sandbox.clone(&["--on-error", script.to_str().unwrap()]).assert_code(23);
    assert_eq!(fs::read_to_string(&saw).unwrap(), ">f+++++++++ half\n");
}

#[test]
fn a_safety_net_knows_the_list_of_its_run() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write("gone", "content");
    sandbox.clone(&[]).assert_code(0);
    fs::remove_file(sandbox.source.join("gone")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    let list = sandbox.changes().into_os_string().into_string().unwrap();
    let destination = sandbox.destination.to_str().unwrap();
    let run = sandbox.run(["restore", "-d", destination, "--list"]);
    assert!(run.code == 0 && run.out.ends_with(&format!("  1 entry  4.00 KiB  {list}\n")), "{run}");
    let run = sandbox.run(["restore", "-d", destination, "--list", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(told["nets"][0]["changes"], list.as_str(), "{run}");
    // What is restored is what the clone had, without our attribute.
    let target = sandbox.path().join("restored");
    fs::create_dir(&target).unwrap();
    let net = told["nets"][0]["name"].as_str().unwrap();
    let run = sandbox.run(["restore", "-d", destination, "--to", target.to_str().unwrap(), "/"]);
    assert_eq!(run.code, 0, "{run}");
    let restored = target.join(net);
    assert_eq!(fs::read_to_string(restored.join("gone")).unwrap(), "content");
    assert_eq!(xattr::get(&restored, "user.counterpart.changes").unwrap(), None);
    // Without a list none is named.
    fs::write(sandbox.source.join("file"), "other content").unwrap();
    sandbox.clone(&["--safety-net", "--log-changes=no"]).assert_code(0);
    let run = sandbox.run(["restore", "-d", destination, "--list", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(told["nets"][1]["changes"], serde_json::Value::Null, "{run}");
}

#[test]
fn each_path_is_printed_if_that_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let run = on_terminal(&sandbox, 200, &["-v", "--log-changes=no"], None);
    assert_eq!(run.code, 0);
    assert!(run.lines().contains(&">f+++++++++ file".to_owned()), "{:?}", run.lines());
    sandbox.write("more", "content");
    let run = sandbox.clone(&["-v"]);
    run.assert_code(0).assert_log(">f+++++++++ more");
    assert_eq!(listed(&sandbox), [">f+++++++++ more"]);
    let log = fs::read_to_string(sandbox.logs().pop().unwrap()).unwrap();
    assert!(!log.contains("+++"), "it is not in the log: {log}");
    sandbox.write("third", "content");
    sandbox.clone(&[]).assert_code(0).assert_no_log("+++");
    sandbox.write("fourth", "content");
    let quiet = sandbox.clone(&["-q"]);
    assert_eq!((quiet.code, &*quiet.out, &*quiet.err), (0, "", ""));
    assert_eq!(listed(&sandbox), [">f+++++++++ fourth"]);
}

#[test]
fn a_list_that_cannot_be_written_stops_no_clone() {
    let sandbox = Sandbox::new();
    many_files(&sandbox.source, 3000, 10);
    let disk = Tmpfs::new("size=32k");
    let run = sandbox.clone(&["--log-dir", disk.path().to_str().unwrap()]);
    run.assert_code(0)
        .assert_log(
            "Warning: the list of changes beside the log cannot be written: No space left on device. The run \
             continues without it.",
        )
        .assert_log("The clone is complete.");
    assert!(sandbox.marker("completed").exists());
}

#[test]
fn an_interrupted_run_has_listed_what_it_did() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    fakes::rsync(&sandbox, "echo '>f+++++++++ file'; kill -TERM $PPID; sleep 60");
    sandbox.clone(&[]).assert_code(20);
    assert_eq!(listed(&sandbox), [">f+++++++++ file"]);
}
