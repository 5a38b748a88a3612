//! Attributes that rsync skips unless the option is given twice: those stored by a backup with `--fake-super`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::support::disk::{LoopDisk, supported};
use crate::support::other_rsyncs::{is_before, with_each};
use crate::support::sandbox::Sandbox;

const STORED: [(&str, &[u8]); 4] = [
    ("user.rsync.%stat", b"100640 0,0 1000:1000"),
    ("user.rsync.%aacl", b"\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff"),
    ("user.rsync.%dacl", b"\x02\x00\x00\x00"),
    ("user.plain", b"plain"),
];

#[track_caller]
fn assert_stored(path: &Path) {
    for (name, value) in STORED {
        assert_eq!(xattr::get(path, name).unwrap().as_deref(), Some(value), "{name} of {}", path.display());
    }
}

/// A backup as `rsync --fake-super` leaves it, on files of every kind that can bear these attributes.
fn store(sandbox: &Sandbox) {
    sandbox.write("directory/file", "content");
    sandbox.write("linked", "content");
    fs::hard_link(sandbox.source.join("linked"), sandbox.source.join("again")).unwrap();
    for name in ["directory", "directory/file", "linked"] {
        for (attribute, value) in STORED {
            xattr::set(sandbox.source.join(name), attribute, value).unwrap();
        }
    }
}

fn clone_twice(sandbox: &Sandbox, more: &[&str]) {
    sandbox.clone(more).assert_code(0);
    for name in ["directory", "directory/file", "linked", "again"] {
        assert_stored(&sandbox.destination.join(name));
    }
    sandbox.clone(more).assert_code(0);
    let record = sandbox.record().unwrap();
    assert_eq!(record["statistics"]["transferred"], 0);
    for name in ["directory", "directory/file", "linked", "again"] {
        assert_stored(&sandbox.destination.join(name));
    }
}

#[test]
fn the_stored_owners_of_a_fake_super_backup_survive() {
    with_each(|sandbox, _| {
        store(sandbox);
        // What the source has not must go, too.
        sandbox.clone(&[]).assert_code(0);
        xattr::set(sandbox.destination.join("linked"), "user.rsync.%other", b"extra").unwrap();
        clone_twice(sandbox, &[]);
        assert_eq!(xattr::get(sandbox.destination.join("linked"), "user.rsync.%other").unwrap(), None);
    });
}

/// There each access control list shows a second time, which the rules for the names of attributes are for.
#[test]
fn they_survive_beside_lists_on_xfs() {
    if !supported("xfs") {
        return;
    }
    with_each(|sandbox, version| {
        if is_before(version, "3.1.3") {
            return;
        }
        let disk = LoopDisk::new("xfs", 320, &[], "");
        sandbox.destination = disk.path().into();
        store(sandbox);
        let list =
            b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x05\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
                     \x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
        let of_list =
            |root: &Path| xattr::get(root.join("directory/file"), "system.posix_acl_access").unwrap();
        xattr::set(sandbox.source.join("directory/file"), "system.posix_acl_access", list).unwrap();
        clone_twice(sandbox, &[]);
        assert!(of_list(&sandbox.source).is_some());
        assert_eq!(of_list(&sandbox.source), of_list(&sandbox.destination));
    });
}

#[test]
fn restore_brings_them_back() {
    with_each(|sandbox, version| {
        // These lose what they move into a net, and are refused there.
        if !is_before(version, "3.1.0") && is_before(version, "3.1.2") {
            return;
        }
        store(sandbox);
        sandbox.clone(&["--safety-net"]).assert_code(0);
        fs::remove_dir_all(sandbox.source.join("directory")).unwrap();
        sandbox.clone(&["--safety-net"]).assert_code(0);
        let target = sandbox.path().join("restored");
        fs::create_dir(&target).unwrap();
        let arguments = ["restore", "-d"].map(OsStr::new).into_iter();
        let arguments =
            arguments.chain([sandbox.destination.as_os_str(), OsStr::new("--to"), target.as_os_str()]);
        let run = sandbox.run(arguments.chain([OsStr::new("directory")]));
        assert_eq!(run.code, 0, "{run}");
        assert_stored(&target.join("directory"));
        assert_stored(&target.join("directory/file"));
    });
}
