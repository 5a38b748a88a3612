//! Filesystems mounted inside the source or the destination.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::support::disk::LoopDisk;
use crate::view::scene::{At, Scene, names, text, warnings};

#[test]
fn a_mount_point_is_the_directory_below_it() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    let mounted = At::tmpfs(&sandbox.source.join("sub"));
    fs::write(sandbox.source.join("sub/on top"), "").unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_err("");
    let point = sandbox.source.join("sub");
    run.assert_log(&format!("Warning: {} is another filesystem (tmpfs) and is not cloned.", point.display()));
    assert_eq!(names(&sandbox.destination.join("sub")), ["below"]);
    // What was deleted below it is deleted in the clone, though nobody can see it at its path.
    drop(mounted);
    fs::remove_file(sandbox.source.join("sub/below")).unwrap();
    let _mounted = At::tmpfs(&point);
    sandbox.clone(&[]).assert_code(0);
    assert_eq!(names(&sandbox.destination.join("sub")), [] as [&str; 0]);
}

#[test]
fn a_bind_mounted_file_is_the_file_below_it() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let outside = sandbox.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    let _mounted = At::bind(&outside, &sandbox.source.join("file"));
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log(&format!("{}/file is covered by a mount (", sandbox.source.display()));
    assert_eq!(text(sandbox.destination.join("file")), "file");
}

#[test]
fn a_bind_mount_of_the_sources_own_filesystem_is_not_entered() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let _mounted = At::bind(&sandbox.source.join("other"), &sandbox.source.join("sub"));
    let run = sandbox.clone(&[]);
    run.assert_code(0).assert_log("is a mount of /other on the same filesystem (tmpfs) and is not entered");
    assert_eq!(names(&sandbox.destination.join("sub")), ["below"]);
    assert_eq!(text(sandbox.destination.join("other/deep/file")), "other/deep/file");
}

#[test]
fn a_disk_mounted_inside_the_destination_hides_nothing_from_the_clone() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    fs::write(sandbox.destination.join("sub/stale"), "").unwrap();
    let mounted = At::tmpfs(&sandbox.destination.join("sub"));
    fs::write(sandbox.destination.join("sub/of the disk"), "").unwrap();
    sandbox.write("sub/new", "new");
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(names(&sandbox.destination.join("sub")), ["of the disk"], "the mounted disk is not touched");
    drop(mounted);
    assert_eq!(names(&sandbox.destination.join("sub")), ["below", "new"]);
}

#[test]
fn a_mount_point_that_the_source_does_not_have_stays_and_is_named() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    let point = sandbox.destination.join("a disk");
    fs::create_dir(&point).unwrap();
    let _mounted = At::tmpfs(&point);
    fs::write(point.join("file"), "kept").unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0);
    let warning = format!("{} is a mount point that the source does not have: it stays", point.display());
    run.assert_log(&warning);
    assert!(sandbox.record().unwrap()["warnings"].to_string().contains("is a mount point"));
    assert_eq!(text(point.join("file")), "kept");
}

/// A FUSE filesystem that nobody but an ordinary user may look at, not even root.
struct Private {
    device: Option<File>,
    _mounted: At,
}

impl Private {
    fn at(point: &Path) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=65534,group_id=65534", device.as_raw_fd());
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("private"), point, Some("fuse.bindfs"), flags, Some(options.as_str())).unwrap();
        Self { device: Some(device), _mounted: At::adopt(point) }
    }

    /// Nobody answers any more.
    fn die(&mut self) {
        self.device = None;
    }
}

#[test]
fn a_users_private_mount_stops_neither_the_clone_nor_its_deletions() {
    let scene = Scene::cloned();
    let sandbox = &scene.sandbox;
    let point = sandbox.source.join("private");
    fs::create_dir(&point).unwrap();
    let mut private = Private::at(&point);
    assert!(fs::read_dir(&point).is_err(), "root can read it");
    fs::remove_file(sandbox.source.join("file")).unwrap();
    let run = sandbox.clone(&[]);
    run.assert_code(0)
        .assert_err("")
        .assert_log(&format!("{} is another filesystem (fuse.bindfs)", point.display()));
    assert_eq!(names(&sandbox.destination).last().unwrap(), "sub");
    assert!(!sandbox.destination.join("file").exists());
    // A dead one is no other.
    private.die();
    fs::remove_dir_all(sandbox.source.join("other")).unwrap();
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert!(!sandbox.destination.join("other").exists());
}

#[test]
fn every_mounted_filesystem_is_named_whatever_its_device_is_called() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let mounted = ["B", "remote:", "tmpfs"].map(|device| {
        let point = sandbox.source.join(format!("mount of {device}"));
        fs::create_dir(&point).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", device]).arg(&point).status().unwrap();
        assert!(status.success());
        At::adopt(&point)
    });
    let run = sandbox.clone(&[]);
    run.assert_code(0);
    assert_eq!(
        warnings(&run).iter().filter(|line| line.contains("is another filesystem (tmpfs)")).count(),
        3
    );
    drop(mounted);
    let doctor = sandbox.run([&["doctor".into()], &sandbox.arguments([""; 0])[..]].concat());
    assert!(doctor.out.contains("other filesystems: none is mounted"), "{doctor}");
}

fn make_shared(point: &Path) {
    assert!(Command::new("mount").arg("--make-shared").arg(point).status().unwrap().success());
}

#[test]
fn what_is_mounted_after_the_start_does_not_get_into_the_view() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    // Of such a mount, which every one of systemd's is, each copy gets what is mounted on any other.
    make_shared(&sandbox.source);
    make_shared(&sandbox.destination);
    let mounts = ["source", "destination"].map(|end| {
        let point = if end == "source" { &sandbox.source } else { &sandbox.destination };
        format!("mkdir -p '{0}/sub' && mount -t tmpfs late '{0}/sub'", point.display())
    });
    let script = scene.script(&mounts.join(" && "));
    let run = sandbox.clone(&["-p", &script, "--strict-scripts"]);
    let mounted = [&sandbox.source, &sandbox.destination].map(|end| At::adopt(&end.join("sub")));
    run.assert_code(0).assert_err("");
    assert_eq!(names(&sandbox.destination.join("sub")), [] as [&str; 0], "what is mounted there");
    drop(mounted);
    assert_eq!(names(&sandbox.destination.join("sub")), ["below"]);
}

#[test]
fn nothing_is_written_below_the_mount_point_of_a_disk_that_the_view_lacks() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let point = sandbox.path().join("disk");
    fs::create_dir(&point).unwrap();
    let mounted = At::tmpfs(&point);
    let written = point.join("written");
    // A script in rsync's place that writes elsewhere: to the disk where it is seen, or else to nothing.
    sandbox.rsync(&format!(
        "case \" $* \" in *' --stats '*) {{ true >'{}'; }} 2>/dev/null ;; esac\nexec /usr/bin/rsync \"$@\"",
        written.display()
    ));
    sandbox.clone(&[]).assert_code(0).assert_err("");
    assert_eq!(text(sandbox.destination.join("file")), "file");
    drop(mounted);
    assert_eq!(names(&point), [] as [&str; 0], "below the mount point");
}

#[test]
fn a_disk_that_is_unmounted_during_a_clone_is_free() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let disk = LoopDisk::new("ext4", 16, &[], "");
    let (above, free) = (sandbox.path().join("above"), sandbox.path().join("free"));
    fs::create_dir(&above).unwrap();
    // A disk on a shared mount, as all are on a machine with systemd.
    let _above = At::tmpfs(&above);
    make_shared(&above);
    let point = above.join("disk");
    fs::create_dir(&point).unwrap();
    let _disk = At::bind(disk.path(), &point);
    let unmounted = Command::new("umount").arg(disk.path()).status().unwrap();
    assert!(unmounted.success());
    // It opens the device for itself alone.
    let check = format!("e2fsck -f -p '{}' >&2", disk.device().display());
    let script = format!("umount '{}' && {check} && : >'{}'", point.display(), free.display());
    sandbox.clone(&["-p", &scene.script(&script), "--strict-scripts"]).assert_code(0);
    assert!(free.exists());
    disk.mount_again();
}
