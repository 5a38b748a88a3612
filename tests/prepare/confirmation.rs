//! Nothing is written before the disk's own identity has been typed in full.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::prepare::scene::{Disk, Loop, assert_refused, attach, must, prepare, small_system};
use crate::support::sandbox::{Finished, PRODUCT};

#[test]
fn a_wrong_or_incomplete_identity_erases_nothing() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let image = disk.image();
    let shorter = &image[..image.len() - 1];
    for wrong in
        ["", "S5Y1NJ0R", shorter, "/dev/loop0", disk.path(), &format!("{image} "), &image.to_uppercase()]
    {
        let run = prepare(&disk.device, system.path(), &["--erase", wrong]);
        assert_refused(&run, &disk, &before, &format!("--erase names {wrong}, but this disk is {image}"));
        assert!(run.out.contains(&format!("Its identity, to be typed in full: {image}\n")), "{run}");
    }
    let other = Disk::new(300);
    let run = prepare(&disk.device, system.path(), &["--erase", &other.image()]);
    assert_refused(
        &run,
        &disk,
        &before,
        &format!("--erase names {}, but this disk is {image}", other.image()),
    );
}

#[test]
fn without_a_terminal_and_erase_there_is_only_the_plan() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let run = prepare(&disk.device, system.path(), &[]);
    let why = format!("it was not confirmed; to prepare it, add --erase {}", disk.image());
    assert_refused(&run, &disk, &before, &why);
    assert!(run.out.contains("Now on it: nothing\nTo be made, like "), "{run}");
}

#[test]
fn bytes_of_an_unknown_kind_are_not_taken_for_nothing() {
    for at in [0, 512 * 1000, (300 << 20) - 1] {
        let system = small_system();
        let disk = Disk::new(300);
        let mut file = std::fs::File::options().write(true).open(disk.image()).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).unwrap();
        file.write_all(b"x").unwrap();
        must(&["blockdev", "--flushbufs", disk.path()]);
        let before = disk.digest();
        let run = prepare(&disk.device, system.path(), &[]);
        let why = format!("it is not empty; if all of it may be lost, add --erase {}", disk.image());
        assert_refused(&run, &disk, &before, &why);
        assert!(run.out.contains("Now on it, and lost then:\n  data of an unknown kind\n"), "{run}");
    }
}

/// Prepares a disk on a terminal. Once the question is there, `then` happens and the answer is typed.
fn on_terminal(disk: &Disk, like: &Path, then: impl FnOnce(), answer: &[u8]) -> Finished {
    // In the shell's place, whichever it is: beside it, timeout would be in the terminal's background and could not read.
    let command =
        format!("exec timeout -k 5 300 {PRODUCT} prepare {} --like {}", disk.path(), like.display());
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let question = format!("Type {} to erase {}: ", disk.image(), disk.path());
    let mut shown = Vec::new();
    while !shown.ends_with(question.as_bytes()) {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    then();
    std::thread::sleep(Duration::from_millis(200));
    input.write_all(answer).unwrap();
    out.read_to_end(&mut shown).unwrap();
    let code = child.wait().unwrap().code().unwrap_or(-1);
    Finished { code, out: String::from_utf8_lossy(&shown).replace('\r', ""), err: String::new() }
}

#[test]
fn the_answer_on_a_terminal_decides() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    for wrong in ["y", "yes", "", &disk.image()[1..]] {
        let run = on_terminal(&disk, system.path(), || (), format!("{wrong}\n").as_bytes());
        assert_eq!(run.code, 99, "{run}");
        let why =
            format!("{wrong} was typed, but this disk is {}. Nothing was written to it.\n", disk.image());
        assert!(run.out.ends_with(&format!("counterpart: {} is refused: {why}", disk.path())), "{run}");
        assert_eq!(disk.digest(), before);
    }
    let run = on_terminal(&disk, system.path(), || (), format!("{}\n", disk.image()).as_bytes());
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(disk.tag(2, "TYPE"), "ext4");
}

#[test]
fn control_c_at_the_question_is_20() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let run = on_terminal(&disk, system.path(), || (), &[disk.image().as_bytes(), b"\x03"].concat());
    assert_eq!(run.code, 20, "{run}");
    let sentence = format!("counterpart: Interrupted (SIGINT). Nothing was written to {}.\n", disk.path());
    assert!(run.out.ends_with(&sentence), "{run}");
    assert_eq!(disk.digest(), before);
}

#[test]
fn a_disk_with_data_is_not_erased_by_an_answer() {
    let system = small_system();
    let disk = Disk::new(300);
    must(&["mkfs.ext4", "-q", disk.path()]);
    let before = disk.digest();
    let command = format!("exec {PRODUCT} prepare {} --like {}", disk.path(), system.path().display());
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(format!("{}\n", disk.image()).as_bytes());
    let run = Finished::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, 99, "{run}");
    assert!(run.out.contains("it is not empty; if all of it may be lost, add --erase"), "{run}");
    assert_eq!(disk.digest(), before);
}

#[test]
fn a_disk_that_changes_between_plan_and_answer_is_refused() {
    let system = small_system();
    let disk = Disk::new(300);
    let grow = || {
        std::fs::File::options().write(true).open(disk.image()).unwrap().set_len(400 << 20).unwrap();
        must(&["losetup", "-c", disk.path()]);
    };
    let run = on_terminal(&disk, system.path(), grow, format!("{}\n", disk.image()).as_bytes());
    assert_eq!(run.code, 99, "{run}");
    let why = "it has changed since the plan was made: it has another size, number or identity. Nothing was written \
               to it.\n";
    assert!(run.out.ends_with(why), "{run}");
    assert!(disk.is_zero());
}

#[test]
fn a_disk_that_is_used_between_plan_and_answer_is_refused() {
    let system = small_system();
    let disk = Disk::new(300);
    let before = disk.digest();
    let mut other = None;
    let use_it = || other = Some(Loop(attach(&["-r"], Path::new(&disk.image()))));
    let run = on_terminal(&disk, system.path(), use_it, format!("{}\n", disk.image()).as_bytes());
    assert_eq!(run.code, 99, "{run}");
    assert!(run.out.ends_with(" shows the same file. Nothing was written to it.\n"), "{run}");
    assert_eq!(disk.digest(), before);
}

#[test]
fn while_the_question_waits_nobody_can_claim_the_disk() {
    let system = small_system();
    let disk = Disk::new(300);
    let claim = || {
        let made = crate::prepare::scene::tool(&["mkfs.xfs", "-q", disk.path()]);
        assert_ne!(made.code, 0, "{made}");
    };
    let run = on_terminal(&disk, system.path(), claim, b"no\n");
    assert_eq!(run.code, 99, "{run}");
    assert!(disk.is_zero());
}
