//! The source and the destination: opens them, checks whether they may be used, and locks the destination.

pub mod filesystems;
pub mod identity;
pub mod lock;
pub mod named;
pub mod overlap;
pub mod ownership;
pub mod source_disk;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use log::info;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use crate::failure::Failure;
use crate::fs::dir::{Dir, FileIdentity};
use crate::fs::lock::Lock;
use crate::host::platform::{MacOsVersion, Platform};
use crate::phases::endpoints::filesystems::Mounted;
use crate::phases::endpoints::identity::Acceptance;
use crate::phases::endpoints::overlap::Relation;
use crate::rsync::filter::rules;
use crate::rsync::names::Names;
use crate::run::{Mode, Run};
use crate::tree::pair::Point;
use crate::volume::btrfs;
use crate::volume::diskutil::diskutil;
use crate::volume::kind::Kind;
use crate::volume::mount_point::is_mount_point;
use crate::volume::view::{Attached, Opened, View};
use crate::{display, linux, macos};

/// Both ends of a clone.
#[derive(Debug)]
pub struct Endpoints {
    /// What is cloned.
    pub source: Source,
    /// What becomes the clone.
    pub destination: Destination,
    /// A private view of both directories, if available; without it rsync is given their paths.
    pub view: Option<View>,
}

/// The name of the source in the view.
pub const SOURCE: &str = "source";

/// The name of the destination in the view.
const DESTINATION: &str = "destination";

/// A source that is readable.
#[derive(Debug)]
pub struct Source {
    /// Held open since the run began; seen through the view, if there is one.
    pub dir: Dir,
    /// It is the root of a system, not just a data directory.
    pub is_system: bool,
    /// The destination's path relative to the source, and whether another filesystem is mounted there.
    pub holds_destination: Option<(OsString, bool)>,
    /// The filesystems mounted below it that are part of the clone, those above others first. Only with a view, in which
    /// they are mounted in their places.
    pub filesystems: Vec<Mounted>,
    /// Where they begin.
    pub points: Vec<Point>,
}

/// A destination that may be written to.
#[derive(Debug)]
pub struct Destination {
    /// Held open since the run began: writes go to this directory, whatever happens to its path. Seen through the view,
    /// if there is one.
    pub dir: Dir,
    /// None in a test run, which writes nothing.
    pub lock: Option<Lock>,
    /// How it was accepted.
    pub acceptance: Acceptance,
}

/// Checks both ends and takes the destination's lock.
pub fn claim(run: &Run<'_>) -> Result<Endpoints, Failure> {
    run.go_on()?;
    let mut source = source(run)?;
    let dir = destination(run)?;
    ownership::refuse_known(run, &dir)?;
    check_overlap(run, &mut source, &dir)?;
    refuse_system(&dir)?;
    refuse_empty(run, &source)?;
    refuse_sealed(run, &source)?;
    let mut destination = accept(run, dir)?;
    source.filesystems = filesystems::choose(run, &source.dir, source.is_system, Some(&destination.dir))?;
    filesystems::refuse_mounted(run, &source.filesystems, &destination.dir)?;
    source_disk::check(run, &source.dir, &source.filesystems, &mut destination.acceptance)?;
    if run.mode.writes() {
        ownership::refuse_measured(run, &destination.dir)?;
    }
    let mut ends = Endpoints { source, destination, view: None };
    match view(run, &ends) {
        Ok(Some((view, [source, destination], roots))) => {
            (ends.source.dir, ends.destination.dir) = (source, destination);
            for (it, root) in ends.source.filesystems.iter_mut().zip(roots) {
                it.dir = root;
            }
            ends.source.points =
                filesystems::points(&ends.source.filesystems).map_err(|error| unreadable(run, error))?;
            ends.view = Some(view);
        }
        Ok(None) if ends.source.filesystems.is_empty() => {}
        Ok(None) => return Err(filesystems::refused("that takes root")),
        Err(error) if !ends.source.filesystems.is_empty() => {
            return Err(filesystems::refused(format!(
                "the private view that shows them together is not available here ({})",
                display::reason(&error)
            )));
        }
        Err(error) => info!(
            "A private view of source and destination is not available here ({}): rsync works on their paths, which \
             are checked before and after.",
            display::reason(&error)
        ),
    }
    Ok(ends)
}

/// Opens the view of both ends; `None` where none is expected.
fn view(run: &Run<'_>, ends: &Endpoints) -> io::Result<Option<Opened<2>>> {
    match run.machine.host.platform {
        Platform::Linux if run.machine.host.is_root() => {
            // A test run may not create the lock directory; no rsync needs anything below `/sys`.
            let place = if run.machine.host.lock_dir.is_dir() {
                &run.machine.host.lock_dir
            } else {
                Path::new("/sys")
            };
            let both = [(SOURCE, &ends.source.dir), (DESTINATION, &ends.destination.dir)];
            let below = ends.source.filesystems.iter();
            let attached: Vec<Attached<'_>> =
                below.map(|it| Attached { name: SOURCE, place: &it.place, root: &it.dir }).collect();
            View::open(place, &programs(run), both, &attached).map(Some)
        }
        Platform::Linux | Platform::MacOs(_) => Ok(None),
    }
}

/// Claims the destination alone, after a failure that occurred before both ends were known; `None` if anything speaks
/// against writing to it.
#[must_use]
pub fn claim_destination(run: &Run<'_>) -> Option<Destination> {
    let dir = destination(run).ok()?;
    ownership::refuse_known(run, &dir).ok()?;
    refuse_system(&dir).ok()?;
    if let Ok(mut source) = open_source(run) {
        check_overlap(run, &mut source, &dir).ok()?;
        refuse_sealed(run, &source).ok()?;
    }
    accept(run, dir).ok()
}

/// Takes the lock first: a run that holds it may be registering this destination right now.
fn accept(run: &Run<'_>, dir: Dir) -> Result<Destination, Failure> {
    let lock = lock::take(run, &dir)?;
    let acceptance = identity::check(run, &dir)?;
    Ok(Destination { dir, lock, acceptance })
}

/// Checks the source alone, without a destination.
pub fn check_source(run: &Run<'_>) -> Result<(), Failure> {
    run.go_on()?;
    refuse_sealed(run, &source(run)?)
}

/// Checks what else speaks against a destination whose source is not known.
pub fn check_destination(run: &Run<'_>, dir: &Dir) -> Result<(), Failure> {
    refuse_system(dir)?;
    lock::look(run, dir)?;
    identity::check(run, dir).map(|_| ())
}

/// Opens the source alone: it must be readable and not empty.
pub fn source(run: &Run<'_>) -> Result<Source, Failure> {
    let source = open_source(run)?;
    refuse_empty(run, &source)?;
    Ok(source)
}

/// Files that are never cloned do not count: a clone of them alone would still wipe the destination.
fn refuse_empty(run: &Run<'_>, source: &Source) -> Result<(), Failure> {
    let destination = source.holds_destination.as_ref().map(|(relative, _)| relative.as_os_str());
    let stays = |name: &OsStr| {
        rules::hides(&run.plan.prefix, name)
            || is_filesystems_own(run.machine.host.platform, name)
            || destination == Some(name)
            || name == btrfs::PLACE
    };
    let names = source.dir.names().map_err(|error| unreadable(run, error))?;
    if names.iter().all(|name| stays(name)) {
        return Err(Failure::SourceEmpty { path: run.plan.source.clone() });
    }
    Ok(())
}

fn unreadable(run: &Run<'_>, error: io::Error) -> Failure {
    Failure::SourceUnreadable { path: run.plan.source.clone(), why: error.into() }
}

/// Opens the source, whatever it holds.
fn open_source(run: &Run<'_>) -> Result<Source, Failure> {
    let dir = Dir::reach(&run.plan.source).map_err(|error| unreadable(run, error))?;
    // Its directories come and go with their mounts, and looking at one may wait for a server.
    if Kind::of(&dir).is_ok_and(Kind::is_automounter) {
        let why =
            "it is managed by an automounter, which shows only what is mounted at the moment".to_owned();
        return Err(Failure::SourceUnreadable { path: run.plan.source.clone(), why: why.into() });
    }
    let is_system = match run.machine.host.platform {
        Platform::MacOs(_) => macos::exclusions::is_system(dir.path()),
        Platform::Linux => linux::exclusions::is_system(dir.path()),
    };
    Ok(Source { dir, is_system, holds_destination: None, filesystems: Vec::new(), points: Vec::new() })
}

/// What a filesystem itself keeps at its root, even on an empty disk.
#[must_use]
pub fn is_filesystems_own(platform: Platform, name: &OsStr) -> bool {
    let own: &[&str] = match platform {
        Platform::MacOs(_) => macos::exclusions::FILESYSTEMS_OWN,
        Platform::Linux => linux::exclusions::FILESYSTEMS_OWN,
    };
    own.iter().any(|own| own.as_bytes() == name.as_bytes())
}

/// Opens the destination alone: a directory that can be written to, as far as that can be told without writing.
pub fn destination(run: &Run<'_>) -> Result<Dir, Failure> {
    let unusable =
        |why: String| Failure::DestinationUnusable { path: run.plan.destination.clone(), why: why.into() };
    let path = run.place().ok_or_else(|| run.why_not_mounted())?;
    let found = std::fs::symlink_metadata(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Failure::DestinationMissing { path: run.plan.destination.clone() }
        } else {
            unusable(display::reason(&error))
        }
    })?;
    if found.file_type().is_symlink() {
        return Err(unusable("it is a symbolic link; give the directory that it points to".to_owned()));
    }
    if found.file_type().is_block_device() {
        return Err(unusable(
            "it is a block device, whose name may mean another one tomorrow; name its filesystem, as UUID=… (see blkid)"
                .to_owned(),
        ));
    }
    if !found.is_dir() {
        return Err(unusable("it is not a directory".to_owned()));
    }
    let open = || {
        let dir = reached(run, path)?;
        if dir.identity()? != FileIdentity::from(&found) {
            return Err(io::Error::other("another directory has just taken its place"));
        }
        Ok(dir)
    };
    let dir = open().map_err(|error| unusable(display::reason(&error)))?;
    match faccessat(&dir, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        Ok(()) => {
            named::settle(run, &dir);
            Ok(dir)
        }
        // We mounted it so, since nothing is to be written.
        Err(Errno::EROFS) if run.plan.named.is_some() && !run.mode.writes() => Ok(dir),
        Err(Errno::EROFS) if run.mode == Mode::Verify => {
            named::settle(run, &dir);
            Ok(dir)
        }
        Err(Errno::EROFS) => Err(unusable("it is mounted read-only".to_owned())),
        Err(error) => Err(unusable(error.desc().to_owned())),
    }
}

/// Opens the destination, under the name that the user knows.
fn reached(run: &Run<'_>, path: &Path) -> io::Result<Dir> {
    let dir = Dir::reach(path)?;
    Ok(if run.plan.named.is_some() { dir.called(&run.plan.destination) } else { dir })
}

fn check_overlap(run: &Run<'_>, source: &mut Source, destination: &Dir) -> Result<(), Failure> {
    let (source_dir, destination_path) = (source.dir.path().to_owned(), destination.shown().to_owned());
    let related = overlap::relation(&source.dir, destination).map_err(|error| {
        Failure::Internal(format!("source and destination cannot be compared: {}", display::reason(&error)))
    })?;
    match related {
        Relation::Apart => Ok(()),
        Relation::Same => Err(Failure::SameDir { path: source_dir }),
        Relation::SourceInside => {
            Err(Failure::SourceInsideDestination { source_dir, destination: destination_path })
        }
        Relation::PartInside(point) => {
            Err(Failure::PartInsideDestination { point, destination: destination_path })
        }
        // Our own mount is no part of the source.
        Relation::DestinationInside { is_mount_point: true, .. } if is_private(run) => Ok(()),
        Relation::DestinationInside { relative, is_mount_point } => {
            source.holds_destination = Some((relative, is_mount_point));
            Ok(())
        }
    }
}

/// Whether the destination is mounted for this run alone.
fn is_private(run: &Run<'_>) -> bool {
    run.plan.named.is_some() && run.machine.host.platform == Platform::Linux
}

/// Refuses a destination that holds the running system, even by a second mount or above a root that is a subvolume.
fn refuse_system(destination: &Dir) -> Result<(), Failure> {
    match Dir::open(Path::new("/")).and_then(|root| overlap::relation(&root, destination)) {
        Ok(Relation::Apart | Relation::DestinationInside { .. }) => Ok(()),
        Ok(Relation::Same | Relation::SourceInside) => {
            Err(Failure::HoldsSystem { path: destination.shown().to_owned() })
        }
        Ok(Relation::PartInside(point)) => {
            Err(Failure::PartInsideDestination { point, destination: destination.shown().to_owned() })
        }
        Err(error) => Err(Failure::Internal(format!(
            "the destination and the system's root cannot be compared: {}",
            display::reason(&error)
        ))),
    }
}

/// Since macOS 11 the system volume is sealed, and a copy of its files cannot boot.
pub fn refuse_sealed(run: &Run<'_>, source: &Source) -> Result<(), Failure> {
    let path = source.dir.path();
    match run.machine.host.platform {
        Platform::MacOs(version) if version >= MacOsVersion::BIG_SUR => {
            let sealed = path == Path::new("/") || {
                is_mount_point(path) && diskutil(run, path).is_some_and(|volume| volume.sealed)
            };
            if sealed { Err(Failure::SealedSystem { path: path.to_owned() }) } else { Ok(()) }
        }
        Platform::MacOs(_) | Platform::Linux => Ok(()),
    }
}

/// The directories where rsync may be, including the interpreter if it is a script.
fn programs(run: &Run<'_>) -> Vec<PathBuf> {
    let host = run.machine.host;
    let given = run.plan.rsync.iter().filter_map(|rsync| rsync.parent().map(Path::to_owned));
    let searched = std::env::split_paths(&host.search_path).filter(|path| path.is_absolute());
    let all: Vec<PathBuf> = given.chain(host.rsync_dirs.iter().cloned()).chain(searched).collect();
    let real = all.iter().filter_map(|path| std::fs::canonicalize(path).ok());
    real.chain(all.iter().cloned()).collect()
}

impl Endpoints {
    /// Source and destination as paths for an rsync in the view's namespace.
    #[must_use]
    pub fn paths(&self) -> (PathBuf, PathBuf) {
        match &self.view {
            Some(view) => (view.path(SOURCE), view.path(DESTINATION)),
            None => (self.source.dir.path().to_owned(), self.destination.dir.path().to_owned()),
        }
    }

    /// Translates paths in rsync's output from the view back to the user's.
    #[must_use]
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        if let Some(view) = &self.view {
            names.add(&view.path(SOURCE), self.source.dir.path());
            names.add(&view.path(DESTINATION), self.destination.dir.shown());
        }
        let destination = &self.destination.dir;
        if destination.path() != destination.shown() {
            names.add(destination.path(), destination.shown());
        }
        names
    }

    /// Fails if a path no longer leads to the directory that was claimed.
    ///
    /// Without a view, only this keeps rsync away from the directory below an unmounted disk. With one, it reports a
    /// source or destination that was removed during the clone.
    pub fn ensure_in_place(&self, run: &Run<'_>) -> Result<(), Failure> {
        self.source
            .is_in_place()
            .map_err(|error| Failure::SourceLost { path: run.plan.source.clone(), why: error.into() })?;
        self.destination.is_in_place().map_err(|error| Failure::DestinationLost {
            path: run.plan.destination.clone(),
            why: error.into(),
        })
    }
}

impl Source {
    /// The root of each filesystem that is cloned, and where it is: the source's own first.
    pub fn roots(&self) -> impl Iterator<Item = (&Path, &Dir)> {
        let below = self.filesystems.iter().map(|it| (it.place.as_path(), &it.dir));
        [(Path::new(""), &self.dir)].into_iter().chain(below)
    }

    /// The same of those on btrfs.
    pub fn roots_on_btrfs(&self) -> impl Iterator<Item = (&Path, &Dir)> {
        self.roots().filter(|(_, dir)| Kind::of(dir).is_ok_and(|kind| kind == Kind::Btrfs))
    }

    /// Checks that the path still leads to the directory that was claimed.
    pub fn is_in_place(&self) -> io::Result<()> {
        leads_to(&self.dir)
    }
}

impl Destination {
    /// Checks that the path still leads to the directory that was claimed.
    pub fn is_in_place(&self) -> io::Result<()> {
        leads_to(&self.dir)
    }
}

/// A canonical path contains no symbolic link, so any that is there now was put there since. Of a snapshot, what it was
/// taken of counts.
fn leads_to(dir: &Dir) -> io::Result<()> {
    let there = FileIdentity::from(&std::fs::symlink_metadata(dir.path())?);
    if there == FileIdentity::from(&dir.reached().metadata()?) {
        Ok(())
    } else {
        Err(io::Error::other("another directory is at its path now (was it unmounted?)"))
    }
}
