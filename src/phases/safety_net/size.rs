//! The size of a net: how many entries it has, and how much space they take.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use crate::fs::dir::Dir;
use crate::fs::walk::{Visitor, walk};

/// The size of a net.
#[derive(Debug, Default)]
pub struct Size {
    /// All directory entries in it.
    pub entries: u64,
    /// The disk space its files take. Each name of a hard-linked file counts a share, so none has to be remembered.
    pub bytes: u64,
}

struct Measure<'a> {
    size: Size,
    problem: Option<io::Error>,
    stops: &'a dyn Fn() -> bool,
}

impl Visitor for Measure<'_> {
    fn entry(&mut self, dir: &File, name: &OsStr) -> io::Result<()> {
        let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        self.size.entries += 1;
        // Its type differs by system.
        #[allow(clippy::useless_conversion, reason = "a number of links has 16 bits on Apple's systems")]
        let names = u64::from(stat.st_nlink).max(1);
        self.size.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512 / names;
        Ok(())
    }

    fn leave(&mut self, _above: &File, _name: &OsStr) -> io::Result<()> {
        self.size.entries += 1;
        Ok(())
    }

    fn stops(&self) -> bool {
        (self.stops)()
    }

    fn problem(&mut self, _path: &Path, error: io::Error) {
        self.problem.get_or_insert(error);
    }
}

/// Measures everything below a net; `Interrupted` as soon as `stops` returns true.
pub fn measure(net: &Dir, stops: &dyn Fn() -> bool) -> io::Result<Size> {
    let mut measure = Measure { size: Size::default(), problem: None, stops };
    walk(net, &mut measure)?;
    measure.problem.map_or(Ok(measure.size), Err)
}
