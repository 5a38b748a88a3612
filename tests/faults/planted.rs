//! Links and directories planted in the place of our files at the destination.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::evidence::Evidence;
use crate::support::sandbox::Sandbox;
use crate::support::scene::{assert_clone, assert_failure, on_transfer, text};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

const MARKS: [&str; 4] = ["completed", "error", "stats", "id"];

/// Puts something at the first path; the victims are below the second.
type Plant = fn(&Path, &Path);

/// What can stand in the place of a file.
const PLANTS: [(&str, Plant); 7] = [
    ("link to a file", |marker, victims| symlink(victims.join("file"), marker).unwrap()),
    ("link to a directory", |marker, victims| symlink(victims.join("directory"), marker).unwrap()),
    ("link to nothing", |marker, victims| symlink(victims.join("nothing"), marker).unwrap()),
    ("empty directory", |marker, _| fs::create_dir(marker).unwrap()),
    ("full directory", |marker, victims| {
        fs::create_dir_all(marker.join("below/deeper")).unwrap();
        fs::write(marker.join("below/file"), "").unwrap();
        symlink(victims.join("directory"), marker.join("below/link")).unwrap();
        fs::hard_link(victims.join("linked"), marker.join("hard")).unwrap();
    }),
    ("FIFO", |marker, _| {
        nix::unistd::mkfifo(marker, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    }),
    ("hard link", |marker, victims| fs::hard_link(victims.join("linked"), marker).unwrap()),
];

struct Scene {
    sandbox: Sandbox,
    victims: std::path::PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        let victims = sandbox.path().join("victims");
        fs::create_dir_all(victims.join("directory")).unwrap();
        for name in ["file", "directory/file"] {
            fs::write(victims.join(name), "mine").unwrap();
        }
        Self { sandbox, victims }
    }

    fn plant(&self, marker: &str, plant: Plant) {
        fs::write(self.victims.join("linked"), "mine").unwrap();
        let path = self.sandbox.marker(marker);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        plant(&path, &self.victims);
    }

    #[track_caller]
    fn assert_right(&self, markers: &[&str], what: &str) {
        assert_eq!(self.sandbox.markers(), markers, "{what}");
        for marker in markers {
            let found = fs::symlink_metadata(self.sandbox.marker(marker)).unwrap();
            assert!(found.is_file(), "{what}: {marker} is not a file");
        }
        assert_eq!(fs::read_to_string(self.victims.join("linked")).unwrap(), "mine", "{what}");
        assert!(!self.victims.join("nothing").exists(), "{what}");
    }
}

pub fn what_is_planted_at_a_clone_gives_way(evidence: &mut Evidence) {
    for marker in MARKS {
        for (name, plant) in PLANTS {
            let what = format!("{name} as {marker}");
            let scene = Scene::new();
            // Without an id, a clone is known by its filesystem.
            scene.sandbox.tool("blkid", "echo ID_FS_UUID_ENC=1234-ABCD");
            scene.sandbox.clone(&[]).assert_code(0);
            scene.plant(marker, plant);
            fs::remove_file(scene.victims.join("linked")).unwrap();
            fs::write(scene.victims.join("linked"), "mine").unwrap();
            let victims = snapshot_with_ctime(&scene.victims);
            evidence.watch(&scene.sandbox);
            evidence.watch_bystander(&scene.victims);
            let run = scene.sandbox.clone(&[]);
            run.assert_code(0).assert_err("");
            evidence.verify(&scene.sandbox, &run);
            assert_unchanged(&victims, &snapshot_with_ctime(&scene.victims));
            scene.assert_right(&["completed", "id", "stats"], &what);
            assert_clone(&scene.sandbox);
        }
    }
}

pub fn what_is_planted_gives_way_to_a_failure_as_well(evidence: &mut Evidence) {
    for marker in MARKS {
        for (name, plant) in PLANTS {
            let what = format!("{name} as {marker}");
            let scene = Scene::new();
            scene.sandbox.clone(&[]).assert_code(0);
            // Planted while rsync runs, when everything of ours has been looked at already.
            let script = scene.sandbox.path().join("planting");
            on_transfer(
                &scene.sandbox,
                &format!(
                    ": >'{0}'; while [ -e '{0}' ]; do sleep 0.01; done; /usr/bin/rsync \"$@\"; exit 23",
                    text(&script)
                ),
            );
            evidence.watch(&scene.sandbox);
            let run = crate::support::scene::Running::start(&scene.sandbox, &[]);
            crate::support::scene::wait_for(&script);
            scene.plant(marker, plant);
            fs::remove_file(script).unwrap();
            let run = run.finish();
            evidence.verify(&scene.sandbox, &run);
            let sentence = "rsync ended with code 23: some files or attributes were not transferred. \
                            The failing paths are in the log.";
            let markers: &[&str] = &["error", "id", "stats"];
            if marker == "id" {
                // It is written once, so it is missing now: the next run has to be told that the disk is the right one.
                run.assert_code(23);
                fs::symlink_metadata(scene.sandbox.marker("id")).unwrap();
                assert!(!scene.sandbox.marker("completed").exists());
            } else {
                assert_failure(&scene.sandbox, &run, 23, sentence, markers);
                scene.assert_right(markers, &what);
            }
            assert_eq!(fs::read_to_string(scene.victims.join("file")).unwrap(), "mine", "{what}");
            assert_eq!(fs::read_to_string(scene.victims.join("directory/file")).unwrap(), "mine", "{what}");
            assert_eq!(fs::read_to_string(scene.victims.join("linked")).unwrap(), "mine", "{what}");
            on_transfer(&scene.sandbox, "");
            evidence.mend_with(&scene.sandbox, if marker == "id" { &["--adopt"] } else { &[] });
        }
    }
}

pub fn planted_markers_do_not_make_a_destination_ours(evidence: &mut Evidence) {
    for (name, plant) in PLANTS.into_iter().filter(|(name, _)| *name != "hard link") {
        let scene = Scene::new();
        scene.sandbox.write_destination("precious", "mine");
        for marker in ["completed", "stats", "id"] {
            scene.plant(marker, plant);
            let _ = fs::remove_file(scene.victims.join("linked"));
        }
        fs::write(scene.victims.join("linked"), "mine").unwrap();
        let before = snapshot_with_ctime(scene.sandbox.path()).without(Path::new("host"));
        evidence.watch(&scene.sandbox);
        evidence.watch_bystander(&scene.victims);
        let run = scene.sandbox.clone(&[]);
        assert_eq!(run.code, 76, "{name}: {run}");
        evidence.verify(&scene.sandbox, &run);
        let after = snapshot_with_ctime(scene.sandbox.path()).without(Path::new("host"));
        let changes: Vec<_> = before.changes(&after);
        // The probe for nanoseconds and owners comes and goes; the directory's own ctime tells of it.
        let changes: Vec<_> = changes.iter().filter(|change| !change.contains(": ctime")).collect();
        assert!(changes.is_empty(), "{name}: {changes:?}");
    }
}

pub fn a_first_clone_to_planted_links_is_right(evidence: &mut Evidence) {
    for (name, plant) in PLANTS {
        let scene = Scene::new();
        for marker in MARKS {
            if name == "full directory" || name == "hard link" {
                let _ = fs::remove_file(scene.victims.join("linked"));
            }
            scene.plant(marker, plant);
        }
        evidence.watch(&scene.sandbox);
        let run = scene.sandbox.clone(&[]);
        run.assert_code(0).assert_err("");
        evidence.verify(&scene.sandbox, &run);
        scene.assert_right(&["completed", "id", "stats"], name);
        assert_eq!(fs::read_to_string(scene.victims.join("file")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(scene.victims.join("directory/file")).unwrap(), "mine");
        assert_clone(&scene.sandbox);
    }
}

pub fn links_in_the_place_of_the_clones_directories_are_not_followed(evidence: &mut Evidence) {
    let scene = Scene::new();
    for name in ["directory/file", "directory/below/file", "other/file"] {
        scene.sandbox.write(name, "content");
    }
    scene.sandbox.clone(&[]).assert_code(0);
    for (name, victim) in [("directory/below", "directory"), ("other", ""), ("file", "file")] {
        let path = scene.sandbox.destination.join(name);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        symlink(scene.victims.join(victim), &path).unwrap();
    }
    evidence.watch(&scene.sandbox);
    evidence.watch_bystander(&scene.victims);
    let run = scene.sandbox.clone(&[]);
    run.assert_err("");
    evidence.verify(&scene.sandbox, &run);
    evidence.repair(&scene.sandbox);
}

pub fn a_destination_that_is_a_link_is_refused(evidence: &mut Evidence) {
    let mut scene = Scene::new();
    let link = scene.sandbox.path().join("link");
    symlink(scene.victims.join("directory"), &link).unwrap();
    scene.sandbox.destination = link;
    evidence.watch(&scene.sandbox);
    evidence.watch_bystander(&scene.victims);
    let run = scene.sandbox.clone(&["--adopt"]);
    evidence.verify(&scene.sandbox, &run);
}
