//! Whoever can change a job's file is root: so nobody else can.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::jobs::scene::{ENDS, Scene};

const ADVICE: &str = "A job file must belong to root, in a directory where nobody else can write.";

#[test]
fn a_file_that_others_own_or_can_write_is_refused() {
    let scene = Scene::with("clone", ENDS);
    let file = scene.file("clone");
    chown(&file, Some(65534), None).unwrap();
    scene.refused("clone", &format!("FILE is not used: FILE belongs to the user nobody. {ADVICE}"));
    chown(&file, Some(0), None).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
    scene.refused("clone", &format!("FILE is not used: everybody can write to FILE. {ADVICE}"));
    chown(&file, None, Some(65534)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
    scene.refused("clone", &format!("FILE is not used: a group can write to FILE. {ADVICE}"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    scene.run(&["clone"]).assert_code(0);
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let scene = Scene::with("clone", ENDS);
    let dir = scene.dir();
    let shown = dir.display();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
    scene.refused("clone", &format!("FILE is not used: everybody can write to {shown}. {ADVICE}"));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&dir, Some(65534), None).unwrap();
    scene.refused("clone", &format!("FILE is not used: {shown} belongs to the user nobody. {ADVICE}"));
}

#[test]
fn a_planted_link_is_not_followed() {
    let scene = Scene::with("real", ENDS);
    let file = scene.file("clone");
    // Root may link to a file of root's.
    symlink(scene.file("real"), &file).unwrap();
    scene.run(&["clone"]).assert_code(0);
    let scene = Scene::with("real", ENDS);
    let file = scene.file("clone");
    symlink(scene.file("real"), &file).unwrap();
    std::os::unix::fs::lchown(&file, Some(65534), None).unwrap();
    scene.refused("clone", &format!("FILE is not used: FILE belongs to the user nobody. {ADVICE}"));
    // Nor one of root's that leads to where others can write.
    fs::remove_file(&file).unwrap();
    let public = tempfile::NamedTempFile::new().unwrap();
    fs::write(public.path(), scene.filled(ENDS)).unwrap();
    symlink(public.path(), &file).unwrap();
    let tmp = std::env::temp_dir();
    scene.refused("clone", &format!("FILE is not used: everybody can write to {}. {ADVICE}", tmp.display()));
    // What is no file does not block.
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR).unwrap();
    scene.refused("clone", &format!("FILE is not used: it is not a file. {ADVICE}"));
}
