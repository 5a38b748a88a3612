//! Files that vanish from a live source: the clone is complete, and its exit code says so.

use std::fs;

use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::{Finished, Sandbox};

const RSYNC: &str = "/usr/bin/rsync";

/// While the transfer runs, each line of `gone` (a name below the source) vanishes after rsync has listed it: rsync is
/// held up by a first file that it reads slowly.
fn vanishing(gone: &str, times: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("0"), crate::support::tree::noise(1, 1 << 20)).unwrap();
    sandbox.write("a/kept", "kept");
    for name in ["z/one", "z/two"] {
        sandbox.write(name, name);
    }
    sandbox.write_destination("old", "old");
    let (source, count) = (sandbox.source.display(), sandbox.path().join("count"));
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*)\n\
           echo x >>'{count}'; [ $(wc -l <'{count}') -le {times} ] || exec {RSYNC} \"$@\"\n\
           (sleep 1; cd '{source}' && rm -rf {gone}) & exec {RSYNC} --bwlimit=512 \"$@\" ;;\n\
         esac\nexec {RSYNC} \"$@\"",
        count = count.display()
    ));
    sandbox
}

#[track_caller]
fn assert_complete(sandbox: &Sandbox, run: &Finished, code: i32) {
    run.assert_code(code).assert_err("").assert_log("The clone is complete.");
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"], "{run}");
    let stats = sandbox.read_marker("stats");
    assert!(stats.contains("\nClone Completed: "), "{stats}");
    assert!(stats.contains(&format!("\nExit Code: {code}\n")), "{stats}");
    assert!(!sandbox.destination.join("old").exists());
}

const TOLD: &str =
    ": Warning: files vanished from the source while they were copied; they are not in the clone.\n";

#[test]
fn the_clone_is_complete_and_the_code_is_24() {
    let sandbox = vanishing("z/one", 1);
    let after = sandbox.path().join("after");
    let script = sandbox.script("post", &format!(": >'{}'", after.display()));
    let run = sandbox.clone(&["--adopt", "-o", script.to_str().unwrap()]);
    assert_complete(&sandbox, &run, 24);
    run.assert_log(TOLD).assert_log(&format!("  {}/z/one\n", sandbox.source.display()));
    assert!(after.exists(), "the post-clone script runs after every complete clone");
    // The directory's own time is that of the moment at which rsync listed it.
    let options = Options { skip: vec!["z".into()], ..Options::default() };
    assert_same(&sandbox.source, &sandbox.destination, &options);
    assert_eq!(crate::support::sandbox::names_of(&sandbox.destination.join("z")), ["two"]);
}

#[test]
fn with_vanished_ok_the_code_is_0_and_the_warning_stays() {
    let sandbox = vanishing("z/one", 1);
    let run = sandbox.clone(&["--adopt", "--vanished-ok"]);
    assert_complete(&sandbox, &run, 0);
    run.assert_log(TOLD);
}

#[test]
fn another_attempt_may_find_everything() {
    let sandbox = vanishing("z/one", 1);
    let run = sandbox.clone(&["--adopt", "--retries", "3", "--retry-wait", "1ms"]);
    assert_complete(&sandbox, &run, 0);
    run.assert_no_log(TOLD).assert_log("Attempt 2 of 4 begins.").assert_no_log("Attempt 3 of 4");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn a_rsync_that_names_no_vanished_file_is_not_believed() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "a");
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) {RSYNC} \"$@\"; exit 24 ;; esac\nexec {RSYNC} \"$@\""
    ));
    sandbox.clone(&["--vanished-ok"]).assert_code(24);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn without_statistics_a_vanished_file_is_13() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "a");
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) echo 'file has vanished: \"/a\"' >&2; exit 24 ;; esac\nexec {RSYNC} \"$@\""
    ));
    sandbox.clone(&[]).assert_code(13).assert_err(
        "counterpart: rsync ended with 24 but its statistics are missing, so it is not known what was copied.\n",
    );
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

#[test]
fn a_source_of_which_everything_vanished_is_71() {
    let sandbox = vanishing("0 a z", 1);
    sandbox.clone(&["--adopt"]).assert_code(71);
    assert_eq!(sandbox.markers()[0], "error");
}
