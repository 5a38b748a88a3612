//! `--exclude-caches` and `--exclude-if-present`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use crate::support::sandbox::{Finished, Sandbox};

/// What a valid tag begins with.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

fn bytes(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

/// A directory with a tag, and something to leave out.
fn add_cache(dir: &Path) {
    fs::create_dir_all(dir.join("d")).unwrap();
    fs::write(dir.join("CACHEDIR.TAG"), format!("{SIGNATURE}\n# a comment\n")).unwrap();
    fs::write(dir.join("x"), "content").unwrap();
    fs::write(dir.join("d/y"), "content").unwrap();
}

/// All paths below a directory, but for our own.
fn paths(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut rest = vec![root.to_owned()];
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let below = path.strip_prefix(root).unwrap().to_owned();
            if below.as_os_str().as_bytes().starts_with(b".me.jedda.") {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                rest.push(path);
            }
            found.insert(below);
        }
    }
    found
}

/// Clones; what is missing in the clone is below one of these directories, or is one of these.
#[track_caller]
fn assert_missing(sandbox: &Sandbox, more: &[&str], missing: &[PathBuf]) -> Finished {
    let run = sandbox.clone(more);
    run.assert_code(0).assert_err("");
    let (source, clone) = (paths(&sandbox.source), paths(&sandbox.destination));
    let expected: BTreeSet<PathBuf> =
        source.into_iter().filter(|path| !missing.iter().any(|gone| path.starts_with(gone))).collect();
    assert_eq!(clone, expected, "{run}");
    run
}

/// The contents of these directories but their tags.
fn contents(dirs: &[&[u8]]) -> Vec<PathBuf> {
    dirs.iter().flat_map(|dir| ["x", "d"].map(|name| Path::new(bytes(dir)).join(name))).collect()
}

#[test]
fn the_tag_stays_and_the_rest_goes() {
    let dirs: [&[u8]; 14] = [
        b"cache",
        b"deep/er/cache",
        b"a*b[c]?\\d",
        b"back\\slash",
        b"-e",
        b"#x",
        b"; y",
        b"+ z",
        b" blank ",
        b"!",
        b"new\nline",
        b"re\rturn [x]",
        b"bad\xff",
        b"\xc3\xbc",
    ];
    let sandbox = Sandbox::new();
    for dir in dirs {
        add_cache(&sandbox.source.join(bytes(dir)));
    }
    // What the name of the third would match, if it were a pattern.
    for like in ["aXbcY\\d", "axb[c]?\\d", "newXline"] {
        fs::create_dir(sandbox.source.join(like)).unwrap();
        fs::write(sandbox.source.join(like).join("x"), "content").unwrap();
    }
    assert_missing(&sandbox, &[], &[]).assert_no_log("tags");
    let listed = sandbox.clone(&["-t", "--exclude-caches"]);
    listed
        .assert_code(70)
        .assert_log("Would delete cache/x\n")
        .assert_log("Would delete new\\#012line/d/y\n");
    listed.assert_no_log("CACHEDIR.TAG");
    let run = assert_missing(&sandbox, &["--exclude-caches", "--allow-shrink"], &contents(&dirs));
    run.assert_log("Excluded by tags in them: 14 directories: ").assert_log("4 more.\n");
    let totals = sandbox.record().unwrap();
    assert_eq!(totals["statistics"]["files"], 1 + paths(&sandbox.destination).len());
    let again = sandbox.clone(&["--exclude-caches"]);
    again.assert_code(0).assert_no_warning().assert_log("regular files transferred: 0");
    // Without its tag a directory is like any other, the next night.
    fs::remove_file(sandbox.source.join("cache/CACHEDIR.TAG")).unwrap();
    assert_missing(&sandbox, &["--exclude-caches"], &contents(&dirs[1..]));
    add_cache(&sandbox.source.join("late"));
    assert_missing(&sandbox, &["--exclude-caches"], &contents(&[&dirs[1..], &[b"late"]].concat()));
    assert_missing(&sandbox, &[], &[]);
}

#[test]
fn what_only_looks_like_a_tag_excludes_nothing() {
    let sandbox = Sandbox::new();
    add_cache(&sandbox.source.join("real"));
    for name in ["link", "directory", "short", "other", "case", "empty", "fifo"] {
        fs::create_dir(sandbox.source.join(name)).unwrap();
        fs::write(sandbox.source.join(name).join("x"), "content").unwrap();
    }
    let tag = |dir: &str| sandbox.source.join(dir).join("CACHEDIR.TAG");
    symlink("../real/CACHEDIR.TAG", tag("link")).unwrap();
    fs::create_dir(tag("directory")).unwrap();
    fs::write(tag("short"), &SIGNATURE[..42]).unwrap();
    fs::write(tag("other"), SIGNATURE.replace('8', "9")).unwrap();
    fs::write(tag("case").with_file_name("cachedir.tag"), SIGNATURE).unwrap();
    fs::write(tag("empty"), "").unwrap();
    nix::unistd::mkfifo(&tag("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // The signature alone is enough.
    fs::write(tag("real"), SIGNATURE).unwrap();
    assert_missing(&sandbox, &["--exclude-caches"], &contents(&[b"real"]));
}

#[test]
fn any_entry_of_a_chosen_name_is_a_tag_and_stays_with_what_is_in_it() {
    let sandbox = Sandbox::new();
    for file in
        ["a/.nobackup", "a/x", "b/no[b]/kept", "b/no[b]/d/kept", "b/x", "c/x", "d/x", "d/.nobackup", "e/x"]
    {
        sandbox.write(file, "content");
    }
    symlink("nowhere", sandbox.source.join("c/.nobackup")).unwrap();
    fs::write(sandbox.source.join("d/no[b]"), "").unwrap();
    fs::write(sandbox.source.join("e/nob"), "").unwrap();
    add_cache(&sandbox.source.join("cache"));
    // The user's patterns neither bring back what is excluded nor leave out the tag.
    let excludes = sandbox.path().join("excludes");
    fs::write(&excludes, "+ x\n.nobackup\n").unwrap();
    let options =
        ["--exclude-if-present", ".nobackup", "--exclude-if-present=no[b]", "-e", excludes.to_str().unwrap()];
    let gone = ["a/x", "b/x", "c/x", "d/x"].map(PathBuf::from);
    assert_missing(&sandbox, &options, &gone);
    let both = [&options[..], &["--exclude-caches"]].concat();
    assert_missing(&sandbox, &both, &[&gone[..], &contents(&[b"cache"])].concat());
}

#[test]
fn a_tag_in_a_tag_counts_and_one_in_what_is_left_out_does_not() {
    let sandbox = Sandbox::new();
    for file in ["a/keep/b/keep/x", "a/keep/b/y", "a/c/keep/x", "a/z"] {
        sandbox.write(file, "content");
    }
    let run = assert_missing(
        &sandbox,
        &["--exclude-if-present", "keep"],
        &["a/c", "a/z", "a/keep/b/y"].map(PathBuf::from),
    );
    run.assert_log("Excluded by tags in them: 2 directories: ");
}

#[test]
fn nobody_excludes_the_files_of_others_and_nothing_excludes_the_source() {
    let sandbox = Sandbox::new();
    for dir in ["roots", "own", "rooted", "shared", "sticky", "group"] {
        add_cache(&sandbox.source.join(dir));
    }
    let dir = |name: &str| sandbox.source.join(name);
    let tag = |name: &str| dir(name).join("CACHEDIR.TAG");
    chown(tag("roots"), Some(1234), Some(1234)).unwrap();
    for own in ["own", "rooted", "group"] {
        chown(dir(own), Some(1234), Some(1234)).unwrap();
    }
    chown(tag("own"), Some(1234), None).unwrap();
    chown(tag("group"), Some(1234), None).unwrap();
    let mode = |name, mode| fs::set_permissions(dir(name), fs::Permissions::from_mode(mode)).unwrap();
    mode("shared", 0o777);
    mode("sticky", 0o1775);
    mode("group", 0o775);
    let run = assert_missing(&sandbox, &["--exclude-caches"], &contents(&[b"own", b"rooted", b"group"]));
    run.assert_log(
        "Not excluded: 3 directories, where others than the owner may have put the tag. The first is ",
    );
    run.assert_no_warning();

    add_cache(&sandbox.source);
    let run = assert_missing(&sandbox, &["--exclude-caches"], &contents(&[b"own", b"rooted", b"group"]));
    run.assert_log("Warning: the source itself has a tag in it, which does not exclude it.\n");
}

#[test]
fn thousands_of_caches_are_no_arguments() {
    let sandbox = Sandbox::new();
    let record = sandbox.path().join("record");
    sandbox.rsync(&format!("printf '%s\\n' \"$@\" >>'{}'\nexec rsync \"$@\"", record.display()));
    let long = PathBuf::from("x".repeat(100));
    let dirs: Vec<PathBuf> = (0..2000).map(|number| long.join(format!("{number}"))).collect();
    for dir in &dirs {
        let dir = sandbox.source.join(dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("CACHEDIR.TAG"), SIGNATURE).unwrap();
        fs::write(dir.join("x"), "").unwrap();
    }
    let missing: Vec<PathBuf> = dirs.iter().map(|dir| dir.join("x")).collect();
    let run = assert_missing(&sandbox, &["--exclude-caches"], &missing);
    run.assert_log("Excluded by tags in them: 2000 directories: ");
    let arguments = fs::read_to_string(record).unwrap();
    assert!(arguments.contains("\n--exclude-from=-\n") && !arguments.contains("CACHEDIR"), "{arguments}");
}

#[test]
fn a_name_is_a_name() {
    let sandbox = Sandbox::new();
    for wrong in ["", ".", "..", "a/b", "/", "a\nb", &"x".repeat(256)] {
        let refused = sandbox.clone(&["--exclude-if-present", wrong]);
        assert_eq!((refused.code, &*refused.out), (2, ""), "{wrong:?}: {refused}");
        assert!(refused.err.contains("'--exclude-if-present <NAME>'"), "{wrong:?}: {refused}");
    }
}
