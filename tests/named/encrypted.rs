//! An encrypted disk (LUKS). This kernel may have no device mapper, so a fake `cryptsetup` opens it as a loop device.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::named::scene::{arguments, assert_free, clone, sandbox, state};
use crate::support::disk::BareDisk;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

const OFFSET: u64 = 1 << 20;

/// A disk with a LUKS header and, behind it, a filesystem; its UUID, and that of the filesystem.
struct Encrypted {
    disk: BareDisk,
    uuid: String,
}

impl Encrypted {
    fn new(sandbox: &Sandbox) -> Self {
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned();
        let inner = BareDisk::new("ext4", &[]);
        let content = fs::read(inner.image()).unwrap();
        let disk = BareDisk::made(65, |device| {
            let device = fs::File::options().write(true).open(device).unwrap();
            let mut header = vec![0; 4096];
            header[..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
            header[8..11].copy_from_slice(b"aes");
            header[168..168 + uuid.len()].copy_from_slice(uuid.as_bytes());
            device.write_all_at(&header, 0).unwrap();
            device.write_all_at(&content, OFFSET).unwrap();
            device.sync_all().unwrap();
        });
        let dir = sandbox.path().display();
        // It knows the key, and refuses what the real one refuses.
        sandbox.tool(
            "cryptsetup",
            &format!(
                "echo \"$*\" >>'{dir}/ledger'\n\
                 for name in \"$@\"; do :; done\n\
                 case \"$name\" in counterpart-*) ;; *) echo \"bad name $name\" >&2; exit 1 ;; esac\n\
                 mapped=/dev/mapper/$name\n\
                 case \"$1\" in\n\
                 open)\n\
                     [ \"$2 $3 $4 $5 $6\" = '--type luks --key-file - --' ] || exit 1\n\
                     [ \"$(cat)\" = 'the key' ] || {{ echo 'No key available with this passphrase.' >&2; exit 2; }}\n\
                     [ ! -e \"$mapped\" ] || {{ echo \"Device $name already exists.\" >&2; exit 5; }}\n\
                     mkdir -p /dev/mapper\n\
                     ln -sf \"$(losetup -f --show -o {OFFSET} \"$7\")\" \"$mapped\" ;;\n\
                 close)\n\
                     [ -h \"$mapped\" ] || {{ echo \"Device $name is not active.\" >&2; exit 4; }}\n\
                     losetup -d \"$(readlink \"$mapped\")\"\n\
                     rm \"$mapped\" ;;\n\
                 *) exit 1 ;;\n\
                 esac"
            ),
        );
        Self { disk, uuid }
    }

    fn name(&self) -> String {
        format!("UUID={}", self.uuid)
    }

    fn mapped(&self) -> PathBuf {
        Path::new("/dev/mapper").join(format!("counterpart-{}", self.uuid))
    }

    /// Nothing of it is open, and its key is in no argument.
    #[track_caller]
    fn assert_closed(&self, sandbox: &Sandbox) {
        assert!(fs::symlink_metadata(self.mapped()).is_err());
        assert!(wait_until(|| users(&self.disk).is_empty()), "{:?}", users(&self.disk));
        assert_free(&self.disk);
        assert!(!ledger(sandbox).contains("the key"));
    }
}

/// The loop devices made of a disk.
fn users(disk: &BareDisk) -> String {
    let output = Command::new("losetup").arg("-j").arg(disk.device()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn ledger(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path().join("ledger")).unwrap_or_default()
}

fn key_file(sandbox: &Sandbox, content: &str, mode: u32) -> String {
    let path = sandbox.path().join("key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_is_opened_with_the_key_and_closed_afterwards() {
    let sandbox = sandbox();
    let encrypted = Encrypted::new(&sandbox);
    let key = key_file(&sandbox, "the key", 0o600);
    for _ in 0..2 {
        let finished = clone(&sandbox, &encrypted.name(), &["--key-file", &key]);
        finished.assert_code(0).assert_no_warning();
        encrypted.assert_closed(&sandbox);
    }
    let known = state(&sandbox);
    assert_ne!(known["destination"], encrypted.name(), "the filesystem in it counts");
    assert_eq!(known["spellings"][0], encrypted.name());
    assert_eq!(known["disks"].as_array().unwrap().len(), 1);
    let list = sandbox.run(["restore", "-d", &encrypted.name(), "--key-file", &key, "--list"]);
    assert_eq!(list.code, 0, "{list}");
    encrypted.assert_closed(&sandbox);
    // In passing it is not opened: what is remembered has to do.
    let before = ledger(&sandbox);
    let check = sandbox.run(["check", "-d", &encrypted.name()]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("it is encrypted, and not open"), "{check}");
    assert_eq!(ledger(&sandbox), before);
}

#[test]
fn it_is_closed_whatever_ends_the_run() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let sandbox = sandbox();
        let encrypted = Encrypted::new(&sandbox);
        let key = key_file(&sandbox, "the key", 0o600);
        let begun = sandbox.path().join("begun");
        let script = sandbox.script("wait", &format!("touch '{}'\nexec sleep 1000", begun.display()));
        let more = ["--key-file", &key, "-p", script.to_str().unwrap()];
        let words = arguments(&sandbox, &encrypted.name(), &more);
        let mut child = sandbox.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(wait_until(|| begun.exists()));
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        child.wait().unwrap();
        encrypted.assert_closed(&sandbox);
    }
    // A clone that fails.
    let sandbox = sandbox();
    let encrypted = Encrypted::new(&sandbox);
    let key = key_file(&sandbox, "the key", 0o600);
    sandbox.rsync("case \"$*\" in *--version*) exec /usr/bin/rsync \"$@\" ;; *) exit 11 ;; esac");
    let finished = clone(&sandbox, &encrypted.name(), &["--key-file", &key]);
    assert_ne!(finished.code, 0);
    encrypted.assert_closed(&sandbox);
}

#[test]
fn without_a_good_key_nothing_is_opened() {
    let sandbox = sandbox();
    let encrypted = Encrypted::new(&sandbox);
    let refused = |more: &[&str], why: &str| -> Finished {
        let finished = clone(&sandbox, &encrypted.name(), more);
        finished.assert_code(66);
        assert!(finished.err.contains(why), "{why:?} is not in {finished}");
        encrypted.assert_closed(&sandbox);
        finished
    };
    refused(&[], "it is encrypted, and there is no key");
    assert_eq!(ledger(&sandbox), "");
    refused(&["--key-file", &key_file(&sandbox, "another key", 0o600)], "the key does not open it");
    refused(&["--key-file", &key_file(&sandbox, "the key", 0o644)], "closed to others (chmod 600)");
    refused(&["--key-file", &key_file(&sandbox, "", 0o600)], "is empty");
    refused(&["--key-file", "/nonexistent/key"], "cannot be read");
    refused(&["--key-file", sandbox.path().to_str().unwrap()], "cannot be read (is a directory)");
}

#[test]
fn the_stored_password_opens_it() {
    let sandbox = sandbox();
    let encrypted = Encrypted::new(&sandbox);
    let store = sandbox.host().join("credstore");
    fs::create_dir(&store).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o700)).unwrap();
    let file = store.join("me.jedda.counterpart");
    fs::write(&file, "the key").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let finished = clone(&sandbox, &encrypted.name(), &[]);
    finished.assert_code(0);
    encrypted.assert_closed(&sandbox);
}
