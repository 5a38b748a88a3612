//! A source that changes while rsync copies it, by accident or on purpose.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::evidence::Evidence;
use crate::support::other_rsyncs::fetched;
use crate::support::sandbox::{Finished, Sandbox, names_of, wait_until};
use crate::support::scene::{Running, meanwhile, on_transfer, rsyncs};
use crate::support::tree::{noise, remove_tree, snapshot};

/// The size of the file that takes a while.
const SLOW: usize = 1 << 20;

/// Runs a clone that takes a while for `slow`, and lets something happen to the source when that has begun; by then the
/// list of files is complete.
fn disturb(evidence: &mut Evidence, happening: fn(&Path)) -> (Sandbox, Finished) {
    disturb_twice(evidence, happening, |_| ())
}

/// Lets something else happen while rsync goes on.
fn disturb_twice(evidence: &mut Evidence, happening: fn(&Path), then: fn(&Sandbox)) -> (Sandbox, Finished) {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("a slow file"), noise(1, SLOW)).unwrap();
    for dir in ["directory", "other"] {
        sandbox.write(format!("{dir}/changing"), &"x".repeat(5000));
        sandbox.write(format!("{dir}/kept"), "kept");
    }
    let outside = sandbox.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["changing", "kept", "secret"] {
        fs::write(outside.join(name), "secret").unwrap();
    }
    // The promises are those of an rsync without known holes; a distribution's may be older.
    let (_, rsync) = fetched().pop().unwrap();
    let rsync = rsync.display();
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) set -- --bwlimit=512 \"$@\" ;; esac\nexec '{rsync}' \"$@\""
    ));
    evidence.watch(&sandbox);
    evidence.watch_bystander(&outside);
    let run = Running::start(&sandbox, &[]);
    let begins = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".a slow file.");
    assert!(wait_until(|| names_of(&sandbox.destination).iter().any(begins)), "nothing arrives");
    meanwhile(&sandbox, || happening(&sandbox.source));
    then(&sandbox);
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    let strayed = snapshot(&sandbox.destination);
    let secret = snapshot(&outside);
    let of_secret = secret.contents(Path::new("secret"));
    assert!(
        strayed.paths().all(|path| strayed.contents(path) != of_secret),
        "what is outside was copied: {run}"
    );
    (sandbox, run)
}

fn then_mend(evidence: &mut Evidence, sandbox: &Sandbox) {
    on_transfer(sandbox, "");
    evidence.repair(sandbox);
}

fn changing(source: &Path) -> PathBuf {
    source.join("directory/changing")
}

pub fn a_file_that_grows_is_copied(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        let append = |path: PathBuf| OpenOptions::new().append(true).open(path).unwrap();
        append(changing(source)).write_all(&noise(9, 50_000)).unwrap();
        append(source.join("a slow file")).write_all(&noise(9, 50_000)).unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_shrinks_is_never_padded(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        let open = |path: PathBuf| OpenOptions::new().write(true).open(path).unwrap();
        open(changing(source)).set_len(10).unwrap();
        open(source.join("a slow file")).set_len(700_000).unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_is_overwritten_is_mended_by_the_next_run(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        let file = OpenOptions::new().write(true).open(source.join("a slow file")).unwrap();
        file.write_all_at(&noise(2, 200_000), 0).unwrap();
        file.write_all_at(&noise(3, 200_000), SLOW as u64 - 200_000).unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_vanishes_is_24(evidence: &mut Evidence) {
    let (sandbox, run) = disturb(evidence, |source| fs::remove_file(changing(source)).unwrap());
    run.assert_log("file has vanished: ");
    then_mend(evidence, &sandbox);
}

pub fn a_directory_that_vanishes_is_24(evidence: &mut Evidence) {
    let (sandbox, run) = disturb(evidence, |source| remove_tree(&source.join("directory")));
    run.assert_log("file has vanished: ");
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_becomes_a_link_is_not_followed(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        fs::remove_file(changing(source)).unwrap();
        symlink("../../outside/secret", changing(source)).unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_directory_that_becomes_a_link_is_not_followed(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        remove_tree(&source.join("directory"));
        symlink("../outside", source.join("directory")).unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_becomes_a_directory_is_cloned_as_one(evidence: &mut Evidence) {
    let (sandbox, _) = disturb(evidence, |source| {
        fs::remove_file(changing(source)).unwrap();
        fs::create_dir(changing(source)).unwrap();
        fs::write(changing(source).join("below"), "below").unwrap();
    });
    then_mend(evidence, &sandbox);
}

pub fn a_file_that_becomes_a_fifo_does_not_hang_the_run(evidence: &mut Evidence) {
    let (sandbox, run) = disturb(evidence, |source| {
        fs::remove_file(changing(source)).unwrap();
        mkfifo(&changing(source), Mode::S_IRWXU).unwrap();
    });
    run.assert_log("Warning: changing became a FIFO during the clone; rsync waited for a writer");
    then_mend(evidence, &sandbox);
}

pub fn a_fifo_that_is_gone_again_does_not_hang_the_run(evidence: &mut Evidence) {
    let (sandbox, run) = disturb_twice(
        evidence,
        |source| {
            fs::remove_file(changing(source)).unwrap();
            mkfifo(&changing(source), Mode::S_IRWXU).unwrap();
        },
        |sandbox| {
            let waits = |id: &nix::unistd::Pid| {
                fs::read_to_string(format!("/proc/{id}/wchan")).is_ok_and(|name| name == "wait_for_partner")
            };
            assert!(wait_until(|| rsyncs(sandbox).iter().any(waits)), "rsync does not wait for a writer");
            fs::rename(changing(&sandbox.source), sandbox.source.join("directory/elsewhere")).unwrap();
        },
    );
    run.assert_log(" became a FIFO during the clone; rsync waited for a writer and was released.");
    then_mend(evidence, &sandbox);
}

/// How many FIFOs take the place of files.
const FIFOS: usize = 200;

/// At five seconds each it would be a quarter of an hour.
pub fn many_files_that_become_fifos_cost_seconds(evidence: &mut Evidence) {
    let sandbox = Sandbox::new();
    fs::write(sandbox.source.join("a slow file"), noise(1, SLOW)).unwrap();
    for number in 0..FIFOS {
        sandbox.write(format!("directory/{number}"), "x");
    }
    on_transfer(&sandbox, "exec /usr/bin/rsync --bwlimit=512 \"$@\"");
    evidence.watch(&sandbox);
    let run = Running::start(&sandbox, &[]);
    let begins = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".a slow file.");
    assert!(wait_until(|| names_of(&sandbox.destination).iter().any(begins)), "nothing arrives");
    meanwhile(&sandbox, || {
        for number in 0..FIFOS {
            let path = sandbox.source.join(format!("directory/{number}"));
            fs::remove_file(&path).unwrap();
            mkfifo(&path, Mode::S_IRWXU).unwrap();
        }
    });
    // `finish` waits for a minute.
    let run = run.finish();
    evidence.verify(&sandbox, &run);
    let told = run.out.matches(" became a FIFO during the clone;").count();
    assert_eq!(told, 100, "{run}");
    run.assert_log(&format!(
        "Warning: {} more files became FIFOs and were handled the same way.",
        FIFOS - 100
    ));
    then_mend(evidence, &sandbox);
}

/// A clone of `b`, `c` and `d`, one file, with old contents; then it gets new ones, and `happening` while it is cloned again.
fn linked(evidence: &mut Evidence, times: u32, happening: &str) -> (Sandbox, Finished) {
    let sandbox = Sandbox::new();
    sandbox.write("directory/b", "old");
    sandbox.write("kept", "kept");
    fs::hard_link(sandbox.source.join("directory/b"), sandbox.source.join("directory/c")).unwrap();
    fs::hard_link(sandbox.source.join("directory/b"), sandbox.source.join("directory/d")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    fs::write(sandbox.source.join("directory/b"), "new contents").unwrap();
    fs::write(sandbox.path().join("other"), noise(2, SLOW)).unwrap();
    fs::write(sandbox.source.join("a slow file"), noise(1, SLOW)).unwrap();
    let (source, count) = (sandbox.source.display(), sandbox.path().join("count"));
    // After the list and before the file: the slow one is sent first.
    on_transfer(
        &sandbox,
        &format!(
            "echo x >>'{count}'; [ $(wc -l <'{count}') -le {times} ] || exec /usr/bin/rsync \"$@\"\n\
             (sleep 1; cd '{source}/directory' && {happening}) & exec /usr/bin/rsync --bwlimit=512 --whole-file \"$@\"",
            count = count.display()
        ),
    );
    evidence.watch(&sandbox);
    let run = sandbox.clone(&["--stall-timeout", "20s"]);
    evidence.verify(&sandbox, &run);
    (sandbox, run)
}

/// rsync's own code is 24, and `c` would keep its old contents.
pub fn a_file_of_several_names_that_vanishes_is_cloned_by_the_others(evidence: &mut Evidence) {
    let (sandbox, run) = linked(evidence, 1, "rm b");
    run.assert_log("file has vanished: ").assert_log("retrying with its remaining names.");
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/c")).unwrap(), "new contents");
    then_mend(evidence, &sandbox);
}

/// No other name may stand for it, as long as one of them vanishes in each attempt.
pub fn a_file_of_several_names_that_vanishes_twice_is_23(evidence: &mut Evidence) {
    let (sandbox, run) =
        linked(evidence, 2, "if [ -e b ]; then rm b; cat ../../other >'../a slow file'; else rm c; fi");
    let c = sandbox.source.join("directory/c");
    run.assert_err(&format!(
        "counterpart: {} vanished while it was being copied. It had other hard links, which may be missing from the clone or have old contents there. Run it again.\n",
        c.display()
    ));
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/d")).unwrap(), "old");
    then_mend(evidence, &sandbox);
}

/// The other way in which rsync waited for ever. The second look makes the clone exact.
pub fn a_file_of_several_names_that_becomes_a_link_is_cloned_as_one(evidence: &mut Evidence) {
    let (sandbox, run) = linked(evidence, 1, "rm b && ln -s c b");
    run.assert_log("nothing else went wrong: retrying (1 of 2)");
    assert_eq!(fs::read_link(sandbox.destination.join("directory/b")).unwrap(), Path::new("c"));
    assert_eq!(fs::read_to_string(sandbox.destination.join("directory/c")).unwrap(), "new contents");
    then_mend(evidence, &sandbox);
}
