//! `MariaDB`: dumped, restored into an empty server, and compared.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::server_linux::servers::{MariaDb, dir, dump, machine, succeed, unpack_to};
use crate::support::sandbox::write_script;

const COMPARED: &str = "SELECT table_schema, table_name FROM information_schema.tables \
    WHERE table_schema IN ('a b', 'it''s `q`') ORDER BY 1, 2; CHECKSUM TABLE `a b`.t, `it's ``q```.t; \
    SELECT routine_schema, routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'a b'; \
    SELECT event_name, event_definition FROM information_schema.events; \
    SELECT user, host FROM mysql.user ORDER BY 1, 2";

#[test]
fn every_database_comes_back_with_routines_events_and_accounts() {
    let sandbox = machine();
    let server = MariaDb::start(&sandbox, "one");
    server.sql(
        "CREATE DATABASE `a b`; CREATE DATABASE `it's ``q```; \
         CREATE TABLE `a b`.t AS SELECT seq, REPEAT(MD5(seq), 5) AS text, UNHEX(MD5(seq)) AS bin FROM mysql.help_topic, (SELECT 1 AS seq) s; \
         CREATE TABLE `it's ``q```.t AS SELECT 'ö' AS x; \
         CREATE FUNCTION `a b`.f() RETURNS INT DETERMINISTIC RETURN 42; \
         CREATE EVENT `a b`.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE 0; \
         CREATE USER 'some one'@'%' IDENTIFIED BY 'x'",
    );
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(0).assert_err("").assert_log("Dumping the database it's `q`.");
    let text = sandbox.path().join("restore.sql");
    unpack_to(&dump(&sandbox, "MySQL.bz2"), &text);
    let empty = MariaDb::start(&sandbox, "two");
    succeed(empty.client().stdin(Stdio::from(std::fs::File::open(text).unwrap())));
    assert_eq!(server.sql(COMPARED), empty.sql(COMPARED));
}

#[test]
fn an_empty_dump_of_a_user_without_rights_is_no_dump() {
    let sandbox = machine();
    let server = MariaDb::start(&sandbox, "one");
    server.sql("CREATE DATABASE secret; CREATE USER nobody@localhost IDENTIFIED BY ''");
    std::fs::remove_file(sandbox.host().join("usr")).unwrap();
    std::fs::create_dir_all(sandbox.host().join("usr/bin")).unwrap();
    let tool = |name: &str, body: &str| write_script(&sandbox.host().join("usr/bin").join(name), body);
    tool("mariadb", "exec /usr/bin/mariadb \"$@\" --user=nobody");
    tool("mariadb-dump", "exec /usr/bin/mariadb-dump \"$@\" --user=nobody");
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("might not see everything"), "{finished}");

    // The list is whole, the dump is not.
    tool("mariadb", "exec /usr/bin/mariadb \"$@\"");
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("is not in the dump"), "{finished}");
    assert!(!dump(&sandbox, "MySQL.bz2").exists());
    assert_eq!(sandbox.markers(), ["error"]);
}

#[test]
fn a_directory_that_is_no_database_does_not_spoil_the_dump() {
    let sandbox = machine();
    let server = MariaDb::start(&sandbox, "one");
    server.sql("CREATE DATABASE `-a b`; CREATE TABLE `-a b`.t AS SELECT 42 AS x");
    let data = sandbox.path().join("mariadb-one");
    // One that the server cannot read, one that it can, and a database of a name that no server takes any more.
    std::fs::create_dir(data.join("lost+found")).unwrap();
    std::fs::set_permissions(data.join("lost+found"), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir(&data.join("old stuff"), "mysql");
    server.sql("CREATE DATABASE old; CREATE TABLE old.t AS SELECT 1 AS x; FLUSH TABLES");
    std::fs::create_dir(data.join("a-b")).unwrap();
    for file in ["t.frm", "t.ibd"] {
        std::fs::copy(data.join("old").join(file), data.join("a-b").join(file)).unwrap();
    }
    succeed(Command::new("chown").args(["-R", "mysql:"]).arg(data.join("a-b")));
    let finished = sandbox.clone(&["-b", "x"]);
    finished
        .assert_code(0)
        .assert_log("#mysql50#lost+found is not dumped: it is a directory without tables, not a database.")
        .assert_log("#mysql50#old stuff is not dumped: it is a directory without tables, not a database.")
        .assert_log(
            "Warning: #mysql50#a-b is not dumped, because no server can restore a database of that name",
        );
    let text = sandbox.path().join("restore.sql");
    unpack_to(&dump(&sandbox, "MySQL.bz2"), &text);
    let empty = MariaDb::start(&sandbox, "two");
    succeed(empty.client().stdin(Stdio::from(std::fs::File::open(text).unwrap())));
    assert_eq!(empty.sql("SELECT * FROM `-a b`.t; SELECT * FROM old.t"), "42\n1\n");
}

#[test]
fn a_server_that_asks_root_for_a_password_is_dumped_with_roots_option_file() {
    let sandbox = machine();
    let server = MariaDb::start(&sandbox, "one");
    crate::server_linux::attacks::home_of_root(&sandbox);
    server.sql("CREATE DATABASE shop; CREATE USER backup@localhost IDENTIFIED BY 'Hunter-2-secret'; GRANT ALL ON *.* TO backup@localhost");
    server.sql("ALTER USER mysql@localhost IDENTIFIED BY 'no'; ALTER USER root@localhost IDENTIFIED BY 'no'");
    sandbox.clone(&["-b", "x"]).assert_code(0).assert_log("Dumping the database shop.");

    // A client that could be made to send it as it is gets no password at all.
    std::fs::remove_file(sandbox.host().join("usr")).unwrap();
    std::fs::create_dir_all(sandbox.host().join("usr/bin")).unwrap();
    for name in ["mysql", "mysqldump"] {
        let program = if name == "mysql" { "mariadb" } else { "mariadb-dump" };
        let body = format!(
            "case \"$*\" in --version) echo '{name}  Ver 8.0.36 for Linux'; exit ;; esac\nexec /usr/bin/{program} \"$@\""
        );
        write_script(&sandbox.host().join("usr/bin").join(name), &body);
    }
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("root's option file was not used"), "{finished}");
}
