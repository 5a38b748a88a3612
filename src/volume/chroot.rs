//! A mount namespace whose root is another system, so that its own programs can be run in it.
//!
//! It has a copy of this machine's devices, `/proc`, `/sys` without the firmware's variables, and empty `/run` and `/tmp`.
//! Nobody else sees any of these mounts, and the kernel removes them with the last process that uses them.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use crate::fs::dir::Dir;
use crate::process::{Command, Namespace};
use crate::volume::detached;

/// Another system, ready to run its programs.
#[derive(Debug)]
pub struct Chroot {
    namespace: OwnedFd,
}

/// A filesystem to mount in it, at a path that has no link.
#[derive(Debug)]
pub struct Attached {
    /// A mount in no namespace.
    pub tree: OwnedFd,
    /// Where, relative to the root.
    pub at: PathBuf,
}

impl Attached {
    /// A directory, without what is mounted in it.
    pub fn of(dir: &Dir, at: PathBuf) -> io::Result<Self> {
        Ok(Self { tree: system::tree(dir.reached().as_fd())?, at })
    }

    /// A filesystem on a device, which is mounted nowhere else by this.
    pub fn device(kind: &str, device: &Path, at: PathBuf) -> io::Result<Self> {
        Ok(Self { tree: detached::mount(kind, device, &[])?, at })
    }
}

/// A link below `/dev` that the other system's programs look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLink {
    /// Its path relative to `/dev`.
    pub path: PathBuf,
    /// The absolute path of the device.
    pub device: PathBuf,
}

impl Chroot {
    /// Makes the namespace with `root` as its root. `place` is an existing directory of ours.
    pub fn open(place: &Path, root: &Dir, attached: &[Attached], links: &[DeviceLink]) -> io::Result<Self> {
        let place = std::fs::canonicalize(place)?;
        system::namespace(&place, root, attached, links).map(|namespace| Self { namespace })
    }

    /// One of its programs, by its absolute path there.
    pub fn command(&self, program: &str, arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::tool(program, arguments);
        for (name, value) in [("HOME", "/root"), ("TMPDIR", "/tmp")] {
            command.environment.push((name.into(), value.into()));
        }
        command.namespace =
            Some(Namespace { mounts: self.namespace.as_fd().try_clone_to_owned()?, root: None });
        Ok(command)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    use std::path::{Component, Path};

    use nix::sched::{CloneFlags, unshare};
    use nix::sys::stat::{Mode, SFlag, mknodat};
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change,
        mount_remount, move_mount, open_tree, unmount,
    };

    use super::{Attached, DeviceLink, Dir};

    /// How deep `/dev` is copied.
    const DEPTH: usize = 5;

    /// How many entries of it.
    const MOST_DEVICES: usize = 50_000;

    /// Filesystems in `/dev` that no loader needs.
    const NOT_COPIED: [&str; 4] = ["pts", "shm", "mqueue", "hugepages"];

    pub fn namespace(
        place: &Path,
        root: &Dir,
        attached: &[Attached],
        links: &[DeviceLink],
    ) -> io::Result<OwnedFd> {
        // Run on a separate thread, which alone leaves the process's namespace.
        std::thread::scope(|scope| {
            let made =
                std::thread::Builder::new().spawn_scoped(scope, || build(place, root, attached, links))?;
            made.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    fn build(place: &Path, root: &Dir, attached: &[Attached], links: &[DeviceLink]) -> io::Result<OwnedFd> {
        let clone = in_step("its filesystem", tree(root.reached().as_fd()))?;
        in_step("a mount namespace", unshare(CloneFlags::CLONE_NEWNS).map_err(io::Error::from))?;
        let namespace = OwnedFd::from(File::open("/proc/thread-self/ns/mnt")?);
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        attach(&clone, File::open(place)?.as_fd())?;
        // Until now it was a peer of the original mount: what is mounted in it would appear there too.
        mount_change(place, MountPropagationFlags::PRIVATE)?;
        // Its programs must run, whatever the options it was mounted with.
        mount_remount(place, MountFlags::BIND, c"")?;
        let top = Dir::open(place)?;
        for Attached { tree, at } in attached {
            let there = top.enter_path(at).and_then(|there| attach(tree, there.as_fd()));
            in_step(&at.to_string_lossy(), there)?;
        }
        for name in ["proc", "sys"] {
            let own = tree(File::open(Path::new("/").join(name))?.as_fd())?;
            in_step(name, top.enter(OsStr::new(name)).and_then(|there| attach(&own, there.as_fd())))?;
        }
        for (name, mode) in [("dev", "0755"), ("run", "0755"), ("tmp", "1777")] {
            in_step(name, in_memory(&top, name, mode))?;
        }
        in_step("dev", copy_devices(&top.enter(OsStr::new("dev"))?, links))?;
        let run = top.enter(OsStr::new("run"))?;
        // What udev knows of the devices.
        if let Ok(udev) = File::open("/run/udev") {
            run.make_dir(OsStr::new("udev"))?;
            attach(&tree(udev.as_fd())?, run.enter(OsStr::new("udev"))?.as_fd())?;
        }
        run.make_dir(OsStr::new("lock"))?;
        mount_change(place, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        nix::unistd::fchdir(&top)?;
        in_step("its root", rustix::process::pivot_root(c".", c".").map_err(io::Error::from))?;
        // The old root now lies on the new one.
        unmount(c".", UnmountFlags::DETACH)?;
        Ok(namespace)
    }

    /// Says what an error is about.
    fn in_step<T>(what: &str, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| {
            io::Error::new(error.kind(), format!("{what}: {}", crate::display::reason(&error)))
        })
    }

    /// A mount of this directory alone.
    pub fn tree(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(directory, c"", flags)?)
    }

    /// Mounts a tree on an open directory.
    fn attach(tree: &OwnedFd, at: BorrowedFd<'_>) -> io::Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(move_mount(tree.as_fd(), c"", at, c"", flags)?)
    }

    /// An empty filesystem in memory on a directory of the other system.
    fn in_memory(top: &Dir, name: &str, mode: &str) -> io::Result<()> {
        let filesystem = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(filesystem.as_fd(), "mode", mode)?;
        fsconfig_create(filesystem.as_fd())?;
        let tree = fsmount(filesystem.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        attach(&tree, top.enter(OsStr::new(name))?.as_fd())
    }

    /// Copies this machine's `/dev`: links can be added to a copy.
    fn copy_devices(to: &Dir, links: &[DeviceLink]) -> io::Result<()> {
        let mut left = MOST_DEVICES;
        copy_below(Path::new("/dev"), to, DEPTH, &mut left)?;
        to.make_dir(OsStr::new("shm"))?;
        for link in links {
            add_link(to, link)?;
        }
        Ok(())
    }

    fn copy_below(from: &Path, to: &Dir, depth: usize, left: &mut usize) -> io::Result<()> {
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("/dev has too many entries"))?;
            // A device may go at any moment.
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            let kind = found.file_type();
            if kind.is_dir() {
                let is_own = found.dev() == std::fs::symlink_metadata(from)?.dev();
                if is_own && depth > 0 && !NOT_COPIED.iter().any(|skipped| name == *skipped) {
                    rustix::fs::mkdirat(to, &name, rustix::fs::Mode::from_raw_mode(0o755))?;
                    copy_below(&path, &to.enter(&name)?, depth - 1, left)?;
                }
            } else if kind.is_symlink() {
                let Ok(target) = std::fs::read_link(&path) else { continue };
                nix::unistd::symlinkat(target.as_path(), to, name.as_os_str())?;
            } else if kind.is_block_device() || kind.is_char_device() {
                let which = if kind.is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
                let mode = Mode::from_bits_truncate(found.mode() & 0o777);
                mknodat(to, name.as_os_str(), which, mode, found.rdev())?;
            }
        }
        Ok(())
    }

    fn add_link(dev: &Dir, link: &DeviceLink) -> io::Result<()> {
        let mut names: Vec<&OsStr> = Vec::new();
        for part in link.path.components() {
            match part {
                Component::Normal(name) => names.push(name),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
            }
        }
        let Some((name, above)) = names.split_last() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut here = dev.enter_path(Path::new("."))?;
        for part in above {
            if here.kind(part)?.is_none() {
                rustix::fs::mkdirat(&here, *part, rustix::fs::Mode::from_raw_mode(0o755))?;
            }
            here = here.enter(part)?;
        }
        // One that udev made may lead to another device with the same name.
        here.remove(name)?;
        Ok(nix::unistd::symlinkat(link.device.as_path(), &here, *name)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::path::Path;

    use super::{Attached, DeviceLink, Dir};

    pub fn tree(_directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn namespace(
        _place: &Path,
        _root: &Dir,
        _attached: &[Attached],
        _links: &[DeviceLink],
    ) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
