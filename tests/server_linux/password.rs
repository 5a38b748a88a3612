//! The password: stored and read back exactly, and never seen anywhere else.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server_linux::servers::{PASSWORD, Postgres, Slapd, machine};
use crate::support::sandbox::{Finished, Sandbox, wait_until, write_script};

const NAME: &str = "me.jedda.counterpart";

/// A host with systemd's tool, whose key is the test's own.
fn with_systemd(sandbox: &Sandbox) {
    let key = sandbox.path().join("credential.secret");
    sandbox.tool(
        "systemd-creds",
        &format!("SYSTEMD_CREDENTIAL_SECRET='{}' exec /usr/bin/systemd-creds \"$@\"", key.display()),
    );
}

fn setpass(sandbox: &Sandbox, more: &[&str], input: &[u8]) -> Finished {
    let mut child = sandbox
        .command(["setpass"].iter().chain(more))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is not wanted is not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    Finished::from(child.wait_with_output().unwrap())
}

fn stored(sandbox: &Sandbox) -> Vec<u8> {
    let tool = sandbox.host().join("tools/systemd-creds");
    let mut command = Command::new(tool);
    command
        .args(["decrypt", &format!("--name={NAME}")])
        .arg(sandbox.host().join("credstore.encrypted").join(NAME))
        .arg("-");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn every_password_is_stored_exactly_or_refused() {
    for encrypted in [true, false] {
        let sandbox = Sandbox::new();
        if encrypted {
            with_systemd(&sandbox);
        }
        let plain = sandbox.host().join("credstore").join(NAME);
        let read = || if encrypted { stored(&sandbox) } else { fs::read(&plain).unwrap() };
        let long = "ö".repeat(250);
        for secret in ["x", " a 'b' \"c\" $d `e` \\ ", "a=b", "Pässwörd\u{2603}", long.as_str(), PASSWORD] {
            for end in ["", "\n"] {
                let finished = setpass(&sandbox, &["--stdin"], format!("{secret}{end}").as_bytes());
                assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
                assert!(!finished.out.contains(secret) || secret == "x", "{finished}");
                assert_eq!(finished.out.contains("not encrypted"), !encrypted, "{finished}");
                assert_eq!(read(), secret.as_bytes());
            }
        }
        let too_long = vec![b'x'; 5000];
        for bad in [b"".as_slice(), b"\n", b"a\nb", b"a\n\n", b"a\r\n", b"a\0b", b"\xff\xfe", &too_long] {
            let finished = setpass(&sandbox, &["--stdin"], bad);
            assert_eq!(finished.code, 2, "{bad:?}: {finished}");
            assert!(finished.err.ends_with(". Nothing was stored.\n"), "{finished}");
            assert_eq!(read(), PASSWORD.as_bytes(), "what was stored stays");
        }
    }
}

#[test]
fn check_and_delete_tell_whether_there_is_one() {
    let sandbox = Sandbox::new();
    with_systemd(&sandbox);
    for option in ["--check", "--delete"] {
        assert_eq!(setpass(&sandbox, &[option], b"").code, 92, "{option}");
    }
    assert_eq!(setpass(&sandbox, &["--stdin"], b"x").code, 0);
    let file = sandbox.host().join("credstore.encrypted").join(NAME);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(setpass(&sandbox, &["--check"], b"").code, 0);
    assert_eq!(setpass(&sandbox, &["--check", "-g", "org.other"], b"").code, 92, "another prefix");

    // A credential of another name, one that others can read, and one of somebody else are none.
    fs::rename(&file, file.with_file_name("org.other.counterpart")).unwrap();
    assert_eq!(setpass(&sandbox, &["--check", "-g", "org.other"], b"").code, 92, "the name is bound");
    fs::rename(file.with_file_name("org.other.counterpart"), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let finished = setpass(&sandbox, &["--check"], b"");
    assert_eq!(finished.code, 92);
    assert!(finished.err.contains("others can read it"), "{finished}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    nix::unistd::chown(&file, Some(4242.into()), None).unwrap();
    assert_eq!(setpass(&sandbox, &["--check"], b"").code, 92);
    assert_eq!(setpass(&sandbox, &["--delete"], b"").code, 0);
    assert!(!file.exists());
}

#[test]
fn a_pipe_is_refused_unless_it_was_asked_for() {
    let sandbox = Sandbox::new();
    with_systemd(&sandbox);
    let finished = setpass(&sandbox, &[], b"x\n");
    assert_eq!(finished.code, 2);
    assert!(finished.err.contains("--stdin"), "{finished}");
    assert!(!sandbox.host().join("credstore.encrypted").exists());
}

#[test]
fn only_root_stores_a_password() {
    let sandbox = Sandbox::new();
    // Where every user can reach it.
    let product = sandbox.path().join("counterpart");
    fs::copy(crate::support::sandbox::PRODUCT, &product).unwrap();
    for option in ["--check", "--delete", "--stdin"] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&product);
        let output = command.args(["setpass", option]).current_dir("/").stdin(Stdio::null()).output();
        let finished = Finished::from(output.unwrap());
        assert_eq!(finished.code, 1, "{finished}");
        assert!(finished.err.contains("must be run as root"), "{finished}");
    }
}

/// Types answers on a terminal of its own, each after the question; returns the exit code and what was shown.
fn on_terminal(sandbox: &Sandbox, answers: &[&str]) -> (i32, String) {
    let command = format!("exec {} setpass", crate::support::sandbox::FAKE_HOST);
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    for answer in answers {
        let mut byte = [0];
        let from = shown.len();
        while !shown[from..].ends_with(b": ") {
            assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        std::thread::sleep(Duration::from_millis(200));
        input.write_all(answer.as_bytes()).unwrap();
    }
    out.read_to_end(&mut shown).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn it_is_asked_for_twice_and_not_echoed() {
    let sandbox = Sandbox::new();
    with_systemd(&sandbox);
    let line = format!("{PASSWORD}\n");
    let (code, shown) = on_terminal(&sandbox, &[&line, &line]);
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("ss'w"), "{shown}");
    assert_eq!(stored(&sandbox), PASSWORD.as_bytes());

    let (code, shown) = on_terminal(&sandbox, &["one\n", "two\n"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("do not match"), "{shown}");
    let (code, shown) = on_terminal(&sandbox, &["one\x03"]);
    assert_eq!(code, 20, "{shown}");
    assert_eq!(stored(&sandbox), PASSWORD.as_bytes());
}

/// `-B` as a service manager starts it: no terminal, no HOME, hardly a PATH.
fn as_a_job(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(sandbox.arguments(["-B"]));
    command.env_clear().env("COUNTERPART_FAKE_HOST", sandbox.host()).env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn a_job_finds_its_password_in_each_place() {
    let sandbox = machine();
    let _slapd = Slapd::start(&sandbox);
    let path = sandbox.host().join("backup/OpenLDAP.ldif.age");
    let finished = Finished::from(as_a_job(&sandbox).output().unwrap());
    finished.assert_code(92);
    assert!(finished.err.contains("counterpart setpass -g me.jedda"), "{finished}");

    let opens = |password: &str| {
        let decryptor = age::Decryptor::new(fs::File::open(&path).unwrap()).unwrap();
        let identity = age::scrypt::Identity::new(age::secrecy::SecretString::from(password));
        decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).is_ok()
    };
    assert_eq!(setpass(&sandbox, &["--stdin"], b"plain one\n").code, 0);
    Finished::from(as_a_job(&sandbox).output().unwrap()).assert_code(0);
    assert!(opens("plain one"));

    with_systemd(&sandbox);
    assert_eq!(setpass(&sandbox, &["--stdin"], b"encrypted one\n").code, 0);
    assert!(!sandbox.host().join("credstore").join(NAME).exists(), "the plain one is gone");
    Finished::from(as_a_job(&sandbox).output().unwrap()).assert_code(0);
    assert!(opens("encrypted one"));

    let dir = sandbox.path().join("credentials");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(NAME), "the job's own\n").unwrap();
    let output = as_a_job(&sandbox).env("CREDENTIALS_DIRECTORY", &dir).output().unwrap();
    Finished::from(output).assert_code(0);
    assert!(opens("the job's own"));
}

/// The files and processes that show the password, as far as they can be read.
fn witnesses(dir: &Path, secret: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let holds = |content: &[u8]| content.windows(secret.len()).any(|window| window == secret);
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        if name == std::process::id().to_string() || !name.starts_with(|letter: char| letter.is_ascii_digit())
        {
            continue;
        }
        for file in ["cmdline", "environ"] {
            if fs::read(process.path().join(file)).is_ok_and(|content| holds(&content)) {
                found.insert(format!("{name}/{file}"));
            }
        }
    }
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && fs::read(entry.path()).is_ok_and(|content| holds(&content)) {
                found.insert(entry.path().display().to_string());
            }
        }
    }
    found
}

#[test]
fn nobody_sees_the_password_during_a_run() {
    let secret = "Geheimnis-7f3a9c-wörtlich";
    let sandbox = machine();
    with_systemd(&sandbox);
    let _slapd = Slapd::start(&sandbox);
    let _cluster = Postgres::start(&sandbox, "main", 5701);
    assert_eq!(setpass(&sandbox, &["--stdin"], secret.as_bytes()).code, 0);
    // Something to look at while the clone itself goes on.
    let seen = sandbox.path().join("seen");
    let wait = format!("while [ ! -e '{0}' ]; do sleep 0.1; done; rm '{0}'", seen.display());
    let script = sandbox.script("pre", &format!("{wait}; env; tr '\\0' ' ' </proc/$PPID/cmdline"));
    for options in [["-b", secret].as_slice(), &["-B"]] {
        let logs = sandbox.logs().len();
        let more: Vec<&str> = options.iter().copied().chain(["-p", script.to_str().unwrap()]).collect();
        let mut child = sandbox.start(&more);
        assert!(
            wait_until(|| sandbox.logs().len() > logs),
            "the arguments are overwritten before the log begins"
        );
        let (mut found, mut rounds) = (BTreeSet::new(), 0);
        while child.try_wait().unwrap().is_none() {
            found.extend(witnesses(sandbox.path(), secret.as_bytes()));
            rounds += 1;
            // The run goes on only when it has been looked at often enough, however slow that is.
            if rounds == 4 {
                fs::write(&seen, "").unwrap();
            }
        }
        found.extend(witnesses(sandbox.path(), secret.as_bytes()));
        let finished = Finished::from(child.wait_with_output().unwrap());
        finished.assert_code(0);
        assert!(rounds > 3, "{rounds}");
        assert_eq!(found, BTreeSet::new(), "{options:?}");
        assert!(!finished.out.contains(secret) && !finished.err.contains(secret), "{finished}");
        assert_eq!(finished.out.contains("-b exposes the password"), options.len() == 2);
    }
    // What is watched for is really seen when it is there.
    write_script(&sandbox.path().join("shows"), secret);
    assert_eq!(witnesses(sandbox.path(), secret.as_bytes()).len(), 1);
}
