//! The index of the last clone: whether a quick pass may rely on it, and what replaces it.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use chrono::Utc;
use log::info;
use nix::sys::stat::FileStat;
use sha2::{Digest as _, Sha256};

use crate::display;
use crate::fs::attributes;
use crate::fs::dir::Dir;
use crate::host::platform::Platform;
use crate::host::rights::Rights;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::snapshot::Snapshots;
use crate::phases::survey::memory::{Memory, Settled, Stamp};
use crate::rsync::capabilities::Optional;
use crate::run::Run;
use crate::state::Store;
use crate::tree::index::{Header, Index, Key, save};
use crate::volume::kind::Kind;

/// What is known of the last clone at the start of this one.
#[derive(Debug)]
pub struct Remembered {
    /// When this run began to look at the source, by the clock that stamps changes and by one that is never set.
    pub began: (Stamp, Instant),
    /// Since then something of the source is seen as it was.
    is_partly_frozen: bool,
    /// All of it is.
    pub is_frozen: bool,
    header: Header,
    index: Option<Index>,
    /// rsync copies attributes and access control lists.
    attributes: bool,
    /// Why everything is looked at, if there is no index to rely on.
    pub why_full: Option<String>,
}

/// What a run has proved.
#[derive(Debug)]
pub struct Proved<'a> {
    /// The hashes that are not in the index yet; those that are were met by the last survey.
    pub keys: Vec<u64>,
    /// The metadata of both roots.
    pub root: Option<&'a (FileStat, FileStat)>,
    /// Since when nothing has changed; `None` if nothing was transferred.
    pub settled: Option<Settled>,
}

/// The seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// By how much the two clocks may differ before the index is given up, since the one that stamps changes was set.
const DRIFT: Duration = Duration::from_millis(200);

impl Remembered {
    /// Loads the index of the last clone. Errors with the reason why none is kept for these ends.
    pub fn load(
        run: &Run<'_>,
        rsync: &Rsync,
        ends: &Endpoints,
        snapshots: Option<&Snapshots<'_, '_>>,
    ) -> Result<Self, String> {
        refuse_unfit(run, rsync, ends)?;
        // What has changed since a snapshot was taken is not in it, and must not be taken for settled.
        let began = match snapshots {
            Some(snapshots) => snapshots.began,
            None => (Stamp::now().map_err(|error| display::reason(&error))?, Instant::now()),
        };
        let is_partly_frozen = snapshots.is_some();
        let is_frozen = snapshots.is_some_and(|snapshots| snapshots.are_whole);
        let made_with = digest(run, rsync, ends);
        let (index, why_full) = match usable(run, made_with) {
            Ok(index) => (Some(index), None),
            Err(why) => (None, Some(why)),
        };
        let header = match &index {
            Some(index) => index.header,
            None => Header {
                key: Key::random().map_err(|error| display::reason(&error))?,
                made_with,
                full_pass: Utc::now().timestamp(),
            },
        };
        let has = |option| rsync.capabilities.has(option);
        let attributes = has(Optional::Acls) && has(Optional::Xattrs);
        Ok(Self { began, is_partly_frozen, is_frozen, header, index, attributes, why_full })
    }

    /// Since when what has changed at the source is seen, in a survey that follows one at this moment.
    #[must_use]
    pub fn since(&self, moment: Stamp) -> Stamp {
        if self.is_partly_frozen { self.began.0 } else { moment }
    }

    /// Whether rsync copies attributes and access control lists.
    #[must_use]
    pub fn copies_attributes(&self) -> bool {
        self.attributes
    }

    /// What a survey compares with, before anything is transferred or after what `settled` says.
    #[must_use]
    pub fn memory(&self, settled: Option<Settled>) -> Memory<'_> {
        if let Some(index) = &self.index {
            index.forget_met();
        }
        let began = settled.map_or(self.began.0, |settled| settled.destination);
        Memory { settled, began: Some(began), ..self.as_met() }
    }

    /// What a look at single entries after the survey compares with.
    #[must_use]
    pub fn as_met(&self) -> Memory<'_> {
        let Self { attributes, .. } = *self;
        let index = self.index.as_ref();
        Memory { key: self.header.key, index, settled: None, attributes, plain: None, began: None }
    }

    /// Whether both roots have the same attributes, as far as rsync copies them.
    #[must_use]
    pub fn has_equal_roots(&self, ends: &Endpoints) -> bool {
        let open = |dir: &Dir| dir.as_fd().try_clone_to_owned().ok();
        let (Some(source), Some(copy)) = (open(&ends.source.dir), open(&ends.destination.dir)) else {
            return false;
        };
        !self.attributes || attributes::are_equal(&source, &copy, c".")
    }

    /// Whether the source's root is as it was at the last clone.
    #[must_use]
    pub fn knows_root(&self, source: &FileStat) -> bool {
        self.index.as_ref().is_some_and(|index| index.meets(self.root(source)))
    }

    fn root(&self, source: &FileStat) -> u64 {
        self.header.key.entry(self.header.key.place("".as_ref()), b"", source, None)
    }

    /// Replaces the index by what the last survey has proved. Without it the next run is a full pass, so that a failure
    /// is no more than logged.
    pub fn save(&self, run: &Run<'_>, proved: Proved<'_>, was_full: bool) {
        if let Err(error) = self.try_save(run, proved, was_full) {
            info!("The next run is a full pass, since no index could be saved: {}.", display::reason(&error));
        }
    }

    fn try_save(&self, run: &Run<'_>, proved: Proved<'_>, was_full: bool) -> std::io::Result<()> {
        let Proved { mut keys, root, settled } = proved;
        let dir = Dir::open_or_create(&run.machine.host.state_dir, 0o755)?;
        let name = name(run);
        let (stamp, instant) = self.began;
        let passed = Stamp::now()?.since(stamp);
        if passed.is_none_or(|passed| passed.abs_diff(instant.elapsed()) > DRIFT) {
            dir.remove(&name)?;
            return Err(std::io::Error::other("the clock was set meanwhile"));
        }
        if let Some((source, _)) = root
            && settled.is_none_or(|settled| Stamp::of(source).is_before(settled.source))
        {
            let root = self.root(source);
            if !self.index.as_ref().is_some_and(|index| index.meets(root)) {
                keys.push(root);
            }
        }
        let old = self.index.as_ref();
        if !was_full && keys.is_empty() && old.is_some_and(Index::was_met_whole) {
            return Ok(());
        }
        let full_pass = if was_full { Utc::now().timestamp() } else { self.header.full_pass };
        save(&dir, &name, &Header { full_pass, ..self.header }, old, keys)
    }
}

/// Whether changes of these ends can be told by the times that their filesystems keep, and a list does for this rsync.
fn refuse_unfit(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints) -> Result<(), String> {
    let keeps = |dir: &Dir| Kind::of(dir).is_ok_and(Kind::stamps_changes);
    for (is_fit, why) in [
        (run.machine.host.platform == Platform::Linux, "this system is not known well enough"),
        (run.machine.host.rights == Rights::ALL, "it needs all rights of root"),
        (rsync.capabilities.has(Optional::Nanoseconds), "this rsync is too old"),
        (ends.view.is_some(), "there is no private view of both ends"),
        // A list names paths, and a user could exchange a directory in one for a link.
        (
            ends.view.as_ref().is_none_or(|view| !view.follows_links()),
            "this kernel cannot keep paths from following links",
        ),
        (
            ends.source.filesystems.iter().all(|it| keeps(&it.dir)) && keeps(&ends.source.dir),
            "the source's filesystem is not known to stamp every change",
        ),
        (keeps(&ends.destination.dir), "the destination's filesystem is not known to stamp every change"),
    ] {
        if !is_fit {
            return Err(why.to_owned());
        }
    }
    Ok(())
}

/// Loads an index that was made as one would be made now. Errors with the reason for a full pass.
fn usable(run: &Run<'_>, made_with: [u8; 32]) -> Result<Index, String> {
    if run.plan.tuning.checksum {
        return Err("--checksum was given".to_owned());
    }
    if run.plan.full {
        return Err("it was requested".to_owned());
    }
    let loaded = Dir::open(&run.machine.host.state_dir).and_then(|dir| Index::load(&dir, &name(run)));
    let index = match loaded {
        Ok(Some(index)) => index,
        Ok(None) => return Err("there is no index of the last clone".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("there is no index of the last clone".to_owned());
        }
        Err(error) => return Err(format!("the index cannot be used: {}", display::reason(&error))),
    };
    if index.header.made_with != made_with {
        return Err("the last clone was made in another way".to_owned());
    }
    let age = Utc::now().timestamp().saturating_sub(index.header.full_pass);
    if !(0..i64::from(run.plan.full_every) * DAY).contains(&age) {
        return Err(format!("the last one is not within {} days", run.plan.full_every));
    }
    Ok(index)
}

/// A digest of everything on which a clone depends besides the trees.
fn digest(run: &Run<'_>, rsync: &Rsync, ends: &Endpoints) -> [u8; 32] {
    let kinds = [&ends.source.dir, &ends.destination.dir].map(|dir| Kind::of(dir).ok());
    let mut digest = Sha256::new();
    for path in [&rsync.path, &run.plan.source] {
        digest.update(path.as_os_str().as_bytes());
        digest.update([0]);
    }
    let version = env!("CARGO_PKG_VERSION");
    digest.update(format!("{version}, {}, {:?}, {kinds:?}", rsync.version, rsync.capabilities));
    for it in &ends.source.filesystems {
        digest.update(it.place.as_os_str().as_bytes());
        digest.update(format!("\0{}, {:?}\0", it.kind, it.uuid));
    }
    digest.finalize().into()
}

fn name(run: &Run<'_>) -> OsString {
    Store::index_name(run.location(), &run.plan.prefix)
}
