//! What is excluded: the system's patterns, the user's file, and our own files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::fakes;
use crate::support::sandbox::{Finished, STEM, Sandbox};

/// Clones with this exclusion file.
fn clone_excluding(sandbox: &Sandbox, content: &[u8]) -> Finished {
    let path = sandbox.path().join("excludes");
    fs::write(&path, content).unwrap();
    sandbox.clone(&["-e", path.to_str().unwrap()])
}

/// A source with files of these names, cloned with this exclusion file; the names that arrive.
#[track_caller]
fn arrive(names: &[&str], excludes: &[u8]) -> Vec<String> {
    let sandbox = Sandbox::new();
    for name in names {
        sandbox.write(name, "content");
    }
    clone_excluding(&sandbox, excludes).assert_code(0).assert_err("").assert_log("Exclusions: ");
    sandbox.names().iter().map(|name| name.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_pattern_that_matches_nothing_by_mistake_is_warned_of() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.write(name, "content");
    }
    let own = format!("{}/a\n", sandbox.source.display());
    for (content, doubt) in [
        (&b"\xef\xbb\xbf/a\n"[..], "it begins with a byte order mark"),
        (b"\xff\xfe/\0a\0\n\0", "it is in UTF-16"),
        (b"# x\n/a \n", "line 2: the blanks around it belong to the pattern"),
        (own.as_bytes(), "line 1: a pattern starts at the source's root, so leave out the source's own path"),
    ] {
        let run = clone_excluding(&sandbox, content);
        run.assert_code(0).assert_err("");
        run.assert_log(&format!("Warning: the excludes file may not do what it should: {doubt}"));
        assert_eq!(sandbox.names(), ["a", "b"], "{doubt}");
        assert_eq!(sandbox.record().unwrap()["outcome"], "warning", "{doubt}");
    }
    clone_excluding(&sandbox, b"/a\n").assert_code(0).assert_no_warning();
    assert_eq!(sandbox.names(), ["b"]);
}

#[test]
fn the_users_patterns_are_rsyncs() {
    assert_eq!(arrive(&["a", "b", "c/a", "c/d"], b"/a\n"), ["b", "c"]);
    assert_eq!(arrive(&["a.tmp", "b", "keep.tmp"], b"+ keep.tmp\n- *.tmp\n"), ["b", "keep.tmp"]);
    assert_eq!(arrive(&["a", "b"], b"# a comment\n; another\n\nb\n"), ["a"]);
    assert_eq!(arrive(&["a", "b", "c"], b"b\r\nc\r\n"), ["a"]);
    assert_eq!(arrive(&["a", "b"], b"b"), ["a"], "without a line's end");
    assert_eq!(arrive(&["a", "b"], b""), ["a", "b"], "an empty file");
    assert_eq!(arrive(&["a", "\u{fc}"], "\u{fc}\n".as_bytes()), ["a"]);
    assert_eq!(arrive(&["a", "b"], b"!\nb\n"), ["a"]);
    assert_eq!(arrive(&["a", "b"], b"b\n!\n"), ["a", "b"], "a lone mark clears what came before");
}

#[test]
fn a_lone_marker_is_warned_about() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let warning = "Warning: the excludes file holds a lone \"!\", which clears the built-in exclusions.";
    clone_excluding(&sandbox, b"x\n").assert_code(0).assert_no_log(warning);
    clone_excluding(&sandbox, b"x\n!\n").assert_code(0).assert_log(warning);
    clone_excluding(&sandbox, b"!\r\n").assert_code(0).assert_log(warning);
}

#[test]
fn what_is_excluded_is_deleted_at_the_destination() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "content");
    sandbox.write("b", "content");
    sandbox.clone(&[]).assert_code(0);
    clone_excluding(&sandbox, b"b\n").assert_code(0);
    assert_eq!(sandbox.names(), ["a"]);
}

/// The markers of an earlier run and of other prefixes, at both ends; then a clone with this exclusion file.
#[track_caller]
fn marks_survive(excludes: Option<&[u8]>) {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for stem in [STEM, ".org.example.counterpart.", ".org.other.counterpart."] {
        for suffix in ["id", "completed", "error", "stats", "stats.json"] {
            for temporary in ["", ".tmp-01234567"] {
                sandbox.write(format!("{stem}{suffix}{temporary}"), "of the source\n");
            }
        }
        sandbox.write(format!("{stem}probe.tmp-01234567"), "of the source\n");
    }
    sandbox.write("directory/.me.jedda.counterpart.id", "below the root it is an ordinary file\n");
    let (id, foreign) = (".org.example.counterpart.id", ".org.example.counterpart.note");
    let own = "0123456789abcdef0123456789abcdef\n";
    sandbox.write_destination(id, own);
    sandbox.write_destination(foreign, "of the destination\n");
    sandbox.write_destination("old", "x");
    let path = sandbox.path().join("excludes");
    fs::write(&path, excludes.unwrap_or_default()).unwrap();
    let mut more = vec!["-g", "org.example"];
    if excludes.is_some() {
        more.extend(["-e", path.to_str().unwrap()]);
    }
    for _ in 0..2 {
        sandbox.clone(&more).assert_code(0).assert_err("");
        let names: Vec<String> = crate::support::sandbox::names_of(&sandbox.destination)
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect();
        let ours = ["completed", "id", "note", "stats", "stats.json"]
            .map(|suffix| format!(".org.example.counterpart.{suffix}"));
        assert_eq!(names[..5], ours, "{names:?}");
        assert!(names[5..].iter().all(|name| ["file", "directory"].contains(&name.as_str())), "{names:?}");
        let read = |name: &str| fs::read_to_string(sandbox.destination.join(name)).unwrap();
        assert!(read(id).starts_with(own), "{}", read(id));
        assert_eq!(read(foreign), "of the destination\n");
        for marker in ["stats", "stats.json"] {
            assert!(!read(&format!(".org.example.counterpart.{marker}")).contains("of the source"));
        }
    }
}

#[test]
fn no_marker_travels_and_ours_stay_whatever_the_users_file_says() {
    marks_survive(None);
    for excludes in [
        "!\n",
        "+ .me*\n+ .org*\n",
        "+ /.*.counterpart.*\n",
        "!\n+ .*\n+ *\n",
        "- /.org.example.counterpart.*\n",
        "+ /file\n- *\n",
        "- .*\n",
    ] {
        marks_survive(Some(excludes.as_bytes()));
    }
}

#[test]
fn a_marker_below_the_root_is_an_ordinary_file() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/.me.jedda.counterpart.completed", "x");
    sandbox.clone(&[]).assert_code(0);
    assert!(sandbox.destination.join("directory/.me.jedda.counterpart.completed").exists());
}

#[test]
fn a_data_directory_is_cloned_whole() {
    let names = ["dev", "lost+found", "media", "mnt", "proc", "run", "swapfile", "sys", "tmp"];
    let sandbox = Sandbox::new();
    for name in names {
        sandbox.write(format!("{name}/file"), "content");
    }
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(sandbox.names(), names);
    for name in names {
        assert!(sandbox.destination.join(name).join("file").exists(), "{name}");
    }
}

#[test]
fn what_the_destinations_filesystem_keeps_for_itself_survives() {
    for more in [vec![], vec!["-e"]] {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        sandbox.write_destination("lost+found/#123", "found");
        sandbox.write_destination("old", "x");
        let excludes = sandbox.path().join("excludes");
        fs::write(&excludes, "!\nlost+found\n").unwrap();
        let mut more = more;
        if !more.is_empty() {
            more.push(excludes.to_str().unwrap());
        }
        more.push("--adopt");
        sandbox.clone(&more).assert_code(0).assert_err("");
        assert_eq!(sandbox.names(), ["file", "lost+found"]);
        assert!(sandbox.destination.join("lost+found/#123").exists());
    }
}

#[test]
fn an_exclusion_file_that_cannot_be_read_is_67() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.write_destination(format!("{STEM}id"), "x\n");
    sandbox.write_destination("old", "x");
    let refused = |path: &Path, why: &str| {
        fs::write(sandbox.marker("completed"), "").unwrap();
        let ran = sandbox.path().join("ran");
        let script = sandbox.script("script", &format!("touch '{}'", ran.display()));
        let finished = sandbox.clone(&["-e", path.to_str().unwrap(), "-p", script.to_str().unwrap()]);
        let sentence = format!("The excludes file {} cannot be read: {why}. Check -e.\n", path.display());
        finished.assert_code(67).assert_err(&format!("counterpart: {sentence}"));
        assert_eq!(sandbox.markers(), ["completed", "id"], "the clone is as good as it was");
        assert_eq!(sandbox.names(), ["old"]);
        assert!(!ran.exists());
    };
    let missing = sandbox.path().join("missing");
    let dangling = sandbox.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let large = sandbox.path().join("large");
    fs::File::create(&large).unwrap().set_len((32 << 20) + 1).unwrap();
    refused(&missing, "No such file or directory");
    refused(&sandbox.source, "it is a directory");
    refused(&dangling, "No such file or directory");
    refused(&sandbox.source.join("file/below"), "Not a directory");
    refused(&large, "it is larger than 32 MiB; is it the right file?");
}

#[test]
fn a_fifo_and_a_link_will_do() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "content");
    sandbox.write("b", "content");
    let fifo = sandbox.path().join("fifo");
    mkfifo(&fifo, Mode::from_bits_truncate(0o644)).unwrap();
    let link = sandbox.path().join("link");
    symlink("fifo", &link).unwrap();
    let writer = std::thread::spawn(move || fs::write(fifo, "b\n").unwrap());
    sandbox.clone(&["-e", link.to_str().unwrap()]).assert_code(0).assert_err("");
    writer.join().unwrap();
    assert_eq!(sandbox.names(), ["a"]);
}

#[test]
fn a_relative_exclusion_file_is_the_callers() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "content");
    sandbox.write("b", "content");
    fs::write(sandbox.path().join("-excludes\n"), "b\n").unwrap();
    let output = sandbox
        .command(sandbox.arguments(["--exclude-from=-excludes\n"]))
        .current_dir(sandbox.path())
        .output()
        .unwrap();
    Finished::from(output).assert_code(0).assert_log("-excludes\\#012");
    assert_eq!(sandbox.names(), ["a"]);
}

/// The rules that a clone of this source would give to rsync, in order.
fn rules(sandbox: &Sandbox, source: &Path, more: &[&str]) -> Vec<String> {
    let _ = fakes::recorder(sandbox);
    // Only rsync copies into another user's directory, and this one copies nothing: the source may be the whole machine.
    std::os::unix::fs::chown(&sandbox.destination, Some(1), None).unwrap();
    // The recorder tells of more files than any of these sources has.
    let mut arguments = sandbox.arguments(more.iter().chain(&["--allow-shrink"]));
    arguments[1] = source.into();
    // A test may clone one source after the other.
    arguments.push("--adopt".into());
    sandbox.run(arguments).assert_code(0).assert_err("");
    let is_rule = |argument: &String| {
        ["--filter=", "--exclude=", "--exclude-from=", "--include"]
            .iter()
            .any(|start| argument.starts_with(start))
    };
    fakes::recorded(sandbox).into_iter().filter(is_rule).collect()
}

fn excludes(rules: &[String]) -> Vec<&str> {
    rules.iter().filter_map(|rule| rule.strip_prefix("--exclude=")).collect()
}

const LINUX_SYSTEM: [&str; 9] =
    ["/dev/*", "/proc/*", "/sys/*", "/tmp/*", "/run/*", "/mnt/*", "/media/*", "/lost+found", "/swapfile"];

const MAC_ALWAYS: [&str; 8] = [
    ".Trash",
    ".Trashes",
    ".Spotlight-*/",
    ".DocumentRevisions-*/",
    ".TemporaryItems",
    "/.fseventsd",
    "/.hotfiles.btree",
    "/.journal*",
];

/// The original's whole list.
const ORIGINAL: [&str; 20] = [
    ".Trash",
    ".Trashes",
    ".Spotlight-*/",
    ".DocumentRevisions-*/",
    "/.fseventsd",
    "/.hotfiles.btree",
    "/private/var/db/dyld/dyld_*",
    "/System/Library/Caches/com.apple.bootstamps/*",
    "/System/Library/Caches/com.apple.corestorage/*",
    "/System/Library/Caches/com.apple.kext.caches/*",
    "/Library/Caches/*",
    "/Volumes/*",
    "/dev/*",
    "/automount",
    "/Network",
    "/.vol/*",
    "/net",
    "/private/var/folders/*",
    "/private/var/vm/*",
    "/private/tmp/*",
];

#[test]
fn only_the_root_of_a_linux_system_has_built_in_exclusions() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    assert_eq!(excludes(&rules(&sandbox, Path::new("/"), &[])), LINUX_SYSTEM);
    let link = sandbox.path().join("link");
    symlink("/", &link).unwrap();
    assert_eq!(excludes(&rules(&sandbox, &link, &[])), LINUX_SYSTEM);
    assert_eq!(excludes(&rules(&sandbox, &sandbox.source, &[])), [] as [&str; 0]);
}

#[test]
fn the_root_of_a_mac_has_the_originals_exclusions_and_more() {
    let sandbox = Sandbox::mac("10.15");
    sandbox.write("file", "content");
    let found = rules(&sandbox, Path::new("/"), &[]);
    let found = excludes(&found);
    for pattern in
        ORIGINAL.iter().chain(&MAC_ALWAYS).chain(&["/cores", "/System/Volumes/*", "/macOS Install Data"])
    {
        assert!(found.contains(pattern), "{pattern}: {found:?}");
    }
    assert_eq!(excludes(&rules(&sandbox, &sandbox.source, &[])), MAC_ALWAYS);
    // Another volume that holds a system is one as well.
    sandbox.write("System/Library/CoreServices/SystemVersion.plist", "");
    assert_eq!(excludes(&rules(&sandbox, &sandbox.source, &[])).len(), found.len());
}

#[test]
fn our_rules_stand_before_the_users_which_come_on_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let path = sandbox.path().join("user's");
    fs::write(&path, "a\n+ .me*").unwrap();
    let more = ["-e", path.to_str().unwrap()];
    let found = rules(&sandbox, Path::new("/"), &more);
    let filters: Vec<&String> = found.iter().take_while(|rule| rule.starts_with("--filter=")).collect();
    assert!(filters.contains(&&"--filter=H /.me.jedda.counterpart.*".to_owned()), "{found:?}");
    assert!(filters.contains(&&"--filter=P /.me.jedda.counterpart.*".to_owned()), "{found:?}");
    assert!(filters.contains(&&"--filter=P /lost+found".to_owned()), "{found:?}");
    let inside = format!("--filter=- {}", sandbox.destination.display());
    assert!(filters.contains(&&inside), "{found:?}");
    assert_eq!(found.len(), filters.len() + LINUX_SYSTEM.len() + 1);
    assert_eq!(found.last().unwrap(), "--exclude-from=-");
    assert_eq!(fakes::recorded_input(&sandbox), "a\n+ .me*\n");
    // A lone mark clears the built-in rules and what stands before it, but must not clear ours.
    fs::write(&path, "a\n!\n+ .me*").unwrap();
    let found = rules(&sandbox, Path::new("/"), &more);
    assert_eq!(excludes(&found), [] as [&str; 0]);
    assert!(found.contains(&"--filter=H /.me.jedda.counterpart.*".to_owned()), "{found:?}");
    assert_eq!(fakes::recorded_input(&sandbox), "\n+ .me*\n");
}

#[test]
fn the_options_are_those_of_the_contract() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    let _ = rules(&sandbox, &sandbox.source, &[]);
    let arguments = fakes::recorded(&sandbox);
    for option in [
        "--acls",
        "--archive",
        "--delete",
        "--delete-excluded",
        "--hard-links",
        "--one-file-system",
        "--sparse",
        "--xattrs",
        "--stats",
        "--numeric-ids",
        "--open-noatime",
        "--modify-window=-1",
        "--no-h",
    ] {
        assert!(arguments.iter().any(|argument| argument == option), "{option}: {arguments:?}");
    }
    for option in ["--dry-run", "--verbose", "--exclude-from=-", "--info=progress2"] {
        assert!(!arguments.iter().any(|argument| argument == option), "{option}: {arguments:?}");
    }
    // As they are called in the namespace that only rsync sees.
    let lock = fs::canonicalize(sandbox.host().join("lock")).unwrap();
    let ends = ["source", "destination"].map(|end| format!("{}/", lock.join(end).display()));
    assert_eq!(arguments[arguments.len() - 3..], ["--".to_owned(), ends[0].clone(), ends[1].clone()]);
}

#[test]
fn a_pattern_of_the_users_may_hold_any_byte() {
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"\xff");
    fs::write(sandbox.source.join(name), "").unwrap();
    sandbox.write("a", "");
    clone_excluding(&sandbox, b"\xff\n").assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), [PathBuf::from("a")]);
}

/// What `counterpart exclusions` prints.
fn printed(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let run = sandbox.run([&["exclusions"], arguments].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    run.out
}

#[test]
fn the_command_prints_the_patterns_of_the_running_system() {
    let linux = "/dev/*\n/proc/*\n/sys/*\n/tmp/*\n/run/*\n/mnt/*\n/media/*\n/lost+found\n/swapfile\n";
    let sandbox = Sandbox::new();
    assert_eq!(printed(&sandbox, &[]), linux);
    assert_eq!(printed(&sandbox, &["-s", "/"]), linux);
    let mac = printed(&Sandbox::mac("14.5"), &[]);
    assert!(mac.starts_with(".Trash\n.Trashes\n") && mac.ends_with("\n/System/Volumes/*\n"), "{mac}");
    assert_eq!(printed(&sandbox, &["--system", "macos"]), mac);
    assert_eq!(printed(&Sandbox::mac("14.5"), &["--system", "linux"]), linux);
}

#[test]
fn the_command_prints_what_a_clone_of_this_source_leaves_out() {
    let sandbox = Sandbox::new();
    let source = sandbox.source.to_str().unwrap().to_owned();
    assert_eq!(printed(&sandbox, &["-s", &source]), "", "a directory of data on Linux");
    let of_data = printed(&sandbox, &["--system", "macos", "-s", &source]);
    assert!(of_data.ends_with("/.journal*\n") && !of_data.contains("/Volumes/*"), "{of_data}");
    sandbox.write("System/Library/CoreServices/SystemVersion.plist", "");
    let of_system = printed(&sandbox, &["--system", "macos", "-s", &source]);
    assert!(of_system.starts_with(&of_data) && of_system.contains("\n/Volumes/*\n"), "{of_system}");
}

#[test]
fn the_command_refuses_a_source_that_cannot_be_read_and_a_system_that_does_not_exist() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(["exclusions", "-s", "/nonexistent\n"]);
    let told = "counterpart: The source /nonexistent\\#012 cannot be read: No such file or directory.\n";
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (65, "", told), "{run}");
    assert_eq!(sandbox.run(["exclusions", "--system", "windows"]).code, 2);
}
