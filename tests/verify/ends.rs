//! Which source a clone is compared with, and what is refused.

use std::fs;

use crate::jobs::scene::Scene;
use crate::support::nobody;
use crate::support::sandbox::Sandbox;
use crate::verify::scene::{cloned, flip, next_second, silently, verify};

fn scene() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    cloned(&sandbox, &[]);
    sandbox
}

#[track_caller]
fn assert_refused(sandbox: &Sandbox, more: &[&str], code: i32, text: &str) {
    let finished = verify(sandbox, more);
    assert_eq!((finished.code, finished.out.as_str()), (code, ""), "{finished}");
    assert!(finished.err.contains(text), "{text}: {finished}");
}

#[test]
fn the_source_is_the_one_that_is_remembered_or_given() {
    let sandbox = scene();
    let path = sandbox.source.to_str().unwrap().to_owned();
    let finished = verify(&sandbox, &[]);
    assert!(finished.code == 0 && finished.out.contains(&format!(" compared with {path} in ")), "{finished}");
    fs::remove_dir_all(sandbox.host().join("state")).unwrap();
    assert_refused(&sandbox, &[], 2, "This machine remembers no clone in ");
    let finished = verify(&sandbox, &["-s", &path]);
    assert_eq!(finished.code, 0, "{finished}");
}

#[test]
fn only_a_complete_clone_can_be_verified() {
    let sandbox = scene();
    let path = sandbox.source.to_str().unwrap().to_owned();
    let completed = sandbox.marker("completed");
    let kept = sandbox.path().join("kept");
    silently(&completed, |completed| fs::rename(completed, &kept).unwrap());
    assert_refused(&sandbox, &[], 66, "it is not complete, since it has no .me.jedda.counterpart.completed.");
    assert_refused(&sandbox, &["-s", &path], 66, "it is not complete");
    silently(&completed, |completed| fs::rename(&kept, completed).unwrap());
    assert_eq!(verify(&sandbox, &[]).code, 0);
    fs::write(sandbox.marker("stats"), "Clone Started: 5\n").unwrap();
    assert_refused(&sandbox, &[], 66, ".me.jedda.counterpart.stats does not say when it was made");
    assert_refused(
        &sandbox,
        &["-g", "org.example", "-s", &path],
        66,
        "it has no .org.example.counterpart.completed",
    );
}

#[test]
fn ends_that_are_missing_or_wrong_are_refused_as_for_a_clone() {
    let sandbox = scene();
    let path = sandbox.source.to_str().unwrap().to_owned();
    assert_refused(&sandbox, &["-s", "/no/such/directory"], 65, "/no/such/directory");
    assert_refused(&sandbox, &["-s", sandbox.destination.to_str().unwrap()], 87, "");
    assert_refused(&sandbox, &["-e", "/no/such/file"], 67, "/no/such/file");
    let empty = sandbox.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_refused(&sandbox, &["-s", empty.to_str().unwrap()], 65, "empty");
    for wrong in [
        &["--sample", "0%"][..],
        &["--sample", "5%", "--full"],
        &["--safety-net"],
        &["--job", "x"],
        &["more"],
    ] {
        assert_eq!(verify(&sandbox, wrong).code, 2, "{wrong:?}");
    }
    assert_eq!(sandbox.run(["verify"]).code, 2);
    let missing = sandbox.run(["verify", "-d", "/no/such/clone", "-s", &path]);
    assert_eq!(missing.code, 66, "{missing}");
}

#[test]
fn a_clone_that_is_being_made_is_80() {
    let sandbox = scene();
    let lock = fs::read_dir(sandbox.host().join("lock")).unwrap().next().unwrap().unwrap().path();
    let held = fs::File::open(lock).unwrap();
    held.lock().unwrap();
    assert_refused(&sandbox, &[], 80, "Another Counterpart");
    drop(held);
    assert_eq!(verify(&sandbox, &[]).code, 0);
}

#[test]
fn it_takes_root() {
    let sandbox = scene();
    let destination = sandbox.destination.to_str().unwrap();
    let finished = nobody::run(&sandbox, ["verify", "-d", destination]);
    assert_eq!((finished.code, finished.out.as_str()), (1, ""), "{finished}");
    assert_eq!(
        finished.err,
        "counterpart: verify must be run as root: it reads everybody's files. Use sudo.\n"
    );
}

#[test]
fn the_clones_of_a_job_are_verified_one_after_another() {
    let text = "source = \"SOURCE\"\n\n[destinations.one]\ndestination = \"HERE/one\"\n\n[destinations.two]\ndestination = \"HERE/two\"\n";
    let scene = Scene::with("nightly", text);
    let (one, two) = (scene.destination("one"), scene.destination("two"));
    next_second();
    let run = scene.sandbox.run(["run", "nightly"]);
    assert_eq!(run.code, 0, "{run}");
    let verify = |more: &[&str]| scene.sandbox.run(["verify", "--job", "nightly"].iter().chain(more));
    let finished = verify(&[]);
    assert_eq!(finished.code, 0, "{finished}");
    assert!(finished.out.ends_with("nightly one: 0, success\nnightly two: 0, success\n"), "{finished}");
    flip(&two.join("file"), 0..1);
    let finished = verify(&[]);
    assert_eq!(finished.code, 75, "{finished}");
    assert!(finished.out.contains("nightly one: 0, success\nnightly two: 75, "), "{finished}");
    assert!(finished.out.contains("Damaged: file: 1 byte differs, at offset 0.\n"), "{finished}");
    assert_eq!(verify(&["--sample", "100%"]).code, 75);
    assert_eq!(verify(&["--only", "one", "--json"]).code, 0);
    assert_eq!(verify(&["--only", "two", "--json"]).code, 75);
    assert_eq!(verify(&["--json"]).code, 2);
    assert_eq!(verify(&["--only", "three"]).code, 2);
    assert_eq!(verify(&["-e", "/x"]).code, 2);
    assert!(one.exists());
}
