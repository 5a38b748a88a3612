//! When `counterpart forget` refuses: while the clone is made, or will be made again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Child;

use crate::check::scene::{cloned, memories};
use crate::jobs::scene::Scene;
use crate::schedule::machine::{Machine, done};
use crate::status::scene::{forget, refused};
use crate::support::sandbox::{Sandbox, wait_until};

/// A run that waits in its pre-clone script until `go` exists.
fn waiting(sandbox: &Sandbox) -> Child {
    let (begun, go) = (sandbox.path().join("begun"), sandbox.path().join("go"));
    let body = format!("touch '{}'; while ! [ -e '{}' ]; do sleep 0.05; done", begun.display(), go.display());
    let script = sandbox.script("pre", &body);
    let child = sandbox.start(&["-p", script.to_str().unwrap()]);
    assert!(wait_until(|| begun.exists()));
    child
}

fn end(sandbox: &Sandbox, mut child: Child) {
    fs::write(sandbox.path().join("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
}

#[track_caller]
fn assert_known(sandbox: &Sandbox, number: usize) {
    assert_eq!(memories(sandbox).len(), number);
}

#[test]
fn a_clone_that_is_being_made_is_80() {
    let sandbox = cloned();
    let gone = sandbox.path().join("gone");
    fs::create_dir(&gone).unwrap();
    sandbox.run(["-s", sandbox.source.to_str().unwrap(), "-d", gone.to_str().unwrap()]).assert_code(0);
    fs::remove_dir_all(&gone).unwrap();
    let child = waiting(&sandbox);
    let here = forget(&sandbox, &sandbox.destination, &[]);
    // Which lock a disk has that is not there is not known.
    let there = forget(&sandbox, &gone, &[]);
    assert_known(&sandbox, 2);
    end(&sandbox, child);
    let words = format!("Another Counterpart is cloning to {}.", sandbox.destination.display());
    refused(&here, 80, &[&words]);
    let words = format!(
        "A clone is being made at the moment, perhaps that to {}: the destination is not there now.",
        gone.display()
    );
    refused(&there, 80, &[&words]);
    assert_eq!(forget(&sandbox, &gone, &[]).code, 0);
    assert_eq!(forget(&sandbox, &sandbox.destination, &[]).code, 0);
    assert_known(&sandbox, 0);
    // Nothing of ours holds the lock now.
    sandbox.clone(&[]).assert_code(0);
}

#[test]
fn a_schedule_that_makes_it_is_named_with_the_command_that_removes_it() {
    let machine = Machine::linux();
    let sandbox = &machine.sandbox;
    sandbox.clone(&[]).assert_code(0);
    let (source, destination) = (sandbox.source.to_str().unwrap(), sandbox.destination.to_str().unwrap());
    let link = sandbox.path().join("link");
    symlink(sandbox.path(), &link).unwrap();
    let spelled = link.join("destination");
    for path in [destination, spelled.to_str().unwrap()] {
        done(&machine.schedule(&["install", "--name", "nightly", "--", "-s", source, "-d", path]));
        let words = format!(
            "counterpart: The schedule nightly still makes the clone at {destination}. Remove it first: sudo \
             counterpart schedule remove nightly\n"
        );
        let finished = forget(sandbox, destination, &[]);
        refused(&finished, 1, &[&words]);
        assert_known(sandbox, 1);
        // Half of it is enough to start it.
        fs::remove_file(machine.job("counterpart-nightly.timer")).unwrap();
        refused(&forget(sandbox, destination, &[]), 1, &[&words]);
        done(&machine.schedule(&["remove", "nightly"]));
    }
    // One to another destination, or with another prefix, is no reason.
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    done(&machine.schedule(&["install", "--", "-s", source, "-d", other.to_str().unwrap()]));
    done(&machine.install(&["--name", "prefixed"], &["-g", "org.example"]));
    assert_eq!(forget(sandbox, destination, &[]).code, 0);
    assert_known(sandbox, 0);
}

#[test]
fn a_schedule_that_cannot_be_understood_might_make_it() {
    let machine = Machine::linux();
    machine.sandbox.clone(&[]).assert_code(0);
    done(&machine.install(&[], &[]));
    let service = machine.job("counterpart-clone.service");
    let whole = fs::read_to_string(&service).unwrap();
    for (old, new, why) in [
        ("ExecStart=", "ExecStart=nice  ", "its command was changed by hand"),
        (" --destination", " --destruction", "its command is not understood: unexpected argument"),
        ("ExecStart=", "ExecStopPost=", "its command was changed by hand"),
    ] {
        fs::write(&service, whole.replace(old, new)).unwrap();
        let finished = forget(&machine.sandbox, &machine.sandbox.destination, &[]);
        refused(
            &finished,
            1,
            &[
                "Whether the schedule clone makes the clone at ",
                why,
                "sudo counterpart schedule remove clone",
            ],
        );
        assert_known(&machine.sandbox, 1);
    }
    // What another has written is not ours to understand.
    fs::remove_file(machine.job("counterpart-clone.timer")).unwrap();
    fs::write(&service, "[Service]\nExecStart=/bin/true\n").unwrap();
    assert_eq!(forget(&machine.sandbox, &machine.sandbox.destination, &[]).code, 0);
}

#[test]
fn the_schedule_of_a_job_counts_for_each_of_its_destinations() {
    let text = "\
source = \"SOURCE\"
[destinations.a]
destination = \"DESTINATION\"
[destinations.b]
destination = \"HERE/b\"
";
    let scene = Scene::with("nightly", text);
    let b = scene.destination("b");
    fs::create_dir(scene.sandbox.host().join("jobs")).unwrap();
    let script = include_str!("../schedule/systemctl.sh");
    scene.sandbox.tool("systemctl", &format!("DIRECTORY='{}'\n{script}", scene.sandbox.path().display()));
    assert_eq!(scene.run(&["nightly"]).code, 0);
    assert_eq!(scene.sandbox.run(["schedule", "install", "--job", "nightly"]).code, 0);
    for path in [&scene.sandbox.destination, &b] {
        let finished = forget(&scene.sandbox, path, &[]);
        refused(
            &finished,
            1,
            &[
                "The schedule nightly still makes the clone at ",
                ", by the job nightly. Remove it first: sudo counterpart schedule remove nightly. If the job has other \
                 destinations, take this one out of its file instead.\n",
            ],
        );
    }
    // A destination that was taken out of the file.
    scene.job("nightly", "source = \"SOURCE\"\ndestination = \"DESTINATION\"\n");
    assert_eq!(forget(&scene.sandbox, &b, &[]).code, 0);
    fs::remove_file(scene.file("nightly")).unwrap();
    let finished = forget(&scene.sandbox, &scene.sandbox.destination, &[]);
    refused(&finished, 1, &["cannot be determined: There is no job nightly: "]);
    assert_known(&scene.sandbox, 1);
}

#[test]
fn on_a_mac_the_same() {
    let machine = Machine::mac("14.5");
    machine.sandbox.clone(&[]).assert_code(0);
    done(&machine.install(&[], &[]));
    let finished = forget(&machine.sandbox, &machine.sandbox.destination, &[]);
    refused(&finished, 1, &["The schedule clone still makes the clone at "]);
    done(&machine.schedule(&["remove", "clone"]));
    assert_eq!(forget(&machine.sandbox, &machine.sandbox.destination, &[]).code, 0);
    assert_known(&machine.sandbox, 0);
}

#[test]
fn usage_and_nothing_known() {
    let sandbox = cloned();
    for usage in
        [&["forget"][..], &["forget", "-d", ""], &["forget", "-d", "UUID="], &["forget", "-d", "/x", "y"]]
    {
        assert_eq!(sandbox.run(usage).code, 2, "{usage:?}");
    }
    let state = fs::read(&memories(&sandbox)[0]).unwrap();
    let other = forget(&sandbox, &sandbox.destination, &["-g", "org.example"]);
    let words =
        format!("This machine remembers no clone at {} (org.example).", sandbox.destination.display());
    refused(&other, 1, &[&words, "counterpart status"]);
    refused(&forget(&sandbox, Path::new("/nowhere"), &[]), 1, &["no clone at /nowhere."]);
    refused(&forget(&sandbox, "UUID=00-00", &[]), 1, &["no clone at UUID=00-00."]);
    assert_eq!(fs::read(&memories(&sandbox)[0]).unwrap(), state);
    // Locks that are not ours say nothing.
    fs::set_permissions(
        sandbox.host().join("lock"),
        <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777),
    )
    .unwrap();
    refused(&forget(&sandbox, &sandbox.destination, &[]), 1, &["cannot be determined: the locks in "]);
    assert_known(&sandbox, 1);
}
