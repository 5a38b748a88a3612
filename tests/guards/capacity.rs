//! What the destination cannot store is reported before anything is written.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::disk::{LoopDisk, OwnerlessFuse, Tmpfs};
use crate::support::sandbox::{Finished, Sandbox, names_of};
use crate::support::scene::{assert_clone, text, tool};
use crate::support::tree::{assert_unchanged, snapshot};

const FOLDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guards/folding.py");

fn folding(what: &str) -> OwnerlessFuse {
    OwnerlessFuse::serve(FOLDING, OsStr::new(what))
}

fn to(destination: &Path) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.destination = destination.into();
    sandbox
}

/// Asserts the refusal, and that each of these lines is in the log and nothing else was found.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, run: &Finished, what: &str, lines: &[(&str, &str)]) {
    run.assert_code(89).assert_no_log("Cloning.");
    let start = format!(
        "counterpart: The destination {} cannot hold what the source has ({what}): ",
        text(&sandbox.destination)
    );
    assert!(run.err.starts_with(&start), "{start}: {run}");
    assert!(run.err.ends_with(". Exclude it, change it, or use another filesystem.\n"), "{run}");
    let told: Vec<String> = run
        .messages()
        .into_iter()
        .filter_map(|line| line.strip_prefix("Cannot be stored: ").map(str::to_owned))
        .collect();
    let expected: Vec<String> =
        lines.iter().map(|(path, why)| format!("{}/{path}: {why}.", text(&sandbox.source))).collect();
    assert_eq!(told, expected, "{run}");
    assert_eq!(sandbox.markers(), ["error"], "{run}");
    let others: Vec<OsString> = sandbox.names().into_iter().filter(|name| name != "lost+found").collect();
    assert!(others.is_empty(), "{others:?}");
}

const ALIKE: &str = "names that are identical there";

#[test]
fn names_that_differ_in_case_are_refused_where_they_are_one() {
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    for name in
        ["Makefile", "makefile", "Docs/a", "docs/b", "deep/er/A", "deep/er/a", "deep/er/b", "x/a", "y/A"]
    {
        sandbox.write(name, name);
    }
    let lines = [
        ("deep/er/a", "the destination treats it as the same name as A"),
        ("docs", "the destination treats it as the same name as Docs"),
        ("makefile", "the destination treats it as the same name as Makefile"),
    ];
    assert_refused(&sandbox, &sandbox.clone(&[]), ALIKE, &lines);
    // What is left out collides with nothing.
    let patterns = sandbox.path().join("patterns");
    fs::write(&patterns, "/makefile\n/docs/\n/deep/er/a\n").unwrap();
    sandbox.clone(&["-e", &text(&patterns)]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["Docs", "Makefile", "deep", "x", "y"]);
}

#[test]
fn names_in_two_unicode_forms_are_refused_where_they_are_one() {
    let fuse = folding("form");
    let sandbox = to(&fuse.path());
    for name in ["caf\u{e9}", "cafe\u{301}", "Caf\u{e9}", "plain"] {
        sandbox.write(name, name);
    }
    let lines = [("caf\u{e9}", "the destination treats it as the same name as cafe\u{301}")];
    assert_refused(&sandbox, &sandbox.clone(&[]), ALIKE, &lines);
    fs::remove_file(sandbox.source.join("cafe\u{301}")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("").assert_no_warning();
    assert_eq!(names_of(&sandbox.source), sandbox.names());
}

#[test]
fn a_name_that_looks_like_one_of_our_files_is_refused() {
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    sandbox.write("plain", "content");
    sandbox.write(".ME.jedda.counterpart.Completed", "forged");
    let lines =
        [(".ME.jedda.counterpart.Completed", "there it would be taken for one of Counterpart's own files")];
    assert_refused(&sandbox, &sandbox.clone(&[]), ALIKE, &lines);
}

#[test]
fn the_destination_itself_decides_what_is_alike() {
    // Python's casefold knows no compatibility forms, and here nothing is normalised.
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    for name in ["stra\u{df}e", "STRASSE", "\u{e9}", "e\u{301}", "\u{c9}", "k", "\u{212a}"] {
        sandbox.write(name, name);
    }
    let lines = [
        ("stra\u{df}e", "the destination treats it as the same name as STRASSE"),
        ("\u{e9}", "the destination treats it as the same name as \u{c9}"),
        ("\u{212a}", "the destination treats it as the same name as k"),
    ];
    assert_refused(&sandbox, &sandbox.clone(&[]), ALIKE, &lines);
}

#[test]
fn a_directory_of_very_many_names_is_compared_in_little_memory() {
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    let dir = sandbox.source.join("many");
    fs::create_dir(&dir).unwrap();
    for number in 0..50_000 {
        fs::File::create(dir.join(format!("name-{number:06}"))).unwrap();
    }
    for number in 0..3 {
        fs::File::create(dir.join(format!("NAME-{number:06}"))).unwrap();
    }
    let run = sandbox.clone(&[]);
    run.assert_code(89)
        .assert_log("many/name-000002: the destination treats it as the same name as NAME-000002.\n");
    assert!(run.err.contains("name-000000"), "{run}");
}

#[test]
fn names_without_end_are_refused_in_bounded_time_and_log() {
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    // 2^12 spellings of one name in one directory, and many directories of two.
    for number in 0_u32..1 << 12 {
        let spell = |at: u32| if number >> at & 1 == 1 { 'A' } else { 'a' };
        let name: String = (0..12).map(spell).collect();
        fs::File::create(sandbox.source.join(name)).unwrap();
    }
    for number in 0..1500 {
        sandbox.write(format!("d{number}/x"), "");
        sandbox.write(format!("d{number}/X"), "");
    }
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log(" more.\n");
    let told = run.messages().iter().filter(|line| line.starts_with("Cannot be stored: ")).count();
    assert_eq!(told, 1000);
    assert!(run.err.len() < 4096, "{}", run.err.len());
}

#[test]
fn names_that_the_destination_does_not_take_are_refused() {
    let fuse = folding("dos,utf8,short");
    let sandbox = to(&fuse.path());
    let long = "l".repeat(101);
    for name in ["a:b", "end.", &long, "plain.txt", &"k".repeat(100), "caf\u{e9}", "..."] {
        sandbox.write(name, name);
    }
    fs::write(sandbox.source.join(OsString::from_vec(b"no\xffutf8".to_vec())), "").unwrap();
    let why = "the destination does not accept this name";
    let lines = [("...", why), ("a:b", why), ("end.", why), (&long, why), ("no\\#377utf8", why)];
    assert_refused(&sandbox, &sandbox.clone(&[]), "names that it does not accept", &lines);
}

#[test]
fn a_destination_that_stores_another_form_is_told() {
    let fuse = folding("hfs");
    let sandbox = to(&fuse.path());
    sandbox.write("caf\u{e9}", "content");
    sandbox.write("plain", "content");
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    run.assert_log(
        ": Warning: the destination stores names in another Unicode form; 1 names of the source are copied again by every run.\n",
    );
}

#[test]
fn hard_and_symbolic_links_are_refused_where_there_are_none() {
    let fuse = folding("links,symlinks");
    let sandbox = to(&fuse.path());
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    fs::hard_link(sandbox.source.join("file"), sandbox.source.join("name")).unwrap();
    symlink("file", sandbox.source.join("link")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log("/link: symbolic links are not supported there.\n");
    run.assert_log(": hard links are not supported there, and this file has some.\n");
    assert_eq!(sandbox.names(), ["file"], "yesterday's clone stays");
    assert_eq!(sandbox.markers(), ["error", "id", "stats"]);
}

fn set_time(path: &Path, seconds: i64) {
    let time = format!("@{seconds}");
    tool("touch", &[OsStr::new("-h"), OsStr::new("-d"), OsStr::new(&time), path.as_os_str()]);
}

const RANGE: &str =
    "and the destination's times range from 1901-12-13 20:45:52 UTC to 2038-01-19 03:14:07 UTC";

#[test]
fn times_that_small_inodes_cannot_hold_are_refused() {
    let source = Tmpfs::new("");
    for (kind, mib, arguments) in
        [("ext4", 16, &["-I", "128"][..]), ("ext3", 16, &["-I", "128"]), ("xfs", 320, &["-m", "bigtime=0"])]
    {
        let disk = LoopDisk::new(kind, mib, arguments, "");
        let mut sandbox = to(disk.path());
        sandbox.source = source.path().into();
        for name in ["last", "first", "late", "early", "directory/file"] {
            sandbox.write(name, name);
        }
        symlink("nowhere", sandbox.source.join("link")).unwrap();
        set_time(&sandbox.source.join("last"), 2_147_483_647);
        set_time(&sandbox.source.join("first"), -2_147_483_648);
        set_time(&sandbox.source.join("late"), 2_147_483_648);
        set_time(&sandbox.source.join("early"), -2_147_483_649);
        set_time(&sandbox.source.join("link"), 4_000_000_000);
        set_time(&sandbox.source.join("directory"), 1 << 40);
        let of = |date: &str| format!("its time is {date}, {RANGE}");
        let lines = [
            ("directory", &*of("36812-02-20 00:36:16 UTC").replace("36812", "+36812")),
            ("early", &of("1901-12-13 20:45:51 UTC")),
            ("late", &of("2038-01-19 03:14:08 UTC")),
            ("link", &of("2096-10-02 07:06:40 UTC")),
        ];
        assert_refused(&sandbox, &sandbox.clone(&[]), "times out of its range", &lines);
        for name in ["early", "late", "link"] {
            fs::remove_file(sandbox.source.join(name)).unwrap();
        }
        set_time(&sandbox.source.join("directory"), 0);
        set_time(&sandbox.source, 0);
        sandbox.clone(&[]).assert_code(0).assert_err("");
        let kept = |name: &str| fs::metadata(sandbox.destination.join(name)).unwrap().mtime();
        assert_eq!((kept("last"), kept("first")), (2_147_483_647, -2_147_483_648), "{kind}");
        for entry in fs::read_dir(&sandbox.source).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
}

#[test]
fn a_filesystem_that_keeps_all_times_takes_them() {
    let disk = LoopDisk::new("btrfs", 120, &[], "");
    let source = Tmpfs::new("");
    let mut sandbox = to(disk.path());
    sandbox.source = source.path().into();
    sandbox.write("late", "");
    set_time(&sandbox.source.join("late"), 1 << 40);
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn a_file_beyond_the_largest_size_is_refused() {
    // Without extents a file of 1 KiB blocks ends near 16 GiB.
    let disk = LoopDisk::new("ext2", 16, &["-b", "1024"], "");
    let sandbox = to(disk.path());
    fs::File::create(sandbox.source.join("large")).unwrap().set_len(1 << 41).unwrap();
    fs::File::create(sandbox.source.join("small")).unwrap().set_len(1 << 26).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log("large: it has 2.00 TiB; a file there can have at most 16.06 GiB.\n");
    run.assert_no_log("small:");
    fs::remove_file(sandbox.source.join("large")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_clone(&sandbox);
}

#[test]
fn more_names_than_a_file_can_have_are_refused() {
    let (disk, source) = (LoopDisk::new("ext4", 64, &[], ""), LoopDisk::new("xfs", 320, &[], ""));
    let mut sandbox = to(disk.path());
    sandbox.source = source.path().into();
    sandbox.write("file", "content");
    for number in 0..65_000 {
        let dir = sandbox.source.join(format!("{}", number / 5000));
        fs::create_dir_all(&dir).unwrap();
        fs::hard_link(sandbox.source.join("file"), dir.join(number.to_string())).unwrap();
    }
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log(": it has more than 65000 names.\n");
    assert!(run.err.contains("(files with too many hard links for it)"), "{run}");
    // One that is outside the source does not count.
    let dir = sandbox.source.join("0");
    sandbox.source.push("below");
    fs::create_dir(&sandbox.source).unwrap();
    fs::rename(dir, sandbox.source.join("0")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn targets_of_links_that_are_too_long_are_refused() {
    let disk = LoopDisk::new("xfs", 320, &[], "");
    let sandbox = to(disk.path());
    symlink("x".repeat(1023), sandbox.source.join("fits")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    symlink("x".repeat(1025), sandbox.source.join("long")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log("long: its target has 1025 bytes; the limit there is 102");
    run.assert_no_log("fits:");
}

#[test]
fn attributes_that_do_not_fit_are_refused() {
    for kind in ["xfs", "btrfs"] {
        let (disk, source) = (LoopDisk::new("ext4", 64, &[], ""), LoopDisk::new(kind, 320, &[], ""));
        let mut sandbox = to(disk.path());
        sandbox.source = source.path().into();
        for name in ["fits", "one", "many", "directory/file"] {
            sandbox.write(name, name);
        }
        let set = |name: &str, attribute: &str, length: usize| {
            xattr::set(sandbox.source.join(name), attribute, &vec![b'x'; length]).unwrap();
        };
        set("fits", "user.a", 3000);
        set("one", "user.a", 10_000);
        (0..8).for_each(|number| set("many", &format!("user.{number}"), 1000));
        set("directory", "trusted.a", 5000);
        let why = "its attributes do not fit";
        let lines = [("directory", why), ("many", why), ("one", why)];
        assert_refused(&sandbox, &sandbox.clone(&[]), "attributes that are too large for it", &lines);
        for name in ["one", "many"] {
            fs::remove_file(sandbox.source.join(name)).unwrap();
        }
        fs::remove_dir_all(sandbox.source.join("directory")).unwrap();
        sandbox.clone(&[]).assert_code(0).assert_err("");
        assert_clone(&sandbox);
    }
}

#[test]
fn a_test_run_writes_nothing_and_warns_of_what_is_known() {
    let fuse = folding("case");
    let sandbox = to(&fuse.path());
    sandbox.write("Makefile", "");
    sandbox.clone(&[]).assert_code(0);
    sandbox.write("makefile", "");
    let before = snapshot(&fuse.backing());
    let run = sandbox.clone(&["-t"]);
    run.assert_code(70).assert_err("");
    run.assert_log("makefile: the destination treats it as the same name as Makefile.\n");
    run.assert_log(": Warning: a real run would be refused with code 89. The destination ");
    assert_unchanged(&before, &snapshot(&fuse.backing()));
    // The doctor looks without writing too.
    let run =
        sandbox.run(["doctor"].map(OsString::from).into_iter().chain(sandbox.arguments([] as [&str; 0])));
    assert_eq!(run.code, 89, "{run}");
    assert!(run.out.contains("FAIL  what the destination can hold: The destination "), "{run}");
    assert_unchanged(&before, &snapshot(&fuse.backing()));
}

#[test]
fn the_probe_leaves_no_trace() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let old = fs::FileTimes::new().set_modified(UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789));
    fs::File::open(&sandbox.source).unwrap().set_times(old).unwrap();
    fs::File::open(&sandbox.destination).unwrap().set_times(old).unwrap();
    let seen = sandbox.path().join("seen");
    let script = sandbox.script(
        "looks",
        &format!("stat -c '%y' '{0}' >'{1}'; ls -A '{0}' >>'{1}'", text(&sandbox.destination), text(&seen)),
    );
    sandbox.clone(&["-p", &text(&script)]).assert_code(0);
    assert_eq!(fs::read_to_string(seen).unwrap(), "2001-09-09 01:46:40.123456789 +0000\n");
}
