//! The other commands, given a filesystem by its name.

use std::fs;

use crate::named::scene::{assert_free, clone, digest, label, sandbox, state, uuid};
use crate::support::disk::BareDisk;
use crate::support::nobody;

#[test]
fn what_was_deleted_is_restored_from_a_disk_that_is_not_mounted() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    let name = uuid(&disk);
    clone(&sandbox, &name, &["--safety-net"]).assert_code(0);
    fs::remove_file(sandbox.source.join("dir/other")).unwrap();
    clone(&sandbox, &name, &["--safety-net"]).assert_code(0);
    let before = digest(&disk);
    let list = sandbox.run(["restore", "-d", &name, "--list", "dir/other"]);
    assert_eq!((list.code, list.err.as_str()), (0, ""), "{list}");
    assert!(list.out.lines().count() == 2, "{list}");
    let to = sandbox.path().join("back");
    fs::create_dir(&to).unwrap();
    let restored = sandbox.run(["restore", "-d", &name, "--to", to.to_str().unwrap(), "/dir/other"]);
    assert_eq!(restored.code, 0, "{restored}");
    assert_eq!(fs::read_to_string(to.join("other")).unwrap(), "more");
    let missing = sandbox.run(["restore", "-d", &name, "--to", to.to_str().unwrap(), "/nothing"]);
    assert_eq!(missing.code, 65, "{missing}");
    assert!(missing.err.contains(&format!("in no safety net at {name};")), "{missing}");
    assert_free(&disk);
    assert_eq!(digest(&disk), before, "only read");
    disk.unplug();
    let gone = sandbox.run(["restore", "-d", &name, "--list"]);
    assert_eq!(gone.code, 66, "{gone}");
    assert_eq!(gone.err, format!("counterpart: {name} cannot be read: no such filesystem is there.\n"));
}

#[test]
fn the_plugin_looks_at_the_disk_as_root_and_else_goes_by_what_is_remembered() {
    let sandbox = sandbox();
    let label = label();
    let disk = BareDisk::new("ext4", &["-L", &label]);
    let name = uuid(&disk);
    let unheard = sandbox.run(["check", "-d", &name]);
    assert_eq!(unheard.code, 3, "{unheard}");
    for destination in [&name, &format!("LABEL={label}")] {
        clone(&sandbox, destination, &[]).assert_code(0);
    }
    let before = digest(&disk);
    for arguments in
        [vec!["check"], vec!["check", "-d", &name], vec!["check", "-d", &format!("LABEL={label}")]]
    {
        let finished = sandbox.run(&arguments);
        assert_eq!(finished.code, 0, "{finished}");
        assert!(finished.out.contains("completed ") && !finished.out.contains("not examined"), "{finished}");
    }
    assert_eq!(digest(&disk), before);
    assert_free(&disk);
    // A failure that only the disk knows of.
    disk.inside(|point| {
        fs::write(point.join(".me.jedda.counterpart.error"), "by another machine\n").unwrap();
    });
    let failed = sandbox.run(["check", "-d", &name]);
    assert_eq!(failed.code, 2, "{failed}");
    disk.inside(|point| fs::remove_file(point.join(".me.jedda.counterpart.error")).unwrap());
    // A run that is under way does not keep it from being read.
    disk.inside(|_| {
        let finished = sandbox.run(["check", "-d", &name]);
        assert_eq!(finished.code, 0, "{finished}");
        assert!(!finished.out.contains("not examined"), "{finished}");
    });
    let anybody = nobody::run(&sandbox, ["check", "-d", &name]);
    assert_eq!(anybody.code, 0, "{anybody}");
    assert!(
        anybody.out.contains(
            "the destination was not examined (only root can mount it), according to this machine's records"
        ),
        "{anybody}"
    );
    disk.unplug();
    let away = sandbox.run(["check", "-d", &format!("LABEL={label}")]);
    assert_eq!(away.code, 0, "{away}");
    assert!(
        away.out.contains("the destination is not there now, according to this machine's records"),
        "{away}"
    );
}

#[test]
fn who_is_not_root_is_told_so() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    let name = uuid(&disk);
    let source = sandbox.source.to_str().unwrap();
    let finished = nobody::run(&sandbox, ["-s", source, "-d", &name, "--allow-non-root"]);
    finished.assert_code(66).assert_err(&format!(
        "counterpart: The destination {name} cannot be written: only root can mount it; name the directory where it is \
         mounted.\n"
    ));
    assert_free(&disk);
}

#[test]
fn a_record_that_was_kept_for_its_mount_point_is_found_by_the_plugin() {
    let sandbox = sandbox();
    let disk = BareDisk::new("ext4", &[]);
    disk.inside(|point| clone(&sandbox, point.to_str().unwrap(), &[]).assert_code(0).clone());
    assert!(state(&sandbox)["destination"].as_str().unwrap().starts_with('/'));
    let finished = sandbox.run(["check", "-d", &uuid(&disk)]);
    assert_eq!(finished.code, 0, "{finished}");
}
