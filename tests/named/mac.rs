//! A Mac's volume by its name: `diskutil` mounts it, and it is unmounted afterwards if it was not mounted before.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::named::scene::{arguments, clone, state};
use crate::support::sandbox::Sandbox;

const UUID: &str = "0A3407DE-014B-458B-B5C1-848E92A327A3";

/// A Mac whose `diskutil` knows three volumes; `disk2s2` is a directory that appears below `Volumes` when mounted.
fn mac(is_mounted: bool) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::mac("10.14.6");
    sandbox.write("file", "content");
    let volumes = sandbox.host().join("Volumes");
    fs::create_dir(&volumes).unwrap();
    fs::create_dir(sandbox.path().join("volume")).unwrap();
    let point = volumes.join("Clone");
    if is_mounted {
        fs::create_dir(&point).unwrap();
    }
    let dir = sandbox.path().display();
    let point_shown = point.display();
    sandbox.tool(
        "diskutil",
        &format!(
            "echo \"$*\" >>'{dir}/ledger'\n\
             head='<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\">'\n\
             mounted=; [ ! -d '{point_shown}' ] || mounted='<key>MountPoint</key><string>{point_shown}</string>'\n\
             volume=\"<key>DeviceIdentifier</key><string>disk2s2</string><key>VolumeName</key><string>Clone</string>\
             <key>VolumeUUID</key><string>{UUID}</string>$mounted\"\n\
             twin='<key>VolumeName</key><string>Twin</string>'\n\
             case \"$1 $2 $3\" in\n\
             'list -plist ') echo \"$head<dict><key>AllDisksAndPartitions</key><array><dict>\
             <key>DeviceIdentifier</key><string>disk2</string><key>Partitions</key><array><dict>$volume</dict>\
             <dict><key>DeviceIdentifier</key><string>disk3s1</string>$twin</dict>\
             <dict><key>DeviceIdentifier</key><string>disk4s1</string>$twin</dict>\
             </array></dict></array></dict></plist>\" ;;\n\
             'mount disk2s2 ') mkdir '{point_shown}'; cp -a '{dir}/volume/.' '{point_shown}' ;;\n\
             'unmount disk2s2 ') cp -a '{point_shown}/.' '{dir}/volume'; rm -r '{point_shown}' ;;\n\
             'info -plist '*) echo \"$head<dict>$volume</dict></plist>\" ;;\n\
             *) echo \"Unusual $*\" >&2; exit 1 ;;\n\
             esac"
        ),
    );
    (sandbox, point)
}

fn ledger(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join("ledger")).unwrap_or_default();
    text.lines().filter(|line| line.contains("mount ")).map(str::to_owned).collect()
}

/// A directory that plays a volume is on the tests' own disk.
const PLAYED: [&str; 1] = ["--allow-folder"];

#[test]
fn it_is_mounted_for_the_run_and_unmounted_afterwards() {
    let (sandbox, point) = mac(false);
    let name = format!("UUID={UUID}");
    for destination in [name.clone(), "LABEL=Clone".to_owned()] {
        let finished = clone(&sandbox, &destination, &PLAYED);
        finished.assert_code(0).assert_log(&format!("{destination} is disk2s2, mounted for this run at "));
        assert!(!point.exists());
        assert_eq!(fs::read_to_string(sandbox.path().join("volume/file")).unwrap(), "content");
    }
    assert_eq!(ledger(&sandbox), ["mount disk2s2", "unmount disk2s2", "mount disk2s2", "unmount disk2s2"]);
    assert_eq!(state(&sandbox)["destination"], name);
    // The plugin mounts nothing that everybody would see.
    let check = sandbox.run(["check", "-d", &name]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("it is not mounted"), "{check}");
    assert_eq!(ledger(&sandbox).len(), 4);
}

#[test]
fn what_was_mounted_before_stays_mounted() {
    let (sandbox, point) = mac(true);
    let finished = clone(&sandbox, &format!("UUID={}", UUID.to_lowercase()), &PLAYED);
    finished.assert_code(0).assert_log("is disk2s2, mounted already at ");
    assert_eq!(fs::read_to_string(point.join("file")).unwrap(), "content");
    assert_eq!(ledger(&sandbox), [] as [String; 0]);
}

#[test]
fn two_of_one_name_and_none_are_told_apart() {
    let (sandbox, _) = mac(false);
    let twins = clone(&sandbox, "LABEL=Twin", &PLAYED);
    twins.assert_code(66);
    assert!(twins.err.contains("2 volumes have this name (disk3s1, disk4s1)"), "{twins}");
    let none = clone(&sandbox, "LABEL=None", &PLAYED);
    none.assert_code(66);
    clone(&sandbox, "LABEL=None", &["--skip-if-missing"]).assert_code(0);
    assert_eq!(ledger(&sandbox), [] as [String; 0]);
}

#[test]
fn a_disk_that_cannot_be_mounted_is_told() {
    let (sandbox, point) = mac(false);
    symlink("/nowhere", &point).unwrap();
    let finished = sandbox.run(arguments(&sandbox, "LABEL=Clone", &PLAYED));
    finished.assert_code(66);
    assert!(finished.err.contains("diskutil mount disk2s2 failed: "), "{finished}");
}
