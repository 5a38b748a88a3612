//! `MariaDB`: dumped, restored into an empty server, and compared.

use std::process::Stdio;

use crate::sandbox::write_script;
use crate::servers::{MariaDb, dump, machine, succeed, unpack_to};

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
    assert!(finished.err.contains("may not see everything"), "{finished}");

    // The list is whole, the dump is not.
    tool("mariadb", "exec /usr/bin/mariadb \"$@\"");
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("is not in the dump"), "{finished}");
    assert!(!dump(&sandbox, "MySQL.bz2").exists());
    assert_eq!(sandbox.marks(), ["error"]);
}
