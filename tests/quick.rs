//! Quick passes, which hand rsync only what differs, and closing passes. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod changes;
mod choice;
mod closing;
mod deletions;
mod first;
mod in_place;
mod moves;
mod tags;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::audit::{Options, assert_same};
use crate::support::sandbox::{Finished, Sandbox};

/// Enough entries for a quick pass.
const FILES: usize = 1200;

/// What the log says of a run that has nothing to do.
const IDLE: &str = ": Quick pass: 0 of ";

/// A source of many files, and a clone of which the index knows every entry.
fn cloned() -> Sandbox {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    sandbox
}

fn prepare(sandbox: &Sandbox) {
    add_files(&sandbox.source);
    settle(sandbox);
}

/// Puts files into directories of a hundred.
fn add_files(source: &Path) {
    for number in 0..FILES {
        let dir = source.join(format!("{:04}", number / 100));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{number:08}")), format!("{number:10}")).unwrap();
    }
}

/// What has changed just before a clone is looked at once more by the next.
fn settle(sandbox: &Sandbox) {
    let runs: Vec<Finished> = (0..4).map(|_| sandbox.clone(&[])).collect();
    for run in &runs {
        run.assert_code(0).assert_err("");
    }
    runs[3].assert_log(IDLE);
}

/// Makes a quick pass, and asserts that the clone is exact and that the next run has nothing to do.
fn assert_quick(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let run = sandbox.clone(more);
    run.assert_code(0).assert_err("").assert_log(": Quick pass: ").assert_no_log(": Full pass: ");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    settle(sandbox);
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
    run
}

/// After this, what was written has changed before the next run for certain: it is proved at once.
fn let_the_clock_tick() {
    std::thread::sleep(Duration::from_millis(100));
}

/// The index file.
fn index(sandbox: &Sandbox) -> PathBuf {
    sandbox.state_file("index")
}

/// An rsync that writes its arguments to `arguments` and does `more` after a transfer, with the number of the transfer in `$n`.
fn watched_rsync(sandbox: &Sandbox, more: &str) -> PathBuf {
    let arguments = sandbox.path().join("arguments");
    let count = sandbox.path().join("count");
    sandbox.rsync(&format!(
        "printf '%s\\n' \"$@\" >>'{}'\n\
         case \" $* \" in *' --stats '*) ;; *) exec /usr/bin/rsync \"$@\" ;; esac\n\
         /usr/bin/rsync \"$@\"; status=$?\n\
         echo >>'{count}'; n=$(wc -l <'{count}'); cd '{}'\n{more}\nexit $status",
        arguments.display(),
        sandbox.source.display(),
        count = count.display(),
    ));
    arguments
}
