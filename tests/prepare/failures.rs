//! Steps that fail, tools that are missing, and signals: the message says what state the disk is in.

use std::process::Stdio;

use crate::prepare::scene::{Disk, assert_refused, small_system};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox, wait_until};

/// A host on which the fake tools are found before the machine's own.
fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.tool("blkid", "exec /usr/sbin/blkid \"$@\"");
    sandbox
}

fn prepare(sandbox: &Sandbox, disk: &Disk, system: &LoopDisk) -> Finished {
    let like = system.path().to_str().unwrap();
    sandbox.run(["prepare", disk.path(), "--like", like, "--erase", &disk.image()])
}

#[test]
fn a_missing_tool_is_named_with_its_package_before_anything_is_written() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let sandbox = host();
    std::fs::write(sandbox.host().join("only-fake-tools"), "").unwrap();
    let run = prepare(&sandbox, &disk, &system);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{run}");
    let sentence = "counterpart: sfdisk (package fdisk or util-linux), partx (package util-linux), wipefs (package \
                    util-linux) are not installed: install them. Nothing was written.\n";
    assert_eq!(run.err, sentence);
    for tool in ["sfdisk", "partx", "wipefs"] {
        sandbox.tool(tool, &format!("exec {tool} \"$@\""));
    }
    let run = prepare(&sandbox, &disk, &system);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{run}");
    let sentence = "counterpart: mkfs.ext4 (package e2fsprogs) is not installed: install mkfs.ext4. Nothing was \
                    written.\n";
    assert_eq!(run.err, sentence);
    assert_eq!(disk.digest(), before);
}

#[test]
fn a_step_that_fails_tells_the_state_of_the_disk() {
    let system = small_system();
    let lost = "The disk's old contents are lost and no filesystem is made: no clone can be made to it. Run prepare \
                again.\n";
    for (tool, body, why) in [
        (
            "mkfs.ext4",
            "echo no such luck >&2; exit 3".to_owned(),
            "PART: mkfs.ext4 failed with code 3 (no such luck)",
        ),
        ("mkfs.ext4", "kill -9 $$".to_owned(), "PART: mkfs.ext4 was killed by signal 9"),
        ("mkfs.ext4", "exit 0".to_owned(), "PART does not hold what was made there"),
        ("partx", "exit 0".to_owned(), "the kernel does not show the new partitions"),
        ("partx", "echo refused >&2; exit 1".to_owned(), "partx failed with code 1 (refused)"),
        (
            "sfdisk",
            "case \" $* \" in *' --json '*) exit 1 ;; esac; echo it broke >&2; exit 1".to_owned(),
            "sfdisk failed with code 1 (it broke)",
        ),
    ] {
        let sandbox = host();
        sandbox.tool(tool, &body);
        let disk = Disk::new(300);
        let run = prepare(&sandbox, &disk, &system);
        assert_eq!(run.code, 1, "{tool}: {run}");
        let why = why.replace("PART", &disk.part(2));
        // The BIOS boot partition has nothing to be made.
        let state = if tool == "mkfs.ext4" {
            lost.replace("no filesystem is made", "of its new partitions only 1 is made")
        } else {
            lost.to_owned()
        };
        let sentence = format!("counterpart: {} could not be prepared: {why}. {state}", disk.path());
        assert_eq!(run.err, sentence, "{tool}");
        assert!(!run.out.contains("is prepared"), "{run}");
    }
}

#[test]
fn what_a_tool_says_drives_no_terminal() {
    let system = small_system();
    let sandbox = host();
    sandbox.tool("mkfs.ext4", "printf '\\033[2Jline\\nnext' >&2; exit 1");
    let disk = Disk::new(300);
    let run = prepare(&sandbox, &disk, &system);
    assert!(run.err.contains("mkfs.ext4 failed with code 1 (\\#033[2Jline / next)"), "{run}");
}

#[test]
fn tools_that_cannot_be_understood_refuse() {
    let system = small_system();
    for (tool, body, why) in [
        ("wipefs", "echo garbage", "wipefs cannot be understood: "),
        ("wipefs", "exit 1", "wipefs failed with code 1"),
        ("sfdisk", "echo '{}'", "sfdisk cannot be understood: "),
        ("sfdisk", "exit 7", "sfdisk cannot read the disk"),
    ] {
        let sandbox = host();
        sandbox.tool(tool, body);
        let disk = Disk::new(300);
        let before = disk.digest();
        let run = prepare(&sandbox, &disk, &system);
        assert_eq!((run.code, run.out.as_str()), (99, ""), "{tool}: {run}");
        assert!(run.err.starts_with(&format!("counterpart: {} is refused: {why}", disk.path())), "{run}");
        assert_eq!(disk.digest(), before);
    }
}

#[test]
fn a_signal_between_the_steps_is_20_and_tells_the_state() {
    let system = small_system();
    let sandbox = host();
    let ready = sandbox.path().join("ready");
    sandbox.tool("mkfs.ext4", &format!("touch {}; exec sleep 600", ready.display()));
    let disk = Disk::new(300);
    let like = system.path().to_str().unwrap();
    let mut command = sandbox.command(["prepare", disk.path(), "--like", like, "--erase", &disk.image()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait_until(|| ready.exists()));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let run = Finished::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 20, "{run}");
    let sentence = format!(
        "counterpart: Interrupted (SIGINT) while {} was prepared. The disk's old contents are lost and of its new \
         partitions only 1 is made: no clone can be made to it. Run prepare again.\n",
        disk.path()
    );
    assert_eq!(run.err, sentence);
    sandbox.tool("mkfs.ext4", "exec /usr/sbin/mkfs.ext4 \"$@\"");
    assert_eq!(prepare(&sandbox, &disk, &system).code, 0, "run again");
}

#[test]
fn a_signal_before_the_plan_is_20_and_writes_nothing() {
    let system = small_system();
    let sandbox = host();
    let ready = sandbox.path().join("ready");
    sandbox.tool("wipefs", &format!("touch {}; exec sleep 600", ready.display()));
    let disk = Disk::new(300);
    let before = disk.digest();
    let like = system.path().to_str().unwrap();
    let mut command = sandbox.command(["prepare", disk.path(), "--like", like, "--erase", &disk.image()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait_until(|| ready.exists()));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let run = Finished::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (20, ""), "{run}");
    let sentence = format!("counterpart: Interrupted (SIGTERM). Nothing was written to {}.\n", disk.path());
    assert_eq!(run.err, sentence);
    assert_eq!(disk.digest(), before);
}

#[test]
fn a_system_that_cannot_be_read_is_65() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let missing = system.path().join("missing");
    let run = crate::prepare::scene::prepare(&disk.device, &missing, &["--erase", &disk.image()]);
    assert_eq!((run.code, run.out.as_str()), (65, ""), "{run}");
    let sentence = format!("counterpart: The source {} cannot be read: ", missing.display());
    assert!(run.err.starts_with(&sentence), "{run}");
    assert_eq!(disk.digest(), before);
}

#[test]
fn labels_that_cannot_be_found_out_refuse() {
    let system = LoopDisk::new("ext4", 24, &["-L", "lost"], "");
    let disk = Disk::new(300);
    let before = disk.digest();
    let sandbox = host();
    let device = system.device().display();
    // The source's own label can be read; then the tool breaks.
    sandbox.tool(
        "blkid",
        &format!(
            "case \"$*\" in *{device}) [ -e $0.used ] && exit 4; touch $0.used ;; esac; exec /usr/sbin/blkid \"$@\""
        ),
    );
    let run = prepare(&sandbox, &disk, &system);
    assert_refused(
        &run,
        &disk,
        &before,
        &format!(
            "the labels in use cannot be found out: {}/tools/blkid failed on {device}",
            sandbox.host().display()
        ),
    );
}

#[test]
fn neither_macos_nor_other_users_prepare_disks() {
    let sandbox = Sandbox::mac("14.5");
    let run = sandbox.run(["prepare", "/dev/null", "--like", "/"]);
    assert_eq!(run.code, 1, "{run}");
    assert_eq!(run.err, "counterpart: prepare works on Linux only; on macOS use Disk Utility or diskutil.\n");
    let run = sandbox.run(["prepare", "/dev/null"]);
    assert_eq!(run.code, 2, "{run}");
    let run = sandbox.run(["prepare", "/dev/null", "--like", "/", "--key-file", "/dev/null"]);
    assert_eq!(run.code, 2, "{run}");
}
