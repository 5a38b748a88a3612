//! `check --job` and `doctor --job`.

use crate::jobs::scene::{ENDS, Scene, summary};

const ROTATION: &str = "\
source = \"SOURCE\"
[destinations.a]
destination = \"HERE/a\"
rotation = \"usb\"
[destinations.b]
destination = \"HERE/b\"
rotation = \"usb\"
organisation-prefix = \"org.b\"
[destinations.home]
destination = \"DESTINATION\"
";

#[test]
fn a_rotation_is_as_good_as_its_best_disk() {
    let scene = Scene::with("usb", ROTATION);
    let finished = scene.sandbox.run(["check", "--job", "usb"]);
    assert_eq!((finished.code, finished.err.as_str()), (3, ""), "{finished}");
    scene.destination("b");
    assert_eq!(scene.run(&["usb"]).code, 0);
    let finished = scene.sandbox.run(["check", "--job", "usb"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert!(finished.out.starts_with("CLONE OK - 2 clones: 2 OK"), "{finished}");
    let note =
        format!("    It is the best of the rotation usb, beside {}/a\n", scene.sandbox.path().display());
    assert!(finished.out.contains(&note), "{finished}");
    // One that is not of the group is not covered by it.
    scene.job("usb", &format!("{ROTATION}exclude-from = \"/no/such\"\n"));
    assert_eq!(scene.run(&["usb"]).code, 67);
    let finished = scene.sandbox.run(["check", "--job", "usb"]);
    assert_eq!((finished.code, finished.err.as_str()), (2, ""), "{finished}");
    assert!(finished.out.starts_with("CLONE CRITICAL - 2 clones: 1 CRITICAL, 1 OK; "), "{finished}");
}

#[test]
fn a_wrong_file_is_unknown() {
    let scene = Scene::with("clone", &format!("{ENDS}ful = true\n"));
    let finished = scene.sandbox.run(["check", "--job", "clone"]);
    assert_eq!((finished.code, finished.err.as_str()), (3, ""));
    let file = scene.file("clone");
    let why = format!("{}:3:1: there is no option ful; did you mean full?", file.display());
    assert_eq!(finished.out, format!("CLONE UNKNOWN - {why}\n"));
    let finished = scene.sandbox.run(["check", "--job", "clone", "-d", "/mnt"]);
    assert_eq!(finished.code, 3, "{finished}");
    let finished = scene.sandbox.run(["doctor", "--job", "clone"]);
    assert_eq!(
        (finished.code, finished.out.as_str(), finished.err),
        (84, "", format!("counterpart: {why}\n"))
    );
}

#[test]
fn the_doctor_examines_each_clone() {
    let scene = Scene::with("two", &ROTATION.replace("HERE/b", "HERE/missing/b"));
    scene.destination("a");
    let finished = scene.sandbox.run(["doctor", "--job", "two"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    let lines = summary(&finished);
    assert_eq!(lines[lines.len() - 3..], ["two a: 0, success", "two b: 0, success", "two home: 0, success"]);
    let finished = scene.sandbox.run(["doctor", "--job", "two", "--json"]);
    assert_eq!((finished.code, finished.out.as_str()), (2, ""));
    let finished = scene.sandbox.run(["doctor", "--job", "two", "--only", "home", "--json"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    let json: serde_json::Value = serde_json::from_str(&finished.out).unwrap();
    assert_eq!(json["exit_code"], 0);
    // What a clone would fail with.
    scene.job("two", &format!("{ENDS}pre-script = \"/no/such\"\n"));
    assert_eq!(scene.sandbox.run(["doctor", "--job", "two"]).code, 68);
    for option in ["--full", "--keep-logs=3", "-s/"] {
        let finished = scene.sandbox.run(["doctor", "--job", "two", option]);
        assert_eq!((finished.code, finished.out.as_str()), (2, ""), "{option}: {finished}");
    }
    assert_eq!(scene.sandbox.logs().len(), 0);
}
