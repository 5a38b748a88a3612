//! What a verification finds, in memory that does not grow with the damage.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::libc::mode_t;
use nix::sys::stat::SFlag;

use crate::display;
use crate::state::reading::Counts;
use crate::tree::sides::Side;
use crate::verify::contents::Difference;

/// How many paths are kept of each kind; the others are counted.
pub const MOST: usize = 10_000;

/// What is wrong with an entry of the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// The clone does not have it.
    Missing,
    /// Only the clone has it.
    Extra,
    /// It is of another type: the source's, and the clone's.
    Type(SFlag, SFlag),
    /// Its contents differ.
    Contents(Difference),
    /// Its contents have another hash than those that were cloned.
    Hash,
    /// Its size differs: the source's, and the clone's.
    Size(u64, u64),
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// The target of the symbolic link differs.
    Target,
    /// The device number differs.
    Device,
    /// Its permissions differ: the source's, and the clone's.
    Mode(mode_t, mode_t),
    /// Its owner or group differs: the source's, and the clone's.
    Owner((u32, u32), (u32, u32)),
    /// It was modified at another time.
    Modified,
    /// Its extended attributes or access control lists differ.
    Attributes,
    /// It is linked to other names than at the source.
    HardLinks,
}

impl Flaw {
    /// What differs between the contents, if that is the flaw.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        if let Self::Contents(difference) = self { Some(*difference) } else { None }
    }

    /// The word for it, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Type(..) => "type",
            Self::Contents(_) | Self::Hash => "contents",
            Self::Size(..) => "size",
            Self::Unreadable(_) => "unreadable",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mode(..) => "mode",
            Self::Owner(..) => "owner",
            Self::Modified => "modified",
            Self::Attributes => "attributes",
            Self::HardLinks => "hard_links",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("it is missing"),
            Self::Extra => formatter.write_str("the source does not have it"),
            Self::Type(source, copy) => {
                write!(formatter, "it is {} instead of {}", name(*copy), name(*source))
            }
            Self::Contents(Difference { offset, length, bytes: 1 }) if *length == 1 => {
                write!(formatter, "1 byte differs, at offset {offset}")
            }
            Self::Contents(Difference { offset, length, bytes }) => write!(
                formatter,
                "{bytes} bytes differ, the first within the {length} from offset {offset} on"
            ),
            Self::Hash => formatter.write_str("its contents are not those that were cloned"),
            Self::Size(source, copy) => write!(formatter, "its size is {copy} instead of {source} bytes"),
            Self::Unreadable(why) => write!(formatter, "it cannot be read: {why}"),
            Self::Target => formatter.write_str("the link's target differs"),
            Self::Device => formatter.write_str("the device number differs"),
            Self::Mode(source, copy) => write!(formatter, "its mode is {copy:04o} instead of {source:04o}"),
            Self::Owner(source, copy) => write!(
                formatter,
                "its owner and group are {}:{} instead of {}:{}",
                copy.0, copy.1, source.0, source.1
            ),
            Self::Modified => formatter.write_str("its modification time differs"),
            Self::Attributes => formatter.write_str("its extended attributes or access control lists differ"),
            Self::HardLinks => formatter.write_str("it is hard-linked to other names than at the source"),
        }
    }
}

fn name(kind: SFlag) -> &'static str {
    match kind {
        SFlag::S_IFREG => "a file",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    }
}

/// An entry that is damaged.
#[derive(Debug)]
pub struct Damage {
    /// Its path below the roots.
    pub path: PathBuf,
    /// What is wrong with it; at least one thing.
    pub flaws: Vec<Flaw>,
}

impl Damage {
    /// What is wrong with it.
    #[must_use]
    pub fn message(&self) -> String {
        self.flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Its path, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// A path below the roots; that of the roots themselves is empty in a walk.
fn shown(path: &Path) -> String {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    display::path(path).to_string()
}

/// An entry that could not be compared.
#[derive(Debug)]
pub struct NotCompared {
    /// Its path below the roots.
    pub path: PathBuf,
    /// The side that is in the way.
    pub side: Side,
    /// Why.
    pub why: String,
}

impl NotCompared {
    /// Its path, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Damaged entries, as many as are kept, in the order of their paths.
    pub damages: Vec<Damage>,
    /// How many there are.
    pub damaged: u64,
    /// Entries that could not be compared, as many as are kept, in the same order.
    pub not_compared: Vec<NotCompared>,
    /// How many there are.
    pub uncompared: u64,
    /// How many of them the source is in the way of.
    pub source_in_the_way: u64,
    /// Entries that differ, and have changed at the source since the clone.
    pub changed: u64,
    /// Entries that were compared.
    pub entries: u64,
    /// Files whose contents were compared.
    pub files: u64,
    /// Bytes of their contents, without holes that both have.
    pub bytes: u64,
    /// There were too many hard links to compare them all.
    pub links_left: bool,
}

impl Findings {
    /// Adds a damaged entry.
    pub fn damage(&mut self, path: PathBuf, flaws: Vec<Flaw>) {
        self.damaged += 1;
        self.damages.push(Damage { path, flaws });
        if self.damages.len() >= 2 * MOST {
            self.shorten();
        }
    }

    /// Adds an entry that could not be compared.
    pub fn leave(&mut self, path: PathBuf, side: Side, why: String) {
        self.uncompared += 1;
        self.source_in_the_way += u64::from(side == Side::Source);
        self.not_compared.push(NotCompared { path, side, why });
        if self.not_compared.len() >= 2 * MOST {
            self.shorten();
        }
    }

    /// Adds what another thread has found.
    pub fn add(&mut self, other: Self) {
        self.damages.extend(other.damages);
        self.not_compared.extend(other.not_compared);
        self.damaged += other.damaged;
        self.uncompared += other.uncompared;
        self.source_in_the_way += other.source_in_the_way;
        self.changed += other.changed;
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
        self.links_left |= other.links_left;
        self.shorten();
    }

    /// What is remembered of them.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Self { files, bytes, damaged, uncompared: not_compared, .. } = *self;
        Counts { files, bytes, damaged, not_compared }
    }

    /// Keeps the first paths of each kind.
    fn shorten(&mut self) {
        self.damages.sort_by(|one, other| one.path.cmp(&other.path));
        self.damages.truncate(MOST);
        self.not_compared.sort_by(|one, other| one.path.cmp(&other.path));
        self.not_compared.truncate(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, Flaw, MOST};
    use crate::tree::sides::Side;

    #[test]
    fn a_clone_that_is_lost_takes_no_more_memory() {
        let mut sum = Findings::default();
        for part in 0..2 {
            let mut findings = Findings::default();
            for number in (0..3 * MOST).rev() {
                findings.damage(format!("{number:06}-{part}").into(), vec![Flaw::Missing]);
                findings.leave(format!("{number:06}-{part}").into(), Side::Source, String::new());
            }
            assert!(findings.damages.len() < 2 * MOST && findings.not_compared.len() < 2 * MOST);
            sum.add(findings);
        }
        assert_eq!((sum.damages.len(), sum.damaged), (MOST, 6 * MOST as u64));
        assert_eq!((sum.not_compared.len(), sum.uncompared), (MOST, 6 * MOST as u64));
        assert_eq!(sum.source_in_the_way, 6 * MOST as u64);
        let first: Vec<&str> = sum.damages.iter().take(3).filter_map(|it| it.path.to_str()).collect();
        assert_eq!(first, ["000000-0", "000000-1", "000001-0"]);
    }
}
