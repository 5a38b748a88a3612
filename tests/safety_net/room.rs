//! The clone comes first: nets make room for it, and rsync's leftovers do not go into a net.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::statvfs::statvfs;

use crate::safety_net::scene::{make_net, nets, nets_dir, only_net};
use crate::support::audit::{Options, assert_same};
use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Sandbox, names_of};
use crate::support::tree;

const MEGABYTE: usize = 1 << 20;

/// A disk of 32 MB with a clone of two files of 8 MB.
fn small() -> (Sandbox, LoopDisk) {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let mut sandbox = Sandbox::new();
    sandbox.destination = disk.path().into();
    write(&sandbox, 1);
    sandbox.clone(&[]).assert_code(0);
    (sandbox, disk)
}

fn write(sandbox: &Sandbox, seed: u64) {
    for (more, name) in ["a", "b"].into_iter().enumerate() {
        let content = tree::noise(seed * 2 + more as u64, 8 * MEGABYTE + usize::try_from(seed).unwrap());
        fs::write(sandbox.source.join(name), content).unwrap();
    }
}

fn warnings(sandbox: &Sandbox) -> String {
    sandbox.record().unwrap()["warnings"].to_string()
}

#[test]
fn the_net_of_a_failed_night_gives_way_to_the_next_clone() {
    for options in [&[][..], &["--safety-net"], &["--safety-net", "--retries=2"]] {
        let (sandbox, _disk) = small();
        write(&sandbox, 2);
        // What this run has taken from a whole clone it keeps.
        let run = sandbox.clone(&["--safety-net"]);
        run.assert_code(74);
        let net = nets(&sandbox).pop().unwrap_or_else(|| panic!("{run}"));
        let named = format!("; the safety net {net} there hold 8.00 MiB, which the next run removes");
        assert!(run.err.contains(&named), "{run}");
        // Everybody may read this one.
        assert!(sandbox.read_marker("error").contains(" is full. "));

        let run = sandbox.clone(options);
        run.assert_code(0).assert_log(&format!(
            "Warning: the destination has no room for the clone: the safety net {net}, the last one, is deleted."
        ));
        assert!(warnings(&sandbox).contains("is deleted"), "{options:?}");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
        // That of this run may have the same name, if the same second is not over.
        assert!(nets(&sandbox).len() <= 1, "{options:?}");
    }
}

#[test]
fn a_full_disk_is_freed_of_the_oldest_first_and_of_no_more_than_must_be() {
    let (sandbox, disk) = small();
    let names = ["2026-01-01_00-00-00", "000001_2026-02-01_00-00-00Z", "000002_2026-03-01_00-00-00Z"];
    for name in names {
        fs::write(make_net(&sandbox, name).join("large"), tree::noise(7, 2 * MEGABYTE)).unwrap();
    }
    let free = statvfs(disk.path()).map(|found| found.blocks_free() * found.fragment_size()).unwrap();
    fs::write(sandbox.destination.join("filler"), tree::noise(8, usize::try_from(free).unwrap() - MEGABYTE))
        .unwrap();
    fs::copy(sandbox.destination.join("filler"), sandbox.source.join("filler")).unwrap();
    for dir in [&sandbox.source, &sandbox.destination] {
        tree::set_mtime(&dir.join("filler"), 1_500_000_000, 0);
    }
    fs::write(sandbox.source.join("more"), tree::noise(9, 2 * MEGABYTE)).unwrap();
    let run = sandbox.clone(&["--no-space-check"]);
    run.assert_code(0);
    assert_eq!(nets(&sandbox), names[1..], "{run}");
    assert_same(&sandbox.source, &sandbox.destination, &Options::default());
}

#[test]
fn without_nets_a_full_disk_is_what_it_was() {
    let (sandbox, _disk) = small();
    fs::write(sandbox.source.join("more"), tree::noise(9, 20 * MEGABYTE)).unwrap();
    let run = sandbox.clone(&["--no-space-check"]);
    run.assert_code(74).assert_no_log("safety net").assert_no_log("tried again");
}

#[test]
fn a_net_of_which_nobody_is_sure_is_not_touched() {
    let (sandbox, _disk) = small();
    make_net(&sandbox, "2026-01-01_00-00-00");
    fs::set_permissions(nets_dir(&sandbox), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(sandbox.source.join("more"), tree::noise(9, 20 * MEGABYTE)).unwrap();
    sandbox
        .clone(&["--no-space-check"])
        .assert_code(74)
        .assert_log("no space could be freed in the safety nets");
    assert_eq!(nets(&sandbox), ["2026-01-01_00-00-00"]);
}

/// Has rsync killed as a whole when half of `big` is there.
fn killed_half_way(sandbox: &Sandbox, options: &[&str]) -> String {
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) ;; *) exec /usr/bin/rsync \"$@\" ;; esac\n\
         /usr/bin/rsync --bwlimit=500 \"$@\" &\n\
         until ls -A '{0}' | grep -q '^\\.big\\.'; do sleep 0.01; done\n\
         kill -9 0",
        sandbox.destination.display()
    ));
    sandbox.clone(options).assert_code(137);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    let names = sandbox.names().into_iter().map(|name| name.into_string().unwrap());
    names.into_iter().find(|name| name.starts_with(".big.")).expect("rsync has left nothing")
}

#[test]
fn what_a_killed_rsync_has_left_is_removed_and_not_moved_into_a_net() {
    for options in [&[][..], &["--safety-net"]] {
        let sandbox = Sandbox::new();
        sandbox.write("big", "small");
        sandbox.write("directory/.hidden", "content");
        sandbox.write("gone", "content");
        sandbox.clone(&[]).assert_code(0);
        fs::write(sandbox.source.join("big"), tree::noise(1, 4 * MEGABYTE)).unwrap();
        fs::remove_file(sandbox.source.join("gone")).unwrap();
        let left = killed_half_way(&sandbox, options);
        // Where rsync puts it for a name that has a dot of its own.
        let hidden = sandbox.destination.join("directory/.hidden.aZ09bY");
        fs::write(&hidden, "half").unwrap();
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600)).unwrap();
        let run = sandbox.clone(&["--safety-net"]);
        run.assert_code(0).assert_log("Removed ");
        assert_same(&sandbox.source, &sandbox.destination, &Options::default());
        for net in nets(&sandbox) {
            let names = names_of(&nets_dir(&sandbox).join(&net));
            assert!(!names.iter().any(|name| *name == *left || name == "directory"), "{net}: {names:?}");
        }
    }
}

#[test]
fn what_only_looks_like_it_is_kept_in_the_net() {
    let sandbox = Sandbox::new();
    let names =
        [".profile.backup", ".profile.000000", "directory/.notes.abcdef", ".alone.abcdef", ".link.abcdef"];
    for name in ["profile", "directory/notes", "stays", "link"].iter().chain(&names) {
        sandbox.write(name, "somebody's");
        fs::set_permissions(sandbox.source.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    sandbox.clone(&[]).assert_code(0);
    // The last run failed, so there may be leavings.
    sandbox
        .rsync("/usr/bin/rsync \"$@\"; code=$?; case \" $* \" in *' --stats '*) exit 23 ;; esac; exit $code");
    sandbox.clone(&[]).assert_code(23);
    fs::remove_file(sandbox.host().join("rsync/rsync")).unwrap();
    // One is new at the source, and one was made by hand with rights that rsync would not give.
    sandbox.write(".stays.abcdef", "somebody's");
    sandbox.write_destination(".stays.abcdef", "somebody's older one");
    fs::set_permissions(sandbox.destination.join(".stays.abcdef"), fs::Permissions::from_mode(0o600))
        .unwrap();
    sandbox.write_destination(".stays.ABCDEF", "somebody's");
    fs::set_permissions(sandbox.destination.join(".stays.ABCDEF"), fs::Permissions::from_mode(0o644))
        .unwrap();
    for name in names {
        fs::remove_file(sandbox.source.join(name)).unwrap();
    }
    sandbox.clone(&["--safety-net"]).assert_code(0).assert_no_log("temporary files");
    let net = only_net(&sandbox);
    for name in names.iter().chain(&[".stays.ABCDEF"]) {
        assert_eq!(fs::read_to_string(net.join(name)).unwrap(), "somebody's", "{name}");
    }
    assert_eq!(fs::read_to_string(net.join(".stays.abcdef")).unwrap(), "somebody's older one");
}
