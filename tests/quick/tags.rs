//! Directories that are excluded by tags: quick and full passes agree.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::quick::{FILES, add_files, settle, watched_rsync};
use crate::support::dice::Dice;
use crate::support::sandbox::{Finished, Sandbox};

const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

const OPTIONS: [&str; 3] = ["--exclude-caches", "--exclude-if-present", "keep*"];

/// How often the tree is changed and cloned.
const ROUNDS: usize = 8;

/// What belongs to a clone of this directory, by the description of the options alone; and its contents.
fn expected(root: &Path, dir: &Path, all: &mut BTreeSet<(PathBuf, Option<String>)>) {
    let names: Vec<_> =
        fs::read_dir(root.join(dir)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let is_cache = fs::symlink_metadata(root.join(dir).join("CACHEDIR.TAG")).is_ok_and(|tag| tag.is_file())
        && fs::read(root.join(dir).join("CACHEDIR.TAG")).unwrap().starts_with(SIGNATURE.as_bytes());
    let is_tag = |name: &std::ffi::OsStr| name == "keep*" || is_cache && name == "CACHEDIR.TAG";
    let is_tagged = !dir.as_os_str().is_empty() && names.iter().any(|name| is_tag(name));
    for name in names.iter().filter(|name| !is_tagged || is_tag(name)) {
        let path = dir.join(name);
        if path.as_os_str().as_bytes().starts_with(b".me.jedda.") {
            continue;
        }
        let is_dir = fs::symlink_metadata(root.join(&path)).unwrap().is_dir();
        let content = (!is_dir).then(|| fs::read_to_string(root.join(&path)).unwrap());
        all.insert((path.clone(), content));
        if is_dir {
            expected(root, &path, all);
        }
    }
}

/// Everything that is there.
fn all(root: &Path, dir: &Path, found: &mut BTreeSet<(PathBuf, Option<String>)>) {
    for entry in fs::read_dir(root.join(dir)).unwrap() {
        let path = dir.join(entry.unwrap().file_name());
        if path.as_os_str().as_bytes().starts_with(b".me.jedda.") {
            continue;
        }
        let is_dir = fs::symlink_metadata(root.join(&path)).unwrap().is_dir();
        found.insert((path.clone(), (!is_dir).then(|| fs::read_to_string(root.join(&path)).unwrap())));
        if is_dir {
            all(root, &path, found);
        }
    }
}

/// Changes something, mostly a tag.
fn change(source: &Path, dice: &mut Dice) -> String {
    let number = dice.below(FILES / 100);
    let below = dice.one_of(&["", "a[b]", "a[b]/keep*", "a[b]/deep", "new\nline", "keep*"]);
    let dir = source.join(format!("{number:04}")).join(below);
    if fs::symlink_metadata(&dir).is_ok_and(|at| !at.is_dir()) {
        fs::remove_file(&dir).unwrap();
    }
    fs::create_dir_all(&dir).unwrap();
    let tag = dir.join("CACHEDIR.TAG");
    let what = dice.below(6);
    match what {
        0 => fs::write(&tag, SIGNATURE).unwrap(),
        1 => fs::write(&tag, &SIGNATURE[..dice.below(43)]).unwrap(),
        2 => drop(fs::remove_file(&tag)),
        3 if !dir.join("keep*").is_dir() => fs::write(dir.join("keep*"), dice.any().to_string()).unwrap(),
        4 if dir.join("keep*").is_dir() => fs::remove_dir_all(dir.join("keep*")).unwrap(),
        4 => drop(fs::remove_file(dir.join("keep*"))),
        _ => fs::write(dir.join(format!("file {}", dice.below(3))), dice.any().to_string()).unwrap(),
    }
    format!("{what} in {}", dir.display())
}

#[test]
fn both_kinds_of_pass_leave_out_the_same() {
    let seed = std::env::var("COUNTERPART_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = || u64::from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    let seed = seed.unwrap_or_else(now);
    println!("COUNTERPART_SEED={seed}");
    let mut dice = Dice::new(seed);
    let quick = Sandbox::new();
    let mut full = Sandbox::new();
    full.source.clone_from(&quick.source);
    add_files(&quick.source);
    let mut passes = 0;
    for round in 0..ROUNDS {
        let changes = if round == 0 { 0 } else { 1 + dice.below(12) };
        let told: Vec<String> = (0..changes).map(|_| change(&quick.source, &mut dice)).collect();
        let moment = format!("COUNTERPART_SEED={seed}, round {round}, after {}", told.join("; "));
        let mut wanted = BTreeSet::new();
        expected(&quick.source, Path::new(""), &mut wanted);
        for (sandbox, more) in [(&quick, None), (&full, Some("--full"))] {
            let options: Vec<&str> = OPTIONS.into_iter().chain(["--allow-shrink"]).chain(more).collect();
            let run: Finished = sandbox.clone(&options);
            assert_eq!((run.code, &*run.err), (0, ""), "{moment}: {run}");
            let mut found = BTreeSet::new();
            all(&sandbox.destination, Path::new(""), &mut found);
            let differs: Vec<_> = found.symmetric_difference(&wanted).take(9).collect();
            assert!(differs.is_empty(), "{moment}: {differs:?}: {run}");
            passes += usize::from(run.out.contains(": Quick pass: "));
        }
    }
    println!("{passes} quick passes");
}

#[test]
fn a_tag_that_goes_brings_back_the_contents_in_a_quick_pass() {
    let sandbox = Sandbox::new();
    add_files(&sandbox.source);
    let tag = sandbox.source.join("0001/CACHEDIR.TAG");
    fs::write(&tag, SIGNATURE).unwrap();
    let clone = || sandbox.clone(&OPTIONS);
    clone().assert_code(0).assert_err("").assert_log("Excluded by tags in them: 1 directory: ");
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 1);
    for _ in 0..3 {
        clone().assert_code(0);
    }
    clone().assert_log(": Quick pass: 0 of ");
    fs::remove_file(&tag).unwrap();
    clone().assert_code(0).assert_err("").assert_log(": Quick pass: 1");
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 100);
    fs::write(&tag, SIGNATURE).unwrap();
    clone().assert_code(0).assert_log(": Full pass: the destination holds what is excluded.");
    assert_eq!(fs::read_dir(sandbox.destination.join("0001")).unwrap().count(), 1);
}

#[test]
fn what_is_excluded_is_decided_once_in_a_run() {
    let sandbox = Sandbox::new();
    let late = format!("mkdir -p late; echo x >late/x; printf %s '{SIGNATURE}' >late/CACHEDIR.TAG");
    watched_rsync(&sandbox, &format!("[ $n -gt 1 ] || {{ {late}; rm 0002/CACHEDIR.TAG; }}"));
    add_files(&sandbox.source);
    fs::write(sandbox.source.join("0002/CACHEDIR.TAG"), SIGNATURE).unwrap();
    let run = sandbox.clone(&OPTIONS);
    run.assert_code(0).assert_err("").assert_log(": Closing pass 1: ");
    assert!(sandbox.destination.join("late/x").exists(), "{run}");
    assert_eq!(fs::read_dir(sandbox.destination.join("0002")).unwrap().count(), 0, "{run}");
    sandbox.clone(&OPTIONS).assert_code(0).assert_err("");
    assert!(
        !sandbox.destination.join("late/x").exists()
            && sandbox.destination.join("late/CACHEDIR.TAG").exists()
    );
    assert_eq!(fs::read_dir(sandbox.destination.join("0002")).unwrap().count(), 100);
    settle(&sandbox);
}
