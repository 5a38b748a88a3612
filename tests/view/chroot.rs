//! In a chroot, as on a rescue system: what works in the private view stays in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::sandbox::{Finished, PRODUCT};

/// Runs the product, copied there, in a chroot with this machine's programs, in mounts that end with it.
fn in_chroot(root: &Path, arguments: &str) -> Finished {
    fs::copy(PRODUCT, root.join("counterpart")).unwrap();
    let root = root.display();
    let mounts = format!(
        "set -e\nmount --bind '{root}' '{root}'\ncd '{root}'\nfor dir in usr etc proc dev; do mount --rbind \"/$dir\" \"$dir\"; done\n\
         exec chroot . /counterpart {arguments}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &mounts]).stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

#[test]
fn a_clone_in_a_chroot_is_made_in_its_own_root() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["usr", "etc", "proc", "dev", "run", "tmp", "var/lib", "log", "source/sub", "destination"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("source/sub/file"), "content").unwrap();
    let run = in_chroot(dir.path(), "-s /source -d /destination --log-dir /log");
    assert_eq!((run.code, &*run.err), (0, ""), "{run}");
    assert!(!run.out.contains("A private view"), "{run}");
    let destination = dir.path().join("destination");
    assert_eq!(fs::read_to_string(destination.join("sub/file")).unwrap(), "content");
    assert!(destination.join(".me.jedda.counterpart.completed").exists());
    // The whole of it, which is the root of no disk.
    let run = in_chroot(dir.path(), "-s / -d /destination --log-dir /log --adopt");
    assert_eq!((run.code, &*run.err), (0, ""), "{run}");
    assert_eq!(fs::read_to_string(destination.join("source/sub/file")).unwrap(), "content");
    assert!(!destination.join("destination").join("source").exists());
}
