//! Builds rsync's argument vector.

use std::ffi::OsString;
use std::path::Path;

use super::capabilities::{Capabilities, Optional};
use super::rules::Rules;

/// What a start of rsync is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The clone itself.
    Clone {
        /// Print the progress for a terminal.
        progress: bool,
    },
    /// Only list what would change.
    List,
}

/// The choices behind an argument vector.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// What this rsync can do.
    pub capabilities: &'a Capabilities,
    /// The destination keeps nanoseconds.
    pub nanoseconds: bool,
    /// The effective user is root.
    pub root: bool,
    /// What is left out and protected.
    pub rules: &'a Rules,
    /// The source, absolute.
    pub source: &'a Path,
    /// The destination, absolute.
    pub destination: &'a Path,
}

/// The options of every clone. `--no-h` keeps digits plain from 3.1.0 on; `--8-bit-output` keeps names readable.
const ALWAYS: [&str; 9] = [
    "--archive",
    "--delete",
    "--delete-excluded",
    "--hard-links",
    "--numeric-ids",
    "--one-file-system",
    "--sparse",
    "--no-h",
    "--8-bit-output",
];

/// A dry run. The items' form is ours to read: `%L` would add a link's target, which cannot be told from the name. After
/// an unreadable folder deletions are listed all the same, or a later run would do what this one never told.
const LISTING: [&str; 5] =
    ["--dry-run", "--verbose", "--itemize-changes", "--out-format=%i %n", "--ignore-errors"];

/// XFS shows each access control list a second time, as `trusted.SGI_ACL_FILE` or `_DEFAULT`. rsync would delete what the
/// source does not show, and the list with it: measured with 3.5.0 from ext4 to XFS at the second run, exit code 0. A
/// rule of this kind replaces rsync's own, which leaves `system.*` out. Both sides (`sr`) have to be named: with
/// `--delete-excluded` a rule without a side is the sender's alone, and the receiver would delete every list anywhere.
const XATTR_RULES: [&str; 2] = ["--filter=-xsr system.*", "--filter=-xsr trusted.SGI_ACL_*"];

/// What only root can keep.
const WITHOUT_ROOT: [&str; 4] = ["--no-owner", "--no-group", "--no-devices", "--no-specials"];

impl Arguments<'_> {
    /// The whole vector, without the program's name.
    #[must_use]
    pub fn to_vec(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ALWAYS.iter().map(OsString::from).collect();
        arguments.extend(
            self.capabilities
                .has
                .iter()
                .filter(|option| self.applies(**option))
                .map(|option| option.argument().into()),
        );
        if !self.root {
            arguments.extend(WITHOUT_ROOT.iter().map(OsString::from));
        }
        match self.purpose {
            Purpose::Clone { .. } => arguments.push("--stats".into()),
            Purpose::List => arguments.extend(LISTING.map(OsString::from)),
        }
        self.add_rules(&mut arguments);
        // Slashes at both ends: the contents go to the contents, and patterns are anchored at the source.
        arguments.push("--".into());
        arguments.push(with_slash(self.source));
        arguments.push(with_slash(self.destination));
        arguments
    }

    fn applies(&self, option: Optional) -> bool {
        match option {
            Optional::Nanoseconds => self.nanoseconds,
            // They are rules, and stand among those.
            Optional::XattrRules => false,
            // Only a file's owner may read it without touching its access time.
            Optional::OpenNoatime => self.root,
            Optional::Progress => self.purpose == Purpose::Clone { progress: true },
            Optional::Acls
            | Optional::Xattrs
            | Optional::LineBuffered
            | Optional::FileFlags
            | Optional::CreationTimes
            | Optional::HfsCompression
            | Optional::ProtectDecmpfs => true,
        }
    }

    fn add_rules(&self, arguments: &mut Vec<OsString>) {
        // Without root rsync itself takes user.* alone.
        if self.root && self.capabilities.has(Optional::XattrRules) {
            arguments.extend(XATTR_RULES.iter().map(OsString::from));
        }
        for rule in &self.rules.ours {
            let mut argument = OsString::from("--filter=");
            argument.push(rule);
            arguments.push(argument);
        }
        arguments.extend(self.rules.built_in.iter().map(|pattern| format!("--exclude={pattern}").into()));
        if self.rules.users.is_some() {
            // From standard input: the file was read once, so what was checked is what is used.
            arguments.push("--exclude-from=-".into());
        }
    }
}

fn with_slash(path: &Path) -> OsString {
    let mut path = path.as_os_str().to_owned();
    if !path.as_encoded_bytes().ends_with(b"/") {
        path.push("/");
    }
    path
}
