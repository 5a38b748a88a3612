//! The options that not every rsync has: which are worth probing for, and which this rsync supports.

use crate::host::platform::Platform;
use crate::rsync::version::Version;

/// An option that is used if rsync supports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optional {
    /// Access control lists.
    Acls,
    /// Extended attributes.
    Xattrs,
    /// Compares modification times to the nanosecond.
    Nanoseconds,
    /// Filter rules for names of extended attributes.
    XattrRules,
    /// Reads the source without updating its access times.
    OpenNoatime,
    /// Line-buffered output, so that the log is written as things happen.
    LineBuffered,
    /// Progress of the whole transfer.
    Progress,
    /// Names other filesystems in the destination that are kept although gone from the source.
    KeptMounts,
    /// The flags of `chflags` (a patch).
    FileFlags,
    /// Creation times.
    CreationTimes,
    /// Files stay compressed on HFS+ and APFS (a patch).
    HfsCompression,
    /// Compressed files are copied as they are (a patch).
    ProtectDecmpfs,
}

impl Optional {
    /// The option as passed to rsync.
    #[must_use]
    pub const fn argument(self) -> &'static str {
        match self {
            Self::Acls => "--acls",
            Self::Xattrs => "--xattrs",
            Self::Nanoseconds => "--modify-window=-1",
            Self::XattrRules => "--filter=-xsr system.*",
            Self::OpenNoatime => "--open-noatime",
            Self::LineBuffered => "--outbuf=L",
            Self::Progress => "--info=progress2",
            Self::KeptMounts => "--info=mount",
            Self::FileFlags => "--fileflags",
            Self::CreationTimes => "--crtimes",
            Self::HfsCompression => "--hfs-compression",
            Self::ProtectDecmpfs => "--protect-decmpfs",
        }
    }

    /// What a clone without it lacks.
    #[must_use]
    pub const fn lack(self) -> &'static str {
        match self {
            Self::Acls => "access control lists are not cloned",
            Self::Xattrs => "extended attributes are not cloned",
            Self::Nanoseconds => {
                "a file changed twice within one second, without a change of size, may not be copied again"
            }
            Self::XattrRules => "access control lists on XFS may be lost by the second clone",
            Self::OpenNoatime => "access times at the source change",
            Self::LineBuffered => "rsync's messages may reach the log late",
            Self::Progress => "there is no progress bar",
            Self::KeptMounts => "filesystems mounted in the destination, which stay, are not all named",
            Self::FileFlags => "file flags (chflags) are not cloned",
            Self::CreationTimes => "creation times are not cloned",
            Self::HfsCompression | Self::ProtectDecmpfs => "compressed files become ordinary ones",
        }
    }

    /// Whether it improves a clone on this system.
    #[must_use]
    pub fn is_wanted(self, platform: Platform) -> bool {
        match self {
            // Attribute names on Apple's systems have no such classes.
            Self::XattrRules => platform == Platform::Linux,
            Self::Acls
            | Self::Xattrs
            | Self::Nanoseconds
            | Self::OpenNoatime
            | Self::LineBuffered
            | Self::Progress
            | Self::KeptMounts => true,
            Self::FileFlags | Self::CreationTimes | Self::HfsCompression | Self::ProtectDecmpfs => {
                matches!(platform, Platform::MacOs(_))
            }
        }
    }

    /// Whether this version may have it, which saves asking (measured on 3.0.9, 3.1.0, 3.1.3 and 3.2.3). Asking would not
    /// tell of nanoseconds: an older rsync takes `-1` for a number of seconds.
    #[must_use]
    pub fn is_understood_by(self, version: Version) -> bool {
        match self {
            Self::Nanoseconds => version >= Version::NANOSECONDS,
            Self::XattrRules => version > Version::of(3, 1, 0),
            Self::OpenNoatime => version > Version::of(3, 1, 3),
            Self::LineBuffered | Self::Progress | Self::KeptMounts => version >= Version::of(3, 1, 0),
            // Some are patches, which any version may have been built with.
            Self::Acls
            | Self::Xattrs
            | Self::FileFlags
            | Self::CreationTimes
            | Self::HfsCompression
            | Self::ProtectDecmpfs => true,
        }
    }

    /// Whether only an rsync that was built with a patch has it; those of Homebrew and `MacPorts` differ in that.
    fn is_patch(self) -> bool {
        matches!(self, Self::FileFlags | Self::HfsCompression | Self::ProtectDecmpfs)
    }

    /// The options that improve a clone on this system.
    pub fn wanted(platform: Platform) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |option| option.is_wanted(platform))
    }

    /// Every optional option.
    pub const ALL: [Self; 12] = [
        Self::Acls,
        Self::Xattrs,
        Self::Nanoseconds,
        Self::XattrRules,
        Self::OpenNoatime,
        Self::LineBuffered,
        Self::Progress,
        Self::KeptMounts,
        Self::FileFlags,
        Self::CreationTimes,
        Self::HfsCompression,
        Self::ProtectDecmpfs,
    ];
}

/// What a particular rsync supports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The options that it supports.
    pub has: Vec<Optional>,
    /// The options that were wanted but are not supported.
    pub lacks: Vec<Optional>,
}

impl Capabilities {
    /// Those of an rsync of this version that accepts every wanted option.
    #[must_use]
    pub fn all(platform: Platform, version: Version) -> Self {
        let (has, lacks) = Optional::wanted(platform).partition(|option| option.is_understood_by(version));
        Self { has, lacks }
    }

    /// Probes for every wanted option that this version may have with `accepts`, which says whether rsync accepts all of
    /// the given options.
    ///
    /// `rsync --OPTION --version` exits with 0 if the option is known and with 1 if not, in every version from 3.0.9 to
    /// 3.5.1. What is not accepted together is asked by halves, and each patch alone: that takes few starts of rsync.
    pub fn probe<E>(
        platform: Platform,
        version: Version,
        mut accepts: impl FnMut(&[Optional]) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let Self { has: asked, lacks } = Self::all(platform, version);
        let mut found = Self { has: Vec::new(), lacks };
        let (patches, common): (Vec<_>, Vec<_>) = asked.iter().partition(|option| option.is_patch());
        found.probe_for(&common, &mut accepts)?;
        for patch in patches {
            found.probe_for(&[patch], &mut accepts)?;
        }
        let has = asked.into_iter().filter(|option| found.has(*option)).collect();
        Ok(Self { has, ..found })
    }

    fn probe_for<E>(
        &mut self,
        asked: &[Optional],
        accepts: &mut impl FnMut(&[Optional]) -> Result<bool, E>,
    ) -> Result<(), E> {
        if accepts(asked)? {
            self.has.extend(asked);
        } else if let [option] = asked {
            self.lacks.push(*option);
        } else {
            let (first, second) = asked.split_at(asked.len() / 2);
            self.probe_for(first, accepts)?;
            self.probe_for(second, accepts)?;
        }
        Ok(())
    }

    /// Whether this rsync supports the option.
    #[must_use]
    pub fn has(&self, option: Optional) -> bool {
        self.has.contains(&option)
    }
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, Optional, Version};
    use crate::host::platform::{MacOsVersion, Platform};

    fn probe(platform: Platform, version: Version, missing: &[Optional]) -> (Capabilities, usize) {
        let mut calls = 0;
        let found = Capabilities::probe::<()>(platform, version, |options| {
            calls += 1;
            Ok(!options.iter().any(|option| missing.contains(option)))
        });
        (found.unwrap(), calls)
    }

    #[test]
    fn what_a_version_has_is_asked_at_once() {
        for (version, has) in [((3, 5, 0), 8), ((3, 1, 3), 7), ((3, 1, 0), 5), ((3, 0, 9), 2)] {
            let (found, calls) = probe(Platform::Linux, Version::of(version.0, version.1, version.2), &[]);
            assert_eq!((found.has.len(), found.lacks.len(), calls), (has, 8 - has, 1), "{version:?}");
            assert_eq!(
                found,
                Capabilities::all(Platform::Linux, Version::of(version.0, version.1, version.2))
            );
        }
    }

    #[test]
    fn each_missing_option_is_found() {
        let missing = [Optional::FileFlags, Optional::HfsCompression, Optional::ProtectDecmpfs];
        let macos = Platform::MacOs(MacOsVersion::BIG_SUR);
        let (found, calls) = probe(macos, Version::of(3, 5, 1), &missing);
        assert_eq!((&*found.lacks, calls), (&missing[..], 4));
        // One that nobody expects to be missing is found as well.
        let missing = [Optional::Xattrs, Optional::FileFlags];
        let (odd, _) = probe(macos, Version::of(3, 5, 1), &missing);
        assert_eq!(odd.lacks, missing);
        assert_eq!(odd.has.len() + odd.lacks.len(), 11);
        let missing = [Optional::FileFlags, Optional::HfsCompression, Optional::ProtectDecmpfs];
        let wanted: Vec<Optional> =
            Optional::wanted(macos).filter(|option| !missing.contains(option)).collect();
        assert_eq!(found.has, wanted);
        assert!(found.has(Optional::CreationTimes));
    }
}
