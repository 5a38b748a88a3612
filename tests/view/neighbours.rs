//! A clone inside another clone's destination.

use std::fs;
use std::path::PathBuf;

use crate::support::sandbox::Sandbox;
use crate::view::scene::{names, text};

/// A machine of which `/home` is cloned into the clone of the rest.
struct Pair {
    sandbox: Sandbox,
    home: PathBuf,
    clone_of_home: PathBuf,
}

impl Pair {
    fn new(place: &str) -> Self {
        let sandbox = Sandbox::new();
        let home = sandbox.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join("letter"), "dear").unwrap();
        sandbox.write("file", "content");
        fs::create_dir(sandbox.source.join("home")).unwrap();
        sandbox.clone(&[]).assert_code(0);
        let clone_of_home = sandbox.destination.join(place);
        fs::create_dir_all(&clone_of_home).unwrap();
        let pair = Self { sandbox, home, clone_of_home };
        pair.clone_home();
        pair
    }

    fn clone_home(&self) {
        let ends = ["-s".as_ref(), self.home.as_os_str(), "-d".as_ref(), self.clone_of_home.as_os_str()];
        self.sandbox.run(ends).assert_code(0);
    }
}

#[test]
fn another_clone_inside_the_destination_is_neither_entered_nor_deleted() {
    for place in ["home", "gone from the source/home", "[a] *b?\\c/home"] {
        let pair = Pair::new(place);
        let before = names(&pair.clone_of_home);
        let run = pair.sandbox.clone(&[]);
        run.assert_code(0).assert_err("");
        run.assert_log(&format!("{} is the root of another clone", pair.clone_of_home.display()));
        assert_eq!(text(pair.clone_of_home.join("letter")), "dear", "{place}");
        assert_eq!(names(&pair.clone_of_home), before, "{place}");
        // Nor does a test run want to delete it.
        pair.sandbox.clone(&["-t"]).assert_code(70).assert_no_log("Would delete");
        pair.clone_home();
    }
}

#[test]
fn a_copied_id_is_no_other_clone() {
    let pair = Pair::new("home");
    let sandbox = &pair.sandbox;
    // The source holds a clone, and the destination the copy of it.
    let ends = ["-s".as_ref(), pair.home.as_os_str(), "-d".as_ref(), sandbox.source.as_os_str()];
    let inner = sandbox.source.join("a clone");
    fs::create_dir(&inner).unwrap();
    sandbox.run([&ends[..3], &[inner.as_os_str()]].concat()).assert_code(0);
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(text(sandbox.destination.join("a clone/letter")), "dear");
    fs::remove_file(inner.join("letter")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_no_log("a clone is the root of another clone");
    assert!(!sandbox.destination.join("a clone/letter").exists());
}

#[test]
fn an_ordinary_users_file_keeps_nothing_in_the_clone() {
    let sandbox = Sandbox::new();
    sandbox.write("user/file", "content");
    sandbox.clone(&[]).assert_code(0);
    let planted = sandbox.destination.join("user/.x.counterpart.id");
    fs::write(&planted, "ID: 00000000000000000000000000000000\n").unwrap();
    std::os::unix::fs::chown(&planted, Some(65534), Some(65534)).unwrap();
    fs::remove_file(sandbox.source.join("user/file")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_no_log("another clone");
    assert_eq!(names(&sandbox.destination.join("user")), [] as [&str; 0]);
}
