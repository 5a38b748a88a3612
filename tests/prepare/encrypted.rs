//! LUKS, by the real luksFormat; this kernel may have no device mapper, so the opened container is another disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::prepare::scene::{Disk, assert_refused, must, small_system, tag};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox};

const PASSPHRASE: &str = "correct horse \u{f6} battery";

/// A host whose cryptsetup notes how it is called, and shows `inner` in the place of an opened container.
fn host(inner: &Disk) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec /usr/sbin/blkid \"$@\"");
    let (dir, inner) = (sandbox.path().display(), inner.path());
    sandbox.tool(
        "cryptsetup",
        &format!(
            "echo \"$*\" >>{dir}/calls; env >>{dir}/environment\n\
             case $1 in\n\
             luksFormat) cat >{dir}/key\n  \
             exec /usr/sbin/cryptsetup \"$@\" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 <{dir}/key ;;\n\
             open) cat >{dir}/key2; mkdir -p /dev/mapper; for name; do :; done; ln -s {inner} /dev/mapper/$name ;;\n\
             close) rm /dev/mapper/$2 ;;\nesac"
        ),
    );
    sandbox
}

fn prepare(sandbox: &Sandbox, disk: &Disk, system: &LoopDisk, more: &[&str], input: &[u8]) -> Finished {
    let like = system.path().to_str().unwrap();
    let image = disk.image();
    let arguments = ["prepare", disk.path(), "--like", like, "--erase", &image, "--encrypt"];
    let mut command = sandbox.command(arguments.iter().chain(more));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that is not wanted is not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    Finished::from(child.wait_with_output().unwrap())
}

#[test]
fn the_root_lies_in_a_container_and_the_passphrase_nowhere_else() {
    let (system, disk, inner) = (small_system(), Disk::new(1300), Disk::new(300));
    let sandbox = host(&inner);
    let run = prepare(&sandbox, &disk, &system, &[], format!("{PASSPHRASE}\n").as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert!(run.out.contains("  ext4   /boot\n"), "{run}");
    assert!(run.out.contains("  ext4   /, in LUKS; "), "{run}");
    assert!(
        run.out.contains("Note: the root is encrypted: a /boot that the loader can read is added.\n"),
        "{run}"
    );
    assert!(run.out.contains("Note: not encrypted: /boot.\n"), "{run}");
    let found: Vec<String> = (1..=3).map(|number| disk.tag(number, "TYPE")).collect();
    assert_eq!(found, ["", "ext4", "crypto_LUKS"]);
    let uuid = disk.tag(3, "UUID");
    assert!(run.out.ends_with(&format!("counterpart prove -d UUID={uuid}\n")), "{run}");
    assert_eq!(tag(inner.path(), "TYPE"), "ext4");
    let (part, name) = (disk.part(3), format!("counterpart-{}", &uuid[..8]));
    let calls = fs::read_to_string(sandbox.path().join("calls")).unwrap();
    let expected = format!(
        "luksFormat --batch-mode --type luks2 --key-file - --uuid {uuid} {part}\n\
         open --type luks2 --key-file - {part} {name}\nclose {name}\n"
    );
    assert_eq!(calls, expected);
    for key in ["key", "key2"] {
        assert_eq!(fs::read(sandbox.path().join(key)).unwrap(), PASSPHRASE.as_bytes());
    }
    let environment = fs::read_to_string(sandbox.path().join("environment")).unwrap();
    assert!(!environment.contains("battery") && !run.out.contains("battery"), "{environment}");
    // The passphrase opens it.
    let test = "cryptsetup open --test-passphrase --key-file";
    must(&["sh", "-c", &format!("{test} {}/key {part}", sandbox.path().display())]);
}

#[test]
fn a_key_file_is_used_to_the_last_byte() {
    let (system, disk, inner) = (small_system(), Disk::new(1300), Disk::new(300));
    let sandbox = host(&inner);
    let key = sandbox.path().join("my-key");
    fs::write(&key, b"a\0b\n\n\xff").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let run = prepare(&sandbox, &disk, &system, &["--key-file", key.to_str().unwrap()], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert_eq!(fs::read(sandbox.path().join("key")).unwrap(), b"a\0b\n\n\xff");
}

#[test]
fn a_passphrase_that_cannot_be_used_is_2_and_nothing_is_written() {
    let (system, disk, inner) = (small_system(), Disk::new(1300), Disk::new(300));
    let sandbox = host(&inner);
    let before = disk.digest();
    for (input, why) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"a\nb\n", "has more than one line"),
        (b"\xff\n", "is not UTF-8"),
    ] {
        let run = prepare(&sandbox, &disk, &system, &[], input);
        assert_eq!(run.code, 2, "{run}");
        assert_eq!(run.err, format!("counterpart: The passphrase {why}. Nothing was written.\n"));
    }
    let path = |name: &str| sandbox.path().join(name).into_os_string().into_string().unwrap();
    let (fifo, open, empty, long) = (path("fifo"), path("open"), path("empty"), path("long"));
    nix::unistd::mkfifo(&*fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (file, length) in [(&open, 5), (&empty, 0), (&long, 64 * 1024 + 1)] {
        fs::write(file, vec![b'x'; length]).unwrap();
        let mode = if file == &open { 0o644 } else { 0o600 };
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    for (file, why) in [
        ("/nowhere", "cannot be read (No such file or directory)"),
        ("/dev/null", "is not a regular file"),
        // Nobody writes to it, and nobody is waited for.
        (&fifo, "is not a regular file"),
        (&open, "must belong to root and be closed to others (chmod 600)"),
        (&empty, "is empty"),
        (&long, "is larger than 65536 bytes"),
    ] {
        let run = prepare(&sandbox, &disk, &system, &["--key-file", file], b"");
        let sentence = format!("counterpart: The key file {file} {why}. Nothing was written.\n");
        assert_eq!((run.code, run.err.as_str()), (2, &*sentence), "{run}");
    }
    assert_eq!(disk.digest(), before);
    assert!(!sandbox.path().join("calls").exists());
    let small = Disk::new(300);
    let before = small.digest();
    let run = prepare(&sandbox, &small, &system, &[], b"x\n");
    let rest = run.err.split(" needs ").nth(1).unwrap_or_default().split(". ").next().unwrap();
    let like = system.path().display();
    let why =
        format!("it is too small: it has 300.00 MiB, and what {like} uses and a tenth more needs {rest}");
    assert_refused(&run, &small, &before, &why);
}

#[test]
fn a_container_that_cannot_be_filled_is_closed() {
    let (system, disk, inner) = (small_system(), Disk::new(1300), Disk::new(300));
    let sandbox = host(&inner);
    sandbox.tool("mkfs.ext4", "[ -e $0.used ] && exit 1; touch $0.used; exec /usr/sbin/mkfs.ext4 \"$@\"");
    let run = prepare(&sandbox, &disk, &system, &[], b"secret\n");
    assert_eq!(run.code, 1, "{run}");
    assert!(run.err.contains("of its new partitions only 1 and 2 are made"), "{run}");
    let calls = fs::read_to_string(sandbox.path().join("calls")).unwrap();
    assert!(calls.lines().last().unwrap().starts_with("close counterpart-"), "{calls}");
}
