//! What is reported on a Mac only.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;

use nix::sched::{CloneFlags, unshare};

use crate::doctor::patient::{RECENT, answering, ask, assert_foretold};
use crate::support::disk::OwnerlessFuse;
use crate::support::sandbox::Sandbox;

const TOPIC: &str = "starting from the clone";
const ACCESS: &str = "Full Disk Access";
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/denying.py");

const TO_DO: &str = "      To do: In System Settings, Privacy & Security, Full Disk Access, add the program that starts the \
                     clone: Terminal for one by hand, counterpart itself for a launchd job. INSTALL.md has the steps.";

/// A Mac with a clone of data in mind, and the protected file of its system.
fn mac(version: &str) -> Sandbox {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let sandbox = Sandbox::mac(version);
    sandbox.write("file", "content");
    answering(&sandbox, RECENT);
    protected(&sandbox.host().join("system-root"));
    sandbox
}

fn protected(root: &std::path::Path) {
    let dir = root.join("Library/Application Support/com.apple.TCC");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("TCC.db"), "protected").unwrap();
}

/// Makes the source the root of a system.
fn make_system(sandbox: &Sandbox) {
    sandbox.write("System/Library/CoreServices/SystemVersion.plist", "");
}

#[test]
fn a_mac_is_examined_to_the_end() {
    let sandbox = mac("10.13.6");
    let told = ask(&sandbox, &[]);
    told.assert_code(0)
        .assert("ownership", &["OK    ownership: the destination preserves file ownership."])
        .assert(ACCESS, &[])
        .assert(TOPIC, &["OK    starting from the clone: this is a clone of data, not of a system."]);
    assert!(told.of_topic("exclusions")[0].starts_with("OK    exclusions: 8 built-in patterns"), "{told:?}");
    let password = told.of_topic("password")[0];
    assert!(
        password.starts_with("OK    password: no server backup was requested, so none is needed ("),
        "{password}"
    );
}

#[test]
fn what_can_start_depends_on_the_version() {
    let sandbox = mac("10.14.6");
    make_system(&sandbox);
    ask(&sandbox, &[]).assert_code(0).assert(ACCESS, &["OK    Full Disk Access: this process has it."]).assert(
        TOPIC,
        &[
            "OK    starting from the clone: a Mac can start from it when it has been blessed:",
            "        sudo bless --folder '@/destination/System/Library/CoreServices' --bootinfo --bootefi",
        ],
    );
    let sandbox = mac("10.15.7");
    make_system(&sandbox);
    ask(&sandbox, &[]).assert_code(0).assert(
        TOPIC,
        &[
            "WARN  starting from the clone: macOS 10.15 keeps system and data on two volumes, and a clone of one of them is \
             not enough.",
            "      To do: Inspect the clone to see what it holds; docs/guide.md, \"macOS 10.15 and earlier\".",
        ],
    );
    let sandbox = mac("15.1");
    make_system(&sandbox);
    ask(&sandbox, &[]).assert_code(0).assert(
        TOPIC,
        &[
            "WARN  starting from the clone: no Mac can start from it: macOS 15.1 keeps the system on a sealed volume, and \
             this clone has the data.",
            "      To do: To restore, install macOS from Recovery and import the clone with Migration Assistant.",
        ],
    );
}

#[test]
fn a_sealed_system_volume_is_what_a_clone_meets() {
    let mut sandbox = mac("11.7");
    sandbox.source = "/".into();
    assert_foretold(&sandbox, &[], 91);
    assert_eq!(crate::doctor::patient::ask_for(&sandbox, ["-s", "/"]).code, 91);
    sandbox.tool("vsdbutil", "echo \"Permissions on '$2' are disabled.\"");
    assert_foretold(&sandbox, &[], 90);
}

#[test]
fn a_volume_that_ignores_ownership_is_what_a_clone_meets() {
    let sandbox = mac("12.1");
    sandbox.tool("vsdbutil", "echo \"Permissions on '$2' are disabled.\"");
    let told = assert_foretold(&sandbox, &[], 90);
    assert!(
        told.of_topic("ownership")[1].starts_with("      To do: macOS: `diskutil enableOwnership VOLUME`")
    );
}

#[test]
fn full_disk_access_is_tried_on_a_protected_file() {
    let mut sandbox = mac("14.2");
    let fuse = OwnerlessFuse::serve(SERVER, OsStr::new("TCC.db"));
    let root = sandbox.host().join("system-root");
    fs::remove_dir_all(&root).unwrap();
    symlink(fuse.path(), &root).unwrap();
    protected(&fuse.backing());
    let denied = "@/host/system-root/Library/Application Support/com.apple.TCC/TCC.db, nor much else that is protected.";
    // Data on another disk may well be cloned without it.
    ask(&sandbox, &[]).assert_code(0).assert(
        ACCESS,
        &[&format!("WARN  Full Disk Access: macOS does not let this process open {denied}"), TO_DO],
    );
    sandbox.source = fuse.path();
    make_system(&sandbox);
    let told = ask(&sandbox, &[]);
    told.assert_code(23).assert(
        ACCESS,
        &[&format!("FAIL  Full Disk Access: macOS does not let this process open {denied} (23)"), TO_DO],
    );
    sandbox.clone(&[]).assert_code(23);
}

#[test]
fn full_disk_access_that_cannot_be_tried_is_told() {
    let sandbox = mac("14.2");
    fs::remove_dir_all(sandbox.host().join("system-root")).unwrap();
    ask(&sandbox, &[]).assert_code(0).assert(
        ACCESS,
        &[
            "WARN  Full Disk Access: whether this process has it cannot be determined from \
             @/host/system-root/Library/Application Support/com.apple.TCC/TCC.db: No such file or directory.",
            TO_DO,
        ],
    );
}

#[test]
fn the_keychain_is_asked() {
    let sandbox = mac("14.2");
    sandbox.tool("security", "echo 'password: \"secret words\"' >&2");
    let told = ask(&sandbox, &[]);
    told.assert_code(0).assert(
        "password",
        &["OK    password: one for a server backup is stored, but no server backup was requested."],
    );
    assert!(!told.lines.join("\n").contains("secret words"));
    sandbox.tool("security", "exit 44");
    assert_foretold(&sandbox, &["-B"], 92);
}

#[test]
fn a_mac_without_a_server_is_what_a_clone_meets() {
    let sandbox = mac("14.2");
    let told = assert_foretold(&sandbox, &["-b", "password"], 93);
    assert!(told.of_topic("server backup")[0].contains("this macOS 14.2 is not a server"), "{told:?}");
    ask(&sandbox, &[]).assert_code(0).assert(
        "server backup",
        &["OK    server backup: none was requested, and none is needed: no server was found here."],
    );
}

#[test]
fn a_server_is_asked_what_runs() {
    let sandbox = mac("10.13.6");
    let server = sandbox.host().join("server-app/usr/sbin/serveradmin");
    fs::create_dir_all(server.parent().unwrap()).unwrap();
    assert_foretold(&sandbox, &["-b", "password"], 94);
    crate::support::sandbox::write_script(
        &server,
        "case \"$*\" in\n\
         'status postgres') echo 'postgres:state = \"RUNNING\"' ;;\n\
         *) echo 'calendar:state = \"STOPPED\"' ;;\n\
         esac",
    );
    assert_foretold(&sandbox, &["-b", "password"], 95);
    let dumper = sandbox.host().join("server-app/usr/bin/pg_dumpall");
    fs::create_dir_all(dumper.parent().unwrap()).unwrap();
    crate::support::sandbox::write_script(&dumper, "exit 0");
    let told = ask(&sandbox, &["-b", "password"]);
    told.assert_code(0);
    assert_eq!(
        told.of_topic("server backup")[..3],
        [
            "OK    server backup: it would save what is listed below.",
            "        PostgreSQL",
            "        the settings of all services",
        ]
    );
    make_system(&sandbox);
    let told = ask(&sandbox, &[]);
    assert!(
        told.of_topic("server backup")[0].starts_with("WARN  server backup: PostgreSQL is not dumped; "),
        "{told:?}"
    );
}

#[test]
fn jobs_of_launchd_are_found() {
    let sandbox = mac("14.2");
    let dir = sandbox.host().join("jobs");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("me.jedda.counterpart.plist"), "").unwrap();
    ask(&sandbox, &[]).assert(
        "schedule",
        &[
            "OK    schedule: there are jobs for Counterpart; whether they make this clone was not checked.",
            "        @/host/jobs/me.jedda.counterpart.plist",
        ],
    );
}
