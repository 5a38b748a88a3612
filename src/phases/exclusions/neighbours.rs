//! Finds what is inside the destination but not part of this clone: other clones, other filesystems, mount points.
//!
//! Another clone is a directory with one of our ids that the source does not have there: with `-s / -d /mnt/clone` and
//! `-s /home -d /mnt/clone/home`, the first clone sees an empty `/home` and would delete the second.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use log::info;
use nix::dir::{Dir as Entries, Type};
use nix::fcntl::AtFlags;
use nix::libc::dev_t;
use nix::sys::stat::{SFlag, fstat, fstatat};
use nix::unistd::geteuid;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::marker::Prefix;
use crate::marker::identity::LARGEST;
use crate::phases::endpoints::Endpoints;
use crate::rsync::filter::rules;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;
use crate::tree::directories;
use crate::tree::directories::Here;
use crate::volume::mounts;

/// The maximum number of other clones: each adds a rule to rsync's arguments.
const MOST_CLONES: usize = 1000;

/// The maximum number of other filesystems named.
const MOST_NAMED: usize = 20;

/// The end of an id's file name, under any prefix.
const ID: &[u8] = b".counterpart.id";

/// What was found, by paths relative to the destination.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// Other clones.
    clones: Vec<PathBuf>,
    /// Subvolumes and, without a view, mounted filesystems: rsync deletes nothing in them.
    filesystems: Vec<PathBuf>,
    /// Mount points that the source does not have as directories: they cannot be deleted.
    mount_points: Vec<PathBuf>,
}

/// Finds neighbours and protects them by rules.
pub fn protect(run: &Run<'_>, ends: &Endpoints, rules: &mut Rules) -> Result<(), Failure> {
    run.go_on()?;
    let found = survey(run, ends).map_err(|error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    })?;
    run.go_on()?;
    found.report(run, ends);
    for path in found.clones {
        rules.set_apart(path.as_os_str());
    }
    for path in found.mount_points {
        rules.ours.push(rules::protect_path(path.as_os_str()));
    }
    Ok(())
}

fn survey(run: &Run<'_>, ends: &Endpoints) -> io::Result<Neighbours> {
    let root = &ends.destination.dir;
    let device = fstat(root)?.st_dev;
    let survey = Survey { prefix: &run.plan.prefix, source: &ends.source.dir, device };
    let parts = directories::visit(root, run.interrupts, |here, enter, found: &mut Neighbours| {
        // rsync deletes nothing in unreadable directories either, and reports them.
        let _ = survey.visit(here, enter, found);
    })?;
    let mut found = Neighbours::default();
    for part in parts {
        found.clones.extend(part.clones);
        found.filesystems.extend(part.filesystems);
    }
    if found.clones.len() > MOST_CLONES {
        return Err(io::Error::other(format!("it holds {} other clones", found.clones.len())));
    }
    found.clones.sort();
    found.filesystems.sort();
    found.mount_points = mount_points(ends)?;
    let Neighbours { clones, mount_points, .. } = &mut found;
    mount_points.retain(|point| !clones.iter().any(|clone| point.starts_with(clone)));
    Ok(found)
}

struct Survey<'a> {
    prefix: &'a Prefix,
    source: &'a Dir,
    /// The device number of the destination's filesystem.
    device: dev_t,
}

impl Survey<'_> {
    fn visit(&self, here: &Here<'_>, enter: &mut Vec<CString>, found: &mut Neighbours) -> io::Result<()> {
        let is_root = here.path.as_os_str().is_empty();
        if !is_root && fstat(here.directory)?.st_dev != self.device {
            found.filesystems.push(here.path.to_owned());
            return Ok(());
        }
        let mut below = Vec::new();
        for entry in Entries::from_fd(here.directory.as_fd().try_clone_to_owned()?)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name)
                || is_root && rules::hides(self.prefix, OsStr::from_bytes(name.to_bytes()))
            {
                continue;
            }
            if name.to_bytes().ends_with(ID) && !is_root && self.is_another_clone(here, name) {
                found.clones.push(here.path.to_owned());
                return Ok(());
            }
            if is_directory(here.directory, name, entry.file_type()) {
                below.push(name.to_owned());
            }
        }
        enter.append(&mut below);
        Ok(())
    }

    /// Whether an id in a directory of the destination is another clone's: a file of our own user that was not copied
    /// from the source. If any user's file counted, its owner could keep anything in the clone forever.
    fn is_another_clone(&self, here: &Here<'_>, name: &CStr) -> bool {
        let name = OsStr::from_bytes(name.to_bytes());
        let Ok(directory) = Dir::adopt(here.directory, here.path) else { return true };
        match directory.stat(name) {
            Ok(Some(stat)) if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o022 != 0 => return false,
            Ok(Some(_)) => {}
            Ok(None) => return false,
            // If in doubt, do not delete.
            Err(_) => return true,
        }
        let original = self.source.enter_path(here.path).and_then(|dir| dir.read(name, LARGEST));
        match (directory.read(name, LARGEST), original) {
            // Not a regular file.
            (Ok(None), _) => false,
            (Ok(id), Ok(original)) => id != original,
            (Err(_), _) | (_, Err(_)) => true,
        }
    }
}

fn is_directory(above: &OwnedFd, name: &CStr, kind: Option<Type>) -> bool {
    match kind {
        Some(kind) => kind == Type::Directory,
        // Some filesystems do not report the type.
        None => fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()),
    }
}

/// Mount points below the destination where the source has no directory.
fn mount_points(ends: &Endpoints) -> io::Result<Vec<PathBuf>> {
    let destination = &ends.destination.dir;
    let Some(place) = mounts::of(destination)?.filter(|_| destination.is_seen_through_view()) else {
        return Ok(Vec::new());
    };
    let below = place.table.iter().filter_map(|mount| mount.point.strip_prefix(destination.path()).ok());
    let mut points: Vec<PathBuf> = below
        .filter(|point| !point.as_os_str().is_empty() && !has_directory(&ends.source.dir, point))
        .map(Path::to_owned)
        .collect();
    points.sort();
    points.dedup();
    Ok(points)
}

fn has_directory(dir: &Dir, path: &Path) -> bool {
    dir.enter_path(path).is_ok()
}

impl Neighbours {
    fn report(&self, run: &Run<'_>, ends: &Endpoints) {
        let shown = |path: &PathBuf| display::path(&ends.destination.dir.path().join(path)).to_string();
        for path in &self.clones {
            info!(
                "{} is the root of another clone: it is neither changed nor deleted. If that clone is no longer used, \
                 remove its {}id.",
                shown(path),
                run.plan.prefix.stem()
            );
        }
        for path in self.filesystems.iter().take(MOST_NAMED) {
            run.warn(format_args!(
                "{} is a filesystem or a subvolume of its own: rsync deletes nothing in it, so it may hold more than \
                 the source does.",
                shown(path)
            ));
        }
        if self.filesystems.len() > MOST_NAMED {
            let more = self.filesystems.len() - MOST_NAMED;
            run.warn(format_args!(
                "{more} more directories of the destination are filesystems of their own."
            ));
        }
        for path in &self.mount_points {
            run.warn(format_args!(
                "{} is a mount point that the source does not have: it stays, with what lies below it.",
                shown(path)
            ));
        }
    }
}

/// Warns of filesystem boundaries in the source: a clone does not cross them, and keeps what the destination has there.
pub fn warn_of_boundaries(run: &Run<'_>, ends: &Endpoints, boundaries: &[PathBuf], more: u64) {
    let has_view = ends.source.dir.is_seen_through_view();
    let (named, rest) = boundaries.split_at(boundaries.len().min(MOST_NAMED));
    for path in named {
        let shown = display::path(&ends.source.dir.path().join(path)).to_string();
        let held = ends.destination.dir.enter_path(path).and_then(|dir| dir.names());
        let stays = held.is_ok_and(|names| !names.is_empty());
        if has_view {
            run.warn(format_args!(
                "{shown} is another filesystem (a subvolume) and is not cloned. Clone it in a separate run if it \
                 matters."
            ));
        }
        // Without a view it may be a mount point, which is reported from the mount table.
        if stays {
            run.warn(format_args!("What the destination holds in place of {shown} stays as it is."));
        }
    }
    let more = more + rest.len() as u64;
    if more > 0 {
        run.warn(format_args!("{more} more filesystems or subvolumes below the source are not cloned."));
    }
}
