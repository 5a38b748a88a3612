//! This machine's state of its destinations: one small file each, in a directory of ours.
//!
//! So a disconnected destination can be checked, and a failure that could not be written to it is still visible.

mod files;
pub mod left;
pub mod reading;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::display;
use crate::fs::dir::Dir;
use crate::fs::location::{Location, of_filesystem};
use crate::fs::small_file;
use crate::marker::Prefix;
use crate::marker::identity::Part;
use crate::record::{Moment, Proof, Record, SCHEMA, Totals};
use left::Left;
use reading::Reading;

/// The most that is read of a state file, in bytes; ours have a few thousand.
const LARGEST: u64 = 1 << 20;

/// Everyone may read the state, as monitoring does without root.
const MODE: u32 = 0o644;

/// How many disks may alternate at one destination; the one not seen for the longest time is forgotten.
const MOST_DISKS: usize = 64;

/// How many other spellings of a destination are kept.
const MOST_SPELLINGS: usize = 16;

/// The start of the names, in the state and of its files, of filesystems that are known by their UUID.
const FILESYSTEM: &str = "UUID";

/// The suffix of state file names.
const ENDING: &str = ".json";

/// The extension of the index beside a state file.
const INDEX: &str = "index";

/// The extension of the hashes beside a state file.
const HASHES: &str = "hashes";

/// The state of one destination with one prefix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The version of the schema.
    pub schema: u32,
    /// The destination's path without links and `..`, escaped.
    pub destination: String,
    /// The prefix of our files there.
    pub prefix: String,
    /// Other spellings that have led to it, escaped: a link on an unmounted disk cannot be followed.
    #[serde(default)]
    pub spellings: Vec<String>,
    /// The last run, whatever its outcome; without file names, as everyone may read it.
    pub last: Option<Record>,
    /// The last run that made a complete clone; also without file names.
    pub last_success: Option<Record>,
    /// The disks that were accepted as this destination, the most recently seen last.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// The last proof that it boots, or does not.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// When it was last proven to boot.
    #[serde(default)]
    pub proven: Option<Moment>,
    /// Snapshots of the source that a run of this clone works on, or has left behind.
    #[serde(default)]
    pub snapshots: Vec<Left>,
    /// What it was stored under until now, escaped: that file goes when this state is saved.
    #[serde(skip)]
    pub replaces: Option<String>,
}

/// A disk, or a directory on one, that was accepted as a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The destination's id.
    pub id: String,
    /// The UUID of its filesystem, if known.
    pub filesystem: Option<String>,
    /// Where that filesystem was mounted, escaped.
    pub mount_point: String,
    /// The name of the machine that was cloned.
    pub host: String,
    /// The path that was cloned, escaped.
    pub source: String,
    /// The UUID of the source's filesystem, if known.
    #[serde(default)]
    pub source_filesystem: Option<String>,
    /// Where that filesystem was mounted, escaped.
    #[serde(default)]
    pub source_mount_point: Option<String>,
    /// The filesystems below it that are part of the clone.
    #[serde(default)]
    pub source_parts: Vec<Part>,
    /// What the source held at the last complete clone to this disk.
    #[serde(default)]
    pub complete: Option<Totals>,
    /// When the clone on it was proven to boot, unless it did not boot since.
    #[serde(default)]
    pub proven: Option<Moment>,
    /// What was read again of the clone on it.
    #[serde(default)]
    pub reading: Option<Reading>,
    /// When it was accepted first.
    pub first_seen: Moment,
    /// When it was accepted last.
    pub last_seen: Moment,
}

impl State {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(destination: &Path, prefix: &Prefix) -> Self {
        Self {
            schema: SCHEMA,
            destination: display::path(destination).to_string(),
            prefix: prefix.to_string(),
            spellings: Vec::new(),
            last: None,
            last_success: None,
            disks: Vec::new(),
            proof: None,
            proven: None,
            snapshots: Vec::new(),
            replaces: None,
        }
    }

    /// Records a proof of the clone on the disk that was seen last.
    pub fn prove(&mut self, proof: Proof) {
        let booted = proof.booted.then(|| proof.at.clone());
        if let Some(disk) = self.disks.last_mut() {
            disk.proven.clone_from(&booted);
        }
        self.proven = booted.or(self.proven.take());
        self.proof = Some(proof);
    }

    /// What was read again of the clone on this disk.
    #[must_use]
    pub fn reading(&self, id: &str) -> Option<&Reading> {
        self.disks.iter().find(|disk| disk.id == id)?.reading.as_ref()
    }

    /// Records what was read again of it.
    pub fn read(&mut self, id: &str, reading: Reading) {
        if let Some(disk) = self.disks.iter_mut().find(|disk| disk.id == id) {
            disk.reading = Some(reading);
        }
    }

    /// Records a disk that was just accepted, as the most recent one; what is known about it is kept.
    pub fn see(&mut self, mut disk: Disk) {
        if let Some(at) = self.disks.iter().position(|known| known.id == disk.id) {
            let known = self.disks.remove(at);
            disk.first_seen = known.first_seen;
            disk.filesystem = disk.filesystem.or(known.filesystem);
            disk.complete = disk.complete.or(known.complete);
            disk.proven = disk.proven.or(known.proven);
            disk.reading = disk.reading.or(known.reading);
        }
        if self.disks.len() >= MOST_DISKS {
            self.disks.remove(0);
        }
        self.disks.push(disk);
    }

    /// Adds what a complete clone to this disk has found. What was known of it since it was accepted stays.
    pub fn complete(&mut self, disk: Disk) {
        match self.disks.iter_mut().find(|known| known.id == disk.id) {
            Some(known) => known.complete = disk.complete.or(known.complete),
            None => self.see(disk),
        }
    }

    /// Takes over what an earlier version stored under another spelling of the same destination.
    fn absorb(&mut self, earlier: Self) {
        let at = |run: &Option<Record>| run.as_ref().map(|run| run.ended.epoch);
        let known = std::mem::take(&mut self.disks);
        let is_new = |disk: &Disk| !known.iter().any(|known| known.id == disk.id);
        self.disks = earlier.disks.into_iter().filter(is_new).collect();
        self.disks.extend(known);
        let surplus = self.disks.len().saturating_sub(MOST_DISKS);
        self.disks.drain(..surplus);
        self.snapshots.extend(earlier.snapshots);
        if at(&earlier.last) > at(&self.last) {
            self.last = earlier.last;
        }
        if at(&earlier.last_success) > at(&self.last_success) {
            self.last_success = earlier.last_success;
        }
        if earlier.proof.as_ref().map(|proof| proof.at.epoch)
            > self.proof.as_ref().map(|proof| proof.at.epoch)
        {
            self.proof = earlier.proof;
        }
        if earlier.proven.as_ref().map(|at| at.epoch) > self.proven.as_ref().map(|at| at.epoch) {
            self.proven = earlier.proven;
        }
    }

    /// Parses what [`Store::save`] wrote. Errors if it is damaged or has a later schema; never panics.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let state: Self = serde_json::from_slice(bytes).map_err(io::Error::other)?;
        if state.schema > SCHEMA {
            return Err(io::Error::other("a later version of Counterpart wrote it"));
        }
        Ok(state)
    }
}

/// The directory of the state files.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in this directory, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The state of a destination; `None` if nothing is known.
    ///
    /// It is found by the destination's resolved path; else by the given spelling, under which earlier versions stored
    /// it, or by a spelling that has led there before.
    pub fn load(&self, location: &Location, prefix: &Prefix) -> io::Result<Option<State>> {
        let known = self.read(&name(&location.resolved, prefix))?;
        let earlier = if location.given == location.resolved {
            None
        } else {
            self.read(&name(&location.given, prefix))?
        };
        match (known, earlier) {
            (Some(mut known), Some(earlier)) => {
                known.absorb(earlier);
                Ok(Some(known))
            }
            (None, Some(earlier)) => {
                let destination = display::path(&location.resolved).to_string();
                Ok(Some(State { destination, ..earlier }))
            }
            (Some(known), None) => Ok(Some(known)),
            (None, None) => {
                let found = self.elsewhere(location, prefix)?;
                Ok(found.map(|(_, state)| if location.is_lexical() { state } else { moved(state, location) }))
            }
        }
    }

    /// The file and the state of a destination that is stored under neither of its own names.
    fn elsewhere(&self, location: &Location, prefix: &Prefix) -> io::Result<Option<(PathBuf, State)>> {
        // If a link was just followed, only its target counts.
        if location.is_lexical() {
            return self.by_spelling(location, prefix);
        }
        match &location.filesystem {
            Some(uuid) if location.is_named() => self.by_mount_point(uuid, prefix),
            Some(_) | None => Ok(None),
        }
    }

    /// Stores the state of a destination atomically, under its resolved path only.
    pub fn save(&self, location: &Location, prefix: &Prefix, state: &State) -> io::Result<()> {
        let given = display::path(&location.given).to_string();
        let mut state = state.clone();
        if given != state.destination && !state.spellings.contains(&given) {
            state.spellings.truncate(MOST_SPELLINGS - 1);
            state.spellings.insert(0, given);
        }
        let text = serde_json::to_vec_pretty(&state).map_err(io::Error::other)?;
        let path = if state.destination == display::path(&location.resolved).to_string() {
            location.resolved.clone()
        } else {
            PathBuf::from(OsString::from_vec(display::unescape(state.destination.as_bytes())))
        };
        let dir = Dir::open_or_create(&self.directory, 0o755)?;
        dir.replace(&name(&path, prefix), MODE, &text)?;
        if location.given != path && dir.kind(&name(&location.given, prefix))?.is_some() {
            dir.remove_file(&name(&location.given, prefix))?;
        }
        if let Some(before) = &state.replaces {
            let before = PathBuf::from(OsString::from_vec(display::unescape(before.as_bytes())));
            if before != path {
                // Hashes are of the clone, whatever it is called; an index is of how it is made.
                let hashes = beside(&before, prefix, HASHES);
                if dir.kind(&hashes)?.is_some() {
                    dir.rename(&hashes, &beside(&path, prefix, HASHES))?;
                }
                for old in [name(&before, prefix), beside(&before, prefix, INDEX)] {
                    if dir.kind(&old)?.is_some() {
                        dir.remove_file(&old)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The name of the index that belongs to a destination's state.
    #[must_use]
    pub fn index_name(location: &Location, prefix: &Prefix) -> OsString {
        beside(&location.resolved, prefix, INDEX)
    }

    /// The name of the hashes that belong to it.
    #[must_use]
    pub fn hashes_name(location: &Location, prefix: &Prefix) -> OsString {
        beside(&location.resolved, prefix, HASHES)
    }

    fn read(&self, name: &OsStr) -> io::Result<Option<State>> {
        match small_file::read(&self.directory.join(name), LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.and_then(|bytes| State::parse(&bytes)).map(Some),
        }
    }

    /// For a destination behind a link on an unmounted disk, of which only the spelling is known.
    fn by_spelling(&self, location: &Location, prefix: &Prefix) -> io::Result<Option<(PathBuf, State)>> {
        let (given, prefix) = (display::path(&location.given).to_string(), prefix.to_string());
        // Only links above the last component are followed, so the name starts the same way.
        let own = stem(&location.given);
        let mut found = None;
        for (path, state) in self.all()? {
            let file = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
            let is_likely = file.starts_with(own.as_bytes());
            // A filesystem may have been given by any of its tags, and by where it is mounted at times.
            if !is_likely && !file.starts_with(FILESYSTEM.as_bytes()) {
                continue;
            }
            let state = match state {
                Ok(state) => state,
                // An unreadable file might be the one in question.
                Err(error) if is_likely => return Err(error),
                Err(_) => continue,
            };
            let is_another = location.filesystem.as_deref().is_some_and(|uuid| {
                let own = display::path(&of_filesystem(uuid)).to_string();
                state.destination.starts_with(FILESYSTEM) && state.destination != own
            });
            if state.prefix == prefix && state.spellings.contains(&given) && !is_another {
                found = Some((path, state));
            }
        }
        Ok(found)
    }

    /// For a filesystem that was known by the path where it was mounted, and there alone.
    fn by_mount_point(&self, uuid: &str, prefix: &Prefix) -> io::Result<Option<(PathBuf, State)>> {
        let is_it = |state: &State| {
            let mut disks = state.disks.iter();
            state.prefix == prefix.to_string()
                && !state.disks.is_empty()
                && disks.all(|disk| {
                    disk.filesystem.as_deref() == Some(uuid) && disk.mount_point == state.destination
                })
        };
        // One that cannot be read belongs to another destination, whose own run reports it.
        let mut states =
            self.all()?.into_iter().filter_map(|(path, state)| state.ok().map(|state| (path, state)));
        Ok(states.find(|(_, state)| is_it(state)))
    }

    /// Whether anything is stored under this path or tag.
    #[must_use]
    pub fn has(&self, destination: &Path, prefix: &Prefix) -> bool {
        self.directory.join(name(destination, prefix)).exists()
    }

    /// Whether anything is stored under the UUID of a filesystem.
    #[must_use]
    pub fn has_filesystems(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return false };
        entries.flatten().any(|entry| entry.file_name().as_bytes().starts_with(FILESYSTEM.as_bytes()))
    }

    /// Every state file, sorted by name, with its contents or why it cannot be read. Errors if the directory cannot be
    /// read; a missing one is empty.
    pub fn all(&self) -> io::Result<Vec<(PathBuf, io::Result<State>)>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names: Vec<OsString> =
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
        names.retain(|name| name.as_bytes().ends_with(ENDING.as_bytes()));
        names.sort();
        Ok(names
            .iter()
            .map(|name| self.directory.join(name))
            .map(|path| {
                let state = small_file::read(&path, LARGEST).and_then(|bytes| State::parse(&bytes));
                (path, state)
            })
            .collect())
    }
}

/// The state of a filesystem that was known by its mount point, as it is stored from now on.
fn moved(mut state: State, location: &Location) -> State {
    let before = std::mem::replace(&mut state.destination, display::path(&location.resolved).to_string());
    state.spellings.insert(0, before.clone());
    state.replaces = Some(before);
    state
}

/// The path's last component, for people, and a digest of path and prefix, which makes the name unique.
fn name(destination: &Path, prefix: &Prefix) -> OsString {
    let mut digest = Sha256::new();
    digest.update(destination.as_os_str().as_bytes());
    digest.update([0]);
    digest.update(prefix.to_string());
    let digest =
        digest.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    OsString::from(format!("{}{digest}{ENDING}", stem(destination)))
}

fn beside(destination: &Path, prefix: &Prefix, extension: &str) -> OsString {
    Path::new(&name(destination, prefix)).with_extension(extension).into_os_string()
}

fn stem(destination: &Path) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
    let last = destination.file_name().unwrap_or(OsStr::new("root")).to_string_lossy().into_owned();
    last.chars().filter(is_plain).take(64).chain(['-']).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Disk, State, Store, name};
    use crate::fs::location::Location;
    use crate::marker::Prefix;
    use crate::record::Moment;

    #[test]
    fn each_destination_and_prefix_has_a_file_of_its_own() {
        let (one, other) = (Prefix::default(), "org.example".parse::<Prefix>().unwrap());
        let names = [
            name(Path::new("/mnt/a"), &one),
            name(Path::new("/mnt/a"), &other),
            name(Path::new("/media/a"), &one),
            name(Path::new("/mnt/ä/../x y"), &one),
            name(Path::new("/"), &one),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name:?}");
            let text = name.to_str().unwrap();
            assert!(text.ends_with(super::ENDING) && !text.contains('/') && text.len() < 100, "{text}");
        }
    }

    fn disk(id: &str, filesystem: Option<&str>) -> Disk {
        let seen = Moment { rfc3339: String::new(), epoch: id.len().try_into().unwrap() };
        Disk {
            id: id.to_owned(),
            filesystem: filesystem.map(str::to_owned),
            mount_point: "/mnt/clone".to_owned(),
            host: "host".to_owned(),
            source: "/".to_owned(),
            source_filesystem: None,
            source_mount_point: None,
            source_parts: Vec::new(),
            complete: None,
            proven: None,
            reading: None,
            first_seen: seen.clone(),
            last_seen: seen,
        }
    }

    #[test]
    fn the_last_disk_is_at_the_end_and_loses_nothing() {
        let mut state = State::new(Path::new("/mnt/clone"), &Prefix::default());
        state.see(disk("a", Some("u")));
        state.see(disk("bb", None));
        let mut again = disk("a", None);
        again.first_seen.epoch = 99;
        state.see(again);
        assert_eq!(state.disks, [disk("bb", None), disk("a", Some("u"))]);
        for number in 0..100 {
            state.see(disk(&number.to_string(), None));
        }
        assert_eq!((state.disks.len(), state.disks[0].id.as_str()), (super::MOST_DISKS, "36"));
    }

    #[test]
    fn a_complete_clone_adds_to_what_is_known_of_its_disk() {
        let totals = |entries| Some(crate::record::Totals { entries, bytes: None });
        let of = |id: &str, complete| Disk { complete, ..disk(id, None) };
        let mut state = State::new(Path::new("/mnt/clone"), &Prefix::default());
        state.see(disk("a", Some("u")));
        state.see(disk("bb", None));
        state.complete(of("a", totals(7)));
        // One that counted nothing takes nothing away, and what was not saved before is saved now.
        state.complete(of("a", None));
        state.complete(of("ccc", totals(9)));
        let known = Disk { filesystem: Some("u".to_owned()), ..of("a", totals(7)) };
        assert_eq!(state.disks, [known, disk("bb", None), of("ccc", totals(9))]);
    }

    #[test]
    fn a_state_from_before_disks_were_kept_in_mind_is_read() {
        let old = br#"{"schema":1,"destination":"/d","prefix":"p","last":null,"last_success":null}"#;
        assert_eq!(State::parse(old).unwrap().disks, []);
    }

    #[test]
    fn what_was_kept_is_found_again_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (store, prefix) = (Store::new(&dir.path().join("state")), Prefix::default());
        let destination = &Location::unresolved(Path::new("/mnt/clone"));
        assert_eq!(store.load(destination, &prefix).unwrap(), None);
        assert!(store.all().unwrap().is_empty());
        let state = State::new(&destination.resolved, &prefix);
        store.save(destination, &prefix, &state).unwrap();
        assert_eq!(store.load(destination, &prefix).unwrap(), Some(state));
        let (path, _) = store.all().unwrap().remove(0);
        std::fs::write(&path, "{").unwrap();
        assert!(store.load(destination, &prefix).is_err());
        assert!(store.all().unwrap().remove(0).1.is_err());
        std::fs::write(&path, r#"{"schema":2,"destination":"","prefix":"","last":null,"last_success":null}"#)
            .unwrap();
        assert!(store.load(destination, &prefix).unwrap_err().to_string().contains("later version"));
    }
    #[test]
    fn what_was_kept_under_another_spelling_moves_to_the_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let (store, prefix) = (Store::new(dir.path()), Prefix::default());
        let spelled = Location::unresolved(Path::new("/srv/../backup"));
        // As stored by an earlier version.
        let raw = Location { resolved: spelled.given.clone(), ..spelled.clone() };
        let mut old = State::new(&raw.given, &prefix);
        old.see(disk("a", Some("u")));
        store.save(&raw, &prefix, &old).unwrap();
        let plain = Location::unresolved(Path::new("/backup"));
        let mut known = State::new(&plain.resolved, &prefix);
        known.see(disk("bb", None));
        store.save(&plain, &prefix, &known).unwrap();
        let both = store.load(&spelled, &prefix).unwrap().unwrap();
        assert_eq!(both.disks, [disk("a", Some("u")), disk("bb", None)]);
        assert_eq!(both.destination, "/backup");
        store.save(&spelled, &prefix, &both).unwrap();
        assert_eq!(store.all().unwrap().len(), 1);
        let again = store.load(&plain, &prefix).unwrap().unwrap();
        assert_eq!((again.disks.len(), again.spellings), (2, vec!["/srv/../backup".to_owned()]));
    }

    #[test]
    fn a_link_that_is_out_of_reach_is_known_by_its_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let (store, prefix) = (Store::new(dir.path()), Prefix::default());
        let given = Path::new("/mnt/disk/link/clone");
        let mounted = Location::found(given, b"/mnt/disk/real/clone".to_vec());
        store.save(&mounted, &prefix, &State::new(&mounted.resolved, &prefix)).unwrap();
        let gone = Location::unresolved(given);
        let found = store.load(&gone, &prefix).unwrap().unwrap();
        assert_eq!(found.destination, "/mnt/disk/real/clone");
        store.save(&gone, &prefix, &found).unwrap();
        assert_eq!(store.all().unwrap().len(), 1);
        // A link that now leads elsewhere is another destination.
        let moved = Location::found(given, b"/mnt/other/clone".to_vec());
        assert_eq!(store.load(&moved, &prefix).unwrap(), None);
    }
}
