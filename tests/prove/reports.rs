//! What a guest's report comes to: the answer, the exit code, what is saved and what is remembered.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use counterpart::fs::location::Location;
use counterpart::marker::Prefix;
use counterpart::state::{State, Store};

use crate::prove::scene::{good, host, image, play, prove, saved, uuid, wait_for_guest};
use crate::support::disk::{BareDisk, LoopDisk};

#[test]
fn a_clone_that_reports_well_boots() {
    let sandbox = host(&good("47-99"));
    let image = image(&sandbox);
    let image = image.to_str().unwrap();
    let done = prove(&sandbox, image, &["--accelerator", "tcg", "--memory", "512", "--cpus", "1"]);
    assert_eq!(done.code, 0, "{done}");
    assert_eq!(
        done.out,
        format!(
            "Booting {image} by BIOS in QEMU (TCG, 512 MiB, 1 CPUs); nothing is written to it.\n\
             This machine has no record of a clone to this disk, so the proof is not recorded.\n\
             The clone boots: Linux 6.1.0-test, graphical.target after 0 s, no failed units. Its root and all of its \
             fstab are on its own disk.\n"
        )
    );
    assert_eq!((done.err.as_str(), saved(&sandbox).len()), ("", 0));
}

#[test]
fn a_clone_that_boots_the_wrong_root_is_79_with_its_screen() {
    let disk = BareDisk::new("ext4", &[]);
    let sandbox = host(&("console Welcome\n".to_owned() + &good("47-99")));
    let done = prove(&sandbox, &uuid(&disk), &[]);
    assert_eq!(done.code, 79, "{done}");
    let (device, expected) = (disk.device().display(), disk.tag("UUID"));
    let [png, txt] = &saved(&sandbox)[..] else { panic!("{:?}", saved(&sandbox)) };
    assert_eq!(
        done.err,
        format!(
            "counterpart: The clone on {device} did not boot: its root is the filesystem with UUID 47-99, not the one \
             with UUID {expected}. Its last screen: {}, {}\n",
            txt.display(),
            png.display()
        )
    );
    assert_eq!(fs::read_to_string(txt).unwrap(), "Screen:\n\nH\n\nSerial console:\n\nWelcome\n\n");
    assert_eq!(fs::read(png).unwrap(), b"\x89PNG\r\n\x1a\npicture");
}

#[test]
fn failed_units_are_79_unless_they_may_fail() {
    let sandbox = host("");
    let image = image(&sandbox);
    let image = image.to_str().unwrap();
    let degraded = good("47-99")
        .replace("state running", "state degraded")
        .replace("end", "failed net\u{1b}.service\nend");
    play(&sandbox, &degraded);
    let done = prove(&sandbox, image, &[]);
    assert_eq!(done.code, 79, "{done}");
    assert!(done.err.contains("did not boot: 1 unit has failed: net\\#033.service. "), "{done}");
    play(&sandbox, &degraded.replace('\u{1b}', ""));
    assert_eq!(prove(&sandbox, image, &["--allow-failed", "net.service"]).code, 0);
}

#[test]
fn what_the_consoles_say_is_the_reason() {
    let sandbox = host("");
    let image = image(&sandbox);
    let image = image.to_str().unwrap();
    for (says, reason) in [
        (
            "console GRUB loading.\nconsole error: no such device: 47-99.\nconsole grub rescue> \n",
            "GRUB does not find its own files (grub rescue): error: no such device: 47-99. ",
        ),
        (
            "console BdsDxe: failed to load Boot0001 \"UEFI Disk\": Not Found\n",
            "the firmware finds no boot loader: BdsDxe: failed to load Boot0001 \"UEFI Disk\": Not Found. ",
        ),
        ("start 1.0\nstate starting\n", "nothing has moved for 2s. "),
    ] {
        play(&sandbox, says);
        let stall = if says.starts_with("console") { "1min" } else { "2s" };
        let done = prove(&sandbox, image, &["--stall", stall, "--bus", "virtio"]);
        assert_eq!(done.code, 79, "{done}");
        assert!(done.err.contains(&format!(" did not boot: {reason}")), "{done}");
    }
    play(&sandbox, "console guest login: \n");
    let done = prove(&sandbox, image, &["--timeout", "3s"]);
    assert_eq!(done.code, 79, "{done}");
    assert!(done.err.contains(" did not boot: it was not up within 3s. "), "{done}");
}

#[test]
fn a_panic_on_one_bus_is_tried_on_another() {
    let sandbox = host("console Kernel panic - not syncing: VFS: Unable to mount root fs\n");
    let image = image(&sandbox);
    let done = prove(&sandbox, image.to_str().unwrap(), &[]);
    assert_eq!(done.code, 79, "{done}");
    assert_eq!(done.out.matches("It may lack the driver; ").count(), 1, "{done}");
    assert_eq!(saved(&sandbox).len(), 2);
}

#[test]
fn a_proof_is_remembered_and_checked() {
    let disk = BareDisk::new("ext4", &[]);
    let name = uuid(&disk);
    let sandbox = host("");
    sandbox.write("file", "content");
    let source = sandbox.source.to_str().unwrap();
    sandbox.run(["-s", source, "-d", &name]).assert_code(0);
    play(&sandbox, &good(&disk.tag("UUID")));
    let done = prove(&sandbox, &name, &[]);
    assert_eq!(done.code, 0, "{done}");
    assert!(!done.out.contains("not recorded"), "{done}");
    let check = sandbox.run(["check"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.out.contains("; proven to boot "), "{check}");
    play(&sandbox, &good("47-99"));
    assert_eq!(prove(&sandbox, &name, &[]).code, 79);
    let check = sandbox.run(["check"]);
    assert_eq!(check.code, 1, "{check}");
    assert!(check.out.contains("; it did not boot when it was proven "), "{check}");
    assert!(check.out.contains("\nLast proven to boot: "), "{check}");
    // A clone keeps it, and publishes it.
    let metrics = sandbox.path().join("metrics.prom");
    sandbox.run(["-s", source, "-d", &name, "--metrics-file", metrics.to_str().unwrap()]).assert_code(0);
    let text = fs::read_to_string(metrics).unwrap();
    assert!(text.contains("counterpart_proof_timestamp_seconds{") && text.contains("} 0\n"), "{text}");
    assert_eq!(text.matches("\ncounterpart_proof_booted{").count(), 1, "{text}");
    let location = Location::filesystem(std::path::Path::new(&name), &disk.tag("UUID"));
    let state: State =
        Store::new(&sandbox.host().join("state")).load(&location, &Prefix::default()).unwrap().unwrap();
    assert!(!state.proof.unwrap().booted && state.proven.is_some());
    assert!(!state.last.unwrap().proof.unwrap().booted);
}

#[test]
fn a_guest_that_floods_is_given_up() {
    let flood = format!("console {}\n", "x\u{1b}[31my".repeat(20_000)).repeat(20);
    let sandbox = host(&(flood + "start 1.0\n"));
    let image = image(&sandbox);
    let done = prove(&sandbox, image.to_str().unwrap(), &["--stall", "2s"]);
    assert_eq!(done.code, 79, "{done}");
    assert!(done.err.contains(" did not boot: nothing has moved for 2s. "), "{done}");
    let text = fs::read_to_string(&saved(&sandbox)[1]).unwrap();
    assert!(text.len() < 100_000 && text.contains("xyxyxy"), "{}", text.len());
}

#[test]
fn a_disk_that_is_written_to_meanwhile_proves_nothing() {
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let sandbox = host("");
    let go_on = sandbox.path().join("go-on");
    play(&sandbox, &format!("wait-for {}\n{}", go_on.display(), good("47-99")));
    let child = sandbox
        .command(["prove", "-d", disk.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_guest(child.id());
    fs::write(disk.path().join("news"), "x").unwrap();
    assert!(std::process::Command::new("sync").arg("-f").arg(disk.path()).status().unwrap().success());
    fs::write(&go_on, "").unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(66), "{err}");
    assert!(
        err.contains(
            " was written to while it was proven, so nothing is known: it did not boot (its root is "
        ),
        "{err}"
    );
}

#[test]
fn an_interrupt_ends_the_guest() {
    let sandbox = host("wait-for /nonexistent/for/ever\n");
    let image = image(&sandbox);
    let child = sandbox
        .command(["prove", "-d", image.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let guest = wait_for_guest(child.id());
    assert!(std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(20));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "counterpart: Interrupted (SIGTERM): nothing is proven.\n"
    );
    let end = Instant::now() + Duration::from_secs(30);
    while std::path::Path::new(&format!("/proc/{guest}")).exists() {
        assert!(Instant::now() < end, "the guest goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_guest_without_a_timer_says_nothing_of_the_clone() {
    let panic = "console [    0.064000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug\n";
    let sandbox = host(panic);
    let bin = sandbox.host().join("usr/bin");
    let starts = bin.join("starts");
    fs::write(&starts, "").unwrap();
    fs::set_permissions(&starts, fs::Permissions::from_mode(0o666)).unwrap();
    let disk = BareDisk::new("ext4", &[]);
    fs::write(bin.join("guest again"), good(&disk.tag("UUID"))).unwrap();
    let again =
        "The guest's kernel found no timer that works, for this machine is too busy: it is booted again.\n";
    let done = prove(&sandbox, &uuid(&disk), &["--bus", "virtio"]);
    assert_eq!((done.code, &*done.err), (0, ""), "{done}");
    assert!(done.out.contains(again) && done.out.contains("The clone boots: Linux 6.1.0-test,"), "{done}");
    assert_eq!(fs::read_to_string(&starts).unwrap(), "started\nstarted\n");
    // Three times are enough.
    fs::write(bin.join("guest again"), panic).unwrap();
    fs::write(&starts, "").unwrap();
    let done = prove(&sandbox, &uuid(&disk), &["--bus", "virtio"]);
    let sentence = "counterpart: The guest's kernel found no timer that works, 3 times: this machine is too busy, and nothing \
                    is known of the clone. Prove it again when less is going on here.\n";
    assert_eq!((done.code, &*done.err), (1, sentence), "{done}");
    assert_eq!(done.out.matches(again).count(), 2, "{done}");
    assert_eq!(fs::read_to_string(&starts).unwrap().lines().count(), 3);
    assert!(saved(&sandbox).is_empty());
}
