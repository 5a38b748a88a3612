//! `schedule install --job`.

use std::fs;
use std::process::Command;

use crate::jobs::scene::{ENDS, Scene};
use crate::support::sandbox::{FAKE_HOST, Finished, Sandbox};

fn machine(text: &str) -> Scene {
    let scene = Scene::with("nightly", text);
    fs::create_dir(scene.sandbox.host().join("jobs")).unwrap();
    let script = include_str!("../schedule/systemctl.sh");
    scene.sandbox.tool("systemctl", &format!("DIRECTORY='{}'\n{script}", scene.sandbox.path().display()));
    scene
}

fn install(scene: &Scene, options: &[&str]) -> Finished {
    scene.sandbox.run(["schedule", "install", "--job", "nightly"].iter().chain(options))
}

fn unit(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.host().join("jobs").join(name)).unwrap()
}

fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("{key} is not in {unit}"));
    assert_eq!(values.next(), None);
    value
}

#[test]
fn the_unit_runs_the_job() {
    let scene = machine(ENDS);
    let finished = install(&scene, &["--daily", "02:15"]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(finished.out.starts_with("The clone nightly is scheduled: every day at 02:15.\n"), "{finished}");
    let service = unit(&scene.sandbox, "counterpart-nightly.service");
    assert_eq!(value(&service, "ExecStart"), format!("{FAKE_HOST} run nightly"));
    assert_eq!(value(&unit(&scene.sandbox, "counterpart-nightly.timer"), "OnCalendar"), "*-*-* 02:15:00");
    // The file can be changed without another installation.
    assert_eq!(scene.sandbox.names(), [] as [&str; 0]);
}

/// The settings of one section of a unit.
fn settings(unit: &str, section: &str) -> Vec<String> {
    let lines = unit.lines().skip_while(|line| *line != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

/// The packages' template is started by what a package manager or a person enables, and is to be no other.
#[test]
fn the_packages_units_are_what_is_written_for_a_job() {
    let packaged = |kind: &str| {
        let path = format!("{}/packaging/systemd/counterpart@.{kind}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap()
    };
    let scene = machine(ENDS);
    assert_eq!(install(&scene, &["--daily", "03:30"]).code, 0);
    let (service, timer) = (packaged("service"), packaged("timer"));
    let written = unit(&scene.sandbox, "counterpart-nightly.service");
    // The program's path, and that by which it finds others, are the installation's.
    let written: Vec<_> = settings(&written, "[Service]")
        .into_iter()
        .map(|line| match line.split_once('=').unwrap() {
            ("ExecStart", command) => {
                assert_eq!(command, format!("{FAKE_HOST} run nightly"));
                "ExecStart=/usr/sbin/counterpart run %i".to_owned()
            }
            ("Environment", _) => {
                "Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
            }
            _ => line,
        })
        .collect();
    assert_eq!(settings(&service, "[Service]"), written);
    let written = unit(&scene.sandbox, "counterpart-nightly.timer");
    for section in ["[Timer]", "[Install]"] {
        assert_eq!(settings(&timer, section), settings(&written, section));
    }

    let dir = tempfile::tempdir().unwrap();
    let units = [("service", service), ("timer", timer)].map(|(kind, text)| {
        let path = dir.path().join(format!("counterpart@nightly.{kind}"));
        fs::write(&path, text.replace("/usr/sbin/counterpart", FAKE_HOST)).unwrap();
        path
    });
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(units).output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !complaints.contains("counterpart"), "{complaints}");
}

#[test]
fn the_unit_waits_for_every_disk() {
    let text = "\
source = \"SOURCE\"
[destinations.a]
destination = \"DESTINATION\"
[destinations.b]
destination = \"/mnt/clone\"
rotation = \"usb\"
[destinations.c]
destination = \"UUID=0a3407de-014b-458b-b5c1-848e92a327a3\"
rotation = \"usb\"
[destinations.d]
destination = \"LABEL=no-test-has-this\"
rotation = \"usb\"
";
    let scene = machine(text);
    scene.sandbox.tool("blkid", "exec blkid \"$@\"");
    let finished = install(&scene, &["--name", "other", "--when-plugged-in", "--print"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    let out = &finished.out;
    let mounts = value(out, "Wants");
    assert!(mounts.ends_with(".mount mnt-clone.mount mnt.mount"), "{mounts}");
    assert_eq!(mounts, value(out, "After"));
    assert!(
        out.contains(
            "\nWantedBy=dev-disk-by\\x2duuid-0a3407de\\x2d014b\\x2d458b\\x2db5c1\\x2d848e92a327a3.device \
         dev-disk-by\\x2dlabel-no\\x2dtest\\x2dhas\\x2dthis.device\n"
        ),
        "{out}"
    );
    assert!(out.contains("counterpart-other.service"), "{out}");
}

#[test]
fn a_job_that_could_not_run_is_not_scheduled() {
    for (text, code, message) in [
        (format!("{ENDS}ful = true"), 84, ":3:1: there is no option ful; did you mean full?"),
        (format!("{ENDS}test-run = true"), 84, "The job nightly is not scheduled: -t cannot be scheduled"),
        (ENDS.replace("SOURCE", "/no/such"), 65, "/no/such"),
        (format!("{ENDS}exclude-from = \"/no/such\""), 67, "/no/such"),
        (
            "source = \"SOURCE\"\n[destinations.a]\ndestination = \"DESTINATION\"\n[destinations.b]\n\
             destination = \"HERE/x\"\npre-script = \"/no/such\""
                .to_owned(),
            68,
            "/no/such",
        ),
    ] {
        let scene = machine(&text);
        let finished = install(&scene, &[]);
        assert_eq!((finished.code, finished.out.as_str()), (code, ""), "{finished}");
        assert!(finished.err.contains(message), "{message}: {finished}");
        assert_eq!(fs::read_dir(scene.sandbox.host().join("jobs")).unwrap().count(), 0);
    }
    let scene = machine(ENDS);
    let finished = install(&scene, &["--when-plugged-in"]);
    assert_eq!(finished.code, 2, "{finished}");
    let finished = install(&scene, &["--", "-s", "/", "-d", "/mnt"]);
    assert_eq!(finished.code, 2, "{finished}");
    let finished = scene.sandbox.run(["schedule", "install"]);
    assert_eq!(finished.code, 2, "{finished}");
}

#[test]
fn launchd_runs_the_job_too() {
    let sandbox = Sandbox::mac_of_root("14.5");
    let jobs = sandbox.host().join("job-files");
    fs::create_dir(&jobs).unwrap();
    let ends = |more: &str| {
        let (source, destination) = (sandbox.source.display(), sandbox.destination.display());
        let text =
            format!("source = \"{source}\"\n[destinations.a]\ndestination = \"{destination}\"\n{more}");
        fs::write(jobs.join("nightly.toml"), text).unwrap();
    };
    ends("");
    let print = ["schedule", "install", "--job", "nightly", "--print"];
    let finished = sandbox.run(print);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    let words = format!(
        "<key>ProgramArguments</key>\n\t<array>\n\t\t<string>{FAKE_HOST}</string>\n\t\t<string>run</string>\n\t\t\
         <string>nightly</string>\n\t</array>\n"
    );
    assert!(finished.out.contains(&words), "{finished}");
    assert!(finished.out.contains("me.jedda.counterpart.nightly.plist"), "{finished}");
    // Whichever disk is mounted starts it: what is not there has to be skipped.
    let plugged = [&print[..], &["--when-plugged-in"]].concat();
    ends("[destinations.b]\ndestination = \"LABEL=b\"\n");
    let finished = sandbox.run(&plugged);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{finished}");
    ends("rotation = \"usb\"\n[destinations.b]\ndestination = \"LABEL=b\"\nskip-if-missing = true\n");
    let finished = sandbox.run(&plugged);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert!(finished.out.contains("<key>StartOnMount</key>"), "{finished}");
}
