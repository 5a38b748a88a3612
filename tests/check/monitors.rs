//! The monitoring systems themselves run the plugin, with the example configurations, and report what they read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, User};

use crate::check::scene::{age, check, cloned, performance};
use crate::support::sandbox::{FAKE_HOST, Sandbox, wait_until};

/// Where the examples have the plugin, and the destination.
const PLUGIN: &str = "/usr/lib/nagios/plugins/check_counterpart_clone";
const DESTINATION: &str = "/mnt/clone";

/// Debian's account for both.
const ACCOUNT: &str = "nagios";

const HOUR: i64 = 3600;

/// Both take their time to start on a busy machine.
fn wait_long(mut holds: impl FnMut() -> bool) -> bool {
    (0..4).any(|_| wait_until(&mut holds))
}

/// A server that ends with its test.
struct Server(Child);

impl Server {
    /// Starts one as the account of the monitoring system.
    fn start(sandbox: &Sandbox, dir: &Path, program: &str, arguments: &[String]) -> Self {
        let output = || fs::File::options().create(true).append(true).open(dir.join("output")).unwrap();
        let child = Command::new("/usr/bin/timeout")
            .args(["-k", "5", "900", "/usr/bin/setpriv"])
            .args([&format!("--reuid={ACCOUNT}"), &format!("--regid={ACCOUNT}"), "--init-groups", program])
            .args(arguments)
            .env("COUNTERPART_FAKE_HOST", sandbox.host())
            .env("ICINGA2_USER", ACCOUNT)
            .env("ICINGA2_GROUP", ACCOUNT)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `timeout` hands it on.
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// A directory that belongs to the account.
fn dir(sandbox: &Sandbox) -> PathBuf {
    let dir = sandbox.path().join("monitor");
    fs::create_dir(&dir).unwrap();
    let (user, group) = (User::from_name(ACCOUNT).unwrap(), Group::from_name(ACCOUNT).unwrap());
    let (user, group) = (user.expect("no such user").uid, group.expect("no such group").gid);
    chown(&dir, Some(user.as_raw()), Some(group.as_raw())).unwrap();
    dir
}

/// The plugin as the examples advise it: a link to the program, here one that the account can reach.
fn link(sandbox: &Sandbox) -> PathBuf {
    let program = sandbox.path().join("counterpart");
    fs::copy(FAKE_HOST, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let link = sandbox.path().join("check_counterpart_clone");
    symlink(&program, &link).unwrap();
    link
}

/// An example with these parts in the place of others, each of which it must hold.
fn example(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let text = fs::read_to_string(path).unwrap();
    changes.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "{name} does not hold {old:?}");
        text.replace(old, new)
    })
}

/// The labels of the performance data that the plugin gives by itself.
fn labels(sandbox: &Sandbox) -> Vec<String> {
    performance(&check(sandbox, &[])).into_keys().collect()
}

/// The values of the last status that Nagios has written of the service.
fn nagios_status(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let block = text.split("\nservicestatus {\n").nth(1).unwrap_or_default();
    let lines = block.split("\n\t}").next().unwrap_or_default().lines();
    lines
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What the example refers to: a machine, a person, and all the time.
const NAGIOS_OBJECTS: &str = "\
define timeperiod {
    timeperiod_name 24x7
    alias           always
    sunday          00:00-24:00
    monday          00:00-24:00
    tuesday         00:00-24:00
    wednesday       00:00-24:00
    thursday        00:00-24:00
    friday          00:00-24:00
    saturday        00:00-24:00
}
define command {
    command_name quiet
    command_line /bin/true
}
define contact {
    contact_name                  nagiosadmin
    service_notification_period   24x7
    host_notification_period      24x7
    service_notification_options  n
    host_notification_options     n
    service_notification_commands quiet
    host_notification_commands    quiet
}
define host {
    host_name           localhost
    address             127.0.0.1
    max_check_attempts  1
    check_command       quiet
    check_period        24x7
    notification_period 24x7
    contacts            nagiosadmin
}
";

fn nagios_configuration(dir: &Path) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    let files =
        ["log_file", "object_cache_file", "precached_object_file", "status_file", "temp_file", "lock_file"]
            .map(|name| format!("{name}={}", at(name)))
            .join("\n");
    format!(
        "cfg_file={}\n{files}\ntemp_path={}\ncheck_result_path={}\ncheck_external_commands=0\ninterval_length=1\n\
         status_update_interval=1\nservice_inter_check_delay_method=n\nhost_inter_check_delay_method=n\n\
         retain_state_information=0\nenable_notifications=0\ncheck_for_updates=0\nillegal_macro_output_chars=`~$&|'\"<>\n\
         nagios_user={ACCOUNT}\nnagios_group={ACCOUNT}\nquery_socket={}\n",
        at("objects.cfg"),
        dir.display(),
        dir.display(),
        at("query"),
    )
}

#[test]
fn nagios_runs_the_plugin_and_reads_each_state_and_its_data() {
    let sandbox = cloned();
    let dir = dir(&sandbox);
    let destination = sandbox.destination.to_str().unwrap();
    let changes = [
        (PLUGIN, link(&sandbox).to_str().unwrap().to_owned()),
        (DESTINATION, destination.to_owned()),
        ("check_interval          15\n", "check_interval 1\n".to_owned()),
        ("retry_interval          5\n", "retry_interval 1\n".to_owned()),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (*old, new.as_str())).collect();
    fs::write(dir.join("objects.cfg"), NAGIOS_OBJECTS.to_owned() + &example("nagios.cfg", &changes)).unwrap();
    fs::write(dir.join("nagios.cfg"), nagios_configuration(&dir)).unwrap();
    let configuration = dir.join("nagios.cfg").display().to_string();
    let _server = Server::start(&sandbox, &dir, "/usr/sbin/nagios4", &[configuration]);
    let expect = |state: &str, words: &str, long: &str| {
        let mut status = BTreeMap::new();
        let is_there = wait_long(|| {
            status = nagios_status(&dir.join("status_file"));
            let of = |key: &str| status.get(key).map_or("", String::as_str);
            of("current_state") == state && of("plugin_output").contains(words)
        });
        let output = fs::read_to_string(dir.join("output")).unwrap_or_default();
        assert!(is_there, "{state}, {words:?}: {status:?}\n{output}");
        assert!(status["long_plugin_output"].contains(long), "{status:?}");
        status
    };
    let status = expect("0", &format!("CLONE OK - {destination}: completed "), "Log: ");
    let data = &status["performance_data"];
    let told: Vec<&str> = data.split(' ').map(|datum| datum.split('=').next().unwrap()).collect();
    assert_eq!(told, ["age", "duration", "files", "transferred", "size", "transferred_size", "deleted"]);
    assert!(
        data.contains("s;93600;180000;0 ") && data.contains(" files=2;;;0 transferred=1;;;0 size=7B;;;0 "),
        "{data}"
    );

    age(&sandbox, 30 * HOUR);
    let status = expect("1", &format!("CLONE WARNING - {destination}: completed 1 d 6 h ago"), "Source: ");
    assert!(status["performance_data"].starts_with("age=1080"), "{status:?}");
    sandbox.clone(&["-e", "/nonexistent | x"]).assert_code(67);
    let status = expect("2", "/nonexistent \\#174 x cannot be read", "Reason: The excludes file");
    assert!(status["performance_data"].starts_with("age=1080"), "{status:?}");
    fs::remove_dir_all(&sandbox.destination).unwrap();
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    let status = expect("3", "CLONE UNKNOWN - ", "");
    assert_eq!(status["performance_data"], "");
}

/// Reads what Icinga's Graphite writer sends: the value of each path, the last one last.
fn graphite() -> (u16, Arc<Mutex<BTreeMap<String, f64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let values = Arc::new(Mutex::new(BTreeMap::new()));
    let kept = Arc::clone(&values);
    // The thread ends with the tests.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let words: Vec<&str> = line.split(' ').collect();
                if let [path, value, _] = words[..] {
                    kept.lock().unwrap().insert(path.to_owned(), value.parse().unwrap());
                }
            }
        }
    });
    (port, values)
}

fn icinga_configuration(dir: &Path, port: u16) -> String {
    format!(
        "include <itl>\ninclude \"{}\"\n\
         object Host NodeName {{ check_command = \"dummy\" }}\n\
         object CheckerComponent \"checker\" {{ }}\n\
         object GraphiteWriter \"graphite\" {{ host = \"127.0.0.1\", port = {port}, enable_send_thresholds = true, \
         enable_send_metadata = true }}\n",
        dir.join("example.conf").display()
    )
}

#[test]
fn icinga_runs_the_plugin_and_parses_its_data() {
    let sandbox = cloned();
    let dir = dir(&sandbox);
    let (port, values) = graphite();
    let changes = [
        (PLUGIN, link(&sandbox).to_str().unwrap().to_owned()),
        (DESTINATION, sandbox.destination.to_str().unwrap().to_owned()),
        ("check_interval = 15m", "check_interval = 1s".to_owned()),
        ("retry_interval = 5m", "retry_interval = 1s".to_owned()),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (*old, new.as_str())).collect();
    fs::write(dir.join("example.conf"), example("icinga2.conf", &changes)).unwrap();
    fs::write(dir.join("main.conf"), icinga_configuration(&dir, port)).unwrap();
    let mut arguments =
        vec!["daemon".to_owned(), "-c".to_owned(), dir.join("main.conf").display().to_string()];
    for name in ["DataDir", "LogDir", "InitRunDir", "CacheDir", "SpoolDir", "ConfigDir"] {
        arguments.extend(["-D".to_owned(), format!("{name}={}", dir.display())]);
    }
    arguments.extend(["-D".to_owned(), "NodeName=machine".to_owned()]);
    let _server = Server::start(&sandbox, &dir, "/usr/sbin/icinga2", &arguments);
    let stem = "icinga2.machine.services.clone.counterpart_clone.";
    let value = |path: &str| values.lock().unwrap().get(&format!("{stem}{path}")).copied();
    let expect = |state: f64| {
        let is_there =
            wait_long(|| value("metadata.state") == Some(state) && value("perfdata.age.value").is_some());
        let output = fs::read_to_string(dir.join("output")).unwrap_or_default();
        assert!(is_there, "{state}: {:?}\n{output}", values.lock().unwrap());
    };
    expect(0.0);
    let wanted = labels(&sandbox);
    assert!(
        wait_long(|| wanted.iter().all(|label| value(&format!("perfdata.{label}.min")) == Some(0.0))),
        "{values:?}"
    );
    assert_eq!((value("perfdata.age.warn"), value("perfdata.age.crit")), (Some(93_600.0), Some(180_000.0)));
    assert!(value("perfdata.age.value").unwrap() < 600.0);
    let expected =
        [("files", 2.0), ("transferred", 1.0), ("size", 7.0), ("transferred_size", 7.0), ("deleted", 0.0)];
    for (label, number) in expected {
        assert_eq!(value(&format!("perfdata.{label}.value")), Some(number), "{label}");
        assert_eq!(value(&format!("perfdata.{label}.warn")), None, "{label}");
    }
    age(&sandbox, 60 * HOUR);
    expect(2.0);
    assert!(wait_long(|| value("perfdata.age.value").is_some_and(|age| age >= 216_000.0)), "{values:?}");
    age(&sandbox, -30 * HOUR);
    expect(1.0);
}
