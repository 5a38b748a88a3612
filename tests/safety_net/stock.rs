//! Which nets are kept and which are removed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};

use chrono::{Duration, Local, NaiveDateTime};
use nix::sys::stat::Mode;
use nix::sys::statvfs::statvfs;
use nix::unistd::mkfifo;

use crate::safety_net::scene::{AGES, MountedThere, Roomy, beside, make_net, nets, nets_dir};
use crate::support::audit::dir::Dir;
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree;

/// A clone that has been made, and a source that a further clone would change nothing by.
fn cloned() -> Roomy {
    let sandbox = Roomy::new();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    sandbox
}

/// The name of a net that is so old.
fn aged(age: Duration) -> String {
    let time: NaiveDateTime = Local::now().naive_local() - age;
    time.format("%Y-%m-%d_%H-%M-%S").to_string()
}

#[test]
fn nets_older_than_so_many_days_go_and_the_newest_stays() {
    for (option, days) in [("--safety-net", 30), ("--safety-net=3", 3), ("--safety-net=36500", 36_500)] {
        let sandbox = cloned();
        let old = aged(Duration::days(days) + Duration::minutes(5));
        let older = aged(Duration::days(days + 1));
        let young = aged(Duration::days(days) - Duration::minutes(5));
        for name in [&old, &older, &young] {
            make_net(&sandbox, name);
        }
        sandbox
            .clone(&[option])
            .assert_code(0)
            .assert_log(&format!("The safety net {old} is older than {days} days and is removed."));
        assert_eq!(nets(&sandbox), [young.as_str()]);

        let sandbox = cloned();
        for name in [&old, &older] {
            make_net(&sandbox, name);
        }
        sandbox.clone(&[option]).assert_code(0);
        assert_eq!(nets(&sandbox), [old.as_str()], "the last one never goes");
        sandbox.clone(&[option]).assert_code(0);
        assert_eq!(nets(&sandbox), [old.as_str()]);
    }
}

#[test]
fn a_net_from_the_future_is_not_old() {
    let sandbox = cloned();
    let (future, past) = (aged(Duration::days(-400)), aged(Duration::days(10)));
    for name in [&future, &past] {
        make_net(&sandbox, name);
    }
    sandbox.clone(&["--safety-net"]).assert_code(0);
    assert_eq!(nets(&sandbox), [past.as_str(), future.as_str()]);
    sandbox.clone(&["--safety-net=9"]).assert_code(0);
    assert_eq!(nets(&sandbox), [future.as_str()]);
}

#[test]
fn what_is_no_net_is_left_alone_and_named() {
    let sandbox = cloned();
    let dir = nets_dir(&sandbox);
    make_net(&sandbox, "2001-02-03_04-05-06");
    for name in ["2001-02-03", "2001-02-03_04-05-06.old", "2001-13-03_04-05-06", "lost+found"] {
        make_net(&sandbox, name);
    }
    fs::write(dir.join("2001-02-03_04-05-05"), "a file").unwrap();
    symlink("2001-02-03_04-05-06", dir.join("2001-02-03_04-05-04")).unwrap();
    // A net of this run comes and goes, and the ages stay.
    let at_rest = || {
        tree::set_mtime(&dir, 1_500_000_000, 0);
        tree::snapshot(&dir).without(std::path::Path::new(AGES))
    };
    let before = at_rest();
    let run = sandbox.clone(&["--safety-net"]);
    run.assert_code(0);
    assert_eq!(run.out.matches("is not a safety net and is left alone.").count(), 6, "{run}");
    run.assert_log(&format!("Warning: {}/2001-02-03_04-05-05 is not a safety net", dir.display()));
    tree::assert_unchanged(&before, &at_rest());
}

#[test]
fn leavings_of_a_killed_run_are_removed() {
    let sandbox = cloned();
    make_net(&sandbox, "2026-01-01_00-00-00");
    make_net(&sandbox, "2026-01-02_00-00-00.removing");
    fs::create_dir(nets_dir(&sandbox).join("2026-01-03_00-00-00")).unwrap();
    sandbox.clone(&["--safety-net=36500"]).assert_code(0).assert_no_log("left alone");
    assert_eq!(nets(&sandbox), ["2026-01-01_00-00-00"]);
}

#[test]
fn a_removal_copes_with_depth_names_links_and_closed_directories() {
    let sandbox = cloned();
    let victims = beside(&sandbox, "victims");
    fs::write(victims.join("file"), "mine").unwrap();
    let net = make_net(&sandbox, "2001-02-03_04-05-06");
    make_net(&sandbox, "2001-02-04_04-05-06");
    tree::hostile_tree_reserving(&net.join("hostile"), 600);
    symlink(&victims, net.join("link")).unwrap();
    fs::create_dir(net.join("directory")).unwrap();
    symlink(&victims, net.join("directory/link")).unwrap();
    fs::set_permissions(net.join("directory"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::hard_link(sandbox.destination.join("file"), net.join("hard")).unwrap();
    tree::over_long_path(&net);
    let mut deep = Dir::open(&net).unwrap();
    for _ in 0..3000 {
        fs::create_dir(deep.at("d".as_ref())).unwrap();
        deep = deep.enter("d".as_ref()).unwrap();
    }
    drop(deep);
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_err("").assert_no_log("Warning: /");
    assert_eq!(nets(&sandbox), ["2001-02-04_04-05-06"]);
    assert_eq!(fs::read_to_string(victims.join("file")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content");
}

#[test]
fn a_removal_never_enters_another_filesystem() {
    let sandbox = cloned();
    let net = make_net(&sandbox, "2001-02-03_04-05-06");
    make_net(&sandbox, "2001-02-04_04-05-06");
    let here = beside(&sandbox, "here");
    // Moved with the net it would be, so it is mounted where the net will have been moved to.
    fs::create_dir(net.join("mounted")).unwrap();
    let removing = nets_dir(&sandbox).join("2001-02-03_04-05-06.removing");
    fs::rename(&net, &removing).unwrap();
    let point = removing.join("mounted");
    let mounted = MountedThere::new(&point);
    fs::write(point.join("precious"), "mine").unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_log("could not be removed");
    assert_eq!(fs::read_to_string(point.join("precious")).unwrap(), "mine");
    drop(mounted);
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_no_log("could not be removed");
    assert_eq!(nets(&sandbox), ["2001-02-04_04-05-06"]);
    drop(here);
}

#[test]
fn the_oldest_go_when_the_source_has_grown_by_more_than_is_free() {
    let disk = LoopDisk::new("ext4", 96, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    fs::write(sandbox.source.join("file"), tree::noise(1, 8 << 20)).unwrap();
    sandbox.clone(&[]).assert_code(0);
    let names = [3, 2, 1].map(|days| aged(Duration::days(days)));
    for name in &names {
        fs::write(make_net(&sandbox, name).join("large"), tree::noise(2, 18 << 20)).unwrap();
    }
    // More than a twentieth of the disk is free, and less than the new file needs.
    fs::write(sandbox.source.join("grown"), tree::noise(3, 24 << 20)).unwrap();
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_log("Space is short");
    assert_eq!(nets(&sandbox), names[1..], "no more go than must");
    crate::support::audit::assert_same(
        &sandbox.source,
        &sandbox.destination,
        &crate::support::audit::Options::default(),
    );
}

#[test]
fn the_oldest_go_first_when_room_is_short() {
    let disk = LoopDisk::new("ext4", 96, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let names = [4, 3, 2, 1].map(|days| aged(Duration::days(days)));
    for name in &names {
        fs::write(make_net(&sandbox, name).join("large"), tree::noise(1, 6 << 20)).unwrap();
    }
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_no_log("Space is short");
    assert_eq!(nets(&sandbox).len(), 4);
    let free = || statvfs(disk.path()).map(|found| found.blocks_available() * found.fragment_size()).unwrap();
    let filler = usize::try_from(free()).unwrap() - (1 << 20);
    fs::write(sandbox.source.join("filler"), tree::noise(2, filler)).unwrap();
    sandbox.clone(&[]).assert_code(0);
    // One net is enough to be over a twentieth of the disk, and no more go than must.
    let room_short = "Space is short at the destination: the safety net";
    sandbox
        .clone(&["--safety-net"])
        .assert_code(0)
        .assert_log(&format!("{room_short} {}, the oldest", names[0]));
    assert_eq!(nets(&sandbox), names[1..]);

    // However short it is, the newest stays.
    for round in 0..3 {
        let filler = usize::try_from(free()).unwrap().saturating_sub(1 << 20);
        fs::write(sandbox.source.join(format!("more {round}")), tree::noise(3, filler)).unwrap();
        sandbox.clone(&[]).assert_code(0);
        sandbox.clone(&["--safety-net"]).assert_code(0);
    }
    assert_eq!(nets(&sandbox), names[3..]);
}

#[test]
fn what_is_planted_in_its_place_is_neither_followed_nor_touched() {
    let victims = tempfile::tempdir().unwrap();
    for name in [
        "link",
        "link to nothing",
        "file",
        "FIFO",
        "somebody's directory",
        "a directory that all can write to",
    ] {
        let sandbox = cloned();
        let place = nets_dir(&sandbox);
        match name {
            "link" => symlink(victims.path(), &place).unwrap(),
            "link to nothing" => symlink(victims.path().join("nothing"), &place).unwrap(),
            "file" => fs::write(&place, "mine").unwrap(),
            "FIFO" => mkfifo(&place, Mode::from_bits_truncate(0o644)).unwrap(),
            _ => fs::create_dir(&place).unwrap(),
        }
        if name == "somebody's directory" {
            lchown(&place, Some(1234), Some(1234)).unwrap();
        } else if name.starts_with("a directory") {
            fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let before = fs::symlink_metadata(&place).unwrap();
        sandbox.write("file", "more content");
        let run = sandbox.clone(&["--safety-net"]);
        run.assert_code(72);
        let sentence = format!("counterpart: The safety net {} cannot be used: ", place.display());
        assert!(run.err.starts_with(&sentence), "{name}: {run}");
        let after = fs::symlink_metadata(&place).unwrap();
        assert_eq!(
            (before.ino(), before.mode(), before.uid()),
            (after.ino(), after.mode(), after.uid()),
            "{name}"
        );
        assert_eq!(names_of(victims.path()), [] as [&str; 0], "{name}");
        assert_eq!(fs::read_to_string(sandbox.destination.join("file")).unwrap(), "content", "{name}");
        assert_eq!(sandbox.markers(), ["error", "id", "safety-net", "stats"], "{name}");
    }
}

#[test]
fn a_filesystem_mounted_in_its_place_is_left_alone() {
    let sandbox = cloned();
    let place = nets_dir(&sandbox);
    fs::create_dir(&place).unwrap();
    let mounted = MountedThere::new(&place);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    // What is mounted there is no part of the destination: the nets are kept below it.
    sandbox.clone(&["--safety-net"]).assert_code(0);
    assert_eq!(names_of(&place), [] as [&str; 0]);
    drop(mounted);
    sandbox.clone(&["--safety-net"]).assert_code(0);
}
