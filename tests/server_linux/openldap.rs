//! `OpenLDAP`: dumped, decrypted with the stock tool, loaded into an empty directory, and compared.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::server_linux::servers::{PASSWORD, Slapd, as_user, dir, dump, machine, succeed};
use crate::support::sandbox::Sandbox;

/// What the dump holds, through the age library.
fn decrypted(path: &Path, password: &str) -> Vec<u8> {
    let decryptor = age::Decryptor::new(fs::File::open(path).unwrap()).unwrap();
    let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from(password));
    let mut text = Vec::new();
    decryptor
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .unwrap()
        .read_to_end(&mut text)
        .unwrap();
    text
}

/// The same through the stock tool, which asks on its terminal.
fn decrypted_by_age(path: &Path, to: &Path, password: &str) -> Vec<u8> {
    let command = format!("exec age -d -o '{}' '{}'", to.display(), path.display());
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What is typed before the question is thrown away, so the question is waited for.
    let (mut out, mut seen) = (child.stdout.take().unwrap(), Vec::new());
    let mut byte = [0];
    while !seen.ends_with(b"phrase: ") {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{password}\n").as_bytes()).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    fs::read(to).unwrap()
}

fn slapcat(configuration: &Path, database: &str) -> String {
    succeed(as_user("openldap", "/usr/sbin/slapcat").args(["-n", database, "-F"]).arg(configuration))
}

/// The entries with their attributes in order: slapadd may keep those of the configuration in another one.
fn entries(ldif: &str) -> Vec<Vec<String>> {
    let sorted = |entry: &str| {
        let mut lines: Vec<String> = entry.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    ldif.replace("\n ", "").split("\n\n").map(sorted).collect()
}

/// The parts of a dump by the number of the database.
fn parts(text: &str) -> Vec<(&str, &str)> {
    text.split("# Counterpart: database ").skip(1).map(|part| part.split_once('\n').unwrap()).collect()
}

fn load(sandbox: &Sandbox, number: &str, text: &str, configuration: &Path) {
    let file = sandbox.path().join("ldap").join(format!("{number}.ldif"));
    fs::write(&file, text).unwrap();
    succeed(
        as_user("openldap", "/usr/sbin/slapadd")
            .args(["-n", number, "-F"])
            .arg(configuration)
            .arg("-l")
            .arg(file),
    );
}

#[test]
fn the_configuration_and_the_entries_come_back() {
    let sandbox = machine();
    let mut slapd = Slapd::start(&sandbox);
    let finished = sandbox.clone(&["-b", PASSWORD]);
    finished.assert_code(0).assert_err("").assert_log("Database 1 holds nothing of its own.");
    let path = dump(&sandbox, "OpenLDAP.ldif.age");
    let text = decrypted(&path, PASSWORD);
    assert!(decrypted_by_age(&path, &sandbox.path().join("by-age"), PASSWORD) == text);
    let before = ["0", "2"].map(|number| slapcat(&slapd.configuration, number));
    slapd.stop();

    // Into empty directories: the configuration first, then what it describes.
    let text = String::from_utf8(text).unwrap();
    let parts = parts(&text);
    assert_eq!(parts.iter().map(|(number, _)| *number).collect::<Vec<_>>(), ["0", "2"]);
    fs::remove_dir_all(&slapd.database).unwrap();
    dir(&slapd.database, "openldap");
    fs::remove_dir_all(&slapd.configuration).unwrap();
    let empty = dir(&slapd.configuration, "openldap");
    for (number, part) in parts {
        load(&sandbox, number, part, &empty);
    }
    for (number, before) in ["0", "2"].iter().zip(&before) {
        let after = slapcat(&empty, number);
        let (before, after) = (entries(before), entries(&after));
        assert_eq!(before.len(), after.len());
        assert_eq!(before.iter().zip(&after).find(|(one, other)| one != other), None);
    }
}

#[test]
fn a_stopped_server_is_dumped_from_the_default_place() {
    let sandbox = machine();
    let mut slapd = Slapd::start(&sandbox);
    slapd.stop();
    fs::rename(&slapd.configuration, sandbox.host().join("slapd.d")).unwrap();
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let text = String::from_utf8(decrypted(&dump(&sandbox, "OpenLDAP.ldif.age"), "x")).unwrap();
    assert!(text.contains("\ndn: cn=person 199,dc=example\n"));
}

#[test]
fn a_text_configuration_is_followed() {
    let sandbox = machine();
    let mut slapd = Slapd::start(&sandbox);
    slapd.stop();
    fs::rename(sandbox.path().join("ldap/slapd.conf"), sandbox.host().join("slapd.conf")).unwrap();
    succeed(Command::new("chown").arg("openldap:openldap").arg(sandbox.host().join("slapd.conf")));
    sandbox.clone(&["-b", "x"]).assert_code(0).assert_log("The configuration is a text file");
    let text = String::from_utf8(decrypted(&dump(&sandbox, "OpenLDAP.ldif.age"), "x")).unwrap();
    assert!(text.starts_with("# Counterpart: database 2\ndn: dc=example\n"));
}

#[test]
fn a_failure_is_told_and_leaves_the_earlier_dump() {
    let sandbox = machine();
    let slapd = Slapd::start(&sandbox);
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let path = dump(&sandbox, "OpenLDAP.ldif.age");
    let before = fs::read(&path).unwrap();
    fs::remove_file(slapd.configuration.join("cn=config.ldif")).unwrap();
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(97);
    assert!(finished.err.contains("slapcat"), "{finished}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);

    // A slapd that runs without slapcat is a directory that is not saved.
    fs::remove_file(sandbox.host().join("tools/slapcat")).unwrap();
    sandbox.clone(&["-b", "x"]).assert_code(97);
}
