//! A private view of directories: each is the root of its own mount, which shows one filesystem exactly as it is on
//! disk, with nothing mounted on top but the filesystems that are attached to it on purpose.
//!
//! The mounts are in a mount namespace of their own. Whatever is mounted or unmounted elsewhere, they keep showing the
//! directories that were opened, and the kernel removes them with the last process that uses them. Requires Linux 5.2
//! and `CAP_SYS_ADMIN`. From Linux 5.10 on no path through them follows a symbolic link: whoever exchanges a directory for
//! a link leads a program that works on them nowhere.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use crate::fs::dir::Dir;
use crate::process::Namespace;
use crate::volume::snapshot::Snapshot;

/// Directories in their own mount namespace.
#[derive(Debug)]
pub struct View {
    namespace: OwnedFd,
    /// Our root directory in it.
    root: OwnedFd,
    place: PathBuf,
    follows_links: bool,
}

/// A filesystem that a directory of the view shows in its place below it.
#[derive(Debug)]
pub struct Attached<'a> {
    /// The name of the directory.
    pub name: &'a str,
    /// Its place, relative to the directory.
    pub place: &'a Path,
    /// Its root.
    pub root: &'a Dir,
}

/// A directory of a view, or a filesystem attached to one, that may be replaced by a snapshot of it.
#[derive(Debug)]
pub struct Part<'a> {
    /// Where it is, relative to the directory of the view.
    pub place: &'a Path,
    /// What the view shows now.
    pub now: &'a Dir,
    /// What it is to show.
    pub snapshot: Option<&'a Snapshot>,
}

impl Part<'_> {
    /// What `tree`, the root of a mount, shows of it.
    fn seen_through(&self, tree: &OwnedFd) -> io::Result<Dir> {
        match self.snapshot {
            Some(_) => self.now.replaced_by(tree.as_fd()),
            None => self.now.seen_through(tree.as_fd()),
        }
    }
}

/// A view that was opened: the view, its directories, and the roots of what is attached.
pub type Opened<const N: usize> = (View, [Dir; N], Vec<Dir>);

impl View {
    /// Builds the view of `directories`, each below `place` under the given name, and returns them as seen in it. What is
    /// `attached` is attached in that order.
    ///
    /// `place` is an existing directory; only the view's own namespace shows anything in it. Processes in the namespace
    /// must be able to find the directories `programs`. Fails if the system does not support or allow such views, or if
    /// a directory is no longer on a mounted filesystem.
    pub fn open<const N: usize>(
        place: &Path,
        programs: &[PathBuf],
        directories: [(&str, &Dir); N],
        attached: &[Attached<'_>],
    ) -> io::Result<Opened<N>> {
        let place = std::fs::canonicalize(place)?;
        let trees = directories.map(|(name, directory)| system::tree(directory).map(|tree| (name, tree)));
        let trees = trees.into_iter().collect::<io::Result<Vec<_>>>()?;
        let below = attached.iter().map(|it| Ok((it.name, it.place, system::tree(it.root)?)));
        let below = below.collect::<io::Result<Vec<_>>>()?;
        let (namespace, root, follows_links) = system::namespace(&place, programs, &trees, &below)?;
        let mut seen = Vec::with_capacity(N);
        for ((_, directory), (_, tree)) in directories.iter().zip(&trees) {
            seen.push(directory.seen_through(tree.as_fd())?);
        }
        let seen: [Dir; N] =
            seen.try_into().map_err(|_| io::Error::other("a directory is missing from the view"))?;
        let mut roots = Vec::with_capacity(attached.len());
        for (it, (.., tree)) in attached.iter().zip(&below) {
            roots.push(it.root.seen_through(tree.as_fd())?);
            let above = directories.iter().zip(&seen).find(|((name, _), _)| *name == it.name);
            let shown = above.map(|(_, above)| above.enter_path(it.place)?.identity()).transpose()?;
            if shown != Some(it.root.identity()?) {
                return Err(io::Error::other("a filesystem is not in its place in the view"));
            }
        }
        Ok((Self { namespace, root, place, follows_links }, seen, roots))
    }

    /// Shows in place of the directory `name` the snapshot of it, if there is one, and attached to it the same filesystems
    /// as before, or snapshots of them. Returns what is seen now.
    ///
    /// Requires a view in which no path follows a link. After an error it may show nothing there.
    pub fn replace(
        &self,
        name: &str,
        directory: &Part<'_>,
        attached: &[Part<'_>],
    ) -> io::Result<(Dir, Vec<Dir>)> {
        let mut trees = system::replace(self, name, directory, attached)?.into_iter();
        let missing = || io::Error::other("a directory is missing from the view");
        let seen = directory.seen_through(&trees.next().ok_or_else(missing)?)?;
        let mut roots = Vec::with_capacity(attached.len());
        for it in attached {
            let root = it.seen_through(&trees.next().ok_or_else(missing)?)?;
            if seen.enter_path(it.place)?.identity()? != root.identity()? {
                return Err(io::Error::other("a filesystem is not in its place in the view"));
            }
            roots.push(root);
        }
        Ok((seen, roots))
    }

    /// Shows nothing in place of the directory `name` any more.
    pub fn hide(&self, name: &str) -> io::Result<()> {
        system::hide(self, name)
    }

    /// The path of a directory for a process in the view's namespace.
    #[must_use]
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.place.join(name.as_ref())
    }

    /// Whether a path through the directories follows symbolic links in them, as on a kernel before Linux 5.10.
    #[must_use]
    pub fn follows_links(&self) -> bool {
        self.follows_links
    }

    /// A handle to the namespace, for a child process to enter.
    pub fn namespace(&self) -> io::Result<Namespace> {
        let root = self.root.as_fd().try_clone_to_owned()?;
        Ok(Namespace { mounts: self.namespace.as_fd().try_clone_to_owned()?, root: Some(root) })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{DirBuilder, File};
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::DirBuilderExt as _;
    use std::path::{Path, PathBuf};

    use nix::sched::{CloneFlags, setns, unshare};
    use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
    use rustix::mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
        mount_remount, move_mount, open_tree, unmount,
    };

    use super::{Dir, Part, Snapshot, View};
    use crate::linux::mounts;
    use crate::sys;
    use crate::volume::detached;

    /// A mount of this directory alone, without any mounts below it.
    pub fn tree(directory: impl AsFd) -> io::Result<OwnedFd> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(directory, c"", flags)?)
    }

    /// Replaces what a view shows; returns the mounts.
    pub fn replace(
        view: &View,
        name: &str,
        directory: &Part<'_>,
        attached: &[Part<'_>],
    ) -> io::Result<Vec<OwnedFd>> {
        inside(view, || exchange(&view.place, &view.place.join(name), directory, attached))
    }

    /// Takes away what a view shows.
    pub fn hide(view: &View, name: &str) -> io::Result<()> {
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        inside(view, || Ok(unmount(view.place.join(name), flags)?))
    }

    /// Works in a view's namespace, on a thread of its own, which alone enters it.
    fn inside<T: Send>(view: &View, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let done = std::thread::Builder::new().spawn_scoped(scope, || {
                unshare(CloneFlags::CLONE_FS)?;
                setns(&view.namespace, CloneFlags::CLONE_NEWNS)?;
                sys::enter_root(view.root.as_fd())?;
                work()
            })?;
            done.join().unwrap_or_else(|_| Err(io::Error::other("the view's thread panicked")))
        })
    }

    fn exchange(
        place: &Path,
        point: &Path,
        directory: &Part<'_>,
        attached: &[Part<'_>],
    ) -> io::Result<Vec<OwnedFd>> {
        let parts = || [directory].into_iter().chain(attached);
        let trees = parts().map(|part| match part.snapshot {
            Some(snapshot) => of_snapshot(place, snapshot),
            None => tree(part.now),
        });
        // All of them, before anything is taken away.
        let trees = trees.collect::<io::Result<Vec<_>>>()?;
        unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        for (part, tree) in parts().zip(&trees) {
            let point = if part.place == Path::new("") { point.to_owned() } else { point.join(part.place) };
            move_mount(tree.as_fd(), c"", CWD, &point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            if !settle(&point)? {
                return Err(io::Error::other("a path in it could follow a link"));
            }
        }
        Ok(trees)
    }

    /// A mount of a directory in a snapshot. Only what is mounted in this namespace can be mounted again.
    fn of_snapshot(place: &Path, snapshot: &Snapshot) -> io::Result<OwnedFd> {
        let spare = place.join("snapshot");
        DirBuilder::new().mode(0o700).create(&spare)?;
        move_mount(snapshot.tree.as_fd(), c"", CWD, &spare, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        mount_change(&spare, MountPropagationFlags::PRIVATE)?;
        let found = detached::top(&snapshot.tree)
            .and_then(|top| Dir::adopt(&top, &spare)?.enter_path(&snapshot.inside))
            .and_then(|dir| tree(&dir));
        unmount(&spare, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        std::fs::remove_dir(&spare)?;
        found
    }

    /// A namespace that shows `trees` below `place`, and whether links in them are followed.
    pub fn namespace(
        place: &Path,
        programs: &[PathBuf],
        trees: &[(&str, OwnedFd)],
        below: &[(&str, &Path, OwnedFd)],
    ) -> io::Result<(OwnedFd, OwnedFd, bool)> {
        // Run on a separate thread, which alone leaves the process's namespace.
        std::thread::scope(|scope| {
            let built =
                std::thread::Builder::new().spawn_scoped(scope, || build(place, programs, trees, below))?;
            built.join().unwrap_or_else(|_| Err(io::Error::other("the view's thread panicked")))
        })
    }

    fn build(
        place: &Path,
        programs: &[PathBuf],
        trees: &[(&str, OwnedFd)],
        below: &[(&str, &Path, OwnedFd)],
    ) -> io::Result<(OwnedFd, OwnedFd, bool)> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // Mounts made here stay here; unmounts elsewhere still take effect here.
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        let needed: Vec<&Path> = SYSTEM
            .iter()
            .map(Path::new)
            .chain(programs.iter().map(PathBuf::as_path))
            .chain([place])
            .collect();
        let_go(&needed)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("counterpart", place, "tmpfs", flags, Some(c"mode=0700,size=64k"))?;
        mount_change(place, MountPropagationFlags::PRIVATE)?;
        let mut follows_links = false;
        for (name, tree) in trees {
            let point = place.join(name);
            DirBuilder::new().mode(0o700).create(&point)?;
            move_mount(tree.as_fd(), c"", CWD, &point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            follows_links |= !settle(&point)?;
        }
        for (name, inside, tree) in below {
            // The path must lead to its place, whatever users do there at this moment.
            if follows_links {
                return Err(io::Error::other("this kernel cannot keep paths from following links"));
            }
            let point = place.join(name).join(inside);
            move_mount(tree.as_fd(), c"", CWD, &point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
            follows_links |= !settle(&point)?;
        }
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok((File::open("/proc/thread-self/ns/mnt")?.into(), root, follows_links))
    }

    /// Makes a new mount private, with nothing on it; returns whether no path through it follows a link.
    fn settle(point: &Path) -> io::Result<bool> {
        // Until now it was a peer of its original mount and could have received mounts made there.
        mount_change(point, MountPropagationFlags::PRIVATE)?;
        uncover(point)?;
        Ok(refuse_links(point))
    }

    /// What programs need: their files, libraries and settings, and the kernel's interfaces.
    const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/nix", "/proc", "/dev"];

    /// Drops this namespace's copies of mounts that would outlast an unmount elsewhere and keep a disk busy.
    fn let_go(needed: &[&Path]) -> io::Result<()> {
        let table = mounts::read(&std::fs::read("/proc/thread-self/mountinfo")?);
        let follows = |id| table.iter().any(|mount| mount.id == id && mount.follows);
        let is_needed =
            |point: &Path| needed.iter().any(|needed| needed.starts_with(point) || point.starts_with(needed));
        let others = table.iter().rev().filter(|mount| !follows(mount.parent) && !is_needed(&mount.point));
        for other in others {
            // A mount below another that is gone is gone with it.
            if unmount(&other.point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {
                // An rsync that is a script must not mistake the directory below for the disk.
                let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                let _ = mount("counterpart", &other.point, "tmpfs", flags, Some(c"mode=0555,size=4k"));
            }
        }
        Ok(())
    }

    /// Lets no path through the mount at `point` follow a symbolic link; returns whether the kernel does that.
    fn refuse_links(point: &Path) -> bool {
        /// What `statvfs` shows of it, from the kernel's `ST_NOSYMFOLLOW`.
        const NO_LINKS: u64 = 0x2000;
        let flags = || rustix::fs::statvfs(point).map(|found| found.f_flag);
        let Ok(now) = flags() else { return false };
        // A remount would clear what is not repeated, but for how access times are kept.
        let kept = [
            (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
            (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
            (StatVfsMountFlags::NODEV, MountFlags::NODEV),
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        ];
        let kept = kept.into_iter().filter(|(shown, _)| now.contains(*shown)).map(|(_, flag)| flag);
        let wanted = MountFlags::BIND | MountFlags::NOSYMFOLLOW | kept.collect::<MountFlags>();
        mount_remount(point, wanted, c"").is_ok() && flags().is_ok_and(|now| now.bits() & NO_LINKS != 0)
    }

    /// Unmounts whatever is mounted on or in a view.
    fn uncover(point: &Path) -> io::Result<()> {
        let table = mounts::read(&std::fs::read("/proc/thread-self/mountinfo")?);
        let on_it = |mount: &&mounts::Mount| mount.point == point;
        let own = table.iter().find(on_it).ok_or_else(|| io::Error::other("the view is not mounted"))?.id;
        let others = table.iter().rev().filter(|mount| mount.point.starts_with(point) && mount.id != own);
        for other in others {
            unmount(&other.point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use super::{Dir, Part, View};

    pub fn tree(_directory: &Dir) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn namespace(
        _place: &Path,
        _programs: &[PathBuf],
        _trees: &[(&str, OwnedFd)],
        _below: &[(&str, &Path, OwnedFd)],
    ) -> io::Result<(OwnedFd, OwnedFd, bool)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn hide(_view: &View, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn replace(
        _view: &View,
        _name: &str,
        _directory: &Part<'_>,
        _attached: &[Part<'_>],
    ) -> io::Result<Vec<OwnedFd>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
