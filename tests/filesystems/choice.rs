//! Which filesystems are part of a clone, and which are not.

use std::fs;

use crate::filesystems::scene::{At, Machine, names};
use crate::support::disk::{LoopDisk, OwnerlessFuse};

#[test]
fn without_the_option_none_is_cloned() {
    let machine = Machine::new("ext4");
    for options in [&[][..], &["--filesystems", "none"]] {
        let run = machine.sandbox.clone(options);
        run.assert_code(0).assert_err("");
        for point in ["boot", "home"] {
            let path = machine.source(point);
            run.assert_log(&format!("{} is another filesystem (ext4) and is not cloned.", path.display()));
            assert_eq!(names(&machine.copy(point)), [] as [&str; 0]);
        }
    }
}

#[test]
fn only_the_listed_ones_are_cloned() {
    let machine = Machine::new("ext4");
    let list = machine.source("boot").to_str().unwrap().to_owned() + "/";
    let run = machine.sandbox.clone(&["--filesystems", &list]);
    run.assert_code(0).assert_err("");
    run.assert_log(&format!("{} is another filesystem (ext4) and is not", machine.source("home").display()));
    assert_eq!(names(&machine.copy("boot")), ["grub", "lost+found", "vmlinuz"]);
    assert_eq!(names(&machine.copy("home")), [] as [&str; 0]);
}

#[test]
fn what_cannot_be_part_is_refused_by_name() {
    let machine = Machine::new("ext4");
    let _memory = At::tmpfs(&machine.source("memory"));
    let second = At::disk(&machine.boot_disk, "ext4", &machine.source("second"), "");
    let sentence = |list: &str, why: &str| {
        let run = machine.sandbox.clone(&["--filesystems", list]);
        let text = format!(
            "The filesystems below the source cannot be cloned as asked: {why}. Check --filesystems.\n"
        );
        run.assert_code(2).assert_err(&format!("counterpart: {text}"));
        assert_eq!(machine.sandbox.names(), ["lost+found"], "nothing is written");
    };
    let path = |name: &str| machine.source(name).to_str().unwrap().to_owned();
    sentence(&path("etc"), &format!("{} is no mount point", path("etc")));
    sentence(&path("absent"), &format!("{} is no mount point", path("absent")));
    sentence("/proc", "/proc is not below the source");
    let memory = path("memory");
    sentence(&memory, &format!("{memory}: a filesystem of type tmpfs cannot be part of a clone"));
    let both = format!("{},{}", path("boot"), path("second"));
    let why = format!("{}: it is a second mount of a filesystem that is part of the clone", path("second"));
    sentence(&both, &why);
    drop(second);
    let run = machine.sandbox.clone(&["--filesystems", "boot"]);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.err.contains("write all, none, or absolute paths"), "{run}");
}

#[test]
fn what_is_in_memory_or_served_or_a_file_of_the_source_stays_out() {
    let machine = Machine::new("ext4");
    let _memory = At::tmpfs(&machine.source("memory"));
    machine.sandbox.write("memory/file", "");
    let served = OwnerlessFuse::new();
    fs::write(served.backing().join("file"), "").unwrap();
    let _served = At::bind(&served.path(), &machine.source("served"));
    let images = machine.source("home/images");
    fs::create_dir(&images).unwrap();
    let image = LoopDisk::inside(&images, "ext4", 8, &[], "");
    let _image = At::disk(&image, "ext4", &machine.source("image"), "");
    let _twice = At::bind(&machine.source("etc"), &machine.source("twice"));
    let run = machine.clone_all();
    for (point, kind) in [("memory", "tmpfs"), ("served", "fuse"), ("image", "ext4")] {
        let path = machine.source(point);
        run.assert_log(&format!("{} is another filesystem ({kind}) and is not cloned.", path.display()));
        assert_eq!(names(&machine.copy(point)), [] as [&str; 0], "{point}");
    }
    assert_eq!(names(&machine.copy("twice")), [] as [&str; 0]);
    assert!(machine.copy("home/user/file").exists());
}

#[test]
fn a_disk_mounted_in_memory_or_covered_stays_out() {
    let machine = Machine::new("ext4");
    let _memory = At::tmpfs(&machine.source("memory"));
    let extra = LoopDisk::new("ext4", 8, &[], "");
    let _inside = At::disk(&extra, "ext4", &machine.source("memory/disk"), "");
    let other = LoopDisk::new("ext4", 8, &[], "");
    let _below = At::disk(&other, "ext4", &machine.source("covered/disk"), "");
    let _cover = At::tmpfs(&machine.source("covered"));
    let run = machine.clone_all();
    for path in ["memory/disk", "covered/disk"] {
        run.assert_log(&format!(
            "{} is another filesystem (ext4) and is not",
            machine.source(path).display()
        ));
    }
    assert_eq!(names(&machine.copy("memory")), [] as [&str; 0]);
    assert_eq!(names(&machine.copy("covered/disk")), [] as [&str; 0]);
    assert!(machine.copy("home/user/file").exists());
}

#[test]
fn a_test_run_lists_what_is_on_all_of_them() {
    let machine = Machine::new("ext4");
    let run = machine.sandbox.clone(&["--filesystems", "all", "-t"]);
    run.assert_code(70).assert_log("Would create home/user/file").assert_log("Would create boot/vmlinuz");
    assert_eq!(machine.sandbox.names(), ["lost+found"]);
}

#[test]
fn an_exclusion_of_one_counts_and_is_named() {
    let machine = Machine::new("ext4");
    let excludes = machine.sandbox.path().join("excludes");
    fs::write(&excludes, "/home\n").unwrap();
    let run = machine.sandbox.clone(&["--filesystems", "all", "-e", excludes.to_str().unwrap()]);
    run.assert_code(0).assert_err("");
    run.assert_log(&format!("Warning: {} is excluded, and is not cloned.", machine.source("home").display()));
    assert_eq!(machine.sandbox.names(), ["boot", "etc", "lost+found"]);
}

#[test]
fn the_doctor_names_them() {
    let machine = Machine::new("ext4");
    let mut arguments = machine.sandbox.arguments(["--filesystems", "all"]);
    arguments.insert(0, "doctor".into());
    let run = machine.sandbox.run(&arguments);
    let (boot, home) = (machine.source("boot"), machine.source("home"));
    assert!(
        run.out.contains(&format!("part of the clone: {}, {}.", boot.display(), home.display())),
        "{run}"
    );
    let alone = ["doctor", "-s", machine.sandbox.source.to_str().unwrap(), "--filesystems", "all"];
    let run = machine.sandbox.run(alone);
    assert!(
        run.out.contains(&format!("part of the clone: {}, {}.", boot.display(), home.display())),
        "{run}"
    );
}
