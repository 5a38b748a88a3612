//! Shared helpers: where the nets are, and how to make one of any age.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::disk::Tmpfs;
use crate::support::sandbox::{Sandbox, names_of};

/// A sandbox whose destination has room whatever the machine's own disks have: nets go where it is short.
pub struct Roomy {
    sandbox: Sandbox,
    _disk: Tmpfs,
}

impl Roomy {
    /// An empty source and an empty disk.
    pub fn new() -> Self {
        let (mut sandbox, disk) = (Sandbox::new(), Tmpfs::new("size=256m"));
        sandbox.destination = disk.path().into();
        Self { sandbox, _disk: disk }
    }
}

impl std::ops::Deref for Roomy {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// The directory of the nets.
pub fn nets_dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.marker("safety-net")
}

/// The file of the nets' ages, which is among them.
pub const AGES: &str = "ages.json";

/// The names of the nets, the oldest first: those without a number, then the others.
pub fn nets(sandbox: &Sandbox) -> Vec<String> {
    let names = names_of(&nets_dir(sandbox)).into_iter().map(|name| name.into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != AGES).collect();
    names.sort_by_key(|name| (name.find('_') != Some(10), name.clone()));
    names
}

/// The only net that there is.
#[track_caller]
pub fn only_net(sandbox: &Sandbox) -> PathBuf {
    let nets = nets(sandbox);
    assert_eq!(nets.len(), 1, "{nets:?}");
    nets_dir(sandbox).join(&nets[0])
}

/// Makes a net by hand, with one file that holds the net's name.
pub fn make_net(sandbox: &Sandbox, name: &str) -> PathBuf {
    let dir = nets_dir(sandbox);
    let net = dir.join(name);
    fs::create_dir_all(&net).unwrap();
    for private in [&dir, &net] {
        fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(net.join("file"), name).unwrap();
    net
}

/// Runs `counterpart restore` for the destination, with more arguments.
pub fn restore(
    sandbox: &Sandbox,
    more: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> crate::support::sandbox::Finished {
    let mut arguments = vec![OsStr::new("restore").to_owned(), OsStr::new("-d").to_owned()];
    arguments.push(sandbox.destination.clone().into());
    arguments.extend(more.into_iter().map(|argument| argument.as_ref().to_owned()));
    sandbox.run(arguments)
}

/// A directory beside source and destination.
pub fn beside(sandbox: &Sandbox, name: &str) -> PathBuf {
    let dir = sandbox.path().join(name);
    fs::create_dir(&dir).unwrap();
    dir
}

/// A filesystem in memory that is mounted at a directory and unmounted with this value.
pub struct MountedThere<'a>(&'a Path);

impl<'a> MountedThere<'a> {
    /// Mounts it.
    pub fn new(dir: &'a Path) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(dir).status().unwrap();
        assert!(mounted.success());
        Self(dir)
    }
}

impl Drop for MountedThere<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}
