//! Destinations that are never accepted, by whatever path: the source itself, and the running system.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::identity::scene::{Plugged, run};
use crate::support::disk::{LoopDisk, supported};
use crate::support::mounted::Mounted;
use crate::support::sandbox::{Finished, Sandbox};
use crate::support::tree::{assert_unchanged, snapshot_with_ctime};

/// A sandbox with directories for mounts.
fn scene() -> (Sandbox, impl Fn(&str) -> PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.write("deep/file", "content");
    let root = sandbox.path().to_owned();
    let dir = move |name: &str| {
        let dir = root.join(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    };
    (sandbox, dir)
}

/// 87 with these words, whatever is allowed; what the source and this directory hold stays as it is.
#[track_caller]
fn never(sandbox: &Sandbox, source: &Path, destination: &Path, kept: &Path, words: &str) -> Finished {
    let before = snapshot_with_ctime(kept);
    let ends = ["-s".as_ref(), source.as_os_str(), "-d".as_ref(), destination.as_os_str()];
    let mut finished = None;
    for more in [&[][..], &["--adopt", "--allow-folder"]] {
        let arguments = ends.into_iter().chain(more.iter().map(AsRef::as_ref));
        let ended = sandbox.run(arguments);
        ended.assert_code(87);
        assert!(ended.err.contains(words), "{words:?} is not in {ended}");
        finished = Some(ended);
    }
    assert_unchanged(&before, &snapshot_with_ctime(kept));
    finished.unwrap()
}

fn device(path: &Path) -> u64 {
    fs::metadata(path).unwrap().dev()
}

const INSIDE: &str = " lies inside the destination ";
const SAME: &str = "The source and the destination are the same directory, ";
const PART: &str = " a directory of the source or of the running system is mounted, at ";
const SYSTEM: &str = " holds the running system's root; a clone to it would destroy this machine. Check -d.";

#[test]
fn the_root_is_no_destination() {
    let (sandbox, _) = scene();
    never(&sandbox, &sandbox.source, Path::new("/"), &sandbox.source, INSIDE);
    never(&sandbox, Path::new("/"), Path::new("/"), &sandbox.source, SAME);
}

#[test]
fn the_root_seen_at_another_place_is_no_destination() {
    let (sandbox, dir) = scene();
    let other = LoopDisk::new("ext4", 64, &[], "");
    fs::write(other.path().join("file"), "content").unwrap();
    let point = dir("root again");
    let _bound = Mounted::bind(Path::new("/"), &point);
    never(&sandbox, other.path(), &point, other.path(), INSIDE);
    // Not even when nothing is known of the source: no reason is left there.
    let missing = sandbox.path().join("missing");
    sandbox.run(["-s".as_ref(), missing.as_os_str(), "-d".as_ref(), point.as_os_str()]).assert_code(65);
    assert!(!Path::new("/.me.jedda.counterpart.error").exists());
}

#[test]
fn a_root_that_is_a_subvolume_is_held_by_the_disk_it_is_on() {
    if !supported("btrfs") {
        return;
    }
    let (sandbox, dir) = scene();
    // A system of its own, whose root is a subvolume; the whole disk is the destination.
    let disk = LoopDisk::new("btrfs", 160, &[], "");
    run(
        "btrfs",
        &["-q".as_ref(), "subvolume".as_ref(), "create".as_ref(), disk.path().join("@").as_os_str()],
    );
    let root = dir("system");
    let _root = Plugged::with(&root, &disk, "subvol=@");
    for name in ["whole", "source", "proc", "tmp", "usr", "etc", "host", "dev"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::write(root.join("source/file"), "content").unwrap();
    let _whole = Plugged::with(&root.join("whole"), &disk, "subvol=/");
    let _usr = Mounted::bind(Path::new("/usr"), &root.join("usr"));
    let _dev = Mounted::bind(Path::new("/dev"), &root.join("dev"));
    for (link, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64"), ("bin", "usr/bin")] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    let source = LoopDisk::new("ext4", 64, &[], "");
    fs::write(source.path().join("file"), "content").unwrap();
    let _source = Mounted::bind(source.path(), &root.join("source"));
    let product = dir("product");
    fs::copy(crate::support::sandbox::FAKE_HOST, product.join("counterpart")).unwrap();
    let _product = Mounted::bind(&product, &root.join("tmp"));
    let _host = Mounted::bind(&sandbox.host(), &root.join("host"));
    let script = "mount -t proc proc /proc && exec env COUNTERPART_FAKE_HOST=/host /tmp/counterpart \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--root", root.to_str().unwrap(), "/bin/sh", "-c", script, "sh"])
        .args(["-s", "/source", "-d", "/whole", "--adopt"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let finished = Finished::from(output);
    finished.assert_code(87).assert_log(&format!("The destination /whole{SYSTEM}"));
    assert!(disk.path().join("@/source").is_dir(), "{finished}");
}

#[test]
fn a_second_mount_of_the_sources_disk_is_the_source() {
    for kind in ["ext4", "xfs", "btrfs"].into_iter().filter(|kind| supported(kind)) {
        let (sandbox, dir) = scene();
        let disk = LoopDisk::new(kind, if kind == "xfs" { 300 } else { 128 }, &[], "");
        fs::create_dir_all(disk.path().join("deep/deeper")).unwrap();
        fs::write(disk.path().join("deep/file"), "content").unwrap();
        let again = dir("again");
        let _again = Plugged::at(&again, &disk);
        let kept = disk.path();
        never(&sandbox, disk.path(), &again, kept, SAME);
        never(&sandbox, &again, disk.path(), kept, SAME);
        never(&sandbox, &disk.path().join("deep"), &again.join("deep"), kept, SAME);
        never(&sandbox, &disk.path().join("deep"), &again, kept, INSIDE);
        never(&sandbox, &again.join("deep"), disk.path(), kept, INSIDE);
        // A directory of it that is mounted somewhere lies in it as well.
        let part = dir("part");
        let _part = Mounted::bind(&disk.path().join("deep"), &part);
        never(&sandbox, &part, &again, kept, INSIDE);
        never(&sandbox, &part, &again.join("deep"), kept, SAME);
    }
}

#[test]
fn subvolumes_are_where_they_are_and_not_what_their_number_says() {
    if !supported("btrfs") {
        return;
    }
    let (sandbox, dir) = scene();
    let disk = LoopDisk::new("btrfs", 160, &[], "");
    for name in ["one", "other"] {
        run(
            "btrfs",
            &["-q".as_ref(), "subvolume".as_ref(), "create".as_ref(), disk.path().join(name).as_os_str()],
        );
    }
    fs::write(disk.path().join("one/file"), "content").unwrap();
    let (one, other) = (dir("one"), dir("other"));
    let _one = Plugged::with(&one, &disk, "subvol=one");
    let _other = Plugged::with(&other, &disk, "subvol=other");
    let kept = disk.path();
    never(&sandbox, &one, disk.path(), kept, INSIDE);
    never(&sandbox, &one, &disk.path().join("one"), kept, SAME);
    never(&sandbox, &disk.path().join("one"), &one, kept, SAME);
    // Two of them are apart.
    sandbox
        .run(["-s".as_ref(), one.as_os_str(), "-d".as_ref(), other.as_os_str()])
        .assert_code(0)
        .assert_err("");
    assert_eq!(fs::read_to_string(disk.path().join("other/file")).unwrap(), "content");
}

#[test]
fn a_source_that_is_mounted_below_the_destination_is_inside_it() {
    let (sandbox, dir) = scene();
    // On one filesystem rsync cannot see the mount, and would delete through it.
    let point = dir("destination/point");
    let bound = Mounted::bind(&sandbox.source, &point);
    never(&sandbox, &sandbox.source, &sandbox.destination, &sandbox.source, INSIDE);
    drop(bound);
    let bound = Mounted::bind(&sandbox.source.join("deep"), &point);
    never(&sandbox, &sandbox.source, &sandbox.destination, &sandbox.source, PART);
    drop(bound);
    // Nor is a directory of the running system spared that has nothing to do with the source.
    let other = dir("other");
    fs::write(other.join("precious"), "mine").unwrap();
    let disk = LoopDisk::new("ext4", 64, &[], "");
    fs::write(disk.path().join("file"), "content").unwrap();
    let bound = Mounted::bind(&other, &point);
    let is_on_root = device(&other) == device(Path::new("/"));
    if is_on_root {
        never(&sandbox, disk.path(), &sandbox.destination, &other, PART);
    }
    drop(bound);
    // A directory of the destination itself is no harm, as where a service shows it as a mount of its own.
    sandbox.write("point/file", "content");
    let inner = dir("destination/point");
    let _bound = Mounted::bind(&inner, &point);
    sandbox.clone(&[]).assert_code(0).assert_err("");
}

#[test]
fn a_destination_that_is_mounted_below_the_source_is_left_out() {
    let (sandbox, dir) = scene();
    let point = dir("source/point");
    let _bound = Mounted::bind(&sandbox.destination, &point);
    for _ in 0..3 {
        sandbox.clone(&[]).assert_code(0).assert_err("");
    }
    assert_eq!(sandbox.names(), ["deep"], "a clone that holds itself would grow at every run");
}

#[test]
fn the_layers_of_an_overlay_are_the_overlay() {
    let (sandbox, dir) = scene();
    // Some filesystems cannot be the upper layer.
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let names = ["lower", "upper", "work"];
    let [lower, upper, work] = names.map(|name| disk.path().join(name));
    for layer in [&lower, &upper, &work] {
        fs::create_dir(layer).unwrap();
    }
    fs::create_dir(lower.join("deep")).unwrap();
    fs::write(lower.join("deep/file"), "content").unwrap();
    let merged = dir("merged");
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let _merged = Plugged::overlay(&merged, &options);
    never(&sandbox, &merged, &lower, &lower, SAME);
    never(&sandbox, &merged.join("deep"), &lower, &lower, INSIDE);
    never(&sandbox, &merged, disk.path(), &lower, INSIDE);
    fs::write(merged.join("new"), "content").unwrap();
    never(&sandbox, &merged, &upper, &upper, SAME);
    never(&sandbox, &upper, &merged, &upper, SAME);
    // A directory beside the layers is another one.
    let beside = disk.path().join("beside");
    fs::create_dir(&beside).unwrap();
    sandbox
        .run(["-s".as_ref(), merged.as_os_str(), "-d".as_ref(), beside.as_os_str()])
        .assert_code(0)
        .assert_err("");
}

#[test]
fn the_layers_of_an_overlay_may_have_any_name() {
    let (sandbox, dir) = scene();
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let [lower, upper, work] = ["lo:wer", "up,per \\", "work"].map(|name| disk.path().join(name));
    for layer in [&lower, &upper, &work] {
        fs::create_dir(layer).unwrap();
        fs::write(layer.join("file"), "content").unwrap();
    }
    let merged = dir("merged");
    let escaped =
        |path: &Path| path.to_str().unwrap().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,");
    fs::remove_file(work.join("file")).unwrap();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", escaped(&lower), escaped(&upper), escaped(&work));
    let _merged = Plugged::overlay(&merged, &options);
    never(&sandbox, &merged, &lower, &lower, SAME);
    never(&sandbox, &merged, &upper, &upper, SAME);
}

#[test]
fn the_name_of_a_mount_point_need_not_be_text() {
    let (sandbox, dir) = scene();
    let outer = dir("outer");
    let inner = dir("outer/inner");
    fs::write(inner.join("file"), "content").unwrap();
    let point = sandbox.path().join(OsStr::from_bytes(b"a \xff\\040"));
    fs::create_dir(&point).unwrap();
    let _bound = Mounted::bind(&inner, &point);
    never(&sandbox, &point, &outer, &outer, INSIDE);
}
