//! Whatever other users set up gains nothing, learns nothing, and prevents no backup.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::server_linux::servers::{MariaDb, Postgres, Slapd, as_user, dir, dump, machine, succeed};
use crate::support::killed::Killed;
use crate::support::sandbox::{Sandbox, wait_until, write_script};

/// An ordinary user.
const USER: &str = "nobody";

/// The account of another service.
const OTHER: &str = "www-data";

/// A module that says so when anybody loads it, and a configuration of slapd that names it.
struct Evil {
    base: PathBuf,
    marker: PathBuf,
}

impl Evil {
    fn new(sandbox: &Sandbox, user: &str) -> Self {
        let base = dir(&sandbox.path().join(format!("evil-{user}")), user);
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        // Whoever loads the module can leave the marker.
        let markers = sandbox.path().join(format!("marks-{user}"));
        fs::create_dir(&markers).unwrap();
        fs::set_permissions(&markers, fs::Permissions::from_mode(0o777)).unwrap();
        let marker = markers.join("loaded");
        let code = format!(
            "#include <fcntl.h>\n__attribute__((constructor)) static void mark(void) {{ open(\"{}\", O_CREAT | O_WRONLY, 0666); }}\n\
             int init_module(int argc, char **argv) {{ return 0; }}\n",
            marker.display()
        );
        fs::write(base.join("evil.c"), code).unwrap();
        succeed(
            Command::new("cc")
                .args(["-shared", "-fPIC", "-o"])
                .arg(base.join("evil.so"))
                .arg(base.join("evil.c")),
        );
        let text = format!("modulepath {0}\nmoduleload evil.so\npidfile {0}/pid\n", base.display());
        fs::write(base.join("slapd.conf"), text).unwrap();
        fs::create_dir(base.join("slapd.d")).unwrap();
        succeed(Command::new("chown").arg("-R").arg(user).arg(&base));
        succeed(
            as_user(user, "/usr/sbin/slaptest")
                .arg("-f")
                .arg(base.join("slapd.conf"))
                .arg("-F")
                .arg(base.join("slapd.d")),
        );
        assert!(marker.exists(), "the module says so when it is loaded");
        fs::remove_file(&marker).unwrap();
        Self { base, marker }
    }

    /// slapd itself, which loads the module as the user who starts it.
    fn serve(&self, user: &str) -> Killed {
        let uri = format!("ldapi://{}", self.base.join("ldapi").display().to_string().replace('/', "%2F"));
        let mut command = as_user(user, "/usr/sbin/slapd");
        command.args(["-d", "0", "-h", &uri, "-F"]).arg(self.base.join("slapd.d"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Killed(process);
        assert!(wait_until(|| self.base.join("ldapi").exists() && self.marker.exists()));
        fs::remove_file(&self.marker).unwrap();
        process
    }

    #[track_caller]
    fn assert_not_loaded(&self) {
        assert!(!self.marker.exists(), "somebody loaded the module");
    }
}

fn line(process: u32, file: &str, start: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned()
}

#[test]
fn a_program_with_roots_rights_that_is_called_slapd_runs_nothing() {
    let sandbox = machine();
    let evil = Evil::new(&sandbox, USER);
    symlink("/usr/bin/su", evil.base.join("slapd")).unwrap();
    let name = evil.base.join("slapd");
    let mut command = as_user(USER, name.to_str().unwrap());
    command.args(["root", "--", "-F"]).arg(evil.base.join("slapd.d"));
    // It waits for a password.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Killed(command.spawn().unwrap());
    let number = process.0.id();
    let has_roots_rights = || line(number, "status", "Uid:").split_ascii_whitespace().nth(2) == Some("0");
    assert!(wait_until(|| line(number, "comm", "slapd") == "slapd" && has_roots_rights()));
    sandbox.clone(&["-b", "x"]).assert_code(93);
    evil.assert_not_loaded();
    assert!(!sandbox.host().join("backup").exists());

    let _slapd = Slapd::start(&sandbox);
    sandbox.clone(&["-b", "x"]).assert_code(0);
    evil.assert_not_loaded();
    assert!(dump(&sandbox, "OpenLDAP.ldif.age").exists(), "the real one alone, and under its usual name");
}

#[test]
fn a_slapd_of_somebody_else_is_skipped_and_the_real_one_dumped() {
    let sandbox = machine();
    let (of_user, of_other) = (Evil::new(&sandbox, USER), Evil::new(&sandbox, OTHER));
    let _processes = (of_user.serve(USER), of_other.serve(OTHER));
    let assert_skipped = |code: i32| {
        sandbox
            .clone(&["-b", "x"])
            .assert_code(code)
            .assert_log("is skipped: it belongs to the user nobody, an ordinary user.")
            .assert_log("is not dumped: it runs as the user www-data, which is not an account of OpenLDAP.");
        of_user.assert_not_loaded();
        of_other.assert_not_loaded();
    };
    assert_skipped(93);
    let _slapd = Slapd::start(&sandbox);
    assert_skipped(0);
    assert!(dump(&sandbox, "OpenLDAP.ldif.age").exists());
}

#[test]
fn a_configuration_that_others_could_have_arranged_is_not_read() {
    let sandbox = machine();
    let open = sandbox.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let evil = Evil::new(&sandbox, "openldap");
    // The account's own, but by a way that everybody can change.
    for way in [evil.base.clone(), open.join("link")] {
        if way != evil.base {
            symlink(&evil.base, &way).unwrap();
        }
        let mut command = as_user("openldap", "/usr/sbin/slapd");
        let uri = format!("ldapi://{}", evil.base.join("ldapi").display().to_string().replace('/', "%2F"));
        command.args(["-d", "0", "-h", &uri, "-F"]).arg(way.join("slapd.d"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Killed(process);
        assert!(wait_until(|| evil.base.join("ldapi").exists() && evil.marker.exists()));
        fs::remove_file(&evil.marker).unwrap();
        if way == evil.base {
            sandbox.clone(&["-b", "x"]).assert_code(0);
            assert!(evil.marker.exists(), "a module of its own is the server's business");
            fs::remove_file(&evil.marker).unwrap();
        } else {
            let finished = sandbox.clone(&["-b", "x"]);
            finished.assert_code(97);
            assert!(finished.err.contains("cannot be trusted: everybody can write to "), "{finished}");
            evil.assert_not_loaded();
        }
        drop(process);
        fs::remove_file(evil.base.join("ldapi")).unwrap();
    }
}

/// Where this thread and all that it starts find root's home; its option file has a password.
pub fn home_of_root(sandbox: &Sandbox) -> PathBuf {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    let home = dir(&sandbox.path().join("home"), "root");
    fs::write(home.join(".my.cnf"), "[client]\nuser=backup\npassword=Hunter-2-secret\n").unwrap();
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let accounts = accounts.replace(":0:0:root:/root:", &format!(":0:0:root:{}:", home.display()));
    assert!(accounts.contains(home.to_str().unwrap()));
    let file = sandbox.path().join("passwd");
    fs::write(&file, accounts).unwrap();
    mount(Some(&file), "/etc/passwd", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    home
}

/// A server that asks whoever comes for the password, and writes down what it is told.
struct FakeMySql {
    _process: Killed,
    log: PathBuf,
}

impl FakeMySql {
    fn start(sandbox: &Sandbox, user: &str, python: &Path, plugin: &str) -> Self {
        let base = dir(&sandbox.path().join(format!("fake {user} {plugin}")), user);
        let script = sandbox.path().join("fake_mysql.py");
        fs::write(&script, include_str!("fake_mysql.py")).unwrap();
        let (socket, log) = (base.join("mysqld.sock"), base.join("log"));
        let mut command = as_user(user, python.to_str().unwrap());
        command.env("PYTHONHOME", "/usr").arg("-S").arg(&script).arg(&socket).arg(&log).arg(plugin);
        let process = Killed(command.spawn().unwrap());
        assert!(wait_until(|| log.exists()), "it listens");
        Self { _process: process, log }
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// A program that only root can have put there, called like the server's.
fn python_called(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path().join(name);
    fs::copy(fs::canonicalize("/usr/bin/python3").unwrap(), &path).unwrap();
    path
}

#[test]
fn a_database_server_of_somebody_else_is_told_nothing() {
    let sandbox = machine();
    home_of_root(&sandbox);
    let python = python_called(&sandbox, "mysqld");
    let fakes = [
        FakeMySql::start(&sandbox, USER, Path::new("/usr/bin/python3"), "mysql_clear_password"),
        FakeMySql::start(&sandbox, OTHER, Path::new("/usr/bin/python3"), "mysql_clear_password"),
        FakeMySql::start(&sandbox, OTHER, &python, "dialog"),
        // The account of such a server, but no such program.
        FakeMySql::start(&sandbox, "mysql", Path::new("/usr/bin/python3"), "dialog"),
    ];
    let untouched = || fakes.iter().for_each(|fake| assert_eq!(fake.told(), "", "{:?}", fake.log));
    sandbox
        .clone(&["-b", "x"])
        .assert_code(93)
        .assert_log("mysqld.sock is skipped: no MariaDB or MySQL of this system listens there.");
    untouched();
    let _server = MariaDb::start(&sandbox, "one");
    sandbox.clone(&["-b", "x"]).assert_code(0);
    untouched();
    assert!(dump(&sandbox, "MySQL.bz2").exists(), "the real one alone, and under its usual name");
}

#[test]
fn not_even_the_real_account_gets_roots_password_in_clear_text() {
    let sandbox = machine();
    home_of_root(&sandbox);
    let python = python_called(&sandbox, "mysqld");
    for plugin in ["mysql_clear_password", "dialog", "caching_sha2_password", "sha256_password"] {
        let fake = FakeMySql::start(&sandbox, "mysql", &python, plugin);
        let finished = sandbox.clone(&["-b", "x"]);
        finished.assert_code(96);
        assert!(finished.err.contains("could not be loaded"), "{finished}");
        let told = fake.told();
        assert!(told.contains("login") && told.contains("backup\0"), "root's option file was used: {told:?}");
        assert!(!told.contains("Hunter-2-secret"), "{plugin}: {told:?}");
    }
    // What is watched for is really sent when it is asked for without care.
    let fake = FakeMySql::start(&sandbox, USER, Path::new("/usr/bin/python3"), "mysql_clear_password");
    let mut socket = std::ffi::OsString::from("--socket=");
    socket.push(fake.log.with_file_name("mysqld.sock"));
    let mut command = Command::new("mariadb");
    command.env("HOME", sandbox.path().join("home")).arg(socket).args(["-e", "SELECT 1"]);
    command.stdin(Stdio::null()).output().unwrap();
    assert!(fake.told().contains("Hunter-2-secret"));
}

/// A listening socket of a user.
fn listener(sandbox: &Sandbox, place: &str, name: &str, user: &str) -> UnixListener {
    let base = dir(&sandbox.path().join(place), user);
    let listener = UnixListener::bind(base.join(name)).unwrap();
    succeed(Command::new("chown").arg(user).arg(base.join(name)));
    listener
}

#[test]
fn a_cluster_of_somebody_else_does_not_hide_the_real_one() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5801);
    // Before and behind it in every order, and it says that it is the same.
    let mut listeners = Vec::new();
    for (place, user) in [("a", USER), ("b", OTHER), ("z", OTHER)] {
        listeners.push(listener(&sandbox, place, ".s.PGSQL.5801", user));
        let lock = format!("1\n{}\n", cluster.data.display());
        fs::write(sandbox.path().join(place).join(".s.PGSQL.5801.lock"), lock).unwrap();
    }
    // Many of them fill no log.
    for port in 5810..5830 {
        listeners.push(listener(&sandbox, "many", &format!(".s.PGSQL.{port}"), USER));
    }
    // A real one of another service's account.
    let _of_other = Postgres::start_for(&sandbox, "other", 5802, OTHER, "postgres");
    let finished = sandbox.clone(&["-b", "x"]);
    finished
        .assert_code(0)
        .assert_log("is skipped: no PostgreSQL of this system listens there.")
        .assert_log("more of PostgreSQL are skipped for similar reasons.")
        .assert_log("is not dumped: it runs as the user www-data, which is not an account of PostgreSQL.");
    assert!(finished.out.matches("listens there").count() <= 5, "{finished}");
    let version = fs::read_to_string(cluster.data.join("PG_VERSION")).unwrap();
    let names = crate::support::sandbox::names_of(&sandbox.host().join("backup"));
    assert_eq!(names, [format!("Postgres-{}-main.bz2", version.trim()).as_str()]);
}

/// The number of the socket at a path, as the kernel's table has it.
fn inode(path: &Path) -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/unix").unwrap();
    let line = table.lines().find(|line| line.ends_with(path.to_str().unwrap())).unwrap();
    line.split_ascii_whitespace().nth(6).unwrap().parse().unwrap()
}

#[test]
fn a_forged_line_of_the_kernels_table_hides_nothing() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5831);
    let number = inode(&cluster.sockets.join(".s.PGSQL.5831"));
    // A path may hold the end of a line and all that follows.
    let base = tempfile::Builder::new().prefix("c").rand_bytes(4).tempdir_in("/var/lib").unwrap();
    dir(base.path(), USER);
    let forged = "x\n0: 00000002 00000000 00010000 0001 01 ";
    let place = base.path().join(format!("{forged}{number} "));
    fs::create_dir(&place).unwrap();
    let _listener = UnixListener::bind(place.join(".s.PGSQL.1")).unwrap();
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(0).assert_log("5831.");
}

#[test]
fn a_socket_that_others_could_have_arranged_is_not_used() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5841);
    for mode in [0o1777, 0o777, 0o775] {
        fs::set_permissions(&cluster.sockets, fs::Permissions::from_mode(mode)).unwrap();
        if mode == 0o775 {
            succeed(Command::new("chgrp").arg(OTHER).arg(&cluster.sockets));
        }
        let finished = sandbox.clone(&["-b", "x"]);
        finished.assert_code(96);
        assert!(finished.err.contains("can write to "), "{finished}");
    }
    // Its own group, in which there is nobody else, as Debian has it.
    succeed(Command::new("chgrp").arg("postgres").arg(&cluster.sockets));
    sandbox.clone(&["-b", "x"]).assert_code(0);
    // A list that gives another account what the mode does not show.
    if Command::new("setfacl")
        .arg("-m")
        .arg("u:www-data:rwx")
        .arg(&cluster.sockets)
        .status()
        .is_ok_and(|done| done.success())
    {
        let finished = sandbox.clone(&["-b", "x"]);
        finished.assert_code(96);
        assert!(finished.err.contains("an access control list lets others write"), "{finished}");
    }
}

#[test]
fn a_listener_in_the_place_of_the_real_one_is_not_talked_to() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5851);
    let real = cluster.sockets.join(".s.PGSQL.5851");
    let python = python_called(&sandbox, "python");
    // What has the account could do this, and no more: the server has its socket, but another one is at its path.
    fs::rename(&real, cluster.sockets.join("aside")).unwrap();
    let code = "import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(1)\ntime.sleep(600)";
    let mut command = as_user("postgres", python.to_str().unwrap());
    let _process =
        Killed(command.env("PYTHONHOME", "/usr").args(["-S", "-c", code]).arg(&real).spawn().unwrap());
    assert!(wait_until(|| real.exists()));
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("in its place"), "{finished}");
}

#[test]
fn dumpers_run_as_the_accounts_of_the_servers() {
    let sandbox = machine();
    let _servers =
        (Postgres::start(&sandbox, "main", 5861), Slapd::start(&sandbox), MariaDb::start(&sandbox, "one"));
    let seen = sandbox.path().join("seen");
    fs::write(&seen, "").unwrap();
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o666)).unwrap();
    fs::remove_file(sandbox.host().join("usr")).unwrap();
    fs::create_dir_all(sandbox.host().join("usr/bin")).unwrap();
    let wrap = |at: PathBuf, program: &str| {
        let note =
            format!("echo \"{program} $(id -un) $(id -G | wc -w) ${{HOME:-none}}\" >>'{}'", seen.display());
        let _ = fs::remove_file(&at);
        write_script(&at, &format!("{note}\nexec {program} \"$@\""));
    };
    for program in ["pg_dumpall", "mariadb", "mariadb-dump"] {
        wrap(sandbox.host().join("usr/bin").join(program), &format!("/usr/bin/{program}"));
    }
    wrap(sandbox.host().join("tools/slapcat"), "/usr/sbin/slapcat");
    sandbox.clone(&["-b", "x"]).assert_code(0);
    let mut lines: Vec<String> = fs::read_to_string(&seen).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(
        lines,
        [
            "/usr/bin/mariadb mysql 1 none",
            "/usr/bin/mariadb-dump mysql 1 none",
            "/usr/bin/pg_dumpall postgres 1 none",
            "/usr/sbin/slapcat openldap 1 none",
        ]
    );
}

#[test]
fn a_dumper_that_waits_for_ever_is_given_up() {
    let sandbox = machine();
    let cluster = Postgres::start(&sandbox, "main", 5871);
    cluster.sql("postgres", "CREATE TABLE t (a int)");
    let mut holder = cluster.psql("postgres", "postgres");
    let mut holder = Killed(holder.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let input = holder.0.stdin.as_mut().unwrap();
    input.write_all(b"BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE;\n").unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
    assert!(wait_until(|| cluster.sql("postgres", locks).trim() != "0"));
    fs::write(sandbox.host().join("dumper-silence"), "3").unwrap();
    let finished = sandbox.clone(&["-b", "x"]);
    finished.assert_code(96);
    assert!(finished.err.contains("was stopped: it has printed nothing for 1 min"), "{finished}");
    drop(holder);
    sandbox.clone(&["-b", "x"]).assert_code(0);
}

#[test]
fn the_doctor_connects_to_nothing() {
    let sandbox = machine();
    home_of_root(&sandbox);
    let server = MariaDb::start(&sandbox, "one");
    let cluster = Postgres::start(&sandbox, "main", 5881);
    cluster.sql("postgres", "ALTER SYSTEM SET log_connections = on");
    cluster.control("reload");
    let python = python_called(&sandbox, "mysqld");
    let fake = FakeMySql::start(&sandbox, "mysql", &python, "mysql_clear_password");
    let connections = || -> u64 {
        let text = server.sql("SHOW GLOBAL STATUS LIKE 'Connections'");
        text.split_ascii_whitespace().last().unwrap().parse().unwrap()
    };
    let received =
        || fs::read_to_string(cluster.data.join("log")).unwrap().matches("connection received").count();
    let logged = || received() > 0;
    assert!(wait_until(|| !cluster.sql("postgres", "SELECT 1").is_empty() && logged()));
    let (before, of_cluster) = (connections(), received());
    for more in [["-b", "x"].as_slice(), &[]] {
        let mut arguments = vec!["doctor".into()];
        arguments.extend(sandbox.arguments(more));
        let finished = sandbox.run(arguments);
        assert_eq!(finished.code, 0, "{finished}");
        assert!(finished.out.contains("MariaDB or MySQL at "), "{finished}");
    }
    assert_eq!(connections(), before + 1, "that of the question");
    assert_eq!(received(), of_cluster);
    assert_eq!(fake.told(), "");
}
