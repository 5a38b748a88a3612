//! Several destinations, rotations, and several jobs.

use std::fs;
use std::path::Path;

use crate::jobs::scene::{ENDS, Scene, summary};
use crate::support::sandbox::{STEM, marks_of};

fn is_complete(destination: &Path) -> bool {
    destination.join("file").exists() && marks_of(destination).contains(&"completed".to_owned())
}

const TWO: &str = "\
source = \"SOURCE\"
keep-logs = 7
[destinations.first]
destination = \"HERE/missing\"
[destinations.second]
destination = \"HERE/second\"
organisation-prefix = \"org.second\"
";

#[test]
fn a_single_clone_is_made_by_the_process_itself() {
    let scene = Scene::with("clone", &format!("{ENDS}safety-net = true\n"));
    let finished = scene.run(&["clone"]);
    finished.assert_code(0).assert_err("");
    assert!(is_complete(&scene.sandbox.destination));
    assert_eq!(scene.sandbox.logs().len(), 1);
    assert_eq!(scene.sandbox.record().unwrap()["outcome"], "success");
    // Options of this run alone.
    let finished = scene.run(&["clone", "--full", "-t"]);
    finished.assert_code(70);
    scene.run(&["clone", "--full"]).assert_code(0).assert_log("Full pass: ");
}

#[test]
fn one_failure_does_not_keep_the_next_clone_from_being_made() {
    let scene = Scene::with("two", TWO);
    let second = scene.destination("second");
    let finished = scene.run(&["two"]);
    assert_eq!(finished.code, 66, "{finished}");
    assert_eq!(summary(&finished), ["two first: 66, destination not writable", "two second: 0, success"]);
    let here = scene.sandbox.path().display();
    assert_eq!(
        finished.err,
        format!(
            "counterpart: The destination {here}/missing cannot be written: it does not exist, and Counterpart does \
             not create it. Perhaps its disk is not mounted.\n"
        )
    );
    assert!(second.join("file").exists() && second.join(".org.second.counterpart.completed").exists());
    assert_eq!(scene.sandbox.logs().len(), 2, "each has its own log");
    // A section can be run alone.
    scene.run(&["two", "--only", "second"]).assert_code(0).assert_err("");
    scene.run(&["two", "--only", "first"]).assert_code(66);
    let finished = scene.run(&["two", "--only", "third"]);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""));
    assert_eq!(finished.err, "counterpart: The job two has no destination third, but first, second.\n");
    // A test run of both is one of each.
    let finished = scene.run(&["two", "-t", "--skip-if-missing"]);
    assert_eq!(finished.code, 70, "{finished}");
    assert_eq!(
        summary(&finished),
        ["two first: skipped, the destination is missing", "two second: 70, this was a test run"]
    );
    assert_eq!(scene.run(&["two", "-t"]).code, 66);
}

#[test]
fn a_disk_is_adopted_by_name_only() {
    let scene = Scene::with("two", TWO);
    let second = scene.destination("second");
    fs::write(second.join("mine"), "x").unwrap();
    let finished = scene.run(&["two", "--adopt"]);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""));
    assert_eq!(
        finished.err,
        "counterpart: The job two has several destinations: say with --only which one to adopt.\n"
    );
    assert!(second.join("mine").exists());
    let finished = scene.run(&["--all", "--adopt"]);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""));
    scene.run(&["two", "--only", "second", "--adopt"]).assert_code(0);
    assert!(!second.join("mine").exists());
}

const ROTATION: &str = "\
source = \"SOURCE\"
[destinations.a]
destination = \"HERE/a\"
rotation = \"usb\"
[destinations.b]
destination = \"HERE/b\"
rotation = \"usb\"
[destinations.c]
destination = \"HERE/c\"
rotation = \"usb\"
";

#[test]
fn of_a_rotation_the_disk_that_is_there_is_cloned_to() {
    for there in ["a", "b", "c"] {
        let scene = Scene::with("usb", ROTATION);
        let disk = scene.destination(there);
        let finished = scene.run(&["usb"]);
        assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
        let lines: Vec<String> = ["a", "b", "c"]
            .iter()
            .map(|name| {
                let end = if *name == there { "0, success" } else { "skipped, the destination is missing" };
                format!("usb {name}: {end}")
            })
            .collect();
        assert_eq!(summary(&finished), lines);
        assert!(is_complete(&disk));
    }
}

#[test]
fn a_rotation_without_any_disk_is_a_failure() {
    let scene = Scene::with("usb", ROTATION);
    let finished = scene.run(&["usb"]);
    assert_eq!(finished.code, 66, "{finished}");
    assert_eq!(summary(&finished)[2], "usb c: 66, destination not writable");
    assert!(finished.err.contains("/c cannot be written: it does not exist"), "{finished}");
    let finished = scene.run(&["usb", "--skip-if-missing"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    // One that is there and cannot be used is no disk that is missing.
    let disk = scene.destination("a");
    fs::write(disk.join("mine"), "x").unwrap();
    let finished = scene.run(&["usb"]);
    assert_eq!(finished.code, 76, "{finished}");
    assert_eq!(
        summary(&finished)[1..],
        ["usb b: skipped, the destination is missing", "usb c: skipped, the destination is missing"]
    );
    assert!(disk.join("mine").exists());
}

#[test]
fn all_jobs_are_run_whatever_becomes_of_one() {
    let scene = Scene::with("b-two", TWO);
    let finished = scene.run(&["--all"]);
    assert_eq!(finished.code, 66, "{finished}");
    let second = scene.destination("second");
    scene.job("a-wrong", "ful = true\n");
    scene.job("c-one", ENDS);
    scene.job(".#c-one", "an editor's");
    fs::write(scene.dir().join("c-one.toml~"), "an editor's").unwrap();
    let finished = scene.run(&["--all"]);
    assert_eq!(finished.code, 84, "{finished}");
    assert_eq!(
        summary(&finished),
        [
            "a-wrong: 84, the job file is wrong",
            "b-two first: 66, destination not writable",
            "b-two second: 0, success",
            "c-one: 0, success"
        ]
    );
    let first = finished.err.lines().next().unwrap();
    let file = scene.file("a-wrong");
    assert_eq!(
        first,
        format!("counterpart: {}:1:1: there is no option ful; did you mean full?", file.display())
    );
    assert!(
        second.join(".org.second.counterpart.completed").exists() && is_complete(&scene.sandbox.destination)
    );
    assert!(scene.sandbox.destination.join(format!("{STEM}id")).exists());
}

#[test]
fn a_file_that_only_looks_like_a_job_is_not_passed_over() {
    let scene = Scene::with("one", ENDS);
    scene.job("my clone", ENDS);
    let finished = scene.run(&["--all"]);
    assert_eq!(finished.code, 84, "{finished}");
    assert_eq!(
        summary(&finished),
        ["a file without a job's name: 84, the job file is wrong", "one: 0, success"]
    );
    assert_eq!(
        finished.err,
        format!(
            "counterpart: {} has no name of a job: a name has 1 to 64 letters, digits, '-' and '_', and begins with a \
             letter or a digit.\n",
            scene.file("my clone").display()
        )
    );
    let empty = Scene::new();
    let finished = empty.run(&["--all"]);
    assert_eq!((finished.code, finished.out.as_str()), (84, ""));
    assert_eq!(
        finished.err,
        format!(
            "counterpart: There is no job in {}. counterpart job init writes one.\n",
            empty.dir().display()
        )
    );
}

#[test]
fn a_section_takes_back_what_stands_above() {
    let text = "\
source = \"SOURCE\"
safety-net = 5
post-script = \"HERE/missing\"
[destinations.a]
destination = \"HERE/a\"
safety-net = false
post-script = false
[destinations.b]
destination = \"HERE/b\"
";
    let scene = Scene::with("two", text);
    let (a, b) = (scene.destination("a"), scene.destination("b"));
    let finished = scene.run(&["two"]);
    assert_eq!(finished.code, 69, "{finished}");
    assert_eq!(summary(&finished), ["two a: 0, success", "two b: 69, post-clone script not executable"]);
    assert!(is_complete(&a) && !is_complete(&b));
}
