//! Which properties a clone keeps here, and by which of them two entries differ.

use std::ffi::CStr;

use nix::libc::mode_t;
use nix::sys::stat::{FileStat, SFlag};

use crate::failure::Failure;
use crate::fs::attributes;
use crate::host::rights::Rights;
use crate::logging::warning;
use crate::phases::endpoints::Endpoints;
use crate::phases::preflight;
use crate::phases::preflight::Rsync;
use crate::phases::transfer::timestamps;
use crate::rsync::capabilities::Optional;
use crate::run::Run;
use crate::tree::compare::has_same_target;
use crate::tree::pair::{Here, kind};
use crate::verify::finding::Flaw;

/// The bits of a mode that a clone keeps.
const PERMISSIONS: mode_t = 0o7777;

/// The properties that a clone keeps.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Times to the nanosecond.
    nanoseconds: bool,
    /// Extended attributes and access control lists.
    attributes: bool,
    rights: Rights,
}

impl Kept {
    /// Asks rsync, the clone, and what this process may do.
    pub fn of(run: &Run<'_>, ends: &Endpoints) -> Result<Self, Failure> {
        let rsync = preflight::rsync(run);
        run.go_on()?;
        let keeps = match rsync {
            Ok(rsync) => keeps(&rsync),
            // The clone was made by one that is gone; what it could do, this machine does not know.
            Err(error @ (Failure::RsyncNotFound { .. } | Failure::WrongRsync { .. })) => {
                warning(format_args!("{error} Every property is compared."));
                (true, true)
            }
            Err(error) => return Err(error),
        };
        Ok(Self::told(run, ends, keeps))
    }

    /// What a clone by this rsync keeps.
    pub fn by(run: &Run<'_>, ends: &Endpoints, rsync: &Rsync) -> Self {
        Self::told(run, ends, keeps(rsync))
    }

    fn told(run: &Run<'_>, ends: &Endpoints, (has_attributes, has_nanoseconds): (bool, bool)) -> Self {
        let rights = run.machine.host.rights;
        if !has_attributes {
            warning(
                "this rsync does not copy all attributes and access control lists: they are not compared.",
            );
        }
        if !rights.owners {
            warning(
                "this process may not set owners, so that a clone does not keep them: they are not compared.",
            );
        }
        Self {
            nanoseconds: has_nanoseconds && timestamps::shows_nanoseconds(&ends.destination),
            attributes: has_attributes,
            rights,
        }
    }

    /// Whether a clone copies an entry of this type.
    #[must_use]
    pub fn copies(&self, stat: &FileStat) -> bool {
        match kind(stat) {
            SFlag::S_IFCHR | SFlag::S_IFBLK => self.rights.devices,
            SFlag::S_IFIFO | SFlag::S_IFSOCK => self.rights.root,
            _ => true,
        }
    }

    /// By what two entries differ, but for the contents of files and hard links.
    #[must_use]
    pub fn flaws(&self, here: &Here<'_>, name: &CStr, (source, copy): (&FileStat, &FileStat)) -> Vec<Flaw> {
        let (is, was) = (kind(source), kind(copy));
        if is != was {
            return vec![Flaw::Type(is, was)];
        }
        let mut flaws = Vec::new();
        match is {
            SFlag::S_IFREG if source.st_size != copy.st_size => {
                flaws.push(Flaw::Size(number(source.st_size), number(copy.st_size)));
            }
            SFlag::S_IFLNK if !has_same_target(here, name) => flaws.push(Flaw::Target),
            SFlag::S_IFCHR | SFlag::S_IFBLK if source.st_rdev != copy.st_rdev => flaws.push(Flaw::Device),
            _ => {}
        }
        let mode = |stat: &FileStat| stat.st_mode & PERMISSIONS;
        if is != SFlag::S_IFLNK && mode(source) != mode(copy) {
            flaws.push(Flaw::Mode(mode(source), mode(copy)));
        }
        let owner = |stat: &FileStat| (stat.st_uid, stat.st_gid);
        if self.rights.owners && owner(source) != owner(copy) {
            flaws.push(Flaw::Owner(owner(source), owner(copy)));
        }
        if source.st_mtime != copy.st_mtime || self.nanoseconds && source.st_mtime_nsec != copy.st_mtime_nsec
        {
            flaws.push(Flaw::Modified);
        }
        if self.attributes
            && let (Some(source), Some(copy)) = (here.dirs.source, here.dirs.destination)
            && !attributes::are_equal(source, copy, name)
        {
            flaws.push(Flaw::Attributes);
        }
        flaws
    }
}

/// Whether this rsync copies attributes, access control lists among them, and times to the nanosecond.
fn keeps(rsync: &Rsync) -> (bool, bool) {
    let has = |option| rsync.capabilities.has(option);
    (has(Optional::Acls) && has(Optional::Xattrs), has(Optional::Nanoseconds))
}

/// A size is never negative.
pub fn number(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
