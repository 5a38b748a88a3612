//! Each version of macOS has its own tools and databases.

use crate::server_mac::mac::{CALENDAR, DEVICES, Mac, SERVER_SERVICES, WIKI};

const BEFORE: [&str; 2] = ["serveradmin fullstatus dirserv", "serveradmin command"];

/// Everything that any version has ever had, running.
fn full(version: &str) -> Mac {
    let mut mac = Mac::server(version);
    for dir in [SERVER_SERVICES, DEVICES, WIKI, CALENDAR] {
        mac.socket(dir, 5432);
    }
    mac.service("calendar", "RUNNING");
    mac
}

fn check(version: &str, statuses: &[&str], dumps: &[&str], names: &str) {
    let mac = full(version);
    mac.back_up().assert_code(0);
    let statuses = statuses.iter().map(|service| format!("serveradmin status {service}"));
    let dumps = dumps.iter().map(|dump| format!("pg_dumpall {dump}"));
    let expected: Vec<String> = statuses
        .chain(BEFORE.map(str::to_owned))
        .chain(dumps)
        .chain(["serveradmin settings", "rsync"].map(str::to_owned))
        .collect();
    assert_eq!(mac.ledger(), expected, "{version}");
    assert_eq!(
        mac.names(),
        format!("OpenDirectory.sparsebundle {names} ServerSettings.plist.bz2"),
        "{version}"
    );
    assert_eq!(mac.sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn snow_leopard_is_not_supported() {
    let mac = full("10.6.8");
    mac.assert_failed(93, "macOS 10.6 is older than 10.7");
    assert!(!mac.backup().exists());
}

#[test]
fn lion_has_one_instance() {
    check("10.7.5", &["postgres"], &["_postgres default"], "Postgres.bz2");
}

#[test]
fn mountain_lion_has_another_for_its_services() {
    let services = format!("_postgres {SERVER_SERVICES}");
    check(
        "10.8.5",
        &["postgres"],
        &["_postgres default", &services],
        "Postgres.bz2 PostgresServerServices.bz2",
    );
}

#[test]
fn mavericks_and_later_have_one_for_each_service() {
    let (devices, wiki) = (format!("_devicemgr {DEVICES}"), format!("collab {WIKI}"));
    let calendar = format!("caldav {CALENDAR}");
    for version in ["10.9.5", "10.11.6", "10.13", "11.7", "15.1"] {
        check(
            version,
            &["postgres", "calendar"],
            &["_postgres default", &devices, &wiki, &calendar],
            "Postgres.bz2 PostgresCalendarsContacts.bz2 PostgresCollab.bz2 PostgresDeviceManagement.bz2",
        );
    }
}

#[test]
fn services_that_are_gone_are_logged() {
    for version in ["10.13", "11.7", "15.1"] {
        let mut mac = Mac::server(version);
        mac.set("states", serde_json::json!({})).set("role", serde_json::Value::Null);
        // Nobody needs it any more.
        mac.remove("host/server-app/usr/bin/pg_dumpall");
        mac.back_up()
            .assert_code(0)
            .assert_log("PostgreSQL is not dumped: this server has no service postgres.")
            .assert_log("PostgreSQL of Device Management has no socket in ")
            .assert_log("PostgreSQL of Collaboration has no socket in ")
            .assert_log(
                "PostgreSQL of Calendars and Contacts is not dumped: this server has no service calendar.",
            )
            .assert_log("The directory is not archived: this server has no directory service.");
        assert_eq!(mac.names(), "ServerSettings.plist.bz2", "{version}");
    }
}

#[test]
fn a_mac_without_a_server_is_not_supported() {
    for version in ["10.7", "10.9", "10.13", "11.0", "15.1"] {
        let mac = Mac::without_server(version);
        mac.assert_failed(93, "is not a server");
        assert!(!mac.backup().exists(), "{version}");
    }
}

#[test]
fn a_server_without_its_tools_is_told() {
    for (version, root) in [("10.7.5", "system-root"), ("10.8", "server-app"), ("10.13", "server-app")] {
        let mac = Mac::server(version);
        let sign = mac.file("host/system-root/System/Library/CoreServices/ServerVersion.plist");
        std::fs::create_dir_all(sign.parent().unwrap()).unwrap();
        std::fs::write(sign, "").unwrap();
        mac.remove(&format!("host/{root}/usr/bin/pg_dumpall"));
        mac.assert_failed(95, "usr/bin/pg_dumpall");
        assert!(!mac.backup().exists());
        mac.remove(&format!("host/{root}/usr/sbin/serveradmin"));
        mac.assert_failed(94, "usr/sbin/serveradmin");
        assert!(!mac.backup().exists());
    }
}
