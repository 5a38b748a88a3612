//! The folders of a destination as they were before a clone: rsync does not move folders into a net, it makes them anew
//! where it needs them, without their times, and empty ones not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown};
use xattr::FileExt as _;

use crate::host::folder::Folder;
use crate::host::walk::{Visitor, walk};
use crate::plan::Prefix;
use crate::rsync::rules;

/// XFS shows each access control list a second time under such a name; the list itself is set by its own.
const LISTS_OF_XFS: &str = "trusted.SGI_ACL_";

/// Every folder of a tree, those above before those below.
#[derive(Debug, Default)]
pub struct Folders {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    above: usize,
    name: Box<OsStr>,
    properties: Option<Properties>,
}

#[derive(Debug)]
struct Properties {
    mode: u32,
    uid: u32,
    gid: u32,
    modified: (i64, i64),
    attributes: Box<[(OsString, Vec<u8>)]>,
}

/// What [`Folders::mend`] could not do.
#[derive(Debug, Default)]
pub struct Mended {
    /// How many folders are not as they were.
    pub failed: u64,
    /// The first of them, relative to the net, and why.
    pub problem: Option<(PathBuf, io::Error)>,
}

impl Mended {
    fn note(&mut self, path: &Path, error: io::Error) {
        self.failed += 1;
        self.problem.get_or_insert_with(|| (path.to_owned(), error));
    }
}

struct Recorder<'a> {
    known: Vec<Known>,
    way: Vec<usize>,
    prefix: &'a Prefix,
    stops: &'a dyn Fn() -> bool,
}

impl Visitor for Recorder<'_> {
    fn enter(&mut self, folder: &File, name: &OsStr) -> io::Result<()> {
        let above = self.way.last().copied().unwrap_or(0);
        self.way.push(self.known.len());
        let properties = folder.metadata().and_then(|metadata| Properties::read(folder, &metadata)).ok();
        self.known.push(Known { above, name: name.into(), properties });
        Ok(())
    }

    fn leave(&mut self, _above: &File, _name: &OsStr) -> io::Result<()> {
        self.way.pop();
        Ok(())
    }

    fn leaves_out(&self, name: &OsStr) -> bool {
        rules::hides(self.prefix, name)
    }

    fn stops(&self) -> bool {
        (self.stops)()
    }

    // rsync will have the same trouble there, and tell it.
    fn problem(&mut self, _path: &Path, _error: io::Error) {}
}

impl Folders {
    /// Reads the properties of every folder of the destination; `Interrupted` as soon as `stops` says so.
    pub fn record(destination: &Folder, prefix: &Prefix, stops: &dyn Fn() -> bool) -> io::Result<Self> {
        let mut recorder = Recorder { known: Vec::new(), way: Vec::new(), prefix, stops };
        walk(destination, &mut recorder)?;
        Ok(Self { known: recorder.known })
    }

    /// Gives the folders in the net their properties, and makes those that are gone from the destination and had nothing
    /// in them that rsync would have moved.
    #[must_use]
    pub fn mend(&self, destination: &Folder, net: &Folder) -> Mended {
        let mut mended = Mended::default();
        let mut found = vec![Found { stays: true, in_net: true }];
        let (mut path, mut way) = (PathBuf::new(), vec![0]);
        for (number, known) in self.known.iter().enumerate().skip(1) {
            while way.last().is_some_and(|last| *last != known.above) {
                way.pop();
                path.pop();
            }
            way.push(number);
            path.push(&*known.name);
            let above = found[known.above];
            found.push(above.below(destination, net, &path).unwrap_or_else(|error| {
                mended.note(&path, error);
                Found { stays: true, in_net: false }
            }));
        }
        // From below: a folder may be closed to us once it is as it was.
        for (number, known) in self.known.iter().enumerate().skip(1).rev().filter(|(at, _)| found[*at].in_net)
        {
            let path = self.path(number);
            let Some(properties) = &known.properties else { continue };
            if let Err(error) = net.enter(path.as_os_str()).and_then(|folder| properties.give(folder.file()))
            {
                mended.note(&path, error);
            }
        }
        mended
    }

    fn path(&self, mut number: usize) -> PathBuf {
        let mut names = Vec::new();
        while number != 0 {
            names.push(&*self.known[number].name);
            number = self.known[number].above;
        }
        names.iter().rev().collect()
    }
}

/// What has become of a folder.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// It is still a folder of the destination.
    stays: bool,
    /// It is in the net.
    in_net: bool,
}

impl Found {
    /// The same of a folder in this one. Nobody else can write to the net, so no link can lead out of it meanwhile.
    fn below(self, destination: &Folder, net: &Folder, path: &Path) -> io::Result<Self> {
        let stays = self.stays && is_folder(destination, path)?;
        let mut in_net = self.in_net && is_folder(net, path)?;
        if !stays && !in_net && self.in_net {
            net.make_folder(path.as_os_str())?;
            in_net = true;
        }
        Ok(Self { stays, in_net })
    }
}

/// Whether a tree has a folder at a path; a link to one is none.
pub fn is_folder(root: &Folder, path: &Path) -> io::Result<bool> {
    match fstatat(root, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Properties {
    fn read(folder: &File, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            attributes: attributes(folder)?.into(),
        })
    }

    fn give(&self, folder: &File) -> io::Result<()> {
        let now = folder.metadata()?;
        if (now.uid(), now.gid()) != (self.uid, self.gid) {
            fchown(folder, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        }
        let present = attributes(folder)?;
        for (name, _) in
            present.iter().filter(|(name, _)| self.attributes.iter().all(|(other, _)| other != name))
        {
            folder.remove_xattr(name)?;
        }
        for (name, value) in self.attributes.iter().filter(|pair| !present.contains(pair)) {
            folder.set_xattr(name, value)?;
        }
        // `mode_t` has 16 bits on Apple's systems and modes have 12.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::unnecessary_cast,
            reason = "mode_t differs by system"
        )]
        fchmod(folder, Mode::from_bits_truncate(self.mode as nix::libc::mode_t))?;
        let modified = TimeSpec::new(self.modified.0, self.modified.1);
        Ok(futimens(folder, &TimeSpec::UTIME_OMIT, &modified)?)
    }
}

/// The extended attributes, the access control lists of Linux among them; none where the filesystem has none.
fn attributes(folder: &File) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let names = match folder.list_xattr() {
        Ok(names) => names,
        Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let wanted = names.filter(|name| !name.as_encoded_bytes().starts_with(LISTS_OF_XFS.as_bytes()));
    wanted.filter_map(|name| folder.get_xattr(&name).map(|value| Some((name, value?))).transpose()).collect()
}
