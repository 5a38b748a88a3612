//! Runs the product as an ordinary user who owns the sandbox.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox};

/// The user and group ID.
pub const NOBODY: u32 = 65534;

/// Makes the user the owner of a directory and everything in it.
pub fn give(path: &Path) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// Runs the product with these arguments as that user, who becomes the owner of the fake host.
pub fn run(sandbox: &Sandbox, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
    give(&sandbox.host());
    // This user may be unable to enter the build directory.
    let program = sandbox.path().join("counterpart");
    if !program.exists() && fs::hard_link(FAKE_HOST, &program).is_err() {
        assert!(
            Command::new("cp").args([OsStr::new(FAKE_HOST), program.as_os_str()]).status().unwrap().success()
        );
    }
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()])
        .arg(program)
        .args(arguments)
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

/// Clones as that user, with `--allow-non-root` and additional options.
pub fn clone(sandbox: &Sandbox, more: &[&str]) -> Finished {
    run(sandbox, sandbox.arguments(["--allow-non-root"].iter().chain(more)))
}
