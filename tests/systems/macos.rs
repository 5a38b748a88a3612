//! Macs of every age, with fake tools.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::support::disk::{OwnerlessFuse, Tmpfs};
use crate::support::sandbox::{Finished, Sandbox, marks_of};
use crate::support::tree;
use crate::systems::fakes::{self, FakeRsync, PATCHES, SINCE_3_2_3, Vsdbutil};

const PERMISSIONS_ON: &str = "<key>GlobalPermissionsEnabled</key><true/>";
const PERMISSIONS_OFF: &str = "<key>GlobalPermissionsEnabled</key><false/>";
const SEALED: &str = "<key>Sealed</key><string>Yes</string>";
const NOT_SEALED: &str = "<key>Sealed</key><string>No</string>";

/// A Mac of this version, with something to clone.
fn mac(version: &str) -> Sandbox {
    let sandbox = Sandbox::mac(version);
    fakes::sw_vers(&sandbox, version);
    fakes::vsdbutil(&sandbox, Vsdbutil::Enabled);
    sandbox.write("file", "content");
    sandbox
}

/// Clones to a directory elsewhere.
fn clone_to(sandbox: &Sandbox, destination: &Path) -> Finished {
    clone_of(sandbox, &sandbox.source, destination, &[])
}

fn clone_of(sandbox: &Sandbox, source: &Path, destination: &Path, more: &[&OsStr]) -> Finished {
    let ends = [OsStr::new("-s"), source.as_os_str(), OsStr::new("-d"), destination.as_os_str()];
    sandbox.run(ends.into_iter().chain(more.iter().copied()))
}

fn assert_refused_untouched(sandbox: &Sandbox, code: i32, sentence: &str) {
    sandbox.write_destination("kept", "before");
    let before = tree::snapshot_with_ctime(&sandbox.destination);
    let finished = sandbox.clone(&["--adopt"]);
    finished.assert_code(code).assert_log(sentence);
    assert!(finished.err.contains(sentence), "{finished}");
    tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn a_clone_is_made_on_every_version_of_macos() {
    for (version, shown) in [
        ("10.7.5", "macOS 10.7."),
        ("10.9", "macOS 10.9."),
        ("10.10", "macOS 10.10."),
        ("10.15.7", "macOS 10.15."),
        ("11.0", "macOS 11.0."),
        ("12.6", "macOS 12.6."),
        ("15.1", "macOS 15.1."),
        ("26.0", "macOS 26.0."),
    ] {
        let sandbox = mac(version);
        let finished = sandbox.clone(&[]);
        finished.assert_code(0).assert_err("").assert_log(&format!(" on testhost, {shown}"));
        assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content");
        assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    }
}

#[test]
fn a_mac_that_cannot_tell_its_version_is_left_alone() {
    for (body, why) in [
        ("exit 1", "sw_vers printed no macOS version: \"\": not a version of macOS."),
        (
            "echo 'dyld: Library not loaded' >&2; exit 1",
            "sw_vers printed no macOS version: \"\": not a version of macOS.",
        ),
        ("echo Mac OS X", "sw_vers printed no macOS version: \"Mac OS X\": not"),
        ("echo 9.2", "sw_vers printed no macOS version: \"9.2\": not"),
        ("echo 12.6.beta", "sw_vers printed no macOS version: \"12.6.beta\": not"),
        ("printf '12.6\\n10.16\\n'", "sw_vers printed no macOS version: \"12.6\\n10.16\": not"),
    ] {
        let sandbox = mac("12.6");
        sandbox.tool("sw_vers", body);
        let finished = sandbox.clone(&[]);
        assert_eq!((finished.code, finished.out.as_str()), (1, ""), "{finished}");
        assert!(finished.err.starts_with("counterpart: ") && finished.err.contains(why), "{finished}");
        assert_eq!(finished.err.lines().count(), 1, "{finished}");
        assert!(sandbox.markers().is_empty() && sandbox.names().is_empty());
    }
}

#[test]
fn a_mac_without_sw_vers_is_told() {
    let sandbox = mac("12.6");
    fs::remove_file(sandbox.host().join("tools/sw_vers")).unwrap();
    let finished = sandbox.clone(&[]);
    assert_eq!(finished.code, 1, "{finished}");
    assert!(finished.err.contains("sw_vers cannot be run: No such file or directory"), "{finished}");
}

#[test]
fn the_callers_wish_for_an_older_version_is_not_heard() {
    let sandbox = mac("12.6");
    let finished = Finished::from(
        sandbox.command(sandbox.arguments([""; 0])).env("SYSTEM_VERSION_COMPAT", "1").output().unwrap(),
    );
    finished.assert_code(0).assert_log("macOS 12.6.").assert_no_log("10.16");
}

#[test]
fn a_volume_that_ignores_ownership_is_refused() {
    for answer in [Vsdbutil::Disabled, Vsdbutil::NoUuid] {
        let sandbox = mac("10.9");
        fakes::vsdbutil(&sandbox, answer);
        assert_refused_untouched(
            &sandbox,
            90,
            "ignores ownership: macOS ignores ownership on this volume. Enable it with: diskutil enableOwnership '",
        );
    }
}

#[test]
fn vsdbutil_is_asked_for_the_mount_point_and_only_once() {
    let sandbox = mac("10.15.7");
    let volume = Tmpfs::new("size=16m");
    let dir = volume.path().join("a directory/below");
    fs::create_dir_all(&dir).unwrap();
    clone_to(&sandbox, &dir).assert_code(0);
    let asked = fs::read_to_string(sandbox.path().join("vsdbutil.asked")).unwrap();
    let volume = volume.path().to_str().unwrap();
    assert!(!asked.is_empty() && asked.lines().all(|asked| asked == volume), "{asked}");
}

#[test]
fn the_name_of_a_volume_says_nothing_about_its_ownership() {
    let sandbox = mac("10.15.7");
    sandbox.tool("vsdbutil", "echo \"Permissions on '/Volumes/X are disabled.' are enabled.\"");
    sandbox.clone(&[]).assert_code(0);
    sandbox.tool("vsdbutil", "echo \"Permissions on '/Volumes/X are enabled.' are disabled.\"");
    sandbox.clone(&[]).assert_code(90);
}

#[test]
fn diskutil_decides_where_vsdbutil_cannot() {
    for answer in [Vsdbutil::NoEntry, Vsdbutil::Missing] {
        let (sandbox, volume) = (mac("15.1"), Tmpfs::new("size=16m"));
        fakes::vsdbutil(&sandbox, answer);
        fakes::diskutil(&sandbox, PERMISSIONS_OFF);
        clone_to(&sandbox, volume.path())
            .assert_code(90)
            .assert_log("macOS ignores ownership on this volume");
        assert!(marks_of(volume.path()).is_empty());
        fakes::diskutil(&sandbox, PERMISSIONS_ON);
        clone_to(&sandbox, volume.path()).assert_code(0);
    }
}

#[test]
fn ownership_is_measured_where_no_tool_tells() {
    for answer in [Vsdbutil::NoEntry, Vsdbutil::Missing] {
        for diskutil in [Some(""), None] {
            let sandbox = mac("26.0");
            fakes::vsdbutil(&sandbox, answer);
            match diskutil {
                Some(keys) => fakes::diskutil(&sandbox, keys),
                None => fs::remove_file(sandbox.host().join("tools/diskutil")).unwrap(),
            }
            sandbox.clone(&[]).assert_code(0);
            assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
        }
    }
}

#[test]
fn a_volume_that_loses_owners_is_refused_though_no_tool_tells() {
    for volume in [OwnerlessFuse::new(), OwnerlessFuse::refusing_chown()] {
        let sandbox = mac("26.0");
        fakes::vsdbutil(&sandbox, Vsdbutil::Missing);
        fs::remove_file(sandbox.host().join("tools/diskutil")).unwrap();
        let finished = clone_to(&sandbox, &volume.path());
        finished.assert_code(90).assert_log("an owner that was set on a new file there was lost");
        assert!(fs::read_dir(volume.backing()).unwrap().next().is_none(), "something was left there");
    }
}

#[test]
fn the_sealed_system_volume_is_refused() {
    for version in ["11.0", "12.6", "15.1", "26.0"] {
        let sandbox = mac(version);
        let record = FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
        let before = tree::snapshot_with_ctime(&sandbox.destination);
        for source in ["/", "/."] {
            let finished = clone_of(&sandbox, Path::new(source), &sandbox.destination, &[]);
            finished.assert_code(91).assert_err(
                "counterpart: The source / is a sealed system volume, and no copy of its files can boot. \
                 Clone /System/Volumes/Data instead.\n",
            );
        }
        assert!(record.of_clone().is_empty(), "rsync was started");
        tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
    }
}

#[test]
fn a_system_before_the_seal_is_cloned_whole() {
    for version in ["10.7.5", "10.10", "10.15.7"] {
        let sandbox = mac(version);
        let record = FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
        clone_of(&sandbox, Path::new("/"), &sandbox.destination, &[]).assert_code(0);
        let arguments = record.of_clone();
        let destination = sandbox.destination.to_str().unwrap();
        assert_eq!(arguments[arguments.len() - 3..], ["--", "/", &format!("{destination}/")]);
        // The destination lies inside, and must not be copied into itself.
        assert!(arguments.contains(&format!("--filter=- {destination}")), "{arguments:#?}");
        assert!(arguments.contains(&"--exclude=/Volumes/*".to_owned()), "{arguments:#?}");
        assert!(arguments.contains(&"--one-file-system".to_owned()), "{arguments:#?}");
    }
}

#[test]
fn a_mounted_sealed_volume_is_refused() {
    let volume = Tmpfs::new("size=16m");
    fs::write(volume.path().join("file"), "content").unwrap();
    for (version, keys, code) in [
        ("11.0", SEALED, 91),
        ("26.0", SEALED, 91),
        ("26.0", "<key>Sealed</key><string>Broken</string>", 91),
        ("26.0", NOT_SEALED, 0),
        ("26.0", "", 0),
        // Before 11 there was no seal.
        ("10.15.7", SEALED, 0),
    ] {
        let sandbox = mac(version);
        fakes::diskutil(&sandbox, keys);
        let finished = clone_of(&sandbox, volume.path(), &sandbox.destination, &[]);
        finished.assert_code(code);
        assert_eq!(sandbox.destination.join("file").exists(), code == 0, "{version} {keys}");
        assert_eq!(sandbox.markers().is_empty(), code == 91, "{version} {keys}");
    }
}

#[test]
fn a_directory_on_a_sealed_volume_is_data() {
    let (sandbox, volume) = (mac("12.6"), Tmpfs::new("size=16m"));
    fakes::diskutil(&sandbox, SEALED);
    let dir = volume.path().join("Users");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "content").unwrap();
    clone_of(&sandbox, &dir, &sandbox.destination, &[]).assert_code(0);
}

/// What the original left out of every clone, by a name that each pattern matches.
const ORIGINAL_ALWAYS: &[&str] = &[
    ".Trash/thrown away",
    "Users/me/.Trash/thrown away",
    ".Trashes/501/thrown away",
    "a disk/.Trashes/501/thrown away",
    ".Spotlight-V100/index",
    "deep/.Spotlight-V100/index",
    ".DocumentRevisions-V100/db",
    ".fseventsd/0001",
    ".hotfiles.btree",
];

/// What is left out of every clone beyond that.
const LATER_ALWAYS: &[&str] =
    &[".TemporaryItems/item", "deep/.TemporaryItems/item", ".journal", ".journal_info_block"];

/// What the original left out of a system.
const ORIGINAL_SYSTEM: &[&str] = &[
    "private/var/db/dyld/dyld_shared_cache_x86_64",
    "System/Library/Caches/com.apple.bootstamps/stamp",
    "System/Library/Caches/com.apple.corestorage/key",
    "System/Library/Caches/com.apple.kext.caches/kernel",
    "Library/Caches/cache",
    "Volumes/Other/file",
    "dev/disk0",
    "automount/file",
    "Network/Servers",
    ".vol/1234",
    "net/host",
    "private/var/folders/zz/file",
    "private/var/vm/sleepimage",
    "private/tmp/file",
    "cores/core.1",
];

/// What is left out of a system beyond that.
const LATER_SYSTEM: &[&str] = &[
    "private/var/db/systemstats/file",
    "macOS Install Data/file",
    ".MobileBackups/file",
    "Backups.backupdb/file",
    "private/var/db/dslocal/nodes/Default/secureaccesstoken.plist",
    "private/var/db/searchparty/file",
    "private/var/db/ConfigurationProfiles/Store/file",
    "System/Volumes/Data/file",
];

/// What resembles something that is left out, and is part of the clone all the same.
const KEPT: &[&str] = &[
    "Trash/kept",
    "Users/me/.Trash can",
    "Users/me/.fseventsd/kept",
    "Users/me/.hotfiles.btree",
    "Users/me/.journal",
    "Users/me/Library/Caches/kept",
    "Users/me/Volumes/kept",
    "Users/me/cores/kept",
    "private/var/db/dyld/other",
    "private/var/db/dslocal/nodes/Default/users/root.plist",
    "System/Library/Caches/other/kept",
    "System/Library/CoreServices/boot.efi",
    "private/var/tmp/kept",
];

/// Directories that are cloned without their contents: a booting system mounts or makes something there.
const EMPTIED: &[&str] = &[
    "Library/Caches",
    "Volumes",
    "dev",
    ".vol",
    "private/var/folders",
    "private/var/vm",
    "private/tmp",
    "private/var/db/dyld",
    "System/Library/Caches/com.apple.kext.caches",
    "System/Volumes",
];

fn exists(dir: &Path, name: &str) -> bool {
    dir.join(name).symlink_metadata().is_ok()
}

fn write_all(sandbox: &Sandbox) {
    for name in [ORIGINAL_ALWAYS, LATER_ALWAYS, ORIGINAL_SYSTEM, LATER_SYSTEM, KEPT].concat() {
        sandbox.write(name, "content");
    }
}

#[test]
fn a_clone_of_a_system_leaves_out_what_belongs_to_the_machine() {
    let sandbox = mac("10.15.7");
    write_all(&sandbox);
    sandbox.write("System/Library/CoreServices/SystemVersion.plist", "<plist/>");
    sandbox.clone(&[]).assert_code(0);
    for name in [ORIGINAL_ALWAYS, LATER_ALWAYS, ORIGINAL_SYSTEM, LATER_SYSTEM].concat() {
        assert!(!exists(&sandbox.destination, name), "{name} was cloned");
    }
    for name in [KEPT, EMPTIED].concat() {
        assert!(exists(&sandbox.destination, name), "{name} is missing");
    }
}

#[test]
fn a_clone_of_data_leaves_out_only_what_belongs_to_the_volume() {
    let sandbox = mac("15.1");
    write_all(&sandbox);
    fs::remove_dir_all(sandbox.source.join("private/var/db/dslocal")).unwrap();
    sandbox.clone(&[]).assert_code(0);
    for name in [ORIGINAL_ALWAYS, LATER_ALWAYS].concat() {
        assert!(!exists(&sandbox.destination, name), "{name} was cloned");
    }
    for name in [ORIGINAL_SYSTEM, LATER_SYSTEM, KEPT].concat() {
        let expected = !name.contains("dslocal");
        assert_eq!(exists(&sandbox.destination, name), expected, "{name}");
    }
}

/// The data volume of macOS 11 and later has no version of its own, but the accounts of the system that it belongs to.
#[test]
fn the_data_volume_of_another_system_is_a_system() {
    let sandbox = mac("15.1");
    write_all(&sandbox);
    sandbox.clone(&[]).assert_code(0);
    for name in [ORIGINAL_SYSTEM, LATER_SYSTEM].concat() {
        assert!(!exists(&sandbox.destination, name), "{name} was cloned");
    }
    for name in KEPT {
        assert!(exists(&sandbox.destination, name), "{name} is missing");
    }
}

#[test]
fn what_a_volume_keeps_for_itself_stays_at_the_destination() {
    let sandbox = mac("15.1");
    let own = [
        ".fseventsd/0001",
        ".Spotlight-V100/index",
        ".DocumentRevisions-V100/db",
        ".TemporaryItems/item",
        ".Trashes/501/thrown away",
    ];
    for name in own {
        sandbox.write_destination(name, "the volume's own");
    }
    // None of that is a loss, so no --adopt is asked for.
    sandbox.clone(&[]).assert_code(0);
    sandbox.clone(&[]).assert_code(0);
    for name in own {
        assert!(exists(&sandbox.destination, name), "{name} was deleted");
    }
}

#[test]
fn what_a_plain_rsync_lacks_on_a_mac_is_in_the_log() {
    let sandbox = mac("15.1");
    FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
    let finished = sandbox.clone(&[]);
    finished.assert_code(0).assert_no_log("--crtimes");
    for lack in [
        "Warning: this rsync lacks --fileflags: file flags (chflags) are not cloned.",
        "Warning: this rsync lacks --hfs-compression: compressed files become ordinary ones.",
        "Warning: this rsync lacks --protect-decmpfs: compressed files become ordinary ones.",
    ] {
        finished.assert_log(lack);
    }
    let finished = {
        FakeRsync::new("3.1.3", &[fakes::SINCE_3_1_0]).install_first(&sandbox);
        // The first one has told of more files than there are.
        sandbox.clone(&["--allow-shrink"])
    };
    finished.assert_code(0).assert_log("Warning: this rsync lacks --crtimes: creation times are not cloned.");
}

#[test]
fn a_patched_rsync_gets_every_option_of_a_mac() {
    let sandbox = mac("10.15.7");
    let record = FakeRsync::new("3.2.7", &[SINCE_3_2_3, PATCHES]).install_first(&sandbox);
    sandbox.clone(&[]).assert_code(0).assert_no_log("lacks");
    let arguments = record.of_clone();
    let times = |option: &str| arguments.iter().filter(|argument| *argument == option).count();
    for option in PATCHES.iter().chain(&["--crtimes", "--acls", "--open-noatime"]) {
        assert_eq!(times(option), 1, "{option}: {arguments:#?}");
    }
    // Once leaves out what a fake-super backup has stored.
    assert_eq!(times("--xattrs"), 2, "{arguments:#?}");
}

#[test]
fn a_linux_host_never_asks_for_what_only_a_mac_has() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let record = FakeRsync::new("3.2.7", &[SINCE_3_2_3, PATCHES]).install_first(&sandbox);
    sandbox.clone(&[]).assert_code(0);
    let arguments = record.of_clone();
    for option in PATCHES.iter().chain(&["--crtimes"]) {
        assert!(!arguments.contains(&(*option).to_owned()), "{option}: {arguments:#?}");
    }
}

#[test]
fn an_entry_of_a_deleted_user_is_told_with_the_remedy() {
    for (message, path) in [
        ("rsync: unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)", ""),
        (
            "rsync: [sender] get_acl: unpack_smb_acl(Users/\"me\", (it)): Undefined error: 0 (0)",
            ": Users/\"me\", (it)",
        ),
    ] {
        let sandbox = mac("10.15.7");
        let err = sandbox.path().join("err");
        fs::write(&err, format!("{message}\nrsync error: some files/attrs were not transferred (code 23)\n"))
            .unwrap();
        let mut rsync = FakeRsync::new("3.2.7", &[SINCE_3_2_3]);
        (rsync.err, rsync.code) = (err, 23);
        rsync.install_first(&sandbox);
        let finished = sandbox.clone(&[]);
        finished.assert_code(73);
        let sentence = format!("names a user that no longer exists{path}. Remove it (find it with ls -le");
        assert!(finished.err.contains(&sentence), "{finished}");
        assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
    }
}

#[test]
fn tools_get_no_environment_but_ours() {
    let sandbox = mac("15.1");
    let record = FakeRsync::new("3.5.1", &[SINCE_3_2_3]).install_first(&sandbox);
    let mut command = sandbox.command(sandbox.arguments([""; 0]));
    command
        .env("RSYNC_ICONV", "utf-8")
        .env("HOME", "/root")
        .env("CVSIGNORE", "*")
        .env("LC_ALL", "de_DE.UTF-8");
    Finished::from(command.output().unwrap()).assert_code(0);
    let environment = record.lines("environment");
    assert!(environment.contains(&"LC_ALL=C".to_owned()), "{environment:?}");
    for name in ["RSYNC_", "HOME=", "CVSIGNORE", "COUNTERPART_"] {
        assert!(!environment.iter().any(|line| line.starts_with(name)), "{environment:?}");
    }
}
