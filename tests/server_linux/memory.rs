//! The password is in memory only as long as the server backup takes.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::server_linux::servers::{Slapd, machine};
use crate::support::sandbox::{Finished, Sandbox, wait_until, write_script};

/// Short enough to be typed, and long enough for a block of memory that is not soon used again.
fn secrets() -> [String; 2] {
    let short = "Geheim-5e1f0c77-w\u{f6}rtlich-und-lang-genug";
    [short.to_owned(), short.repeat(18)]
}

/// How often the memory of a process holds it, and in which mappings.
fn copies(process: u32, secret: &str) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        // What cannot be read, such as the kernel's own page, holds nothing of ours.
        let mut content = vec![0; usize::try_from(to - from).unwrap()];
        if !rest.starts_with('r')
            || memory.seek(SeekFrom::Start(from)).is_err()
            || memory.read_exact(&mut content).is_err()
        {
            continue;
        }
        // Half of it would be too much as well.
        for half in [&secret.as_bytes()[..20], &secret.as_bytes()[20..40]] {
            let count = content.windows(half.len()).filter(|window| *window == half).count();
            if count > 0 {
                found.push(format!("{count} of {:?} in {rest}", String::from_utf8_lossy(half)));
            }
        }
    }
    found
}

/// A program that waits until a line is written to the FIFO beside it.
fn waiting(at: &Path, rest: &str) {
    let fifo = at.with_extension("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o666)).unwrap();
    let begun = at.with_extension("begun");
    fs::write(&begun, "").unwrap();
    fs::set_permissions(&begun, fs::Permissions::from_mode(0o666)).unwrap();
    write_script(
        at,
        &format!(
            "exec 3<>'{}'\necho x >>'{}'\nread -r _ <&3\nexec 3<&-\n{rest}",
            fifo.display(),
            begun.display()
        ),
    );
}

fn has_begun(at: &Path) -> bool {
    fs::metadata(at.with_extension("begun")).is_ok_and(|found| found.len() > 0)
}

fn release(at: &Path) {
    // Opened like this, nothing waits: not for a program that has ended, and the product frees nobody who waits for long.
    let mut fifo = fs::File::options().read(true).write(true).open(at.with_extension("fifo")).unwrap();
    std::io::Write::write_all(&mut fifo, b"\n").unwrap();
}

fn store(sandbox: &Sandbox, secret: &str) {
    let mut child =
        sandbox.command(["setpass", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn end(child: Child) {
    Finished::from(child.wait_with_output().unwrap()).assert_code(0);
}

#[test]
fn no_copy_of_the_password_is_left_when_the_servers_are_dumped() {
    let key = "credential.secret";
    let [short, long] = secrets();
    for (secret, options, tool) in [
        (&short, ["-b", &short].as_slice(), false),
        (&long, &["-b", &long], false),
        (&long, &["-B"], false),
        (&long, &["-B"], true),
    ] {
        let sandbox = machine();
        let _slapd = Slapd::start(&sandbox);
        if tool {
            let key = sandbox.path().join(key);
            let body =
                format!("SYSTEMD_CREDENTIAL_SECRET='{}' exec /usr/bin/systemd-creds \"$@\"", key.display());
            sandbox.tool("systemd-creds", &body);
        }
        store(&sandbox, secret);
        let script = sandbox.path().join("script");
        waiting(&script, "");
        let more: Vec<&str> = options.iter().copied().chain(["-p", script.to_str().unwrap()]).collect();
        let child = sandbox.start(&more);
        assert!(wait_until(|| has_begun(&script)), "the pre-clone script runs, behind the server backup");
        let found = copies(child.id(), secret);
        release(&script);
        assert_eq!(found, [""; 0], "{options:?}, {tool}");
        end(child);
    }
}

#[test]
fn no_copy_of_the_password_is_left_during_the_transfer() {
    let sandbox = machine();
    let _slapd = Slapd::start(&sandbox);
    let rsync = sandbox.host().join("rsync/rsync");
    waiting(&rsync, "exec /usr/bin/rsync \"$@\"");
    let waits = fs::read_to_string(&rsync).unwrap();
    let (head, rest) = waits.split_once('\n').unwrap();
    write_script(
        &rsync,
        &format!("case \"$*\" in *--stats*) ;; *) exec /usr/bin/rsync \"$@\" ;; esac\n{rest}"),
    );
    assert_eq!(head, "#!/bin/sh");
    let [_, secret] = secrets();
    let child = sandbox.start(&["-b", &secret]);
    assert!(wait_until(|| has_begun(&rsync)), "rsync runs");
    let found = copies(child.id(), &secret);
    release(&rsync);
    assert_eq!(found, [""; 0]);
    end(child);
}

#[test]
fn what_is_looked_for_in_memory_is_seen_there() {
    let sandbox = machine();
    let _slapd = Slapd::start(&sandbox);
    let tool = sandbox.host().join("tools/slapcat");
    fs::remove_file(&tool).unwrap();
    waiting(&tool, "exec /usr/sbin/slapcat \"$@\"");
    let [secret, _] = secrets();
    let child = sandbox.start(&["-b", &secret]);
    assert!(wait_until(|| has_begun(&tool)), "slapcat runs");
    let found = copies(child.id(), &secret);
    assert!(
        found.len() == 2 && found.iter().all(|found| found.starts_with("1 of ")),
        "one copy, not none: {found:?}"
    );
    // It is given up; a child of a test does not outlive it.
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn freed_memory_is_overwritten_as_long_as_there_is_a_password() {
    let pattern = b"a pattern of forty bytes that stays alone".as_slice();
    counterpart::process::wipe_freed_memory(true);
    let mut places = Vec::new();
    for _ in 0..50 {
        let mut block = pattern.repeat(100);
        places.push((block.as_ptr() as u64, block.len()));
        // It moves as it grows.
        block.reserve_exact(200_000);
        places.push((block.as_ptr() as u64, pattern.len() * 100));
    }
    let mut memory = fs::File::open("/proc/self/mem").unwrap();
    for (address, size) in places {
        let mut content = vec![0; size];
        // A block that went back to the system cannot be read.
        if memory.seek(SeekFrom::Start(address)).is_ok() && memory.read_exact(&mut content).is_ok() {
            assert!(!content.windows(pattern.len()).any(|window| window == pattern));
        }
    }
    counterpart::process::wipe_freed_memory(false);
}
