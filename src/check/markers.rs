//! Reads a destination's markers. Only this module touches the destination, in a process that may hang.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::stat::SFlag;
use serde::{Deserialize, Serialize};

use crate::cli::check::LookArgs;
use crate::display;
use crate::fs::dir::Dir;
use crate::fs::location::Location;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::marker::stats::StatsFile;
use crate::marker::{Marker, Prefix};
use crate::plan::tag::Tag;
use crate::process::interrupts::Interrupts;
use crate::record::{Record, SCHEMA};
use crate::volume::named;
use crate::volume::named::{NotMounted, Purpose, Wanted};

/// The most that is read of a marker, in bytes; ours are a few thousand at most.
const LARGEST: u64 = 1 << 20;

/// The largest answer, in bytes: each marker once, escaped.
pub const LARGEST_ANSWER: u64 = 16 << 20;

/// A file that may exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Found<T> {
    /// It does not exist.
    Absent,
    /// It exists and contains this.
    Present(T),
    /// It exists but cannot be read, for this reason.
    Damaged(String),
    /// It exists but this user may not read it.
    Barred,
}

impl<T> Found<T> {
    /// Its contents.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(content) => Some(content),
            Self::Absent | Self::Damaged(_) | Self::Barred => None,
        }
    }

    /// Whether the file does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Why it cannot be read.
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Damaged(why) => Some(why),
            Self::Absent | Self::Present(_) | Self::Barred => None,
        }
    }

    fn from_io(result: io::Result<Option<T>>) -> Self {
        match result {
            Ok(Some(content)) => Self::Present(content),
            Ok(None) => Self::Absent,
            Err(error) => Self::Damaged(display::reason(&error)),
        }
    }
}

/// `.error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMark {
    /// When it was written, in seconds since 1970.
    pub at: i64,
    /// Its first line, escaped.
    pub reason: String,
}

/// The markers with one prefix in a directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Markers {
    /// When the clone was completed, in seconds since 1970.
    pub completed: Found<i64>,
    /// The last failure.
    pub error: Found<ErrorMark>,
    /// The statistics of the last run.
    pub statistics: Found<StatsFile>,
    /// The full record of the last run.
    pub record: Found<Record>,
    /// Whether the directory is marked as a clone.
    pub identity: Found<()>,
}

/// The result of reading a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Place {
    /// It is a directory with these markers.
    Seen(Box<Markers>),
    /// It does not exist.
    Missing,
    /// This user may not read it.
    Barred,
    /// It cannot be read, for this reason.
    Broken(String),
    /// It did not answer within this many seconds.
    Silent(f64),
    /// It is named by a tag and was not mounted to be read, for this reason.
    NotMounted(String),
}

/// What was found at a destination's path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The destination's resolved path, the key of its state, byte for byte.
    pub resolved: Vec<u8>,
    /// The UUID of its filesystem, if it was given by a tag and found.
    pub filesystem: Option<String>,
    /// The directory's device and inode number, if it could be opened.
    pub directory: Option<(u64, u64)>,
    /// What is there.
    pub place: Place,
}

/// Prints the contents of a destination's markers on standard output, as JSON.
pub fn print(args: &LookArgs, host: &Host) -> anyhow::Result<()> {
    let resolved = Location::of(&args.destination).resolved.into_os_string().into_vec();
    let (filesystem, (directory, place)) = match Tag::read(args.destination.as_os_str()) {
        Some(Ok(tag)) => look_at_filesystem(&tag, &args.organisation_prefix, host),
        Some(Err(_)) | None => (None, look(&args.destination, &args.organisation_prefix)),
    };
    let look = Look { resolved, filesystem, directory, place };
    Ok(io::stdout().lock().write_all(&serde_json::to_vec(&look)?)?)
}

/// Parses the output of [`print`]; `None` if it was cut short.
#[must_use]
pub fn parse(printed: &[u8]) -> Option<Look> {
    serde_json::from_slice(printed).ok()
}

/// A directory's device and inode number, if it could be opened, and what it holds.
type Opened = (Option<(u64, u64)>, Place);

/// Mounts a filesystem for this process, if it may, and reads its markers; returns its UUID as well.
fn look_at_filesystem(tag: &Tag, prefix: &Prefix, host: &Host) -> (Option<String>, Opened) {
    let wanted = Wanted { tag, key_file: None, prefix, purpose: Purpose::Glance };
    if !host.is_root() {
        return (None, (None, Place::NotMounted("only root can mount it".to_owned())));
    }
    match named::mount(Machine { host, interrupts: &Interrupts::default() }, &wanted) {
        Ok(named) => (named.uuid.clone(), look(named.point(), prefix)),
        Err(NotMounted::Missing) => (None, (None, Place::Missing)),
        Err(NotMounted::Unusable(why)) => (None, (None, Place::NotMounted(why))),
        Err(NotMounted::Interrupted) => (None, (None, Place::NotMounted("interrupted".to_owned()))),
    }
}

fn look(destination: &Path, prefix: &Prefix) -> Opened {
    let dir = match Dir::open(destination) {
        Ok(dir) => dir,
        Err(error) => return (None, not_opened(destination, &error)),
    };
    let identity = dir.identity().ok().map(|directory| (directory.device, directory.inode));
    (identity, Place::Seen(Box::new(markers(&dir, prefix))))
}

fn markers(dir: &Dir, prefix: &Prefix) -> Markers {
    let text = |suffix: &str| dir.read_file(&OsString::from(prefix.stem() + suffix), LARGEST);
    Markers {
        completed: Found::from_io(completion(dir, prefix)),
        error: Found::from_io(text(Marker::Error.suffix()).map(|file| {
            file.map(|(metadata, content)| ErrorMark { at: metadata.mtime(), reason: first_line(&content) })
        })),
        statistics: Found::from_io(text(Marker::Statistics.suffix()).and_then(|file| {
            let Some((_, content)) = file else { return Ok(None) };
            let read = StatsFile::read(&content);
            if read.is_empty() { Err(io::Error::other("it holds no statistics")) } else { Ok(Some(read)) }
        })),
        record: match text(Marker::Record.suffix()) {
            // A record that names files is private to those who may read them.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Found::Barred,
            read => Found::from_io(
                read.and_then(|file| file.map(|(_, content)| parse_record(&content)).transpose()),
            ),
        },
        identity: Found::from_io(dir.kind(&prefix.marker(Marker::Identity)).map(|kind| kind.map(|_| ()))),
    }
}

fn not_opened(destination: &Path, error: &io::Error) -> Place {
    let is_link = std::fs::symlink_metadata(destination).is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        Place::Broken("it is a symbolic link".to_owned())
    } else if error.kind() == io::ErrorKind::NotFound {
        Place::Missing
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Place::Barred
    } else {
        Place::Broken(display::reason(error))
    }
}

/// Only its modification time matters, so it need not be readable.
fn completion(dir: &Dir, prefix: &Prefix) -> io::Result<Option<i64>> {
    let Some(stat) = dir.stat(&prefix.marker(Marker::Completed))? else { return Ok(None) };
    if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(Some(stat.st_mtime))
}

fn first_line(content: &[u8]) -> String {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    display::line(line).to_string()
}

fn parse_record(content: &[u8]) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(content).map_err(io::Error::other)?;
    if record.schema > SCHEMA {
        return Err(io::Error::other("a later version of Counterpart wrote it"));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Found, Look, Markers, Place, look, parse};
    use crate::marker::Prefix;

    const STEM: &str = ".me.jedda.counterpart.";

    fn seen(dir: &Path) -> Markers {
        match look(dir, &Prefix::default()).1 {
            Place::Seen(markers) => *markers,
            other @ (Place::Missing
            | Place::Barred
            | Place::Broken(_)
            | Place::Silent(_)
            | Place::NotMounted(_)) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn links_fifos_directories_and_large_files_are_damage_and_block_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |suffix: &str| dir.path().join(format!("{STEM}{suffix}"));
        let target = dir.path().join("target");
        std::fs::write(&target, "Clone Started: 1\n").unwrap();
        symlink(&target, at("completed")).unwrap();
        nix::unistd::mkfifo(&at("error"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink(&target, at("stats")).unwrap();
        std::fs::File::create(at("stats.json")).unwrap().set_len(super::LARGEST + 1).unwrap();
        let markers = seen(dir.path());
        let no_file = "it is not a regular file".to_owned();
        assert_eq!(markers.completed, Found::Damaged(no_file.clone()));
        assert_eq!(markers.error, Found::Damaged(no_file.clone()));
        assert_eq!(markers.statistics, Found::Damaged(no_file));
        assert_eq!(markers.record, Found::Damaged("it has more than 1048576 bytes".to_owned()));
        assert!(markers.identity.is_absent());
    }

    #[test]
    fn an_error_is_its_first_line_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(format!("{STEM}error")), b"no\x1b[2J \xff\nmore\n").unwrap();
        assert_eq!(seen(dir.path()).error.present().unwrap().reason, "no\\#033[2J \\#377");
        std::fs::write(dir.path().join(format!("{STEM}error")), b"").unwrap();
        assert_eq!(seen(dir.path()).error.present().unwrap().reason, "");
    }

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (directory, place) = look(dir.path(), &Prefix::default());
        let look = Look { resolved: b"/\xff".to_vec(), filesystem: None, directory, place };
        let printed = serde_json::to_vec(&look).unwrap();
        assert_eq!(parse(&printed), Some(look));
        assert_eq!(parse(&printed[..printed.len() - 1]), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn what_is_no_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "").unwrap();
        symlink(dir.path(), &link).unwrap();
        let prefix = Prefix::default();
        assert_eq!(look(&dir.path().join("none"), &prefix), (None, Place::Missing));
        assert_eq!(look(&file, &prefix).1, Place::Broken("Not a directory".to_owned()));
        assert_eq!(look(&link, &prefix).1, Place::Broken("it is a symbolic link".to_owned()));
    }
}
