//! The filesystems mounted below the source that are part of the clone (Linux): chosen once, when the run begins.
//!
//! The mount table alone decides what is touched: looking at a dead network mount would hang.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::linux::exclusions;
use crate::linux::mounts::Mount;
use crate::marker::identity::Part;
use crate::phases::endpoints::overlap::{self, Relation};
use crate::plan::Filesystems;
use crate::run::Run;
use crate::tree::pair::Point;
use crate::volume;
use crate::volume::block;
use crate::volume::mounts::{self, Place};

/// How many may be part of a clone: their names go into its id, which is a small file.
const MOST: usize = 64;

/// The limit on the total length of their paths, in bytes; escaped, they are up to four times as long.
const MOST_BYTES: usize = 8 << 10;

/// A filesystem mounted below the source that is part of the clone.
#[derive(Debug)]
pub struct Mounted {
    /// Where it is mounted, relative to the source.
    pub place: PathBuf,
    /// Its root, held open since the run began; seen through the view once that is there.
    pub dir: Dir,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// Its UUID, if known.
    pub uuid: Option<String>,
    /// The id of its mount.
    id: u64,
}

impl Mounted {
    /// Its entry in the records of the clone.
    #[must_use]
    pub fn part(&self) -> Part {
        Part { path: display::path(&self.place).to_string(), uuid: self.uuid.clone() }
    }
}

/// A refusal with this reason.
pub fn refused(why: impl Into<String>) -> Failure {
    Failure::FilesystemsRefused { why: why.into().into() }
}

/// Chooses the filesystems that the plan asks for. What is part of the clone is mounted on something that is.
pub fn choose(
    run: &Run<'_>,
    source: &Dir,
    is_system: bool,
    destination: Option<&Dir>,
) -> Result<Vec<Mounted>, Failure> {
    let listed = match &run.plan.filesystems {
        Filesystems::None => return Ok(Vec::new()),
        Filesystems::All => None,
        Filesystems::Listed(paths) => Some(paths),
    };
    match run.machine.host.platform {
        Platform::Linux => {}
        // Making a clone bootable there is refused with what to do instead.
        Platform::MacOs(_) if run.plan.bootable && listed.is_none() => return Ok(Vec::new()),
        Platform::MacOs(_) => return Err(refused("on macOS each volume is cloned in a run of its own")),
    }
    let unknown = |error: io::Error| {
        let root = display::path(source.path()).to_string();
        refused(format!("what is mounted below {root} cannot be determined: {}", display::reason(&error)))
    };
    let place = mounts::of(source).map_err(unknown)?;
    let place = place.ok_or_else(|| unknown(io::ErrorKind::Unsupported.into()))?;
    let known = |dir: &Dir| mounts::of(dir)?.ok_or_else(|| io::ErrorKind::Unsupported.into());
    let destination = match destination {
        Some(dir) => Some((dir, known(dir).map_err(unknown)?)),
        None => None,
    };
    let mut choice = Choice { run, source, is_system, place: &place, destination, chosen: Vec::new() };
    match listed {
        None => choice.all().map_err(unknown)?,
        Some(paths) => choice.listed(paths)?,
    }
    let chosen = choice.chosen;
    if chosen.len() > MOST || chosen.iter().map(|it| it.place.as_os_str().len()).sum::<usize>() > MOST_BYTES {
        return Err(refused(format!("more than {MOST} filesystems, or too long paths, cannot be one clone")));
    }
    Ok(chosen)
}

/// Where they begin, for a walk.
pub fn points(filesystems: &[Mounted]) -> io::Result<Vec<Point>> {
    let point = |it: &Mounted| Ok(Point { path: it.place.clone(), device: device_of(&it.dir)? });
    filesystems.iter().map(point).collect()
}

/// Refuses a destination that has a filesystem of its own where the contents of one of these go: they would be written
/// below it, where nobody sees them.
pub fn refuse_mounted(run: &Run<'_>, filesystems: &[Mounted], destination: &Dir) -> Result<(), Failure> {
    if filesystems.is_empty() {
        return Ok(());
    }
    let unusable =
        |why: String| Failure::DestinationUnusable { path: run.plan.destination.clone(), why: why.into() };
    let place = mounts::of(destination).map_err(|error| unusable(display::reason(&error)))?;
    let root = destination.path();
    let is_above = |mount: &Mount, it: &Mounted| {
        mount.point != root && mount.point.starts_with(root) && root.join(&it.place).starts_with(&mount.point)
    };
    for mount in place.iter().flat_map(|place| &place.table) {
        if let Some(it) = filesystems.iter().find(|it| is_above(mount, it)) {
            return Err(unusable(format!(
                "a filesystem is mounted at {}, where {} of the source would go. Counterpart clones all into one \
                 filesystem: unmount it, or leave that one out with --filesystems",
                display::path(&destination.shown().join(mount.point.strip_prefix(root).unwrap_or(root))),
                display::path(&source_path(run, it)),
            )));
        }
    }
    Ok(())
}

/// Its path as the user knows it.
fn source_path(run: &Run<'_>, it: &Mounted) -> PathBuf {
    run.plan.source.join(&it.place)
}

fn device_of(dir: &Dir) -> io::Result<nix::libc::dev_t> {
    Ok(nix::sys::stat::fstat(dir)?.st_dev)
}

/// Types of filesystems on local disks that keep owners and modes.
const LOCAL: [&str; 10] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "reiserfs", "bcachefs"];

struct Choice<'a, 'r> {
    run: &'a Run<'r>,
    source: &'a Dir,
    is_system: bool,
    place: &'a Place,
    destination: Option<(&'a Dir, Place)>,
    chosen: Vec<Mounted>,
}

impl Choice<'_, '_> {
    /// The mounts below the source, those above others first.
    fn below(&self) -> Vec<&Mount> {
        let root = self.source.path();
        let is_below = |mount: &&Mount| mount.point != root && mount.point.starts_with(root);
        let mut below: Vec<&Mount> = self.place.table.iter().filter(is_below).collect();
        below.sort_by_key(|mount| mount.point.components().count());
        below
    }

    fn all(&mut self) -> io::Result<()> {
        let all: Vec<Mount> = self.below().into_iter().cloned().collect();
        for mount in all {
            // A list is needed for what is taken out; what cannot be looked at is not cloned, and the log names it.
            if Medium::of(&mount).is_ok_and(|medium| medium.is_none_or(|medium| medium.is_removable)) {
                continue;
            }
            // The log names it among what is not cloned.
            if let Ok(it) = self.look(&mount)? {
                self.chosen.push(it);
            }
        }
        Ok(())
    }

    fn listed(&mut self, paths: &[PathBuf]) -> Result<(), Failure> {
        let root = self.source.path();
        let mut wanted = Vec::new();
        for path in paths {
            let clean: PathBuf = path.components().collect();
            let place = [self.run.plan.source.as_path(), root]
                .iter()
                .find_map(|root| clean.strip_prefix(root).ok())
                .filter(|place| !place.as_os_str().is_empty())
                .ok_or_else(|| refused(format!("{} is not below the source", display::path(path))))?;
            wanted.push((path, root.join(place)));
        }
        wanted.sort_by_key(|(_, point)| point.components().count());
        for (path, point) in wanted {
            // The topmost of several is the last in the table.
            let mount = self.place.table.iter().rfind(|mount| mount.point == point).cloned();
            let mount = mount.ok_or_else(|| refused(format!("{} is no mount point", display::path(path))))?;
            if self.chosen.iter().any(|it| it.id == mount.id) {
                continue;
            }
            match self.look(&mount) {
                Ok(Ok(it)) => self.chosen.push(it),
                Ok(Err(why)) => return Err(refused(format!("{}: {why}", display::path(path)))),
                Err(error) => {
                    return Err(refused(format!("{}: {}", display::path(path), display::reason(&error))));
                }
            }
        }
        Ok(())
    }

    /// Opens a mounted filesystem, or says why it cannot be part of the clone.
    fn look(&self, mount: &Mount) -> io::Result<Result<Mounted, String>> {
        let no = |why: &str| Ok(Err(why.to_owned()));
        let root = self.source.path();
        let Ok(place) = mount.point.strip_prefix(root) else { return no("it is not below the source") };
        if !LOCAL.contains(&mount.kind.as_str()) {
            let kind = display::line(mount.kind.as_bytes());
            return Ok(Err(format!("a filesystem of type {kind} cannot be part of a clone")));
        }
        let medium = match Medium::of(mount) {
            Ok(Some(medium)) => medium,
            Ok(None) => return no("it is not on a disk of this machine"),
            Err(error) => {
                return Ok(Err(format!("its disk cannot be examined: {}", display::reason(&error))));
            }
        };
        if medium.backing_file.is_some_and(|file| file.starts_with(root)) {
            return no("it is in a file of the source, which is cloned itself");
        }
        if self.is_system && exclusions::is_left_out(&mount.point) {
            return no("a clone of a system leaves out what is mounted there");
        }
        let Some(above) = self.above(mount) else {
            return no("it is mounted on a filesystem that is not part of the clone");
        };
        if let Some((dir, destination)) = &self.destination {
            let own = destination.mount().map(|mount| &mount.device_number);
            if own.is_none_or(|own| *own == mount.device_number) || mount.point.starts_with(dir.path()) {
                return no("it holds the destination, or is mounted in it");
            }
        }
        let dir = self.source.enter_path(place)?;
        if mounts::of(&dir)?.is_none_or(|there| there.id != mount.id) {
            return no("something else is mounted over it");
        }
        let device = device_of(&dir)?;
        let others = self.chosen.iter().map(|it| &it.dir).chain([self.source]);
        for other in others {
            if device_of(other)? == device {
                return no("it is a second mount of a filesystem that is part of the clone");
            }
        }
        let inside = place.parent().unwrap_or(Path::new(""));
        if device_of(&self.source.enter_path(inside)?)? != device_of(above)? {
            return no("it is mounted in a subvolume that is not part of the clone");
        }
        if let Some((destination, _)) = &self.destination {
            match overlap::relation(&dir, destination)? {
                Relation::Apart | Relation::DestinationInside { is_mount_point: true, .. } => {}
                Relation::Same
                | Relation::SourceInside
                | Relation::PartInside(_)
                | Relation::DestinationInside { is_mount_point: false, .. } => {
                    return no("it holds the destination, or lies in it");
                }
            }
        }
        let uuid = volume::of(self.run, &dir).uuid;
        let kind = mount.kind.clone();
        Ok(Ok(Mounted { place: place.to_owned(), dir, kind, uuid, id: mount.id }))
    }

    /// The root of the filesystem that this one is mounted on, if that is part of the clone and nothing else is mounted on
    /// the way to it.
    fn above(&self, mount: &Mount) -> Option<&Dir> {
        let root = self.source.path();
        let id = |it: &Mounted| it.id;
        let is_part = |wanted: u64| self.place.id == wanted || self.chosen.iter().any(|it| id(it) == wanted);
        let table = &self.place.table;
        let mut parent = table.iter().find(|other| other.id == mount.parent)?;
        // An automounter's place is taken by what it mounts.
        while parent.kind == "autofs" && parent.point == mount.point {
            let next = table.iter().find(|other| other.id == parent.parent)?;
            parent = next;
        }
        let is_in_the_way = |other: &&Mount| {
            other.id != mount.id
                && other.point != root
                && other.point.starts_with(root)
                && mount.point.starts_with(&other.point)
                && !is_part(other.id)
                && !(other.kind == "autofs" && other.point == mount.point)
        };
        if table.iter().any(|other| is_in_the_way(&other)) {
            return None;
        }
        if parent.id == self.place.id {
            return Some(self.source);
        }
        self.chosen.iter().find(|it| it.id == parent.id).map(|it| &it.dir)
    }
}

/// What the kernel says of the disk that a filesystem is on.
struct Medium {
    /// The file that a loop device shows, by its partition too.
    backing_file: Option<PathBuf>,
    /// It is one that is taken out without being unplugged: a stick or a card.
    is_removable: bool,
}

impl Medium {
    /// `None` if it is not on a disk of this machine.
    fn of(mount: &Mount) -> io::Result<Option<Self>> {
        let Some(device) = volume::device(mount) else { return Ok(None) };
        let device = std::fs::metadata(device)?.rdev();
        let sys = std::fs::canonicalize(Path::new("/sys/dev/block").join(block::number(device)))?;
        let disk = if sys.join("partition").exists() { sys.parent().unwrap_or(&sys) } else { &sys };
        let read = |name: &str| match std::fs::read(disk.join(name)) {
            Ok(text) => Ok(Some(text.trim_ascii_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let backing_file = read("loop/backing_file")?.map(|file| PathBuf::from(OsStr::from_bytes(&file)));
        Ok(Some(Self { backing_file, is_removable: read("removable")?.as_deref() == Some(b"1") }))
    }
}
