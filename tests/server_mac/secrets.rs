//! The password reaches serveradmin exactly, and nothing else ever sees it.

use std::fs;

use crate::server_mac::mac::{Mac, PASSWORD, gather};
use crate::support::sandbox::Finished;

/// Asserts that the password is in no output, no file, no argument and no environment.
#[track_caller]
fn assert_hidden(mac: &Mac, finished: &Finished, password: &str) {
    assert!(!finished.out.contains(password) && !finished.err.contains(password), "{finished}");
    let mut files = Vec::new();
    gather(mac.sandbox.path(), &mut files);
    for (path, content) in files {
        // What the tools were told, and the keychain, have it by right.
        if path == mac.file("told") || path == mac.file("keychain-items") {
            continue;
        }
        let found = content.windows(password.len()).any(|part| part == password.as_bytes());
        assert!(!found, "the password is in {}", path.display());
    }
    for line in fs::read_to_string(mac.file("records")).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(!holds(&record, password), "{record}");
    }
}

fn holds(value: &serde_json::Value, text: &str) -> bool {
    match value {
        serde_json::Value::String(string) => string.contains(text),
        serde_json::Value::Array(values) => values.iter().any(|value| holds(value, text)),
        serde_json::Value::Object(values) => values.values().any(|value| holds(value, text)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

#[test]
fn it_shows_nowhere_in_a_whole_run() {
    for (key, how, code) in
        [("archive", "good", 0), ("archive", "refuse", 97), ("archive", "fail", 97), ("settings", "half", 98)]
    {
        let mut mac = Mac::server("10.9.5");
        mac.set(key, how);
        // ASCII, as the records of the arguments are read byte by byte.
        let finished = mac.sandbox.clone(&["-b", "Xq7 zebra='47'"]);
        finished.assert_code(code).assert_log("Warning: -b exposes the password");
        assert_hidden(&mac, &finished, "Xq7 zebra='47'");
    }
}

#[test]
fn it_reaches_the_archive_exactly() {
    let long = "long= '".repeat(72)[..500].to_owned();
    for password in
        [PASSWORD, "a", " ", " a ", "yes", "4711", "=", "a = b", "it's", "ü🔑", "%s $HOME `id` #", &long]
    {
        let mac = Mac::server("10.9.5");
        mac.sandbox.clone(&["-b", password]).assert_code(0);
        let told = fs::read_to_string(mac.file("told")).unwrap();
        let line = told.lines().next().unwrap();
        assert_eq!(line, format!("dirserv:backupArchiveParams:archivePassword = \"{password}\""));
    }
}

#[test]
fn what_serveradmin_cannot_take_is_refused_and_never_altered() {
    for (password, why) in [
        ("a\"b", "the password holds a quotation mark (\") or a backslash"),
        ("a\\b", "the password holds a quotation mark (\") or a backslash"),
    ] {
        let mac = Mac::server("10.9.5");
        let finished = mac.sandbox.clone(&["-b", password]);
        finished.assert_code(97);
        assert!(mac.sandbox.read_marker("error").contains(why), "{finished}");
        assert!(!mac.ledger().iter().any(|line| line == "serveradmin command" || line == "rsync"));
        assert_eq!(mac.names(), "");
        assert_hidden(&mac, &finished, password);
    }
}
