//! Checks whether the destination is the expected one: by its id, by its filesystem, and by what is mounted.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use chrono::Local;
use nix::sys::stat::SFlag;

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::{Dir, FileIdentity, random_hex};
use crate::host::platform::Platform;
use crate::logging::warning;
use crate::marker::identity::{Identity, LARGEST, Origin, Part};
use crate::marker::{MODE, Marker, Prefix};
use crate::record::Totals;
use crate::run::Run;
use crate::state::{Disk, State, Store};
use crate::volume;
use crate::volume::Filesystem;

/// The maximum number of known disks named in a refusal.
const EXAMPLES: usize = 5;

/// How a destination was accepted.
#[derive(Debug)]
pub struct Acceptance {
    /// Its own record of its identity, if its id is kept.
    kept: Option<Identity>,
    filesystem: Filesystem,
    /// The source's filesystem at the last clone to it, if known.
    source_before: Option<Filesystem>,
    /// The source's filesystem now, once examined.
    source: Option<Filesystem>,
    /// The filesystems below the source that are part of the clone on this disk.
    parts_before: Vec<Part>,
    /// Those that are part of it now, once known.
    parts: Vec<Part>,
    /// What the source held at the last complete clone to it, as far as this machine remembers.
    complete: Option<Totals>,
}

impl Acceptance {
    /// The source's filesystem at the last clone to this destination. This machine's state comes first, as it reflects
    /// what was accepted last; the destination's own record is the fallback.
    #[must_use]
    pub fn source_before(&self) -> Option<&Filesystem> {
        self.source_before.as_ref()
    }

    /// The filesystems below the source that are part of the clone on this disk.
    #[must_use]
    pub fn parts_before(&self) -> &[Part] {
        &self.parts_before
    }

    /// Records the source's filesystems.
    pub fn keep_source(&mut self, filesystem: Filesystem, parts: Vec<Part>) {
        self.source = Some(filesystem);
        self.parts = parts;
    }

    /// What the source held at the last complete clone to it, as far as this machine remembers.
    #[must_use]
    pub fn complete(&self) -> Option<Totals> {
        self.complete
    }
}

/// What was found at the destination.
#[derive(Debug)]
struct Found {
    /// Its own record of its identity, under the prefix in use or else the default one.
    identity: Option<Identity>,
    /// It is recorded under the prefix in use.
    is_own: bool,
    /// It has one of our markers, readable or not.
    is_marked: bool,
    filesystem: Filesystem,
}

/// Why a destination is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Objection {
    /// It is a clone of this other source.
    OtherSource(Origin),
    /// Its id was given on the filesystem with this UUID.
    OtherFilesystem(String),
    /// Its id was given on the filesystem with this UUID, and the current UUID cannot be determined.
    HiddenFilesystem(String),
    /// Its id is not one of those known here.
    UnknownId,
    /// It has markers but no id, and its filesystem is not known here.
    NoId,
}

/// Refuses a destination that is not the expected one, and a directory where a disk should be mounted. Writes nothing.
///
/// A test run only reports what a real one would do.
pub fn check(run: &Run<'_>, dir: &Dir) -> Result<Acceptance, Failure> {
    let found = look(run, dir).map_err(|error| Failure::DestinationUnusable {
        path: run.plan.destination.clone(),
        why: error.into(),
    })?;
    let known = match known(run) {
        Ok(known) => known,
        Err(refusal) if run.mode.only_warns() => {
            warning(format_args!("a real run would end with 88. {refusal}"));
            Vec::new()
        }
        Err(refusal) => return Err(refusal),
    };
    let refusal = unmounted(run, &found, &known).or_else(|| no_disk(run, dir.path(), &found)).or_else(|| {
        if run.plan.adopt {
            None
        } else {
            objection(run, &found, &known).map(|objection| refusal(run, &objection, &found, &known))
        }
    });
    match refusal {
        Some(refusal) if run.mode.only_warns() => {
            warning(format_args!("a real run would end with 88. {refusal}"));
        }
        Some(refusal) => return Err(refusal),
        None => {}
    }
    // A copy of another disk or a clone of something else gets an id of its own.
    let is_another = matches!(
        objection(run, &found, &known),
        Some(Objection::OtherSource(_) | Objection::OtherFilesystem(_) | Objection::HiddenFilesystem(_))
    );
    let identity = found.identity.filter(|_| !is_another);
    let disk = identity.as_ref().and_then(|identity| known.iter().find(|disk| disk.id == identity.id));
    Ok(Acceptance {
        source_before: source_before(run, &known, identity.as_ref()),
        // An older disk of the state has none; what it holds itself then counts.
        parts_before: disk
            .map(|disk| disk.source_parts.clone())
            .filter(|parts| !parts.is_empty())
            .or_else(|| identity.as_ref().map(|identity| identity.source_parts.clone()))
            .unwrap_or_default(),
        parts: Vec::new(),
        complete: disk.and_then(|disk| disk.complete),
        kept: identity.filter(|_| found.is_own),
        filesystem: found.filesystem,
        source: None,
    })
}

fn source_before(run: &Run<'_>, known: &[Disk], identity: Option<&Identity>) -> Option<Filesystem> {
    let of = |uuid: &Option<String>, point: &Option<String>| {
        let point = display::unescape(point.as_deref()?.as_bytes());
        let mount_point = PathBuf::from(OsString::from_vec(point));
        Some(Filesystem { uuid: uuid.clone(), mount_point })
    };
    let last = known.last().filter(|disk| is_source(run, &disk.source));
    let remembered = last.and_then(|disk| of(&disk.source_filesystem, &disk.source_mount_point));
    remembered.or_else(|| identity.and_then(|it| of(&it.source_filesystem, &it.source_mount_point)))
}

fn look(run: &Run<'_>, dir: &Dir) -> io::Result<Found> {
    let prefixes = [&run.plan.prefix, &Prefix::default()];
    let read = |prefix: &Prefix| {
        let bytes = dir.read(&prefix.marker(Marker::Identity), LARGEST)?;
        io::Result::Ok(bytes.as_deref().and_then(Identity::read))
    };
    let own = read(prefixes[0])?;
    let is_own = own.is_some();
    let identity = if is_own { own } else { read(prefixes[1])? };
    let mut is_marked = false;
    for prefix in prefixes {
        for marker in Marker::OWNING {
            is_marked |= dir.kind(&prefix.marker(marker))? == Some(SFlag::S_IFREG);
        }
    }
    let mut filesystem = volume::of(run, dir);
    if run.plan.named.is_some() {
        // Where it happens to be mounted says nothing about it.
        filesystem.mount_point.clone_from(&run.location().resolved);
    }
    Ok(Found { identity, is_own, is_marked, filesystem })
}

/// The disks that were accepted here, the most recent one last.
///
/// If they cannot be read, any disk is refused: it may be the wrong one.
fn known(run: &Run<'_>) -> Result<Vec<Disk>, Failure> {
    let error = match Store::new(&run.machine.host.state_dir).load(run.location(), &run.plan.prefix) {
        Ok(state) => return Ok(state.map(|state| state.disks).unwrap_or_default()),
        Err(error) => display::reason(&error),
    };
    if !run.plan.adopt {
        return Err(Failure::DestinationUnknown {
            path: run.plan.destination.clone(),
            why: format!(
                "this machine's record of it, in {}, cannot be read ({error}). If this is the right disk, run once \
                 with --adopt, which rewrites it.",
                display::path(&run.machine.host.state_dir)
            ).into(),
        });
    }
    run.warn_publicly(format_args!(
        "the record of {} cannot be read ({error}) and is rewritten. Whichever disk is there now is accepted as the \
         right one.",
        display::path(&run.plan.destination),
    ));
    Ok(Vec::new())
}

/// Refuses if a disk was mounted at the last clone and the directory is now on the filesystem above.
fn unmounted(run: &Run<'_>, found: &Found, known: &[Disk]) -> Option<Failure> {
    let last = known.last()?;
    let now = display::path(&found.filesystem.mount_point).to_string();
    let last_point = Path::new(&last.mount_point);
    let is_above = if last_point.is_absolute() {
        last.mount_point != now && last_point.starts_with(&now)
    } else {
        // It was named by a tag, and is given now by a path that is no filesystem's root.
        run.plan.named.is_none() && run.location().filesystem.is_none()
    };
    // A service may see its directories as mounts private to it; the same filesystem counts as unchanged.
    let is_same = last.filesystem.is_some()
        && last.filesystem == found.filesystem.uuid
        && found.identity.as_ref().is_some_and(|identity| identity.id == last.id);
    (is_above && !is_same && !run.plan.adopt).then(|| Failure::DiskUnmounted {
        path: run.plan.destination.clone(),
        why: format!(
            "{} was {} {} at the last clone, and now the directory lies on the filesystem of {now}. Mount the \
             disk; to use the plain directory from now on, run once with --adopt.",
            name_of(&last.id, last.filesystem.as_deref()),
            if last_point.is_absolute() { "mounted at" } else { "found as" },
            last.mount_point
        ).into(),
    })
}

/// Refuses a directory below a place for mount points if nothing is mounted there.
fn no_disk(run: &Run<'_>, dir: &Path, found: &Found) -> Option<Failure> {
    let mount_point = &found.filesystem.mount_point;
    let is_missing = |place: &PathBuf| {
        let place = std::fs::canonicalize(place).unwrap_or_else(|_| place.clone());
        dir.starts_with(&place)
            && match run.machine.host.platform {
                Platform::Linux => !mount_point.starts_with(&place),
                // On macOS, /Volumes itself leads to another volume and has that volume's device number.
                Platform::MacOs(_) => !mount_point.starts_with(&place) || *mount_point == place,
            }
    };
    (!run.plan.allow_folder && run.machine.host.mount_dirs.iter().any(is_missing)).then(|| {
        Failure::NoDiskMounted { path: run.plan.destination.clone(), mount_point: mount_point.clone() }
    })
}

/// What speaks against the destination, regardless of what the user allowed. Disks without markers are left to the
/// check for a first clone.
fn objection(run: &Run<'_>, found: &Found, known: &[Disk]) -> Option<Objection> {
    let filesystem = found.filesystem.uuid.as_ref();
    let Some(identity) = &found.identity else {
        let is_known = |disk: &Disk| disk.filesystem.is_some() && disk.filesystem.as_ref() == filesystem;
        let is_strange = found.is_marked && !known.is_empty() && !known.iter().any(is_known);
        return is_strange.then_some(Objection::NoId);
    };
    let disk = known.iter().find(|disk| disk.id == identity.id);
    let remembered = disk.map(|disk| Origin { host: disk.host.clone(), path: disk.source.clone() });
    if let Some(source) = identity.source.clone().or(remembered) {
        // A host name may change with the network; it is ignored for a disk that is known here.
        let is_ours = disk.is_some() || source.host == run.machine.host.name;
        if !is_ours || !is_source(run, &source.path) {
            return Some(Objection::OtherSource(source));
        }
    }
    let given_on = [identity.filesystem.as_ref(), disk.and_then(|disk| disk.filesystem.as_ref())];
    let mut given_on = given_on.into_iter().flatten();
    let other = match filesystem {
        Some(now) => given_on.find(|uuid| *uuid != now).cloned().map(Objection::OtherFilesystem),
        // Only root may read a device; without that right, the id and the mount point have to suffice.
        None if run.machine.host.is_root() => given_on.next().cloned().map(Objection::HiddenFilesystem),
        None => None,
    };
    if other.is_some() {
        return other;
    }
    (disk.is_none() && !known.is_empty()).then_some(Objection::UnknownId)
}

/// Whether a recorded path leads to the source, by whatever name.
fn is_source(run: &Run<'_>, written: &str) -> bool {
    let source = &run.plan.source;
    let identity = |path: &Path| std::fs::metadata(path).map(|metadata| FileIdentity::from(&metadata)).ok();
    let path = display::unescape(written.as_bytes());
    let path = Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path));
    display::path(source).to_string() == written
        || identity(source).is_some_and(|source| identity(path) == Some(source))
}

fn refusal(run: &Run<'_>, objection: &Objection, found: &Found, known: &[Disk]) -> Failure {
    let filesystem = found.filesystem.uuid.as_deref();
    let here = name_of(found.identity.as_ref().map_or("no id", |identity| &identity.id), filesystem);
    let why = match objection {
        Objection::OtherSource(source) => format!(
            "it is the clone of {source}, and this run clones {}. If that clone may be deleted, run once with --adopt.",
            Origin::new(&run.machine.host.name, &run.plan.source)
        ),
        Objection::OtherFilesystem(other) => format!(
            "its id was assigned on the filesystem {other}, and now there is {here}: a copy, or a disk that was \
             reformatted. If this is the right disk, run once with --adopt.",
        ),
        Objection::HiddenFilesystem(other) => format!(
            "its id was assigned on the filesystem {other}, and which filesystem is there now cannot be determined. If \
             this is the right disk, run once with --adopt.",
        ),
        Objection::UnknownId => format!(
            "there is {here}, but the disks known here are: {}. If this is the right disk, run once with --adopt; from \
             then on the disks may be used in turn.",
            names_of(known)
        ),
        Objection::NoId => format!(
            "there is a clone without an id ({here}), but the disks known here are: {}. If this is the right disk, run \
             once with --adopt.",
            names_of(known)
        ),
    };
    Failure::DestinationChanged { path: run.plan.destination.clone(), why: why.into() }
}

fn name_of(id: &str, filesystem: Option<&str>) -> String {
    format!("{id} on filesystem {}", filesystem.unwrap_or("without a known UUID"))
}

fn names_of(known: &[Disk]) -> String {
    let last_first = known.iter().rev().take(EXAMPLES).map(|disk| {
        format!("{} (last seen {})", name_of(&disk.id, disk.filesystem.as_deref()), disk.last_seen.rfc3339)
    });
    let mut names: Vec<String> = last_first.collect();
    if known.len() > EXAMPLES {
        names.push(format!("{} more", known.len() - EXAMPLES));
    }
    names.join(", ")
}

/// Gives an accepted destination its id and saves it on this machine, just before rsync starts.
///
/// This way an interrupted first clone is known to be ours. The id itself is written once; missing lines are added.
pub fn settle(run: &Run<'_>, dir: &Dir, acceptance: &Acceptance) -> io::Result<()> {
    let Acceptance { kept, filesystem, source, parts, .. } = acceptance;
    let before = kept.as_ref();
    let identity = Identity {
        id: kept.as_ref().map_or_else(|| random_hex(16), |kept| Ok(kept.id.clone()))?,
        filesystem: filesystem.uuid.clone().or_else(|| kept.as_ref()?.filesystem.clone()),
        source: Some(Origin::new(&run.machine.host.name, &run.plan.source)),
        source_filesystem: match source {
            Some(source) => source.uuid.clone(),
            None => before.and_then(|before| before.source_filesystem.clone()),
        },
        source_mount_point: match source {
            Some(source) => Some(display::path(&source.mount_point).to_string()),
            None => before.and_then(|before| before.source_mount_point.clone()),
        },
        source_parts: match source {
            Some(_) => parts.clone(),
            None => before.map(|before| before.source_parts.clone()).unwrap_or_default(),
        },
    };
    if kept.as_ref() != Some(&identity) {
        let name = run.plan.prefix.marker(Marker::Identity);
        let written = dir.replace(&name, MODE, identity.to_string().as_bytes());
        match written {
            // The id exists, and on a full disk the clone may still succeed by deleting.
            Err(error) if kept.is_some() => warning(format_args!(
                "the destination's id could not be extended: {}.",
                display::reason(&error)
            )),
            written => written?,
        }
    }
    remember(run, disk(run, identity, filesystem));
    Ok(())
}

fn disk(run: &Run<'_>, identity: Identity, filesystem: &Filesystem) -> Disk {
    let now = Local::now();
    Disk {
        id: identity.id,
        filesystem: identity.filesystem,
        mount_point: display::path(&filesystem.mount_point).to_string(),
        host: run.machine.host.name.clone(),
        source: display::path(&run.plan.source).to_string(),
        source_filesystem: identity.source_filesystem,
        source_mount_point: identity.source_mount_point,
        source_parts: identity.source_parts,
        complete: None,
        proven: None,
        reading: None,
        first_seen: now.into(),
        last_seen: now.into(),
    }
}

/// The destination as this machine remembers it, once [`settle`] has given it its id. Errors if that cannot be read.
pub fn settled(run: &Run<'_>, dir: &Dir, acceptance: &Acceptance) -> io::Result<Disk> {
    Ok(disk(run, written(run, dir)?, &acceptance.filesystem))
}

/// The id that a destination has. Errors if it has none, or one that cannot be read.
pub fn id(run: &Run<'_>, dir: &Dir) -> io::Result<String> {
    Ok(written(run, dir)?.id)
}

fn written(run: &Run<'_>, dir: &Dir) -> io::Result<Identity> {
    let written = dir.read(&run.plan.prefix.marker(Marker::Identity), LARGEST)?;
    Ok(written.as_deref().and_then(Identity::read).ok_or(io::ErrorKind::InvalidData)?)
}

/// If this fails, the end of a complete run tries again and reports it.
fn remember(run: &Run<'_>, disk: Disk) {
    let (store, location, prefix) =
        (Store::new(&run.machine.host.state_dir), run.location(), &run.plan.prefix);
    let state = match store.load(location, prefix) {
        Ok(state) => state,
        // A state that has just become unreadable is not discarded for that.
        Err(_) if !run.plan.adopt => return,
        Err(_) => None,
    };
    let mut state = state.unwrap_or_else(|| State::new(&location.resolved, prefix));
    state.see(disk);
    let _ = store.save(location, prefix, &state);
}
