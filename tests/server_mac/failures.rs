//! A failing part fails the run, and its last good file is kept.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server_mac::mac::{DEVICES, Mac, PASSWORD};
use crate::support::sandbox::{Finished, wait_until};

/// Backs up once, lets a part fail, and asserts that nothing in the backup directory has changed.
#[track_caller]
fn check(change: impl FnOnce(&mut Mac), code: i32, reason: &str, ran: &str) {
    let mut mac = Mac::server("10.9.5");
    mac.socket(DEVICES, 5432);
    mac.back_up().assert_code(0);
    let before = mac.everything();
    mac.ledger();
    change(&mut mac);
    let finished = mac.back_up();
    finished.assert_code(code);
    let error = mac.sandbox.read_marker("error");
    assert!(error.contains(reason), "{reason:?} is not in {error:?}: {finished}");
    assert!(!mac.sandbox.marker("completed").exists());
    let ledger = mac.ledger();
    assert_eq!(ledger.last().map(String::as_str), Some(ran), "{ledger:?}");
    assert!(mac.everything() == before, "{finished}");
    assert_eq!(
        mac.names(),
        "OpenDirectory.sparsebundle Postgres.bz2 PostgresDeviceManagement.bz2 ServerSettings.plist.bz2"
    );
}

#[test]
fn a_refused_archive_is_no_success_whatever_the_exit_code() {
    let reason =
        "The directory could not be archived: serveradmin refused: dirserv:error = \"ARCHIVE_REFUSED\"";
    check(|mac| _ = mac.set("archive", "refuse"), 97, reason, "serveradmin command");
}

#[test]
fn a_failed_archive_is_told_in_its_own_words() {
    let reason = "serveradmin ended with code 1: slapconfig: the archive could not be created";
    check(|mac| _ = mac.set("archive", "fail"), 97, reason, "serveradmin command");
}

#[test]
fn an_archive_that_is_not_there_or_empty_is_no_success() {
    check(|mac| _ = mac.set("archive", "nothing"), 97, "there is no archive at ", "serveradmin command");
    check(|mac| _ = mac.set("archive", "empty"), 97, "left an empty archive at ", "serveradmin command");
    check(|mac| _ = mac.set("archive", "kill"), 97, "was killed by signal 9", "serveradmin command");
}

#[test]
fn a_role_that_cannot_be_told_is_no_success() {
    let reason = "this server's role in the directory cannot be determined";
    check(|mac| _ = mac.set("role", ""), 97, reason, "serveradmin fullstatus dirserv");
}

#[test]
fn a_refused_dump_is_told_in_its_own_words() {
    let reason = "The database server PostgreSQL could not be dumped: ";
    check(|mac| _ = mac.dump("default", "refuse"), 96, reason, "pg_dumpall _postgres default");
    let words = "FATAL:  role \"x\" does not exist";
    check(|mac| _ = mac.dump("default", "refuse"), 96, words, "pg_dumpall _postgres default");
}

/// Only the first dump differs from the first run's, so the directory stays the same when the second fails.
#[test]
fn a_dump_that_is_not_whole_is_no_success() {
    let ran = format!("pg_dumpall _devicemgr {DEVICES}");
    let named = "The database server PostgreSQL of Device Management could not be dumped: ";
    check(|mac| _ = mac.dump(DEVICES, "half"), 96, "so it is incomplete", &ran);
    check(|mac| _ = mac.dump(DEVICES, "kill"), 96, "was killed by signal 9", &ran);
    check(|mac| _ = mac.dump(DEVICES, "complain"), 96, "WARNING: could not dump a table", &ran);
    check(|mac| _ = mac.dump(DEVICES, "complain"), 96, named, &ran);
}

#[test]
fn a_state_that_cannot_be_told_is_no_success() {
    let reason = "whether postgres is running cannot be determined (serveradmin ended with code 1: serveradmin: no answer)";
    check(|mac| _ = mac.service("postgres", ""), 96, reason, "serveradmin status postgres");
    let reason = "serveradmin status calendar: NOT_AUTHORIZED_ERR";
    check(|mac| _ = mac.service("calendar", "NOT_AUTHORIZED_ERR"), 96, reason, "serveradmin status calendar");
}

#[test]
fn a_running_service_without_a_socket_or_a_user_is_no_success() {
    let reason = "the service calendar is running, but there is no socket below ";
    check(|mac| _ = mac.service("calendar", "RUNNING"), 96, reason, "serveradmin status calendar");
    let unknown = |mac: &mut Mac| {
        fs::write(mac.sandbox.host().join("users"), "_postgres 47001 47101\n").unwrap();
    };
    check(unknown, 96, "there is no user _devicemgr", "serveradmin status postgres");
}

#[test]
fn settings_that_are_no_whole_list_are_no_success() {
    let ran = "serveradmin settings";
    let named = "The service settings could not be dumped: ";
    check(|mac| _ = mac.set("settings", "half"), 98, named, ran);
    check(|mac| _ = mac.set("settings", "half"), 98, "it does not end as one", ran);
    check(|mac| _ = mac.set("settings", "refuse"), 98, "NO_PERMISSION_ERR", ran);
    check(|mac| _ = mac.set("settings", "fail"), 98, "ended with code 1", ran);
}

#[test]
fn an_interrupted_archive_ends_the_run_and_leaves_the_last_one() {
    let mut mac = Mac::server("10.9.5");
    mac.back_up().assert_code(0);
    let before = mac.everything();
    mac.ledger();
    mac.set("archive", "hang");
    let child = mac.sandbox.start(&["-b", PASSWORD]);
    let ledger = mac.file("ledger");
    assert!(wait_until(|| fs::read_to_string(&ledger).unwrap().contains("hangs")));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    Finished::from(child.wait_with_output().unwrap()).assert_code(20);
    assert!(mac.sandbox.read_marker("error").contains("interrupted (SIGTERM)"));
    assert!(!mac.sandbox.marker("completed").exists());
    assert!(mac.everything() == before);
    assert_eq!(mac.names(), "OpenDirectory.sparsebundle Postgres.bz2 ServerSettings.plist.bz2");
}

#[test]
fn a_backup_directory_that_is_a_link_is_refused() {
    let mac = Mac::server("10.9.5");
    fs::create_dir(mac.file("elsewhere")).unwrap();
    std::os::unix::fs::symlink(mac.file("elsewhere"), mac.backup()).unwrap();
    mac.assert_failed(98, "cannot be used");
    assert_eq!(fs::read_dir(mac.file("elsewhere")).unwrap().count(), 0);
}
