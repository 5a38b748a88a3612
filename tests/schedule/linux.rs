//! systemd's units: parsed by systemd itself, loaded by a fake systemctl.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use crate::schedule::machine::{Machine, done, refused};
use crate::support::disk::Tmpfs;
use crate::support::sandbox::{FAKE_HOST, Finished};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

const UNITS: [&str; 2] = ["counterpart-clone.service", "counterpart-clone.timer"];

fn read(machine: &Machine, unit: &str) -> String {
    fs::read_to_string(machine.job(unit)).unwrap()
}

fn value(unit: &str, key: &str) -> String {
    let prefix = format!("{key}=");
    let values: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
    assert_eq!(values.len(), 1, "{key} in {unit}");
    values[0].to_owned()
}

#[test]
fn install_writes_loads_and_tells() {
    let machine = Machine::linux();
    let before = snapshot_with_ctime(&machine.sandbox.destination);
    let finished = machine.install(&[], &[]);
    let jobs = machine.sandbox.host().join("jobs");
    let jobs = jobs.display();
    assert_eq!(
        done(&finished),
        format!(
            "The clone clone is scheduled: every day at 03:30.\n\
             Next run:    Tue 2026-11-24 03:30:00 UTC\n\
             Files:       {jobs}/counterpart-clone.service\n             {jobs}/counterpart-clone.timer\n\
             See it:      counterpart schedule show clone\n             \
             systemctl list-timers counterpart-clone.timer\n             \
             sudo journalctl -u counterpart-clone.service\n\
             Run it now:  sudo counterpart schedule run clone\n\
             Remove it:   sudo counterpart schedule remove clone\n"
        )
    );
    assert_eq!(
        machine.ledger(),
        ["daemon-reload", "enable counterpart-clone.timer", "restart counterpart-clone.timer"]
    );
    assert_eq!(machine.jobs(), UNITS);
    for unit in UNITS {
        let found = fs::metadata(machine.job(unit)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o644, 0, 0));
    }
    let (service, timer) = (read(&machine, UNITS[0]), read(&machine, UNITS[1]));
    let (source, destination) = (machine.sandbox.source.display(), machine.sandbox.destination.display());
    let command = format!("{FAKE_HOST} --source {source} --destination {destination}");
    assert_eq!(value(&service, "ExecStart"), command);
    assert_eq!(value(&timer, "OnCalendar"), "*-*-* 03:30:00");
    assert_eq!(value(&timer, "Persistent"), "true");
    assert_eq!(value(&service, "IOSchedulingClass"), "idle");
    assert_eq!(value(&service, "KillMode"), "mixed");
    // A wall that hides files would make a wrong clone.
    for key in ["SuccessExitStatus", "PrivateTmp", "ProtectSystem", "ProtectHome", "RestrictSUIDSGID"] {
        assert!(!service.contains(key), "{key}");
    }
    assert_unchanged(&before, &snapshot_with_ctime(&machine.sandbox.destination));
}

#[test]
fn systemd_reads_every_unit_without_a_word() {
    let machine = Machine::linux();
    let odd = machine.sandbox.path().join("it's 100% of $HOME; \"\\n\" \\ ü -x");
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("exclude"), "").unwrap();
    let exclude = odd.join("exclude");
    let clone = [
        "--exclude-from",
        exclude.to_str().unwrap(),
        "--strict-scripts",
        "--organisation-prefix=-x",
        "--keep-logs=5",
        "--safety-net",
    ];
    for (number, options) in [
        vec![],
        vec!["--daily", "4:05"],
        vec!["--weekly", "sun", "23:59"],
        vec!["--every", "2h"],
        vec!["--every", "24h"],
    ]
    .into_iter()
    .chain([vec!["--every", "1h"], vec!["--every", "15m"]])
    .enumerate()
    {
        let name = format!("number_{number}");
        done(&machine.install(&[&["--name", &name], &options[..]].concat(), &clone));
        let units = ["service", "timer"].map(|kind| machine.job(&format!("counterpart-{name}.{kind}")));
        let mut verify = Command::new("systemd-analyze");
        let output =
            verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(&units).output().unwrap();
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !complaints.contains("counterpart"), "{options:?}: {complaints}");
        let time = value(&fs::read_to_string(&units[1]).unwrap(), "OnCalendar");
        let calendar =
            Command::new("systemd-analyze").args(["calendar", "--iterations=2", &time]).output().unwrap();
        let analysis = String::from_utf8(calendar.stdout).unwrap();
        assert!(calendar.status.success() && analysis.contains(" #2: "), "{time}: {analysis}");
    }
    let service = read(&machine, "counterpart-number_0.service");
    let command = value(&service, "ExecStart");
    let quoted = "it's 100%% of $$HOME; \\\"\\\\n\\\" \\\\ ü -x/exclude\"";
    assert!(command.contains(quoted), "{command}");
    assert!(
        command.ends_with("--organisation-prefix=-x --keep-logs 5 --strict-scripts --safety-net=30"),
        "{command}"
    );
}

#[test]
fn a_program_that_systemd_would_not_start_is_refused() {
    let machine = Machine::linux();
    for (dir, is_fit) in
        [("it's", false), ("a\"b", false), ("$HOME", false), ("a\\b", false), ("100% a;b", true)]
    {
        let dir = machine.sandbox.path().join(dir);
        fs::create_dir(&dir).unwrap();
        let program = dir.join("counterpart");
        if fs::hard_link(FAKE_HOST, &program).is_err() {
            fs::copy(FAKE_HOST, &program).unwrap();
        }
        let mut command = Command::new(&program);
        command.args(["schedule", "install", "--"]).args(machine.sandbox.arguments([] as [&str; 0]));
        let finished =
            Finished::from(command.env("COUNTERPART_FAKE_HOST", machine.sandbox.host()).output().unwrap());
        if is_fit {
            done(&finished);
            let mut verify = Command::new("systemd-analyze");
            let output = verify
                .args(["verify", "--man=no", "--recursive-errors=no"])
                .arg(machine.job(UNITS[0]))
                .output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        } else {
            refused(
                &finished,
                1,
                "systemd cannot start a program whose path contains quotes, backslashes or dollar signs",
            );
            assert_eq!(machine.jobs(), [] as [&str; 0]);
        }
    }
}

#[test]
fn paths_are_absolute_wherever_the_job_starts() {
    let machine = Machine::linux();
    let mut command =
        machine.sandbox.command(["schedule", "install", "--", "-s", "source/.", "-d", "destination/"]);
    let output = command.current_dir(machine.sandbox.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = value(&read(&machine, UNITS[0]), "ExecStart");
    let (source, destination) = (machine.sandbox.source.display(), machine.sandbox.destination.display());
    assert_eq!(told, format!("{FAKE_HOST} --source {source} --destination {destination}"));
}

#[test]
fn the_disk_is_mounted_before_each_clone() {
    let machine = Machine::linux();
    let disk = Tmpfs::new("size=1m");
    let inner = disk.path().join("my clone-1");
    fs::create_dir(&inner).unwrap();
    let (source, at) = (machine.sandbox.source.to_str().unwrap(), inner.to_str().unwrap());
    let finished = machine.schedule(&["install", "--", "-s", source, "-d", at]);
    done(&finished);
    assert!(!finished.err.contains("no disk of its own"), "{finished}");
    let service = read(&machine, UNITS[0]);
    for path in [&inner, disk.path()] {
        let mut escape = Command::new("systemd-escape");
        let named = escape.args(["--path", "--suffix=mount"]).arg(path).output().unwrap();
        let named = String::from_utf8(named.stdout).unwrap();
        for key in ["Wants", "After"] {
            let value = value(&service, key);
            assert!(value.split(' ').any(|unit| unit == named.trim_end()), "{named} {value}");
        }
    }
}

#[test]
fn a_place_without_its_disk_is_a_warning() {
    let machine = Machine::linux();
    let place = machine.sandbox.host().join("mnt/clone");
    fs::create_dir_all(&place).unwrap();
    let (source, at) = (machine.sandbox.source.to_str().unwrap(), place.to_str().unwrap());
    let finished = machine.schedule(&["install", "--", "-s", source, "-d", at]);
    assert_eq!(finished.code, 0, "{finished}");
    let warning =
        format!("Warning: a clone would be refused with 88 now. No disk is mounted at the destination {at}");
    assert!(finished.err.contains(&warning), "{finished}");
    let finished =
        machine.schedule(&["install", "--replace", "--", "-s", source, "-d", at, "--allow-folder"]);
    assert!(finished.code == 0 && !finished.err.contains("88 now"), "{finished}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}

#[test]
fn one_of_that_name_gives_way_only_when_told_so() {
    let machine = Machine::linux();
    done(&machine.install(&[], &[]));
    machine.ledger();
    let before = snapshot_with_ctime(&machine.sandbox.host().join("jobs"));
    refused(
        &machine.install(&["--daily", "5:00"], &[]),
        1,
        "There is a schedule clone already. Replace it with --replace",
    );
    assert_unchanged(&before, &snapshot_with_ctime(&machine.sandbox.host().join("jobs")));
    assert_eq!(machine.ledger(), [] as [&str; 0]);
    assert!(done(&machine.install(&["--daily", "5:00", "--replace"], &[])).contains("every day at 05:00"));
    assert_eq!(value(&read(&machine, UNITS[1]), "OnCalendar"), "*-*-* 05:00:00");
    assert_eq!(machine.jobs(), UNITS);
    done(&machine.install(&["--name", "second", "--replace"], &[]));
    assert_eq!(machine.jobs().len(), 4);
}

#[test]
fn what_is_anothers_is_never_touched() {
    let machine = Machine::linux();
    let outside = machine.sandbox.path().join("outside");
    fs::write(&outside, "# Written by counterpart schedule.\n").unwrap();
    fs::write(machine.job("counterpart-one.timer"), "[Timer]\nOnCalendar=daily\n").unwrap();
    symlink("/dev/null", machine.job("counterpart-two.service")).unwrap();
    symlink(&outside, machine.job("counterpart-three.timer")).unwrap();
    fs::create_dir(machine.job("counterpart-four.service")).unwrap();
    let jobs = machine.sandbox.host().join("jobs");
    let before = snapshot_with_ctime(&jobs);
    for (name, why) in [
        ("one", "counterpart-one.timer is left alone: it was not written by counterpart schedule."),
        ("two", "counterpart-two.service is left alone: it is a symbolic link."),
        ("three", "counterpart-three.timer is left alone: it is a symbolic link."),
        ("four", "counterpart-four.service is left alone: it is not a file."),
    ] {
        refused(&machine.install(&["--name", name, "--replace"], &[]), 1, why);
        for verb in ["remove", "run", "show"] {
            refused(&machine.schedule(&[verb, name]), 1, why);
        }
    }
    assert_eq!(done(&machine.schedule(&["list"])), "No clone is scheduled.\n");
    assert_eq!(machine.ledger(), [] as [&str; 0]);
    assert_unchanged(&before, &snapshot_with_ctime(&jobs));
}

#[test]
fn a_unit_that_systemd_has_from_elsewhere_is_not_hidden() {
    let machine = Machine::linux();
    let state = machine.sandbox.path().join("state-counterpart-clone.timer");
    fs::write(state, "LoadState=loaded\nFragmentPath=/usr/lib/systemd/system/counterpart-clone.timer\n")
        .unwrap();
    let why = "/usr/lib/systemd/system/counterpart-clone.timer is already a unit of that name.";
    refused(&machine.install(&[], &[]), 1, why);
    assert_eq!(machine.jobs(), [] as [&str; 0]);
}

#[test]
fn a_refusal_of_systemd_is_told_and_taken_back() {
    let machine = Machine::linux();
    for verb in ["daemon-reload", "enable", "restart"] {
        machine.refuse(verb);
        let finished = machine.install(&[], &[]);
        let words = format!("ended with code 1: Failed to {verb} unit: Access denied Nothing was installed.");
        refused(&finished, 1, &words);
        assert_eq!(machine.jobs(), [] as [&str; 0], "{verb}");
        machine.ledger();
    }
    machine.refuse("");
    done(&machine.install(&[], &[]));
    let before = UNITS.map(|unit| read(&machine, unit));
    machine.refuse("restart");
    refused(
        &machine.install(&["--replace", "--daily", "5:00"], &[]),
        1,
        "The earlier files have been restored, but are not loaded",
    );
    assert_eq!(UNITS.map(|unit| read(&machine, unit)), before);
    machine.refuse("");
    assert!(done(&machine.schedule(&["list"])).contains("none, the system has not loaded it"));
}

#[test]
fn without_systemd_the_way_out_is_named() {
    let machine = Machine::linux();
    fs::remove_file(machine.sandbox.host().join("tools/systemctl")).unwrap();
    refused(
        &machine.install(&[], &[]),
        1,
        "systemctl was not found. Scheduling needs systemd; without it use cron",
    );
    assert_eq!(machine.jobs(), [] as [&str; 0]);
    let words = "System has not been booted with systemd as init system (PID 1). Can't operate.";
    machine.sandbox.tool("systemctl", &format!("echo \"{words}\" >&2; exit 1"));
    refused(&machine.install(&[], &[]), 1, words);
    assert_eq!(machine.jobs(), [] as [&str; 0]);
}

#[test]
fn print_changes_nothing_and_asks_nobody() {
    let machine = Machine::linux();
    fs::remove_file(machine.sandbox.host().join("tools/systemctl")).unwrap();
    let before = snapshot_with_ctime(machine.sandbox.path());
    let printed = machine.install(&["--print", "--every", "6h"], &["-p", "/nowhere/script"]);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{printed}");
    assert!(printed.out.starts_with(&format!("# {}\n", machine.job(UNITS[0]).display())), "{printed}");
    assert!(printed.out.contains(&format!("\n# {}\n", machine.job(UNITS[1]).display())), "{printed}");
    assert!(printed.out.contains("\nOnCalendar=*-*-* 00/6:00:00\n"), "{printed}");
    assert_unchanged(&before, &snapshot_with_ctime(machine.sandbox.path()));
}

#[test]
fn what_is_printed_is_what_is_written() {
    let machine = Machine::linux();
    let printed = machine.install(&["--print"], &[]).out;
    done(&machine.install(&[], &[]));
    let [service, timer] =
        UNITS.map(|unit| format!("# {}\n{}", machine.job(unit).display(), read(&machine, unit)));
    assert_eq!(printed, format!("{service}\n{timer}"));
    let shown = machine.schedule(&["show"]);
    let head = "Schedule:    clone\nNext run:    Tue 2026-11-24 03:30:00 UTC\nLast result: no run since the machine was started\n";
    assert_eq!(done(&shown), format!("{head}\n{printed}"));
}

#[test]
fn run_starts_it_without_waiting_and_remove_takes_all_of_it_back() {
    let machine = Machine::linux();
    refused(
        &machine.schedule(&["run", "clone"]),
        1,
        "There is no schedule clone. See: counterpart schedule list",
    );
    refused(&machine.schedule(&["remove", "clone"]), 1, "There is no schedule clone.");
    refused(&machine.schedule(&["show"]), 1, "There is no schedule clone.");
    done(&machine.install(&[], &[]));
    machine.ledger();
    assert!(done(&machine.schedule(&["run", "clone"])).starts_with("The clone clone has been started."));
    assert_eq!(machine.ledger(), ["start --no-block counterpart-clone.service"]);
    let removed = machine.schedule(&["remove", "clone"]);
    assert_eq!(done(&removed), "The schedule clone has been removed. Its clones and logs remain.\n");
    assert_eq!(
        machine.ledger(),
        [
            "disable --now counterpart-clone.timer",
            "clean --what=state counterpart-clone.timer",
            "reset-failed counterpart-clone.service",
            "daemon-reload"
        ]
    );
    assert_eq!(machine.jobs(), [] as [&str; 0]);
}

#[test]
fn half_a_schedule_can_be_removed() {
    for kept in UNITS {
        let machine = Machine::linux();
        done(&machine.install(&[], &[]));
        for unit in UNITS.iter().filter(|unit| **unit != kept) {
            fs::remove_file(machine.job(unit)).unwrap();
        }
        done(&machine.schedule(&["remove", "clone"]));
        assert_eq!(machine.jobs(), [] as [&str; 0]);
    }
}

#[test]
fn a_running_clone_is_left_alone() {
    let machine = Machine::linux();
    done(&machine.install(&[], &[]));
    machine.ledger();
    let state = machine.sandbox.path().join("state-counterpart-clone.service");
    fs::write(state, "LoadState=loaded\nActiveState=activating\nExecMainStartTimestamp=Mon 03:30\n").unwrap();
    let why = "The clone clone is running at the moment. Wait for it to finish.";
    refused(&machine.schedule(&["run", "clone"]), 1, why);
    refused(&machine.schedule(&["remove", "clone"]), 1, why);
    refused(&machine.install(&["--replace"], &[]), 1, why);
    assert_eq!(machine.ledger(), [] as [&str; 0]);
    assert!(done(&machine.schedule(&["list"])).contains("  running since Mon 03:30\n"));
    assert_eq!(machine.jobs(), UNITS);
}

#[test]
fn a_tool_that_forges_lines_is_shown_as_it_is() {
    let machine = Machine::linux();
    done(&machine.install(&[], &[]));
    let state = machine.sandbox.path().join("state-counterpart-clone.service");
    fs::write(state, "Result=\u{1b}[2Jx\n").unwrap();
    assert!(done(&machine.schedule(&["list"])).contains("failed (\\#033[2Jx), "));
}

#[test]
fn on_battery_a_run_is_skipped_if_that_is_wanted() {
    let machine = Machine::linux();
    let finished = machine.install(&["--on-ac"], &[]);
    assert!(
        done(&finished)
            .starts_with("The clone clone is scheduled: every day at 03:30, not while on battery.\n")
    );
    let (service, timer) = (read(&machine, UNITS[0]), read(&machine, UNITS[1]));
    assert_eq!(value(&service, "ConditionACPower"), "true");
    // It is a condition of the service, whatever starts that.
    let of_unit = service.split_once("[Unit]").unwrap().1.split_once("[Service]").unwrap().0;
    assert!(
        of_unit.contains("\nConditionACPower=true\n") && !timer.contains("Condition"),
        "{service}{timer}"
    );
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(UNITS.map(|unit| machine.job(unit)));
    let output = verify.output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !complaints.contains("counterpart"), "{complaints}");

    let started = machine.schedule(&["run", "clone"]);
    assert!(
        done(&started)
            .starts_with("The clone clone has been started, unless the machine is on battery (--on-ac): "),
        "{started}"
    );
    // What systemd has skipped is no result: that of the last run stays.
    let state = |text: &str| {
        fs::write(machine.sandbox.path().join("state-counterpart-clone.service"), text).unwrap();
    };
    let run = "ExecMainExitTimestamp=Mon 2026-11-23 03:41:12 UTC\n";
    let skipped = "ConditionResult=no\nConditionTimestamp=Tue 2026-11-24 03:30:00 UTC\n";
    state(&format!("Result=success\n{run}{skipped}"));
    let last = "skipped (condition not met), Tue 2026-11-24 03:30:00 UTC; before: success, Mon 2026-11-23 03:41:12 UTC";
    assert!(done(&machine.schedule(&["list"])).trim_end().ends_with(last));
    assert!(done(&machine.schedule(&["show"])).contains(&format!("\nLast result: {last}\n")));
    state(&format!("Result=success\nExecMainExitTimestamp=\n{skipped}"));
    let listed = machine.schedule(&["list"]);
    assert!(done(&listed).trim_end().ends_with("; before: no run since the machine was started"), "{listed}");
    state(&format!(
        "Result=success\n{run}ConditionResult=yes\nConditionTimestamp=Tue 2026-11-24 03:30:00 UTC\n"
    ));
    assert!(
        done(&machine.schedule(&["list"])).trim_end().ends_with("  success, Mon 2026-11-23 03:41:12 UTC")
    );

    // Taken back by another installation.
    done(&machine.install(&["--replace"], &[]));
    assert!(!read(&machine, UNITS[0]).contains("ACPower"));
    assert!(done(&machine.schedule(&["run", "clone"])).starts_with("The clone clone has been started. "));
}
