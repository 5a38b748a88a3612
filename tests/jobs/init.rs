//! `counterpart job init`: a file from the command line of a clone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::jobs::scene::Scene;
use crate::support::sandbox::{Finished, names_of};

fn init(scene: &Scene, options: &[&str], clone: &[&str]) -> Finished {
    let mut words: Vec<_> = ["job", "init"].iter().chain(options).chain(&["--"]).map(Into::into).collect();
    words.extend(scene.sandbox.arguments(clone));
    scene.sandbox.run(words)
}

/// The entries of a file, without its comments.
fn entries(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_file_has_what_was_given_and_all_else_as_comments() {
    let scene = Scene::new();
    let odd = scene.sandbox.path().join("a \"b\" \\ \u{fc}");
    let odd = odd.to_str().unwrap();
    fs::write(odd, "").unwrap();
    let finished = init(
        &scene,
        &["clone"],
        &[
            "--exclude-from",
            odd,
            "--safety-net",
            "--keep-logs",
            "0",
            "-g",
            "org.x",
            "--max-delete=5%",
            "--full",
        ],
    );
    let file = scene.file("clone");
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{finished}");
    assert_eq!(
        finished.out,
        format!(
            "The job clone is written to {}.\n\
             Try it:      sudo counterpart run clone -t\n\
             Run it now:  sudo counterpart run clone\n\
             Schedule it: sudo counterpart schedule install --job clone\n",
            file.display()
        )
    );
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, 0));
    let text = fs::read_to_string(&file).unwrap();
    let source = scene.filled("source = \"SOURCE\"");
    let destination = scene.filled("destination = \"DESTINATION\"");
    let exclude = format!("exclude-from = \"{}\"", odd.replace('\\', "\\\\").replace('"', "\\\""));
    assert_eq!(
        entries(&text),
        [
            &*source,
            &destination,
            &exclude,
            "organisation-prefix = \"org.x\"",
            "keep-logs = 0",
            "full = true",
            "max-delete = \"5%\"",
            "safety-net = 30"
        ]
    );
    for line in
        ["# retry-wait = \"60s\"", "# full-every = 7", "# strict-scripts = true", "# on-error = \"\u{2026}\""]
    {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    // Nothing is left beside it, and it is not overwritten.
    assert_eq!(names_of(&scene.dir()), ["clone.toml"]);
    let finished = init(&scene, &["clone"], &[]);
    assert_eq!((finished.code, finished.out.as_str()), (1, ""));
    let message = format!("There is a job clone already: {}. Replace it with --replace.", file.display());
    assert_eq!(finished.err, format!("counterpart: {message}\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(init(&scene, &["clone", "--replace"], &[]).code, 0);
    assert_eq!(entries(&fs::read_to_string(&file).unwrap()), [source, destination]);
}

#[test]
fn the_job_is_the_clone_that_was_given() {
    let scene = Scene::new();
    scene.sandbox.write("skipped.tmp", "x");
    scene.sandbox.write_destination("old", "x");
    let exclude = scene.sandbox.path().join("exclude");
    fs::write(&exclude, "*.tmp\n").unwrap();
    let clone =
        ["-e", exclude.to_str().unwrap(), "-g", "org.x", "--adopt", "--safety-net=5", "--full-every=3"];
    assert_eq!(init(&scene, &["clone"], &clone).code, 0);
    let by_hand = scene.sandbox.clone(&[&clone[..], &["-t"]].concat());
    by_hand.assert_code(70);
    let by_job = scene.run(&["clone", "-t"]);
    by_job.assert_code(70);
    assert_eq!(by_hand.messages(), by_job.messages());
    assert!(by_hand.out.contains("org.x"), "{by_hand}");
    scene.run(&["clone"]).assert_code(0);
    assert_eq!(
        scene.sandbox.names(),
        [
            ".org.x.counterpart.completed",
            ".org.x.counterpart.id",
            ".org.x.counterpart.safety-net",
            ".org.x.counterpart.stats",
            ".org.x.counterpart.stats.json",
            "file"
        ]
        .map(std::ffi::OsString::from)
        .to_vec()
    );
}

#[test]
fn what_cannot_stand_in_a_file_is_refused() {
    let scene = Scene::new();
    for (clone, code, message) in [
        (
            &["-b", "secret"][..],
            2,
            "-b cannot stand in a file, where the password would be read. Store it with counterpart setpass and use -B",
        ),
        (&["-t"], 2, "-t belongs to a single run: counterpart run clone -t"),
        (&["--full-every", "0"], 2, "invalid value '0' for '--full-every <DAYS>'"),
        (&["--metrics-file", "/x"], 2, "--metrics-file must end in .prom"),
        (&["--log-dir", "/a\nb"], 2, "it contains control characters"),
    ] {
        let finished = init(&scene, &["clone"], clone);
        assert_eq!((finished.code, finished.out.as_str()), (code, ""), "{finished}");
        assert!(finished.err.contains(message), "{message:?} is not in {finished}");
        assert!(!finished.err.contains("secret"), "{finished}");
    }
    let finished = scene.sandbox.run(["job", "init", "clone", "--", "setpass"]);
    assert_eq!(finished.code, 2, "{finished}");
    assert_eq!(names_of(&scene.dir()), [] as [&str; 0]);
    // Only shown.
    let finished = init(&scene, &["clone", "--print"], &["-B"]);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""));
    assert!(finished.out.contains("\nbackup-keychain = true\n"), "{finished}");
    assert_eq!(names_of(&scene.dir()), [] as [&str; 0]);
}
