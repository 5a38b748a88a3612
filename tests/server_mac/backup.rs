//! The contents of the backup directory afterwards.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, SystemTime};

use crate::server_mac::mac::{CALENDAR, DEVICES, Mac, PASSWORD, WIKI};
use crate::support::sandbox::names_of;

#[test]
fn dumps_are_whole_private_and_replaced() {
    let mut mac = Mac::server("10.9.5");
    mac.socket(DEVICES, 5432);
    for content in ["first", "second"] {
        mac.set("content", content);
        mac.back_up()
            .assert_code(0)
            .assert_log("PostgreSQL: the database postgres is in Postgres.bz2.")
            .assert_log("PostgreSQL of Device Management: the database \"my data\" is in PostgresDeviceManagement.bz2.")
            .assert_no_log("the database row");
        let dump = mac.read("PostgresDeviceManagement.bz2");
        assert!(dump.starts_with("--\n-- PostgreSQL database cluster dump\n"), "{dump}");
        assert!(dump.ends_with("-- PostgreSQL database cluster dump complete\n--\n\n"), "{dump}");
        assert!(dump.contains(&format!("-- {content}\n")) && dump.contains(DEVICES), "{dump}");
        assert!(mac.read("ServerSettings.plist.bz2").contains(&format!("<string>{content}</string>")));
        let bundle = mac.backup().join("OpenDirectory.sparsebundle");
        assert_eq!(names_of(&bundle), ["Info.plist", "bands", "token"]);
        assert_eq!(fs::read_to_string(bundle.join("bands/0")).unwrap(), content);
        assert_eq!(
            mac.names(),
            "OpenDirectory.sparsebundle Postgres.bz2 PostgresDeviceManagement.bz2 ServerSettings.plist.bz2"
        );
    }
    let found = |name: &str| {
        let found = fs::metadata(mac.backup().join(name)).unwrap();
        (found.permissions().mode() & 0o7777, found.uid())
    };
    assert_eq!(found(""), (0o700, 0));
    assert_eq!(found("OpenDirectory.sparsebundle"), (0o700, 0));
    for name in ["Postgres.bz2", "PostgresDeviceManagement.bz2", "ServerSettings.plist.bz2"] {
        assert_eq!(found(name), (0o600, 0), "{name}");
    }
}

#[test]
fn only_a_master_is_archived() {
    for role in ["replica", "standalone"] {
        let mut mac = Mac::server("10.9.5");
        mac.set("role", role);
        mac.back_up().assert_code(0).assert_log(&format!(
            "The directory is not archived: this server is not a directory master ({role})."
        ));
        assert_eq!(mac.names(), "Postgres.bz2 ServerSettings.plist.bz2");
        assert!(!mac.ledger().contains(&"serveradmin command".to_owned()));
    }
}

#[test]
fn the_archive_is_found_under_the_servers_own_suffix() {
    let mut mac = Mac::server("10.11.6");
    mac.set("archive", "suffix");
    mac.back_up().assert_code(0);
    assert_eq!(mac.names(), "OpenDirectory.sparsebundle Postgres.bz2 ServerSettings.plist.bz2");
    // One of another form takes the place of the older one.
    mac.set("archive", "image");
    mac.back_up().assert_code(0);
    assert_eq!(mac.names(), "OpenDirectory.sparseimage Postgres.bz2 ServerSettings.plist.bz2");
    let image = fs::metadata(mac.backup().join("OpenDirectory.sparseimage")).unwrap();
    assert_eq!(image.permissions().mode() & 0o7777, 0o600);
    mac.set("archive", "good");
    mac.back_up().assert_code(0);
    assert_eq!(mac.names(), "OpenDirectory.sparsebundle Postgres.bz2 ServerSettings.plist.bz2");
}

#[test]
fn an_unfinished_archive_of_a_killed_run_is_removed_when_it_is_old() {
    let mac = Mac::server("10.9.5");
    for name in ["OpenDirectory.tmp-01234567.sparsebundle", "OpenDirectory.tmp-89abcdef.sparsebundle"] {
        fs::create_dir_all(mac.backup().join(name).join("bands")).unwrap();
    }
    let old = fs::File::open(mac.backup().join("OpenDirectory.tmp-01234567.sparsebundle")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(86_400)).unwrap();
    mac.back_up().assert_code(0);
    assert_eq!(
        mac.names(),
        "OpenDirectory.sparsebundle OpenDirectory.tmp-89abcdef.sparsebundle Postgres.bz2 ServerSettings.plist.bz2"
    );
}

#[test]
fn what_rests_is_logged_and_not_dumped() {
    let mut mac = Mac::server("10.9.5");
    mac.service("postgres", "STOPPED").socket(CALENDAR, 5432);
    mac.back_up()
        .assert_code(0)
        .assert_log("PostgreSQL is not dumped: the service postgres is STOPPED.")
        .assert_log("PostgreSQL of Calendars and Contacts is not dumped: the service calendar is STOPPED.");
    assert_eq!(mac.names(), "OpenDirectory.sparsebundle ServerSettings.plist.bz2");
}

#[test]
fn the_calendars_socket_is_the_newest_of_its_own_else_the_usual_one() {
    let mut mac = Mac::server("10.9.5");
    mac.service("calendar", "RUNNING").socket(CALENDAR, 5432);
    mac.back_up().assert_code(0);
    assert!(mac.ledger().contains(&format!("pg_dumpall caldav {CALENDAR}")));
    mac.socket("var/run/caldavd/ccs_postgres_Ab12", 5433).socket(WIKI, 5440);
    mac.back_up().assert_code(0);
    let ledger = mac.ledger();
    assert!(ledger.contains(&"pg_dumpall caldav var/run/caldavd/ccs_postgres_Ab12".to_owned()), "{ledger:?}");
    assert!(ledger.contains(&format!("pg_dumpall collab {WIKI}")), "{ledger:?}");
}

#[test]
fn a_socket_of_somebody_else_does_not_hide_the_calendars() {
    let mut mac = Mac::server("10.9.5");
    let foreign = ["ccs_postgres_theirs", "ccs_postgres_open", "ccs_postgres_empty", "ccs_postgres_socket"];
    mac.service("calendar", "RUNNING").socket("var/run/caldavd/ccs_postgres_own", 5432);
    for name in foreign {
        mac.socket(&format!("var/run/caldavd/{name}"), 5432);
        let dir = mac.sandbox.host().join("system-root/var/run/caldavd").join(name);
        match name {
            "ccs_postgres_theirs" => std::os::unix::fs::chown(&dir, Some(47001), None).unwrap(),
            "ccs_postgres_open" => fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap(),
            "ccs_postgres_empty" => fs::remove_file(dir.join(".s.PGSQL.5432")).unwrap(),
            _ => std::os::unix::fs::chown(dir.join(".s.PGSQL.5432"), Some(4242), None).unwrap(),
        }
        // The newest of all.
        fs::File::open(&dir).unwrap().set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
    }
    let finished = mac.back_up();
    finished.assert_code(0);
    let ledger = mac.ledger();
    assert!(ledger.contains(&"pg_dumpall caldav var/run/caldavd/ccs_postgres_own".to_owned()), "{ledger:?}");
    for why in [
        "ccs_postgres_theirs belongs to ",
        "everybody can write to ",
        "ccs_postgres_socket/.s.PGSQL.5432 belongs to ",
    ] {
        finished.assert_log(why);
    }
    // Those of the other instances are looked at likewise.
    mac.socket(WIKI, 5440);
    let wiki = mac.sandbox.host().join("system-root").join(WIKI);
    std::os::unix::fs::chown(&wiki, Some(47001), None).unwrap();
    mac.back_up().assert_code(0).assert_log("Warning: PostgreSQL of Collaboration: ");
    assert!(!mac.ledger().iter().any(|line| line.starts_with("pg_dumpall collab")));
}

#[test]
fn a_test_run_and_every_earlier_failure_leave_the_directory_alone() {
    let mac = Mac::server("10.9.5");
    mac.sandbox.clone(&["-b", PASSWORD, "-t"]).assert_code(70);
    assert!(!mac.backup().exists());
    mac.sandbox.clone(&["-b", PASSWORD, "-p", "/nowhere/script"]).assert_code(68);
    mac.sandbox.clone(&["-b", PASSWORD, "-e", "/nowhere/excludes"]).assert_code(67);
    assert!(!mac.backup().exists());
    assert_eq!(mac.ledger(), [""; 0]);

    mac.back_up().assert_code(0);
    let before = mac.everything();
    mac.sandbox.clone(&["-b", PASSWORD, "-t"]).assert_code(70);
    assert!(mac.everything() == before);
}

#[test]
fn the_directory_can_be_another_one() {
    let mac = Mac::server("10.9.5");
    let other = mac.file("other/directory");
    mac.sandbox.clone(&["-b", PASSWORD, "--backup-dir", other.to_str().unwrap()]).assert_code(0);
    assert_eq!(names_of(&other), ["OpenDirectory.sparsebundle", "Postgres.bz2", "ServerSettings.plist.bz2"]);
    assert!(!mac.backup().exists());
}
