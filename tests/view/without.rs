//! Without a private view: the paths are checked before and after, and what cannot be determined is refused.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::sandbox::{Finished, Sandbox};
use crate::view::scene::{Scene, names};

/// The product as root without `CAP_SYS_ADMIN`.
fn without_right(sandbox: &Sandbox, more: &[&str]) -> Finished {
    let product = sandbox.command(sandbox.arguments(more));
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]).arg(product.get_program());
    command.args(product.get_args()).env("COUNTERPART_FAKE_HOST", sandbox.host()).stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

#[test]
fn without_the_right_the_clone_is_made_by_path_and_says_so() {
    let scene = Scene::new();
    let run = without_right(&scene.sandbox, &[]);
    run.assert_code(0)
        .assert_err("")
        .assert_log("A private view of source and destination is not available here");
    assert!(names(&scene.sandbox.destination).contains(&"sub".to_owned()));
}

#[test]
fn without_a_view_a_source_that_is_unmounted_is_71_and_deletes_nothing() {
    let scene = Scene::cloned();
    let before = names(&scene.sandbox.destination);
    // The script may still unmount: it is another's doing.
    let helper = unmount_when_asked(&scene.sandbox, &scene.sandbox.source);
    let run = without_right(&scene.sandbox, &["-p", &scene.script(&helper)]);
    run.assert_code(71);
    let after = names(&scene.sandbox.destination);
    assert_eq!(without_markers(&after), without_markers(&before));
    assert!(!scene.sandbox.markers().contains(&"completed".to_owned()));
}

#[test]
fn without_a_view_a_destination_that_is_unmounted_is_72_and_nothing_is_written_below_it() {
    let scene = Scene::cloned();
    let helper = unmount_when_asked(&scene.sandbox, &scene.sandbox.destination);
    without_right(&scene.sandbox, &["-p", &scene.script(&helper)]).assert_code(72);
    assert_eq!(names(&scene.sandbox.destination), [] as [&str; 0]);
}

fn without_markers(names: &[String]) -> Vec<&String> {
    names.iter().filter(|name| !name.starts_with(".me.jedda")).collect()
}

/// Starts somebody who may unmount, and returns the script that asks him and waits until it is done.
fn unmount_when_asked(sandbox: &Sandbox, point: &std::path::Path) -> String {
    let (ask, done) = (sandbox.path().join("ask"), sandbox.path().join("done"));
    let (asked, point, is_done) = (ask.clone(), point.to_owned(), done.clone());
    std::thread::spawn(move || {
        if crate::support::sandbox::wait_until(|| asked.exists()) {
            nix::mount::umount2(&point, nix::mount::MntFlags::MNT_DETACH).unwrap();
            fs::write(is_done, "").unwrap();
        }
    });
    format!(": >'{}'; while [ ! -e '{}' ]; do sleep 0.01; done", ask.display(), done.display())
}

/// The product where `/proc` is covered: nothing can be found out about mounts.
fn without_proc(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let product = sandbox.command(arguments);
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"])
        .arg(product.get_program())
        .args(product.get_args())
        .env("COUNTERPART_FAKE_HOST", sandbox.host())
        .stdin(Stdio::null());
    Finished::from(command.output().unwrap())
}

#[test]
fn without_proc_no_run_deletes_its_own_source() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    // A second way to the source, of which only the table of mounts knows that it is the same.
    let way = sandbox.path().join("way");
    fs::create_dir(&way).unwrap();
    let _mounted = crate::view::scene::At::bind(&sandbox.source.join("sub"), &way);
    let ends = ["-s", sandbox.source.to_str().unwrap(), "-d", way.to_str().unwrap(), "--adopt"];
    let ends_back = ["-s", way.to_str().unwrap(), "-d", sandbox.source.to_str().unwrap(), "--adopt"];
    for arguments in [ends, ends_back] {
        let run = without_proc(sandbox, &arguments);
        run.assert_code(1).assert_log("cannot be compared with the destination: /proc/self/fdinfo/");
        assert_eq!(names(&sandbox.source.join("sub")), ["below"]);
        assert_eq!(names(&sandbox.source), ["file", "other", "sub"]);
    }
}
