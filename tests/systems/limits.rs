//! What the destination's filesystem cannot store despite free space: 89, without mentioning a full disk.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use crate::support::disk::{LoopDisk, Tmpfs, supported};
use crate::support::other_rsyncs::with_each;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::tree::noise;

/// An ext4 keeps all attributes of a file in its inode and one block.
const SMALL_ATTRIBUTES: &[&str] = &["-b", "4096", "-I", "256", "-O", "^ea_inode"];

#[track_caller]
fn assert_cannot_hold(sandbox: &Sandbox, run: &Finished, what: &str, examples: &str) {
    let sentence = format!(
        "The destination {} cannot hold what the source has ({what}): {examples}. Exclude it, change it, or use another \
         filesystem.",
        sandbox.destination.display()
    );
    run.assert_code(89).assert_err(&format!("counterpart: {sentence}\n")).assert_no_log("is full");
    assert_eq!(sandbox.markers()[0], "error", "{run}");
    let public = format!(
        "The destination {} cannot hold everything that the source has. The log says what, and names the first paths.\n",
        sandbox.destination.display()
    );
    assert_eq!(sandbox.read_marker("error"), public);
    assert!(!sandbox.markers().contains(&"completed".to_owned()));
}

const ATTRIBUTES: &str = "its filesystem cannot keep that many or that large attributes (extended attributes, access \
                          control lists) on one file";

/// What gives these files of the source, which has to be able to hold it, an attribute of 9,000 bytes.
fn large_attribute(sandbox: &Sandbox, names: &[&str]) -> String {
    let names: Vec<String> =
        names.iter().map(|name| format!("'{}'", sandbox.source.join(name).display())).collect();
    format!("setfattr -n trusted.large -v \"$(printf %09000d 0)\" {}", names.join(" "))
}

/// Does `body` when rsync begins to copy, so that the limit is met by rsync alone: what has been there before is refused
/// without it.
fn during_the_copy(sandbox: &Sandbox, body: &str) {
    let (script, program) = (sandbox.script("beside", body), sandbox.host().join("rsync/rsync"));
    let real = sandbox.path().join("rsync");
    if program.exists() {
        fs::rename(&program, &real).unwrap();
    } else {
        symlink("/usr/bin/rsync", &real).unwrap();
    }
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) nsenter -t $PPID -m '{}' || exit 99 ;; esac\nexec '{}' \"$@\"",
        script.display(),
        real.display()
    ));
}

#[test]
fn an_attribute_that_is_too_large_is_no_full_disk() {
    with_each(|sandbox, _| {
        let (source, disk) = (Tmpfs::new("size=16m"), LoopDisk::new("ext4", 48, SMALL_ATTRIBUTES, ""));
        sandbox.source = source.path().into();
        sandbox.destination = disk.path().into();
        for name in ["größe.txt", "other", ".hidden"] {
            sandbox.write(name, name);
        }
        during_the_copy(sandbox, &large_attribute(sandbox, &["größe.txt", ".hidden"]));
        let run = sandbox.clone(&[]);
        // In the order in which rsync comes to them, under the names that they have in the source.
        let at = |name: &str| sandbox.destination.join(name).display().to_string();
        let examples = format!("{}, {}", at(".hidden"), at("größe.txt"));
        assert_cannot_hold(sandbox, &run, ATTRIBUTES, &examples);
        run.assert_log(&format!("]:   {}\n", at("größe.txt")))
            .assert_log(&format!("]:   {}\n", at(".hidden")));
        let paths = sandbox.record().unwrap()["failing_paths"]["first"].clone();
        assert_eq!(paths, serde_json::json!([at(".hidden"), at("größe.txt")]));
        assert_eq!(fs::read_to_string(sandbox.destination.join("other")).unwrap(), "other");
        during_the_copy(sandbox, "");
        for name in ["größe.txt", ".hidden"] {
            xattr::remove(sandbox.source.join(name), "trusted.large").unwrap();
        }
        sandbox.clone(&[]).assert_code(0);
    });
}

#[test]
fn a_name_that_looks_like_a_temporary_files_is_kept() {
    let (source, disk) = (Tmpfs::new("size=16m"), LoopDisk::new("ext4", 48, SMALL_ATTRIBUTES, ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = disk.path().into();
    fs::create_dir(sandbox.source.join(".directory.Ab12Cd")).unwrap();
    during_the_copy(&sandbox, &large_attribute(&sandbox, &[".directory.Ab12Cd"]));
    let run = sandbox.clone(&[]);
    let example = sandbox.destination.join(".directory.Ab12Cd").display().to_string();
    assert_cannot_hold(&sandbox, &run, ATTRIBUTES, &example);
}

#[test]
fn attributes_that_find_no_room_on_a_full_disk_are_74() {
    let (source, disk) = (Tmpfs::new("size=16m"), LoopDisk::new("ext4", 48, SMALL_ATTRIBUTES, ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = disk.path().join("clone");
    fs::create_dir(&sandbox.destination).unwrap();
    for number in 0..300 {
        // Equal ones would share a block.
        let name = number.to_string();
        sandbox.write(&name, "");
        xattr::set(sandbox.source.join(name), "trusted.large", &noise(number + 1, 3000)).unwrap();
    }
    // All the room but what some 100 of them take.
    let mut filler = fs::File::create(disk.path().join("filler")).unwrap();
    let mut written = 0;
    while filler.write_all(&vec![1; 64 << 10]).and_then(|()| filler.sync_data()).is_ok() {
        written += 64 << 10;
    }
    filler.set_len(written - (400 << 10)).unwrap();
    filler.sync_all().unwrap();
    // What a deletion frees afterwards does not make a limit of it.
    sandbox.rsync(&format!(
        "/usr/bin/rsync \"$@\"; code=$?; case \" $* \" in *' --stats '*) truncate -s -40K '{}' ;; esac; exit $code",
        disk.path().join("filler").display()
    ));
    sandbox.clone(&[]).assert_code(74).assert_log("setxattr(").assert_log("is full");
}

#[test]
fn more_hard_links_than_ext4_allows_are_named() {
    let (source, disk) = (Tmpfs::new("size=64m"), LoopDisk::new("ext4", 64, &[], ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = disk.path().into();
    sandbox.write("file", "x");
    fs::create_dir(sandbox.source.join("links")).unwrap();
    let link = |number| sandbox.source.join(format!("links/{number:05}"));
    for number in 0..64_999 {
        fs::hard_link(sandbox.source.join("file"), link(number)).unwrap();
    }
    during_the_copy(&sandbox, &format!("ln '{}' '{}'", link(0).display(), link(64_999).display()));
    let run = sandbox.clone(&[]);
    run.assert_code(89).assert_log("(its filesystem allows no more hard links to one file): ");
    run.assert_log(&format!("{}", sandbox.destination.display())).assert_no_log("is full");
    assert_eq!(sandbox.markers()[0], "error");
}

#[test]
fn a_link_target_that_is_too_long_for_xfs_is_named() {
    if !supported("xfs") {
        return;
    }
    let (source, disk) = (Tmpfs::new("size=16m"), LoopDisk::new("xfs", 320, &[], ""));
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = disk.path().into();
    sandbox.write("file", "content");
    let link = sandbox.source.join("link");
    during_the_copy(&sandbox, &format!("ln -s '{}' '{}'", "x/".repeat(1000), link.display()));
    let run = sandbox.clone(&[]);
    let example = sandbox.destination.join("link").display().to_string();
    assert_cannot_hold(
        &sandbox,
        &run,
        "its filesystem allows no names or link targets of that length",
        &example,
    );
}

#[test]
fn a_restore_to_a_filesystem_with_less_says_so_too() {
    let (source, disk) = (Tmpfs::new("size=16m"), LoopDisk::new("ext4", 48, SMALL_ATTRIBUTES, ""));
    let clone = Tmpfs::new("size=16m");
    let mut sandbox = Sandbox::new();
    sandbox.source = source.path().into();
    sandbox.destination = clone.path().into();
    sandbox.write("file", "content");
    sandbox.write("kept", "content");
    xattr::set(sandbox.source.join("file"), "trusted.large", &[b'x'; 9000]).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    fs::remove_file(sandbox.source.join("file")).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0);
    let arguments = ["restore", "-d"].map(OsStr::new).into_iter();
    let arguments =
        arguments.chain([sandbox.destination.as_os_str(), OsStr::new("--to"), disk.path().as_os_str()]);
    let run = sandbox.run(arguments.chain([OsStr::new("file")]));
    assert_eq!(run.code, 89, "{run}");
    let example = disk.path().join("file").display().to_string();
    assert!(run.err.contains(&format!("({ATTRIBUTES}): {example}. Exclude it")), "{run}");
}

/// That it keeps no attributes at all is another matter, and rsync's own code tells it.
#[test]
fn a_filesystem_without_attributes_stays_23() {
    let ramfs = Tmpfs::without_attributes();
    let mut sandbox = Sandbox::new();
    sandbox.destination = ramfs.path().into();
    sandbox.write("file", "content");
    xattr::set(sandbox.source.join("file"), "user.x", b"y").unwrap();
    sandbox.clone(&[]).assert_code(23).assert_log("Operation not supported (95)");
}
