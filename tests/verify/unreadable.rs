//! What cannot be read: damage in the clone, and in the source nothing that speaks against the clone.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::faulty::FaultyFuse;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::verify::scene::{assert_damages, cloned, found, verify};

/// How large the file is that is read slowly.
const LARGE: usize = 48 << 20;

fn of_faulty_source() -> (FaultyFuse, Sandbox) {
    let fuse = FaultyFuse::new();
    let mut sandbox = Sandbox::new();
    sandbox.source = fuse.path();
    for name in ["bad", "directory/file", "good"] {
        sandbox.write(name, &format!("the content of {name}"));
    }
    (fuse, sandbox)
}

#[test]
fn a_source_that_cannot_be_read_is_65_and_no_damage() {
    let (fuse, sandbox) = of_faulty_source();
    cloned(&sandbox, &[]);
    assert_damages(&sandbox, &[]);
    fuse.tell("fail /bad\nlist /directory\n");
    let document = found(&sandbox, &[]);
    assert_eq!((&document["exit_code"], &document["damaged"]), (&65.into(), &0.into()), "{document:#}");
    let left = document["left"].as_array().unwrap();
    let of = |at: usize| ["path", "side", "reason"].map(|name| left[at][name].as_str().unwrap().to_owned());
    assert_eq!(left.len(), 2, "{document:#}");
    assert_eq!(of(0), ["bad", "source", "Input/output error, at offset 0"]);
    assert_eq!(of(1), ["directory", "source", "Input/output error"]);
    let finished = verify(&sandbox, &[]);
    assert_eq!(finished.code, 65, "{finished}");
    assert!(
        finished.out.starts_with("Not compared: bad (source): Input/output error, at offset 0.\n"),
        "{finished}"
    );
    // With damage beside it, that is what counts.
    fs::remove_file(sandbox.destination.join("good")).unwrap();
    let document = found(&sandbox, &[]);
    assert_eq!((&document["exit_code"], &document["not_compared"]), (&75.into(), &2.into()), "{document:#}");
}

#[test]
fn a_clone_that_cannot_be_read_is_damaged() {
    let fuse = FaultyFuse::new();
    fuse.tell("owners *\n");
    let mut sandbox = Sandbox::new();
    for name in ["bad", "directory/file", "good", "gone"] {
        sandbox.write(name, &format!("the content of {name}"));
    }
    sandbox.destination = fuse.path();
    sandbox.rsync("exec /usr/bin/rsync --no-acls --no-xattrs \"$@\"");
    cloned(&sandbox, &["--allow-folder"]);
    assert_damages(&sandbox, &[]);
    fuse.tell("owners *\nfail /bad\nlist /directory\nstat /gone\n");
    let document = assert_damages(
        &sandbox,
        &[("bad", &["unreadable"]), ("directory", &["unreadable"]), ("gone", &["unreadable"])],
    );
    let message = |at: usize| document["damages"][at]["message"].as_str().unwrap().to_owned();
    assert_eq!(message(0), "it cannot be read: Input/output error, at offset 0");
    assert_eq!(message(1), "it cannot be read: Input/output error");
    assert_eq!(message(2), "it cannot be read: Input/output error");
}

/// Starts a verification that reads a large file of the source slowly, and does something then.
fn while_it_reads(then: impl FnOnce(&Sandbox, &FaultyFuse, nix::unistd::Pid)) -> Finished {
    let (fuse, sandbox) = of_faulty_source();
    fs::write(sandbox.source.join("large"), vec![7; LARGE]).unwrap();
    cloned(&sandbox, &[]);
    fuse.tell("slow /large\n");
    let arguments = ["verify", "-d", sandbox.destination.to_str().unwrap()];
    let mut command = sandbox.command(arguments);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let opened = || {
        let files = fs::read_dir(format!("/proc/{}/fd", child.id()));
        files.is_ok_and(|mut files| {
            files.any(|file| fs::read_link(file.unwrap().path()).is_ok_and(|link| link.ends_with("large")))
        })
    };
    assert!(wait_until(opened), "it does not read the file");
    then(&sandbox, &fuse, nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()));
    Finished::from(child.wait_with_output().unwrap())
}

#[test]
fn an_interrupt_ends_it_with_what_was_found() {
    let finished = while_it_reads(|_, _, id| nix::sys::signal::kill(id, Signal::SIGINT).unwrap());
    assert_eq!(
        (finished.code, finished.err.as_str()),
        (20, "counterpart: The verification was interrupted.\n"),
        "{finished}"
    );
    assert!(finished.out.ends_with(" not compared.\n"), "{finished}");
    let finished = while_it_reads(|_, _, id| nix::sys::signal::kill(id, Signal::SIGUSR1).unwrap());
    assert!([128 + 10, 20].contains(&finished.code), "{finished}");
}

#[test]
fn a_clone_that_is_begun_meanwhile_is_80() {
    let mut path = String::new();
    let finished = while_it_reads(|sandbox, fuse, _| {
        assert_eq!(sandbox.clone(&[]).code, 0);
        path = sandbox.destination.display().to_string();
        fuse.tell("");
    });
    assert_eq!((finished.code, finished.out.as_str()), (80, ""), "{finished}");
    let sentence = format!(
        "counterpart: A clone to {path} was begun meanwhile, so that nothing is known of what was read. Verify it \
         afterwards.\n"
    );
    assert_eq!(finished.err, sentence);
}
