//! Real servers, each stopped when its guard is dropped.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bzip2::read::MultiBzDecoder;
use nix::sched::{CloneFlags, unshare};

use crate::support::killed::Killed;
use crate::support::sandbox::{Sandbox, wait_until};

/// The password of every test.
pub const PASSWORD: &str = "pa ss'w\"ö=rd";

/// A machine whose servers nobody else sees, with the system's own dumpers.
pub fn machine() -> Sandbox {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let sandbox = Sandbox::of_servers();
    sandbox.write("file", "content");
    symlink("/usr", sandbox.host().join("usr")).unwrap();
    symlink("/usr/sbin/slapcat", sandbox.host().join("tools/slapcat")).unwrap();
    sandbox
}

/// A dump's path.
pub fn dump(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.host().join("backup").join(name)
}

/// The unpacked text of a dump.
pub fn unpacked(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    MultiBzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut text).unwrap();
    text
}

/// Unpacks a dump into a file that every user can read.
pub fn unpack_to(path: &Path, to: &Path) {
    let mut file = fs::File::create(to).unwrap();
    std::io::copy(&mut MultiBzDecoder::new(fs::File::open(path).unwrap()), &mut file).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o644)).unwrap();
}

/// A program run as a user.
pub fn as_user(user: &str, program: &str) -> Command {
    let group = nix::unistd::User::from_name(user).unwrap().unwrap().gid;
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--init-groups", program])
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// What a program prints; it must succeed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A directory that belongs to a user.
pub fn dir(path: &Path, user: &str) -> PathBuf {
    fs::create_dir_all(path).unwrap();
    succeed(Command::new("chown").arg(format!("{user}:")).arg(path));
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_owned()
}

/// A cluster of `PostgreSQL`.
pub struct Postgres {
    bin: PathBuf,
    user: String,
    pub data: PathBuf,
    pub sockets: PathBuf,
    pub port: u16,
}

fn postgres_bin() -> PathBuf {
    let mut versions: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().unwrap()
}

impl Postgres {
    /// Makes a cluster with the superuser `postgres` and starts it.
    pub fn start(sandbox: &Sandbox, name: &str, port: u16) -> Self {
        Self::start_for(sandbox, name, port, "postgres", "postgres")
    }

    /// The same as another user of the system, with another superuser.
    pub fn start_for(sandbox: &Sandbox, name: &str, port: u16, user: &str, superuser: &str) -> Self {
        let base = sandbox.path().join(format!("postgres {port}"));
        fs::create_dir_all(&base).unwrap();
        let (data, sockets) = (dir(&base.join(name), user), dir(&base.join("run"), user));
        fs::set_permissions(&sockets, fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self { bin: postgres_bin(), user: user.to_owned(), data, sockets, port };
        succeed(
            cluster
                .program("initdb")
                .args(["-N", "-E", "UTF8", "--locale=C.UTF-8", "-U", superuser, "-D"])
                .arg(&cluster.data),
        );
        let more = "fsync = off\nlisten_addresses = ''\nmax_wal_size = '4GB'\n";
        let configuration = cluster.data.join("postgresql.conf");
        let text = fs::read_to_string(&configuration).unwrap();
        let place = format!("unix_socket_directories = '\"{}\"'\nport = {port}\n", cluster.sockets.display());
        fs::write(&configuration, format!("{text}\n{more}{place}")).unwrap();
        cluster.control("start");
        cluster
    }

    fn program(&self, name: &str) -> Command {
        as_user(&self.user, self.bin.join(name).to_str().unwrap())
    }

    /// Starts, stops or reloads it.
    pub fn control(&self, what: &str) {
        let mut command = self.program("pg_ctl");
        command.args([what, "-w", "-D"]).arg(&self.data);
        if what == "stop" {
            command.args(["-m", "immediate"]);
        }
        if what == "start" {
            command.args(["-l"]).arg(self.data.join("log"));
        }
        // The server keeps the outputs that it was started with.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        let log = fs::read_to_string(self.data.join("log")).unwrap_or_default();
        assert!(status.success(), "pg_ctl {what}: {log}");
    }

    /// Starts the same cluster from a copy of its data, once it is stopped itself.
    pub fn of_copy(&self, data: PathBuf) -> Self {
        let (bin, user, sockets) = (self.bin.clone(), self.user.clone(), self.sockets.clone());
        // On another machine no process has the number in it.
        fs::remove_file(data.join("postmaster.pid")).unwrap();
        let copy = Self { bin, user, data, sockets, port: self.port };
        copy.control("start");
        copy
    }

    /// The client, as the superuser.
    pub fn psql(&self, superuser: &str, database: &str) -> Command {
        let mut command = self.program("psql");
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-p",
                &self.port.to_string(),
                "-U",
                superuser,
            ])
            .arg("-h")
            .arg(&self.sockets)
            .args(["-d", database]);
        command
    }

    /// Runs SQL as `postgres`.
    pub fn sql(&self, database: &str, text: &str) -> String {
        succeed(self.psql("postgres", database).args(["-c", text]))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = self.program("pg_ctl");
        let _ = command.args(["stop", "-m", "immediate", "-D"]).arg(&self.data).output();
    }
}

/// A server of `MariaDB`.
pub struct MariaDb {
    _process: Killed,
    pub socket: PathBuf,
}

impl MariaDb {
    /// Makes a data directory and starts a server on it.
    pub fn start(sandbox: &Sandbox, name: &str) -> Self {
        let data = dir(&sandbox.path().join(format!("mariadb-{name}")), "mysql");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        // A server that starts removes the temporary tables of every other one in the same directory.
        let temporary = dir(&sandbox.path().join(format!("tmp-{name}")), "mysql");
        succeed(
            Command::new("mariadb-install-db")
                .env("TMPDIR", &temporary)
                .args([
                    "--no-defaults",
                    "--user=mysql",
                    "--auth-root-authentication-method=socket",
                    "--skip-test-db",
                ])
                .arg(format!("--datadir={}", data.display()))
                .stdin(Stdio::null()),
        );
        let socket = dir(&sandbox.path().join(format!("run {name}")), "mysql").join("mysqld.sock");
        let process = as_user("mysql", "/usr/sbin/mariadbd")
            .env("TMPDIR", &temporary)
            .args(["--no-defaults", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", data.join("pid").display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(sandbox.path().join(format!("mariadb-{name}.log"))).unwrap())
            .spawn()
            .unwrap();
        let server = Self { _process: Killed(process), socket };
        assert!(wait_until(|| server.client().args(["-e", "SELECT 1"]).output().unwrap().status.success()));
        server
    }

    /// The client, as root.
    pub fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command
            .args(["--no-defaults", "-N", "-B", &format!("--socket={}", self.socket.display())])
            .stdin(Stdio::null());
        command
    }

    /// Runs SQL.
    pub fn sql(&self, text: &str) -> String {
        succeed(self.client().args(["-e", text]))
    }
}

/// A slapd with cn=config, one database and a monitor.
pub struct Slapd {
    process: Option<Killed>,
    pub configuration: PathBuf,
    pub database: PathBuf,
}

impl Slapd {
    /// Makes both directories, puts some entries in, and starts it.
    pub fn start(sandbox: &Sandbox) -> Self {
        let base = sandbox.path().join("ldap");
        fs::create_dir(&base).unwrap();
        let configuration = dir(&base.join("slapd.d"), "openldap");
        let database = dir(&base.join("db"), "openldap");
        let text = format!(
            "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload back_monitor\n\
             pidfile {0}/db/pid\ndatabase monitor\ndatabase mdb\nsuffix \"dc=example\"\nrootdn \"cn=admin,dc=example\"\n\
             rootpw secret\ndirectory {0}/db\n",
            base.display()
        );
        fs::write(base.join("slapd.conf"), text).unwrap();
        let mut entries = String::from(
            "dn: dc=example\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n",
        );
        for number in 0..200 {
            write!(
                entries,
                "dn: cn=person {number},dc=example\nobjectClass: person\ncn: person {number}\nsn:: w7Zs\n\n"
            )
            .unwrap();
        }
        fs::write(base.join("entries.ldif"), entries).unwrap();
        succeed(
            as_user("openldap", "/usr/sbin/slapadd")
                .args(["-n", "2", "-f"])
                .arg(base.join("slapd.conf"))
                .arg("-l")
                .arg(base.join("entries.ldif")),
        );
        succeed(
            as_user("openldap", "/usr/sbin/slaptest")
                .arg("-f")
                .arg(base.join("slapd.conf"))
                .arg("-F")
                .arg(&configuration),
        );
        let uri = format!("ldapi://{}", base.join("db/ldapi").display().to_string().replace('/', "%2F"));
        let process = as_user("openldap", "/usr/sbin/slapd")
            .args(["-d", "0", "-h", &uri, "-F"])
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(wait_until(|| base.join("db/ldapi").exists()));
        Self { process: Some(Killed(process)), configuration, database }
    }

    /// Ends the process.
    pub fn stop(&mut self) {
        self.process = None;
    }
}
