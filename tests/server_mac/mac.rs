//! A fake Mac that runs a server.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use serde_json::{Value, json};

use crate::support::sandbox::{Finished, Sandbox, names_of, write_script};

/// The password of most tests: it occurs nowhere by chance.
pub const PASSWORD: &str = "Xq7 zebra='47' ü!";

/// The directories of the sockets, below the system's root.
pub const SERVER_SERVICES: &str = "Library/Server/PostgreSQL For Server Services/Socket";
pub const DEVICES: &str = "Library/Server/ProfileManager/Config/var/PostgreSQL";
pub const WIKI: &str = "Library/Server/Wiki/PostgresSocket";
pub const CALENDAR: &str = "var/run/caldavd/PostgresSocket";

/// A Mac, and what its fake tools read and write.
pub struct Mac {
    /// The machine.
    pub sandbox: Sandbox,
    state: Value,
}

impl Mac {
    /// A server of this version: master of a directory, the standard database running, calendar stopped.
    pub fn server(version: &str) -> Self {
        let mac = Self::without_server(version);
        let root = mac.root(version);
        mac.install("serveradmin", &root.join("usr/sbin/serveradmin"));
        mac.install("pg_dumpall", &root.join("usr/bin/pg_dumpall"));
        mac
    }

    /// A Mac of this version, as a user buys it.
    pub fn without_server(version: &str) -> Self {
        let sandbox = Sandbox::mac(version);
        sandbox.write("file", "content");
        let state = json!({
            "role": "master", "states": {"postgres": "RUNNING", "calendar": "STOPPED"}, "archive": "good",
            "settings": "good", "dumps": {}, "content": "first", "keychain": "open",
        });
        let mac = Self { sandbox, state };
        fs::write(mac.file("fakes.py"), include_str!("fakes.py")).unwrap();
        for name in ["ledger", "records", "told"] {
            fs::write(mac.file(name), "").unwrap();
            // Some tools run as other users.
            fs::set_permissions(mac.file(name), fs::Permissions::from_mode(0o666)).unwrap();
        }
        let users = "_postgres 47001 47101\n_devicemgr 47002 47102\ncollab 47003 47103\ncaldav 47004 47104\n";
        fs::write(mac.sandbox.host().join("users"), users).unwrap();
        mac.install("security", &mac.sandbox.host().join("tools/security"));
        let ledger = mac.file("ledger");
        mac.sandbox.rsync(&format!(
            "case \"$*\" in *--stats*) echo rsync >>'{}';; esac\nexec /usr/bin/rsync \"$@\"",
            ledger.display()
        ));
        mac.save();
        mac
    }

    fn root(&self, version: &str) -> PathBuf {
        self.sandbox.host().join(if version.starts_with("10.7") { "system-root" } else { "server-app" })
    }

    fn install(&self, tool: &str, at: &Path) {
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let (script, root) = (self.file("fakes.py"), self.sandbox.path());
        write_script(
            at,
            &format!("exec /usr/bin/python3 -IS '{}' '{}' {tool} \"$@\"", script.display(), root.display()),
        );
    }

    fn save(&self) {
        fs::write(self.file("mac.json"), self.state.to_string()).unwrap();
    }

    /// Changes what the tools answer.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.state[key] = value.into();
        self.save();
        self
    }

    /// Sets the state of a service.
    pub fn service(&mut self, name: &str, state: &str) -> &mut Self {
        self.state["states"][name] = state.into();
        self.save();
        self
    }

    /// Sets how the dump of the instance at this socket goes.
    pub fn dump(&mut self, dir: &str, how: &str) -> &mut Self {
        self.state["dumps"][dir] = how.into();
        self.save();
        self
    }

    /// Makes the socket of a database.
    pub fn socket(&mut self, dir: &str, port: u16) -> &mut Self {
        let dir = self.sandbox.host().join("system-root").join(dir);
        fs::create_dir_all(&dir).unwrap();
        mknod(&dir.join(format!(".s.PGSQL.{port}")), SFlag::S_IFSOCK, Mode::S_IRWXU, 0).unwrap();
        fs::write(dir.join(format!(".s.PGSQL.{port}.lock")), "1").unwrap();
        self
    }

    /// Removes a file of the sandbox.
    pub fn remove(&self, name: &str) -> &Self {
        fs::remove_file(self.file(name)).unwrap();
        self
    }

    /// A path in the sandbox.
    pub fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path().join(name)
    }

    /// Clones, with the password on the command line.
    pub fn back_up(&self) -> Finished {
        self.sandbox.clone(&["-b", PASSWORD])
    }

    /// What ran, in order, since this was last asked.
    pub fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("ledger")).unwrap();
        fs::write(self.file("ledger"), "").unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The backup directory.
    pub fn backup(&self) -> PathBuf {
        self.sandbox.host().join("backup")
    }

    /// The names in the backup directory, one space between; leftovers would show here.
    pub fn names(&self) -> String {
        let names = names_of(&self.backup());
        names.iter().map(|name| name.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    /// A dump, unpacked.
    pub fn read(&self, name: &str) -> String {
        let mut text = String::new();
        let file = fs::File::open(self.backup().join(name)).unwrap();
        bzip2::read::MultiBzDecoder::new(file).read_to_string(&mut text).unwrap();
        text
    }

    /// Every byte of the backup directory.
    pub fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        gather(&self.backup(), &mut files);
        files.sort();
        files
    }

    /// Asserts that the run failed as a whole: this code, this reason, no clone.
    #[track_caller]
    pub fn assert_failed(&self, code: i32, reason: &str) -> Finished {
        let finished = self.back_up();
        finished.assert_code(code);
        let error = self.sandbox.read_marker("error");
        assert!(error.contains(reason), "{reason:?} is not in {error:?}: {finished}");
        assert!(finished.err.contains(reason), "{finished}");
        assert!(!self.sandbox.marker("completed").exists(), "{finished}");
        assert!(!self.ledger().contains(&"rsync".to_owned()), "{finished}");
        finished
    }
}

/// Every file below a directory with its content.
pub fn gather(dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            gather(&path, files);
        } else if kind.is_file() {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}
