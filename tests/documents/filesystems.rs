//! A clone of one filesystem beside that of another, as the README recommends.

use std::process::Command;

use crate::documents::succeed;
use crate::support::sandbox::{FAKE_HOST, Sandbox};

/// Runs a shell script as root in a mount namespace of its own, with `$s`, `$d` and `clone SOURCE DESTINATION`.
fn in_namespace(sandbox: &Sandbox, script: &str) -> String {
    let start = "set -eu; mount --make-rprivate /; clone() { \"$PROGRAM\" -s \"$1\" -d \"$2\" >/dev/null; };";
    succeed(
        Command::new("timeout")
            .args(["60", "unshare", "--mount", "sh", "-c", &format!("{start} {script}")])
            .env("COUNTERPART_FAKE_HOST", sandbox.host())
            .env("PROGRAM", FAKE_HOST)
            .env("s", &sandbox.source)
            .env("d", &sandbox.destination),
    )
}

#[test]
fn a_partition_of_its_own_below_a_clone_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("home/below the mount point", "");
    sandbox.write("file", "");
    let script = "mount -t tmpfs tmpfs \"$s/home\"; echo in >\"$s/home/letter\"; clone \"$s\" \"$d\"
        mount -t tmpfs tmpfs \"$d/home\"; clone \"$s/home\" \"$d/home\"; ls \"$d/home\"
        clone \"$s\" \"$d\"; ls \"$d/home\"
        umount \"$s/home\"; rm \"$s/home/below the mount point\"; clone \"$s\" \"$d\"; ls \"$d/home\"";
    assert_eq!(in_namespace(&sandbox, script), "letter\nletter\nletter\n");
}

#[test]
fn the_clone_of_another_filesystem_in_a_plain_directory_below_a_clone_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("home/below the mount point", "");
    sandbox.write("file", "");
    let script = "mount -t tmpfs tmpfs \"$s/home\"; echo in >\"$s/home/letter\"; clone \"$s\" \"$d\"
        rm -r \"$d/home\"; mkdir \"$d/home\"; clone \"$s/home\" \"$d/home\"; clone \"$s\" \"$d\"; ls \"$d/home\"
        umount \"$s/home\"; rm \"$s/home/below the mount point\"; clone \"$s\" \"$d\"; ls \"$d/home\"";
    assert_eq!(in_namespace(&sandbox, script), "letter\nletter\n");
}
