//! Partial files that a killed rsync left at the destination under temporary names. They would be moved into the net,
//! which is for users' files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::fs::dir::Dir;
use crate::fs::walk::{Visitor, walk};
use crate::marker::Prefix;
use crate::rsync::filter::rules;

/// The number of random letters and digits at the end of a temporary name.
const RANDOM: usize = 6;

struct Remover<'a> {
    source: &'a Dir,
    prefix: &'a Prefix,
    way: Vec<OsString>,
    removed: u64,
    stops: &'a dyn Fn() -> bool,
}

impl Visitor for Remover<'_> {
    fn enter(&mut self, _dir: &File, name: &OsStr) -> io::Result<()> {
        self.way.push(name.to_owned());
        Ok(())
    }

    fn entry(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        if let Some(target) = target_of(name)
            && is_half_a_file(&fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
            && self.is_of(name, target)
        {
            unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
            self.removed += 1;
        }
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

    // What stays goes into the net.
    fn problem(&mut self, _path: &Path, _error: io::Error) {}
}

impl Remover<'_> {
    /// Whether the source has the file it was to become, and nothing under the temporary name itself.
    fn is_of(&self, name: &OsStr, target: &OsStr) -> bool {
        let dir: PathBuf = self.way.iter().collect();
        let at_source =
            |name: &OsStr| fstatat(self.source, dir.join(name).as_path(), AtFlags::AT_SYMLINK_NOFOLLOW);
        let is_file = |name: &OsStr| at_source(name).is_ok_and(|found| is_regular(&found));
        // rsync adds no second dot before a name that begins with one.
        let mut hidden = OsString::from(".");
        hidden.push(target);
        at_source(name) == Err(Errno::ENOENT) && (is_file(target) || is_file(&hidden))
    }
}

fn is_regular(found: &FileStat) -> bool {
    found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

/// The final name that rsync would have given the file.
fn target_of(name: &OsStr) -> Option<&OsStr> {
    let rest = name.as_bytes().strip_prefix(b".")?;
    let (target, random) = rest.split_at_checked(rest.len().checked_sub(RANDOM + 1)?)?;
    let fits = random.strip_prefix(b".")?.iter().all(u8::is_ascii_alphanumeric);
    (fits && !target.is_empty()).then(|| OsStr::from_bytes(target))
}

/// Whether it was only written to: a finished file, like all in a clone, has the source's times and permissions.
fn is_half_a_file(found: &FileStat) -> bool {
    is_regular(found)
        && found.st_uid == geteuid().as_raw()
        && found.st_nlink == 1
        && !Mode::from_bits_truncate(found.st_mode).intersects(Mode::S_IRWXG | Mode::S_IRWXO)
        && (found.st_mtime, found.st_mtime_nsec) == (found.st_ctime, found.st_ctime_nsec)
}

/// Removes them from a destination and returns how many there were. Only removes what a clone would delete anyway;
/// `Interrupted` as soon as `stops` returns true.
pub fn remove(source: &Dir, destination: &Dir, prefix: &Prefix, stops: &dyn Fn() -> bool) -> io::Result<u64> {
    let mut remover = Remover { source, prefix, way: Vec::new(), removed: 0, stops };
    walk(destination, &mut remover)?;
    Ok(remover.removed)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::target_of;

    #[test]
    fn only_the_form_of_rsync_is_taken() {
        for (name, target) in [
            (".file.abCD12", Some("file")),
            (".a.b.abCD12", Some("a.b")),
            (".x.000000", Some("x")),
            (".file.abCD1", None),
            (".file.abCD123", None),
            (".file.abC-12", None),
            ("file.abCD12", None),
            ("..abCD12", None),
            (".abCD12", None),
            (".fileabCD12", None),
            ("", None),
        ] {
            assert_eq!(target_of(OsStr::new(name)), target.map(OsStr::new), "{name:?}");
        }
    }
}
