//! The job in the guide is one, and the file that `job init` writes can be taken at its word.

use std::fs;
use std::path::Path;

use crate::jobs::scene::Scene;

#[test]
fn the_job_in_the_guide_is_read() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap();
    let start = guide.find("    # /etc/counterpart/nightly.toml\n").unwrap();
    let lines = guide[start..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let job: String = lines.flat_map(|line| [line.trim_start(), "\n"]).collect();
    assert!(job.contains("[destinations.usb-b]"), "{job}");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/nightly.toml");
    assert_eq!(fs::read_to_string(example).unwrap().trim_end(), job.trim_end(), "examples/nightly.toml");
    let scene = Scene::with("nightly", &job);
    let finished = scene.sandbox.run(["check", "--job", "nightly"]);
    assert!(finished.out.contains("2 clones: "), "{finished}");
    scene.job("nightly", &job.replace("exclude-from", "exclude_from"));
    let message = "FILE:3:1: there is no option exclude_from; did you mean exclude-from?";
    assert!(guide.contains(&message.replace("FILE", "    /etc/counterpart/nightly.toml")));
    scene.refused("nightly", message);
}

#[test]
fn every_comment_of_a_written_file_can_be_taken_out() {
    let scene = Scene::new();
    let finished = scene.sandbox.run(["job", "init", "x", "--print", "--", "-s", "/a", "-d", "/b"]);
    assert_eq!(finished.code, 0, "{finished}");
    let is_entry = |line: &&str| line.starts_with("# ") && line.contains(" = ") && !line.contains('\u{2026}');
    let (options, sections) = finished.out.split_once("# Several destinations").unwrap();
    let mut seen = 0;
    for line in options.lines().filter(is_entry) {
        scene.job("x", &format!("source = \"/a\"\ndestination = \"/b\"\n{}\n", &line[2..]));
        let finished = scene.sandbox.run(["check", "--job", "x"]);
        assert!(!finished.out.contains("x.toml"), "{line}: {finished}");
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
    let sections: String =
        sections.lines().skip(2).flat_map(|line| [line.trim_start_matches("# "), "\n"]).collect();
    scene.job("x", &format!("source = \"/a\"\n{sections}"));
    let finished = scene.sandbox.run(["check", "--job", "x"]);
    assert!(finished.out.starts_with("CLONE UNKNOWN - ") && !finished.out.contains("x.toml"), "{finished}");
}
