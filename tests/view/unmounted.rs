//! A source or destination that is unmounted during a clone.

use std::fs;
use std::process::Command;

use crate::support::disk::LoopDisk;
use crate::support::sandbox::{Finished, Sandbox, wait_until};
use crate::support::tree::snapshot;
use crate::view::scene::{Scene, names, text};

#[test]
fn a_source_that_the_pre_clone_script_unmounts_is_71_and_deletes_nothing() {
    let scene = Scene::cloned();
    let (source, destination) = (&scene.sandbox.source, &scene.sandbox.destination);
    let files = || ["sub", "other"].map(|name| snapshot(&destination.join(name)));
    let before = files();
    let script = scene.script(&format!("umount -l '{}'", source.display()));
    let run = scene.sandbox.clone(&["-p", &script]);
    run.assert_code(71).assert_log("another directory is at its path now (was it unmounted?)");
    assert_eq!(files(), before);
    assert_eq!(text(destination.join("file")), "file");
    assert_eq!(scene.sandbox.markers(), ["error", "id", "stats"]);
    scene.assert_unmounted(source);
}

#[test]
fn a_destination_that_the_pre_clone_script_unmounts_is_72_and_nothing_below_it_is_touched() {
    let scene = Scene::cloned();
    let destination = &scene.sandbox.destination;
    let script = scene.script(&format!("umount -l '{}'; echo kept >'{0}/kept'", destination.display()));
    let run = scene.sandbox.clone(&["-p", &script]);
    run.assert_code(72);
    assert_eq!(names(destination), ["kept"]);
}

/// Runs a clone whose rsync waits, in the middle of the transfer, until `meanwhile` is done.
fn clone_with(sandbox: &Sandbox, meanwhile: impl FnOnce()) -> Finished {
    let (reached, go_on) = (sandbox.path().join("reached"), sandbox.path().join("go-on"));
    // The real rsync, stopped before it begins: what it is given must be enough.
    sandbox.rsync(&format!(
        "case \"$*\" in *--stats*) : >'{}'; while [ ! -e '{}' ]; do sleep 0.01; done ;; esac\nexec rsync \"$@\"",
        reached.display(),
        go_on.display()
    ));
    let child = sandbox.start(&[]);
    assert!(wait_until(|| reached.exists()));
    meanwhile();
    fs::write(&go_on, "").unwrap();
    Finished::from(child.wait_with_output().unwrap())
}

fn unmount(path: &std::path::Path) {
    assert!(Command::new("umount").arg("-R").arg("-l").arg(path).status().unwrap().success());
}

#[test]
fn a_source_that_is_unmounted_in_between_is_cloned_as_it_was() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    sandbox.write("new", "new");
    let run = clone_with(sandbox, || unmount(&sandbox.source));
    run.assert_code(0).assert_log("no longer leads where it did at the start");
    for name in ["file", "sub/below", "other/deep/file", "new"] {
        assert_eq!(text(sandbox.destination.join(name)), name);
    }
    assert_eq!(sandbox.markers(), ["completed", "id", "stats"]);
    let warnings = sandbox.record().unwrap()["warnings"].to_string();
    assert!(warnings.contains("no longer leads where it did"), "{warnings}");
}

#[test]
fn a_destination_that_is_unmounted_in_between_is_72_and_what_lies_below_stays() {
    let disk = LoopDisk::new("ext4", 32, &[], "");
    let mut sandbox = Sandbox::new();
    disk.path().clone_into(&mut sandbox.destination);
    sandbox.write("file", "content");
    sandbox.clone(&[]).assert_code(0);
    let run = clone_with(&sandbox, || {
        unmount(&sandbox.destination);
        fs::create_dir_all(sandbox.destination.join("below/deep")).unwrap();
    });
    run.assert_code(72);
    assert_eq!(
        names(&sandbox.destination),
        ["below"],
        "nothing was written or deleted below the mount point"
    );
    disk.mount_again();
    assert!(!sandbox.markers().contains(&"completed".to_owned()));
}

#[test]
fn messages_name_the_users_paths() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    sandbox.rsync("exec rsync --bwlimit=1000 \"$@\"");
    sandbox.write("new/file", "new");
    // A directory that cannot give way.
    fs::create_dir_all(sandbox.destination.join("new")).unwrap();
    let immutable = |how: &str| {
        Command::new("chattr")
            .arg(how)
            .arg(sandbox.destination.join("new"))
            .output()
            .unwrap()
            .status
            .success()
    };
    let scene_is_immutable = immutable("+i");
    let run = sandbox.clone(&[]);
    assert!(!scene_is_immutable || immutable("-i"));
    if scene_is_immutable {
        run.assert_code(23);
        let named = format!("\"{}/new/", sandbox.destination.display());
        run.assert_log(&named);
    }
    run.assert_no_log("/lock/source").assert_no_log("/lock/destination");
}
