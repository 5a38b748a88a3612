//! Links planted where root restores to, before and during a restore.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::PathBuf;

use crate::safety_net::scene::{beside, make_net, nets_dir, restore};
use crate::support::sandbox::{Sandbox, names_of};

const USER: u32 = 1234;
const NET: &str = "2026-01-01_02-30-00";

/// A net with something in it, a directory of a user's, and one where nothing may arrive.
fn scene() -> (Sandbox, PathBuf, PathBuf) {
    let sandbox = Sandbox::new();
    make_net(&sandbox, NET);
    for number in 0..20 {
        let dir = nets_dir(&sandbox).join(NET).join(format!("home/{number}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("letter"), "dear").unwrap();
    }
    let (theirs, victim) = (beside(&sandbox, "theirs"), beside(&sandbox, "victim"));
    lchown(&theirs, Some(USER), Some(USER)).unwrap();
    (sandbox, theirs, victim)
}

#[test]
fn a_planted_link_in_the_target_is_not_followed() {
    for below in ["", "below", "below/.."] {
        let (sandbox, theirs, victim) = scene();
        fs::create_dir(victim.join("below")).unwrap();
        symlink(&victim, theirs.join("link")).unwrap();
        lchown(theirs.join("link"), Some(USER), Some(USER)).unwrap();
        let to = theirs.join("link").join(below);
        let run = restore(&sandbox, ["--to", to.to_str().unwrap(), "home"]);
        assert_eq!((run.code, run.out.as_str()), (66, ""), "{run}");
        assert!(run.err.contains("another user could have put the symbolic link "), "{run}");
        assert_eq!(names_of(&victim), ["below"]);
        assert_eq!(names_of(&victim.join("below")), [] as [&str; 0]);
    }
}

#[test]
fn a_link_that_was_roots_until_it_came_into_a_users_directory_is_not_followed() {
    let (sandbox, theirs, victim) = scene();
    // Whoever owns the directory may have renamed it to this place.
    symlink(&victim, theirs.join("link")).unwrap();
    let run = restore(&sandbox, ["--to", theirs.join("link").to_str().unwrap(), "home"]);
    assert_eq!(run.code, 66, "{run}");
    assert_eq!(names_of(&victim), [] as [&str; 0]);
}

#[test]
fn a_planted_link_to_the_destination_is_not_followed() {
    let (sandbox, theirs, _) = scene();
    symlink(&sandbox.destination, theirs.join("link")).unwrap();
    lchown(theirs.join("link"), Some(USER), Some(USER)).unwrap();
    let to = beside(&sandbox, "to");
    let link = theirs.join("link");
    let run = sandbox.run(["restore", "-d", link.to_str().unwrap(), "--to", to.to_str().unwrap(), "home"]);
    assert_eq!(run.code, 66, "{run}");
}

#[test]
fn roots_own_links_and_a_users_own_directory_are_used() {
    let (sandbox, theirs, victim) = scene();
    symlink("victim", sandbox.path().join("link")).unwrap();
    let run = restore(&sandbox, ["--to", sandbox.path().join("link").to_str().unwrap(), "home"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert_eq!(names_of(&victim), ["home"]);
    let run = restore(&sandbox, ["--to", theirs.to_str().unwrap(), "home", "file"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert_eq!(names_of(&theirs), ["file", "home"], "nothing else is left there");
    assert_eq!(fs::metadata(&theirs).unwrap().uid(), USER);
}

/// The target, or what rsync makes in it, becomes a link while rsync runs.
#[test]
fn what_becomes_a_link_meanwhile_leads_nobody_astray() {
    for (what, exchange) in [
        ("the target", "mv '$T' '$T.old'; ln -s '$V' '$T'"),
        (
            "what is made in it",
            "for f in '$T'/.counterpart-restore-*; do mv \"$f\" '$T/stolen'; ln -s '$V' \"$f\"; done",
        ),
        ("the name that it gets", "ln -s '$V' '$T/home'"),
    ] {
        let (sandbox, theirs, victim) = scene();
        let target = theirs.join("to");
        fs::create_dir(&target).unwrap();
        lchown(&target, Some(USER), Some(USER)).unwrap();
        let script = exchange.replace("$T", target.to_str().unwrap()).replace("$V", victim.to_str().unwrap());
        sandbox.rsync(&format!(
            "case \" $* \" in *' --archive '*) {script} ;; esac\nexec /usr/bin/rsync \"$@\""
        ));
        let run = restore(&sandbox, ["--to", target.to_str().unwrap(), "home"]);
        assert_eq!(names_of(&victim), [] as [&str; 0], "{what}: {run}");
        if what == "the name that it gets" {
            assert_eq!(run.code, 66, "{what}: {run}");
            assert!(run.err.contains("cannot be put in its place: File exists. It is "), "{run}");
            assert_eq!(fs::read_link(target.join("home")).unwrap(), victim);
        } else {
            assert_eq!(run.code, 0, "{what}: {run}");
        }
    }
}

#[test]
fn a_target_of_everybodys_is_used_with_care() {
    let (sandbox, theirs, _) = scene();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o1777)).unwrap();
    let run = restore(&sandbox, ["--to", theirs.to_str().unwrap(), "home"]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(fs::read_to_string(theirs.join("home/7/letter")).unwrap(), "dear");
}
