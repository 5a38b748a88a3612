//! Copies the contents and the properties of an open file or directory to another one.

mod kernel;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::{FileStat, Mode, fchmod, futimens};
use nix::sys::time::{TimeSpec, TimeValLike as _};
use nix::unistd::{Gid, Uid, fchown};

/// Up to this size, one read and one write are faster than a copy by the kernel, in bytes.
const SMALL: usize = 128 << 10;

/// The quick ways between two filesystems, as long as they have not failed.
#[derive(Debug)]
pub struct Ways {
    /// The copy shares the blocks of the file.
    reflink: AtomicBool,
    /// The kernel copies by itself, or the filesystem's server does.
    range: AtomicBool,
}

impl Default for Ways {
    fn default() -> Self {
        Self { reflink: AtomicBool::new(true), range: AtomicBool::new(true) }
    }
}

/// A file that is copied.
#[derive(Debug, Clone, Copy)]
pub struct Copied<'a> {
    /// It, open for reading, at its beginning.
    pub from: &'a File,
    /// An empty file, open for writing.
    pub to: &'a File,
    /// Its metadata.
    pub stat: &'a FileStat,
}

/// Copies contents, holes kept. Asks `go_on` from time to time, and errors if that says no, or if the file is shorter
/// than its metadata say.
pub fn contents(
    ways: &Ways,
    file: Copied<'_>,
    buffer: &mut Vec<u8>,
    go_on: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    let size = u64::try_from(file.stat.st_size).unwrap_or(0);
    if size == 0 {
        return Ok(());
    }
    if ways.reflink.load(Ordering::Relaxed) {
        match kernel::reflink(file.from, file.to) {
            Some(true) => {
                go_on(size);
                return Ok(());
            }
            Some(false) => {}
            None => ways.reflink.store(false, Ordering::Relaxed),
        }
    }
    let blocks = u64::try_from(file.stat.st_blocks).unwrap_or(u64::MAX);
    let has_holes = blocks.saturating_mul(512) < size;
    if !has_holes && size <= SMALL as u64 {
        return small(file, buffer, size, go_on);
    }
    if has_holes {
        return kernel::sparse(&ways.range, file.from, file.to, size, go_on);
    }
    kernel::range(&ways.range, file.from, file.to, 0..size, go_on)
}

fn small(file: Copied<'_>, buffer: &mut Vec<u8>, size: u64, go_on: &dyn Fn(u64) -> bool) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    buffer.resize(SMALL, 0);
    let length = usize::try_from(size).unwrap_or(SMALL);
    file.from.read_exact_at(&mut buffer[..length], 0)?;
    file.to.write_all_at(&buffer[..length], 0)?;
    go_on(size);
    Ok(())
}

/// Gives the copy an owner, a mode, attributes and lists, and last its time: what is interrupted has another one.
///
/// Errors if anything of it is not possible.
pub fn properties(from: impl AsFd, to: impl AsFd, stat: &FileStat) -> io::Result<()> {
    // A change of the owner takes some bits of the mode away.
    fchown(to.as_fd(), Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to.as_fd(), Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
    kernel::attributes(from.as_fd(), to.as_fd())?;
    let modified = TimeSpec::seconds(stat.st_mtime) + TimeSpec::nanoseconds(stat.st_mtime_nsec);
    Ok(futimens(to.as_fd(), &TimeSpec::UTIME_OMIT, &modified)?)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

    use nix::sys::stat::fstat;

    use super::{Copied, Ways, contents, properties};

    #[test]
    fn a_copy_has_the_contents_the_holes_and_all_properties() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let file = File::create(at("file")).unwrap();
        file.write_all_at(b"begin", 0).unwrap();
        file.write_all_at(b"end", 3 << 20).unwrap();
        file.set_len(9 << 20).unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o4751)).unwrap();
        xattr::set(at("file"), "user.name", b"value").unwrap();
        fs::write(at("small"), vec![7; 70_000]).unwrap();
        for name in ["file", "small"] {
            let (from, to) = (File::open(at(name)).unwrap(), File::create_new(at("copy")).unwrap());
            let stat = fstat(&from).unwrap();
            let (copied, mut buffer) = (Cell::new(0), Vec::new());
            let go_on = |bytes| {
                copied.set(copied.get() + bytes);
                true
            };
            let copy = Copied { from: &from, to: &to, stat: &stat };
            contents(&Ways::default(), copy, &mut buffer, &go_on).unwrap();
            properties(&from, &to, &stat).unwrap();
            let (one, other) = (fs::metadata(at(name)).unwrap(), fs::metadata(at("copy")).unwrap());
            assert!(fs::read(at(name)).unwrap() == fs::read(at("copy")).unwrap(), "{name}");
            assert_eq!((one.mode(), one.mtime_nsec()), (other.mode(), other.mtime_nsec()), "{name}");
            assert!(other.blocks() <= one.blocks() + 256 && copied.get() > 0, "{name}");
            let attribute = |name: &str| xattr::get(at(name), "user.name").unwrap();
            assert_eq!(attribute(name), attribute("copy"), "{name}");
            fs::remove_file(at("copy")).unwrap();
        }
    }

    #[test]
    fn a_copy_that_is_stopped_or_of_a_file_that_has_shrunk_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), vec![7; 20 << 20]).unwrap();
        let from = File::open(at("file")).unwrap();
        let stat = fstat(&from).unwrap();
        let copy = |name: &str, goes_on: bool| {
            let to = File::create_new(at(name)).unwrap();
            let copy = Copied { from: &from, to: &to, stat: &stat };
            contents(&Ways::default(), copy, &mut Vec::new(), &|_| goes_on)
        };
        // A file that shares its blocks is whole at once.
        let stopped = copy("stopped", false);
        assert!(stopped.is_err() || fs::metadata(at("stopped")).unwrap().len() == 20 << 20);
        fs::write(at("file"), vec![7; 10 << 20]).unwrap();
        let shrunk = copy("shrunk", true);
        assert!(shrunk.is_err() || fs::metadata(at("shrunk")).unwrap().len() == 10 << 20);
    }
}
