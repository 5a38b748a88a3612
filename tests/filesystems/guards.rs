//! What is refused: a filesystem that is missing since the last clone, and ends that could not hold several.

use std::fs;

use crate::filesystems::scene::{At, Machine, names};
use crate::support::disk::{LoopDisk, Tmpfs};

#[test]
fn a_filesystem_that_is_not_mounted_any_more_is_refused() {
    let mut machine = Machine::new("ext4");
    machine.clone_all();
    machine.home = None;
    let list = machine.source("home").to_str().unwrap().to_owned();
    for (options, missing) in
        [(&["--filesystems", "all"][..], "home"), (&["--filesystems", "none"], "boot"), (&[], "boot")]
    {
        let run = machine.sandbox.clone(options);
        run.assert_code(76);
        let path = machine.source(missing);
        assert!(
            run.err.contains(&format!("mounted at {}, was part of the last clone", path.display())),
            "{run}"
        );
        assert_eq!(names(&machine.copy("home/user")), ["file"], "nothing was deleted");
    }
    // What is not mounted cannot be asked for.
    machine.sandbox.clone(&["--filesystems", &list]).assert_code(2);
    // This machine may have forgotten: the clone itself knows.
    fs::remove_dir_all(machine.sandbox.host().join("state")).unwrap();
    machine.sandbox.clone(&["--filesystems", "all"]).assert_code(76);
    assert_eq!(names(&machine.copy("home/user")), ["file"]);
    let options = ["--filesystems", "all", "--allow-shrink"];
    machine.sandbox.clone(&options).assert_code(0).assert_err("");
    assert_eq!(names(&machine.copy("home")), [] as [&str; 0]);
    machine.clone_all();
}

#[test]
fn another_filesystem_in_its_place_is_refused() {
    let mut machine = Machine::new("ext4");
    machine.sandbox.tool("blkid", "exec blkid \"$@\"");
    machine.clone_all();
    machine.home = None;
    let other = LoopDisk::new("ext4", 32, &[], "");
    let _home = At::disk(&other, "ext4", &machine.source("home"), "");
    let run = machine.sandbox.clone(&["--filesystems", "all"]);
    run.assert_code(76);
    assert!(run.err.contains("Is the right disk mounted there?"), "{run}");
    assert_eq!(names(&machine.copy("home/user")), ["file"]);
}

#[test]
fn a_filesystem_of_the_destinations_own_in_that_place_is_refused() {
    let machine = Machine::new("ext4");
    let extra = Tmpfs::new("size=1m");
    let _mounted = At::bind(extra.path(), &machine.copy("boot"));
    let run = machine.sandbox.clone(&["--filesystems", "all"]);
    run.assert_code(66);
    let text = format!(
        "a filesystem is mounted at {}, where {} of the source would go",
        machine.copy("boot").display(),
        machine.source("boot").display()
    );
    assert!(run.err.contains(&text), "{run}");
    assert_eq!(names(extra.path()), [] as [&str; 0]);
}

#[test]
fn the_destinations_own_filesystem_is_never_part() {
    let mut machine = Machine::new("ext4");
    let destination = machine.source("home/clone");
    fs::create_dir(&destination).unwrap();
    machine.sandbox.destination = destination;
    let run = machine.clone_all();
    run.assert_log(&format!("{} (ext4) is part of this clone.", machine.source("boot").display()));
    assert_eq!(names(&machine.copy("home")), [] as [&str; 0]);
    assert!(machine.copy("boot/vmlinuz").exists());
}

#[test]
fn a_destination_on_a_disk_mounted_inside_one_of_them_is_left_out() {
    let mut machine = Machine::new("ext4");
    let disk = LoopDisk::new("ext4", 64, &[], "");
    let _mounted = At::disk(&disk, "ext4", &machine.source("home/clone"), "");
    machine.sandbox.destination = machine.source("home/clone");
    machine.clone_all();
    assert_eq!(names(&machine.copy("home/user")), ["file"]);
    assert_eq!(names(&machine.copy("home/clone")), [] as [&str; 0]);
    machine.clone_all();
    assert_eq!(names(&machine.copy("home/clone")), [] as [&str; 0]);
}

#[test]
fn without_a_private_view_it_is_refused() {
    let machine = Machine::new("ext4");
    let arguments = machine.sandbox.arguments(["--filesystems", "all"]);
    let mut command = std::process::Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
    let product = machine.sandbox.command(&arguments);
    command.arg(product.get_program()).args(product.get_args());
    for (name, value) in product.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("the private view that shows them together is not available here"), "{text}");
    assert_eq!(machine.sandbox.names(), ["lost+found"]);
}
