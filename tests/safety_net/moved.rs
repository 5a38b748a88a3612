//! What goes into a net, and that nothing else does.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use crate::safety_net::scene::{beside, make_net, nets, nets_dir, only_net, restore};
use crate::support::audit::{Options, assert_same};
use crate::support::disk::{LoopDisk, Tmpfs};
use crate::support::nobody;
use crate::support::other_rsyncs::{is_before, with_each};
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree;

/// What old versions do not keep: 3.0.9 makes links and devices anew, to the second, and none keeps the capabilities of
/// somebody else's program.
fn options(version: &str) -> Options {
    let mut skip = Vec::new();
    if is_before(version, "3.1.3") {
        skip.push("xattr/program".into());
    }
    if is_before(version, "3.1.0") {
        let linked = ["device", "fifo", "symlink"].map(|name| PathBuf::from("hard links/two").join(name));
        skip.extend(linked);
        skip.push("symlinks/relative".into());
    }
    let nanoseconds = !is_before(version, "3.1.3");
    Options { nanoseconds, skip, sparse_slack: 256 * 1024, ..Options::default() }
}

/// The whole hostile tree is deleted, is in the net as it was, and comes back as it was.
fn all_is_deleted(sandbox: &Sandbox, options: &Options) {
    let gone = sandbox.source.join("all");
    tree::hostile_tree(&gone);
    sandbox.write("stays", "content");
    sandbox.clone(&[]).assert_code(0);
    let original = beside(sandbox, "kept").join("all");
    fs::rename(&gone, &original).unwrap();

    sandbox.clone(&["--safety-net", "--allow-shrink"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names().iter().filter(|name| *name != "lost+found").count(), 1);
    let net = only_net(sandbox);
    assert_eq!(names_of(&net), ["all"]);
    assert_same(&original, &net.join("all"), options);
    assert_same(&sandbox.source, &sandbox.destination, options);

    let to = beside(sandbox, "to");
    let run = restore(sandbox, ["--to", to.to_str().unwrap(), "/all"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run}");
    assert_same(&original, &to.join("all"), options);
    // What was brought back is still in the net.
    assert_same(&original, &net.join("all"), options);
}

/// Versions that cannot keep a net are refused, and have a test of their own.
fn with_each_that_keeps(test: impl Fn(&mut Sandbox, &str)) {
    with_each(|sandbox, version| {
        if !(is_before("3.0.9", version) && is_before(version, "3.1.2")) {
            test(sandbox, version);
        }
    });
}

#[test]
fn a_deleted_tree_is_moved_with_all_its_properties_by_every_rsync() {
    with_each_that_keeps(|sandbox, version| all_is_deleted(sandbox, &options(version)));
}

#[test]
fn a_deleted_tree_is_moved_with_all_its_properties_on_every_filesystem() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let disk = LoopDisk::new(kind, 320, &[], "");
        let mut sandbox = Sandbox::new();
        sandbox.destination = disk.path().into();
        all_is_deleted(&sandbox, &options("3.5.0"));
    }
}

/// Makes something of a kind that holds this text, or has it in its properties.
type Make = fn(&Path, &str);

/// Every kind of entry.
const KINDS: [(&str, Make); 7] = [
    ("file", |path, text| fs::write(path, text).unwrap()),
    ("directory", |path, text| {
        fs::create_dir_all(path.join("empty")).unwrap();
        fs::write(path.join("in it"), text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o2751)).unwrap();
    }),
    ("link", |path, text| symlink(text, path).unwrap()),
    ("fifo", |path, _| mkfifo(path, Mode::from_bits_truncate(0o640)).unwrap()),
    ("socket", |path, _| drop(UnixListener::bind(path).unwrap())),
    ("character device", |path, text| {
        let number = makedev(1, text.len() as u64);
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), number).unwrap();
    }),
    ("block device", |path, text| {
        let number = makedev(7, text.len() as u64);
        mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(0o600), number).unwrap();
    }),
];

/// A directory with an entry for each pair of kinds: what was there before, or what comes in its place.
fn fill(dir: &Path, is_before: bool) {
    fs::create_dir(dir).unwrap();
    for (old, make_old) in KINDS {
        for (new, make_new) in KINDS {
            // These two have nothing that could differ.
            if old == new && ["fifo", "socket"].contains(&old) {
                continue;
            }
            let path = dir.join(format!("{old} to {new}"));
            if is_before { make_old(&path, "before") } else { make_new(&path, "then") }
        }
    }
    fs::write(dir.join("hard"), if is_before { "before" } else { "then" }).unwrap();
    fs::hard_link(dir.join("hard"), dir.join("link of hard")).unwrap();
    // Far from each other, so that nothing is taken for unchanged.
    let seconds = if is_before { 1_400_000_000 } else { 1_500_000_000 };
    crate::support::audit::dir::visit_from_leaves(dir, false, |dir, name, _, _| {
        tree::set_mtime(&dir.at(name), seconds, 123_456_789);
    });
}

#[test]
fn whatever_gives_way_to_whatever_is_in_the_net_as_it_was() {
    with_each_that_keeps(|sandbox, version| {
        let old = sandbox.source.join("all");
        fill(&old, true);
        sandbox.clone(&[]).assert_code(0);
        let original = beside(sandbox, "kept").join("all");
        fs::rename(&old, &original).unwrap();
        fill(&old, false);
        sandbox.clone(&["--safety-net"]).assert_code(0).assert_err("");
        let options = options(version);
        assert_same(&sandbox.source, &sandbox.destination, &options);
        // The directory stayed a directory, and this one in it is the same before and after.
        fs::remove_dir(original.join("directory to directory/empty")).unwrap();
        tree::set_mtime(&original.join("directory to directory"), 1_400_000_000, 123_456_789);
        tree::set_mtime(&original, 1_400_000_000, 123_456_789);
        assert_same(&original, &only_net(sandbox).join("all"), &options);
    });
}

#[test]
fn files_are_renamed_and_not_copied() {
    with_each_that_keeps(|sandbox, _| {
        for name in ["deleted", "replaced"] {
            sandbox.write(name, "before");
        }
        sandbox.clone(&[]).assert_code(0);
        let inode = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
        let before = ["deleted", "replaced"].map(|name| inode(&sandbox.destination.join(name)));
        fs::remove_file(sandbox.source.join("deleted")).unwrap();
        sandbox.write("replaced", "and after");
        sandbox.clone(&["--safety-net"]).assert_code(0);
        let net = only_net(sandbox);
        assert_eq!(["deleted", "replaced"].map(|name| inode(&net.join(name))), before);
    });
}

#[test]
fn nets_are_never_nested_nor_deleted_whatever_is_excluded() {
    with_each_that_keeps(|sandbox, _| {
        let disk = Tmpfs::new("size=64m");
        sandbox.destination = disk.path().into();
        let excludes = sandbox.path().join("excludes");
        for (number, rules) in
            ["", "!\n", "*.out\n", "!\n+ /.me.jedda.counterpart.*\n*.out\n"].iter().enumerate()
        {
            fs::write(&excludes, rules).unwrap();
            sandbox.write("changes", &"x".repeat(number + 1));
            sandbox.write("left.out", &"x".repeat(number + 1));
            let arguments = ["--safety-net", "-e", excludes.to_str().unwrap()];
            sandbox.clone(&arguments).assert_code(0).assert_err("");
        }
        let nets = nets(sandbox);
        assert_eq!(nets.len(), 3, "{nets:?}");
        for (number, net) in nets.iter().enumerate() {
            let net = nets_dir(sandbox).join(net);
            // What is excluded is deleted once, and then it is gone.
            let names: &[&str] = if number < 2 { &["changes", "left.out"] } else { &["changes"] };
            assert_eq!(names_of(&net), names, "{number}");
            assert_eq!(fs::read_to_string(net.join("changes")).unwrap().len(), number + 1);
        }
        // A run without the option leaves them all.
        fs::remove_file(sandbox.source.join("changes")).unwrap();
        sandbox.clone(&[]).assert_code(0);
        assert_eq!(crate::safety_net::scene::nets(sandbox), nets);
    });
}

#[test]
fn a_net_does_not_travel_and_one_of_another_prefix_stays() {
    with_each(|sandbox, _| {
        make_net(sandbox, "2001-02-03_04-05-06");
        sandbox.write(".org.other.counterpart.safety-net/2001-02-03_04-05-06/file", "from the source");
        sandbox.write_destination(".org.third.counterpart.safety-net/2001-02-03_04-05-06/file", "kept");
        sandbox.write(".me.jedda.counterpart.safety-net/2002-02-03_04-05-06/file", "from the source");
        sandbox.write("file", "content");
        sandbox.clone(&["--adopt"]).assert_code(0);
        assert_eq!(nets(sandbox), ["2001-02-03_04-05-06"]);
        assert_eq!(sandbox.names(), [".org.third.counterpart.safety-net", "file"]);
        assert!(
            sandbox.destination.join(".org.third.counterpart.safety-net/2001-02-03_04-05-06/file").exists()
        );
    });
}

#[test]
fn a_source_with_nothing_but_a_net_is_empty() {
    let sandbox = Sandbox::new();
    sandbox.write(".org.other.counterpart.safety-net/2001-02-03_04-05-06/file", "from the source");
    sandbox.clone(&["--safety-net"]).assert_code(65);
    assert_eq!(sandbox.markers(), ["error"]);
}

#[test]
fn a_net_with_nothing_in_it_is_removed() {
    with_each_that_keeps(|sandbox, _| {
        sandbox.write("directory/file", "content");
        sandbox.write("new", "content");
        // A first clone takes nothing away, a second has nothing to do, and in a third only attributes change.
        for round in 0..3 {
            sandbox.clone(&["--safety-net"]).assert_code(0).assert_no_log("What was deleted");
            assert_eq!(nets(sandbox), [] as [&str; 0], "{round}");
            assert_same(
                &sandbox.source,
                &sandbox.destination,
                &Options { nanoseconds: false, ..Options::default() },
            );
            fs::set_permissions(sandbox.source.join("directory"), fs::Permissions::from_mode(0o700 + round))
                .unwrap();
            fs::set_permissions(sandbox.source.join("new"), fs::Permissions::from_mode(0o600 + round))
                .unwrap();
        }
        assert_eq!(sandbox.markers(), ["completed", "id", "safety-net", "stats"]);
    });
}

#[test]
fn the_nets_are_roots_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&["--safety-net"]).assert_code(0);
    fs::set_permissions(nets_dir(&sandbox), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write("file", "more content");
    sandbox.clone(&["--safety-net=3"]).assert_code(0);
    for dir in [nets_dir(&sandbox), only_net(&sandbox)] {
        let found = fs::symlink_metadata(dir).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o700, 0));
    }
}

#[test]
fn what_an_adopted_disk_held_is_in_the_net() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "new");
    sandbox.write_destination("file", "a stranger's");
    sandbox.write_destination("photos/cat", "a stranger's cat");
    mkfifo(&sandbox.destination.join("photos/fifo"), Mode::from_bits_truncate(0o644)).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(76);
    assert!(!nets_dir(&sandbox).exists());
    sandbox.clone(&["--safety-net", "--adopt"]).assert_code(0).assert_err("");
    assert_eq!(sandbox.names(), ["file"]);
    let net = only_net(&sandbox);
    assert_eq!(fs::read_to_string(net.join("file")).unwrap(), "a stranger's");
    assert_eq!(fs::read_to_string(net.join("photos/cat")).unwrap(), "a stranger's cat");
    assert!(fs::symlink_metadata(net.join("photos/fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn a_test_run_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    for day in 1..4 {
        make_net(&sandbox, &format!("2001-02-0{day}_04-05-06"));
    }
    sandbox.write("file", "more content");
    let before = tree::snapshot_with_ctime(&sandbox.destination);
    sandbox.clone(&["--safety-net", "-t"]).assert_code(70);
    tree::assert_unchanged(&before, &tree::snapshot_with_ctime(&sandbox.destination));
}

#[test]
fn a_filesystem_in_the_destination_is_left_alone() {
    let sandbox = Sandbox::new();
    for name in ["home/file", "other"] {
        sandbox.write(name, "content");
    }
    sandbox.clone(&[]).assert_code(0);
    let home = sandbox.destination.join("home");
    let _mounted = crate::safety_net::scene::MountedThere::new(&home);
    fs::create_dir(home.join("own")).unwrap();
    fs::write(home.join("own/file"), "own").unwrap();
    fs::remove_dir_all(sandbox.source.join("home")).unwrap();
    sandbox.write("other", "more content");
    let run = sandbox.clone(&["--safety-net"]);
    assert!([0, 23].contains(&run.code), "{run}");
    assert_eq!(fs::read_to_string(home.join("own/file")).unwrap(), "own");
    assert_eq!(names_of(&only_net(&sandbox)), ["other"]);
}

#[test]
fn without_root_a_net_keeps_what_its_owner_could_keep() {
    let sandbox = Sandbox::new();
    sandbox.write("directory/file", "content");
    sandbox.write("directory/below/empty/x", "content");
    fs::remove_file(sandbox.source.join("directory/below/empty/x")).unwrap();
    sandbox.write("stays", "content");
    nobody::give(&sandbox.source);
    nobody::give(&sandbox.destination);
    nobody::clone(&sandbox, &["--safety-net"]).assert_code(0);
    let original = beside(&sandbox, "kept").join("directory");
    fs::rename(sandbox.source.join("directory"), &original).unwrap();
    nobody::clone(&sandbox, &["--safety-net"])
        .assert_code(0)
        .assert_no_log("did not get their properties back");
    assert_same(&original, &only_net(&sandbox).join("directory"), &Options::default());
}

#[test]
fn a_version_that_loses_what_it_moved_is_refused() {
    for (version, code) in [("3.1.0", 86), ("3.1.1", 86), ("3.1.2", 0)] {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        sandbox.rsync(&format!(
            "[ \"${{*##* }}\" = --version ] && {{ echo 'rsync  version {version}  protocol version 31'; exit; }}\n\
             exec /usr/bin/rsync \"$@\""
        ));
        let run = sandbox.clone(&["--safety-net"]);
        run.assert_code(code);
        assert_eq!(run.err.contains("loses files that it moves into a safety net"), code == 86, "{run}");
        assert_eq!(sandbox.destination.join("file").exists(), code == 0);
        sandbox.clone(&[]).assert_code(0);
    }
}

#[test]
fn a_number_of_days_stands_directly_behind_its_sign() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "content");
    for bad in [
        &["--safety-net=0"][..],
        &["--safety-net=x"],
        &["--safety-net=-1"],
        &["--safety-net=36501"],
        &["--safety-net", "30"],
        &["--safety-net="],
    ] {
        let run = sandbox.clone(bad);
        assert_eq!(run.code, 2, "{bad:?}: {run}");
        assert_eq!(names_of(&sandbox.destination), [] as [&str; 0]);
    }
}
