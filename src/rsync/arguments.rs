//! Builds rsync's argument vector.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use crate::host::rights::Rights;
use crate::rsync::capabilities::{Capabilities, Optional};
use crate::rsync::filter::rules::Rules;
use crate::rsync::version::Version;

/// The purpose of a run of rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The clone itself.
    Clone {
        /// Print the progress for a terminal.
        progress: bool,
        /// Delete before anything is copied, to make room.
        deletes_first: bool,
        /// Neither side has an attribute or an access control list, so rsync need not look for any.
        is_plain: bool,
    },
    /// The paths of a list alone, from standard input; those that the source does not have are deleted.
    Listed {
        /// Print the progress for a terminal.
        progress: bool,
    },
    /// The files of a list alone, from standard input, each written into its copy; what has no copy is left out.
    InPlace {
        /// Print the progress for a terminal.
        progress: bool,
    },
    /// The attributes of the root alone.
    Root,
    /// Only list what would change.
    List,
}

/// Everything an argument vector depends on.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// The purpose.
    pub purpose: Purpose,
    /// The version of rsync.
    pub version: Version,
    /// What this rsync can do.
    pub capabilities: &'a Capabilities,
    /// The destination stores nanoseconds.
    pub nanoseconds: bool,
    /// What this process may do.
    pub rights: Rights,
    /// Enter no other filesystem; without it, the rules have to exclude what begins at each of them.
    pub one_file_system: bool,
    /// What is excluded and protected.
    pub rules: &'a Rules,
    /// The most that is written, in KiB a second.
    pub bandwidth: Option<NonZeroU64>,
    /// Compare files by their contents.
    pub checksum: bool,
    /// Print what is created, changed and deleted, as [`crate::rsync::itemized::Item`] reads it.
    pub itemize: bool,
    /// Write a changed file whole.
    pub whole_file: bool,
    /// Where to move what is deleted or overwritten, relative to the destination.
    pub backup_dir: Option<&'a OsStr>,
    /// The source, absolute.
    pub source: &'a Path,
    /// The destination, absolute.
    pub destination: &'a Path,
}

/// The options of every clone. With incremental recursion rsync waits forever for a hard-linked file that has changed
/// and cannot be opened (measured from 3.1.3 to 3.5.1), and is a little slower. `--no-h` keeps digits plain from 3.1.0
/// on; `--8-bit-output` keeps names readable.
const ALWAYS: [&str; 6] =
    ["--archive", "--hard-links", "--numeric-ids", "--no-inc-recursive", "--no-h", "--8-bit-output"];

/// Of every clone but what is written in place: together with `--inplace` every rsync from 3.2.3 to 3.5.1 leaves wrong
/// bytes where zeros of the source meet data of the copy, with exit code 0.
const SPARSE: &str = "--sparse";

/// Takes the files from standard input, writes them into their copies, and creates and deletes nothing.
const IN_PLACE: [&str; 6] =
    ["--no-recursive", "--dirs", "--existing", "--from0", "--files-from=-", "--inplace"];

/// Deletes what the source does not have, or excludes.
const DELETING: [&str; 2] = ["--delete", "--delete-excluded"];

/// Takes the paths from standard input, as they are: no directory is entered, and a path that the source does not have is
/// deleted, with all that is in it.
const LISTED: [&str; 6] =
    ["--no-recursive", "--dirs", "--delete-missing-args", "--force", "--from0", "--files-from=-"];

/// Copies the root's own attributes and nothing in it.
const ROOT: [&str; 3] = ["--no-recursive", "--dirs", "--exclude=*"];

/// The format of items: `%L` would add a link's target, which cannot be told from the name.
const ITEMS: &str = "--out-format=%i %n";

/// A dry run. Deletions are listed even after an unreadable directory, or a later run would delete what this one did not
/// list.
const LISTING: [&str; 5] = ["--dry-run", "--verbose", "--itemize-changes", ITEMS, "--ignore-errors"];

/// XFS shows each access control list a second time, as `trusted.SGI_ACL_FILE` or `_DEFAULT`. rsync would delete this
/// attribute, which the source does not show, and the list with it: measured with 3.5.0 from ext4 to XFS at the second
/// run, exit code 0. Such a rule replaces rsync's own, which excludes `system.*`. Both sides (`sr`) are needed: with
/// `--delete-excluded` a rule without a side is the sender's only, and the receiver would delete every list anywhere.
const XATTR_RULES: [&str; 2] = ["--filter=-xsr system.*", "--filter=-xsr trusted.SGI_ACL_*"];

/// A net's directory has an attribute of ours, which was not the clone's.
const NETS_OWN: &str = "--filter=-xsr user.counterpart.changes";

/// The parts of `--archive` that this process has no privileges for.
fn without(rights: Rights) -> Vec<OsString> {
    [
        (rights.owners, "--no-owner"),
        (rights.owners, "--no-group"),
        (rights.devices, "--no-devices"),
        (rights.root, "--no-specials"),
    ]
    .into_iter()
    .filter(|(may, _)| !may)
    .map(|(_, option)| option.into())
    .collect()
}

/// Repeats an option as often as needed: a single `--xattrs` silently omits `user.rsync.%stat` and the like, the owners
/// stored by a backup with `--fake-super` (3.0.9 to 3.5.1).
fn given(option: Optional) -> impl Iterator<Item = OsString> {
    let times = if option == Optional::Xattrs { 2 } else { 1 };
    std::iter::repeat_n(OsString::from(option.argument()), times)
}

impl Arguments<'_> {
    /// The whole vector, without the program's name.
    #[must_use]
    pub fn to_vec(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ALWAYS.iter().map(OsString::from).collect();
        if !matches!(self.purpose, Purpose::InPlace { .. }) {
            arguments.push(SPARSE.into());
        }
        if self.one_file_system {
            arguments.push("--one-file-system".into());
        }
        arguments.extend(
            self.capabilities
                .has
                .iter()
                .filter(|option| self.applies(**option))
                .flat_map(|option| given(*option)),
        );
        arguments.extend(without(self.rights));
        match self.purpose {
            Purpose::Clone { deletes_first, .. } => {
                arguments.extend(DELETING.map(OsString::from));
                if deletes_first {
                    arguments.push("--delete-before".into());
                }
                arguments.push("--stats".into());
                self.add_backup(&mut arguments);
            }
            Purpose::Listed { .. } => {
                arguments.extend(LISTED.map(OsString::from));
                arguments.push("--stats".into());
                self.add_backup(&mut arguments);
            }
            Purpose::InPlace { .. } => {
                arguments.extend(IN_PLACE.map(OsString::from));
                // Between local paths a file is copied whole unless it is said otherwise.
                arguments.extend((!self.whole_file).then(|| "--no-whole-file".into()));
                arguments.push("--stats".into());
            }
            Purpose::Root => {
                arguments.extend(ROOT.map(OsString::from));
                arguments.push("--stats".into());
            }
            Purpose::List => {
                arguments.extend(DELETING.map(OsString::from));
                arguments.extend(LISTING.map(OsString::from));
                if self.version < Version::LISTS_HARD_LINKS {
                    arguments.push("--no-hard-links".into());
                }
            }
        }
        if self.itemize && self.purpose != Purpose::List {
            arguments.push(ITEMS.into());
        }
        self.add_tuning(&mut arguments);
        self.add_rules(&mut arguments);
        // Trailing slashes on both: contents are copied to contents, and patterns are anchored at the source.
        arguments.push("--".into());
        arguments.push(with_slash(self.source));
        arguments.push(with_slash(self.destination));
        arguments
    }

    fn applies(&self, option: Optional) -> bool {
        match option {
            Optional::Nanoseconds => self.nanoseconds,
            // Passed as rules, among the other rules.
            Optional::XattrRules => false,
            Optional::OpenNoatime => self.rights.open_noatime(),
            Optional::Progress => matches!(
                self.purpose,
                Purpose::Clone { progress: true, .. }
                    | Purpose::Listed { progress: true }
                    | Purpose::InPlace { progress: true }
            ),
            Optional::KeptMounts => self.purpose != Purpose::List,
            Optional::Acls | Optional::Xattrs => {
                !matches!(self.purpose, Purpose::Clone { is_plain: true, .. })
            }
            Optional::LineBuffered
            | Optional::FileFlags
            | Optional::CreationTimes
            | Optional::HfsCompression
            | Optional::ProtectDecmpfs => true,
        }
    }

    fn add_backup(&self, arguments: &mut Vec<OsString>) {
        if let Some(dir) = self.backup_dir {
            arguments.push("--backup".into());
            let mut argument = OsString::from("--backup-dir=");
            argument.push(dir);
            arguments.push(argument);
        }
    }

    fn add_tuning(&self, arguments: &mut Vec<OsString>) {
        if let Some(bandwidth) = self.bandwidth {
            arguments.push(format!("--bwlimit={bandwidth}").into());
        }
        if self.checksum && matches!(self.purpose, Purpose::Clone { .. } | Purpose::List) {
            arguments.push("--checksum".into());
        }
        if self.whole_file {
            arguments.push("--whole-file".into());
        }
    }

    fn add_rules(&self, arguments: &mut Vec<OsString>) {
        // Without root, rsync itself handles only user.*.
        let is_plain = matches!(self.purpose, Purpose::Clone { is_plain: true, .. });
        if self.rights.root && !is_plain && self.capabilities.has(Optional::XattrRules) {
            arguments.extend(XATTR_RULES.iter().map(OsString::from));
        }
        for rule in &self.rules.ours {
            let mut argument = OsString::from("--filter=");
            argument.push(rule);
            arguments.push(argument);
        }
        // What is listed was chosen by all rules; they would not apply to the directories above it.
        if matches!(self.purpose, Purpose::Listed { .. } | Purpose::InPlace { .. } | Purpose::Root) {
            return;
        }
        arguments.extend(self.rules.built_in.iter().map(|pattern| format!("--exclude={pattern}").into()));
        for rule in self.rules.odd() {
            let mut argument = OsString::from("--filter=");
            argument.push(rule);
            arguments.push(argument);
        }
        if self.rules.input().is_some() {
            // From standard input: the file was read once, so what was checked is what is used.
            arguments.push("--exclude-from=-".into());
        }
    }
}

/// What restoring from a safety net preserves, except what only some rsyncs support. Nothing existing is overwritten.
const RESTORE: [&str; 8] = [
    "--archive",
    "--hard-links",
    "--ignore-existing",
    "--numeric-ids",
    "--sparse",
    "--no-inc-recursive",
    "--no-h",
    "--8-bit-output",
];

/// The vector for copying `sources`, absolute paths, into the directory `target` with all attributes.
#[must_use]
pub fn restore(
    capabilities: &Capabilities,
    rights: Rights,
    sources: &[PathBuf],
    target: &Path,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = RESTORE.iter().map(OsString::from).collect();
    let wanted = |option: &&Optional| match option {
        Optional::XattrRules | Optional::Progress | Optional::KeptMounts => false,
        Optional::OpenNoatime => rights.open_noatime(),
        Optional::Acls
        | Optional::Xattrs
        | Optional::Nanoseconds
        | Optional::LineBuffered
        | Optional::FileFlags
        | Optional::CreationTimes
        | Optional::HfsCompression
        | Optional::ProtectDecmpfs => true,
    };
    arguments.extend(capabilities.has.iter().filter(wanted).flat_map(|option| given(*option)));
    arguments.extend(without(rights));
    if rights.root && capabilities.has(Optional::XattrRules) {
        arguments.extend(XATTR_RULES.iter().map(OsString::from));
        arguments.push(NETS_OWN.into());
    }
    arguments.push("--".into());
    arguments.extend(sources.iter().map(|source| source.as_os_str().to_owned()));
    arguments.push(with_slash(target));
    arguments
}

fn with_slash(path: &Path) -> OsString {
    let mut path = path.as_os_str().to_owned();
    if !path.as_encoded_bytes().ends_with(b"/") {
        path.push("/");
    }
    path
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Arguments, Purpose};
    use crate::host::rights::Rights;
    use crate::marker::Prefix;
    use crate::rsync::capabilities::{Capabilities, Optional};
    use crate::rsync::filter::rules::{Rules, own_files};
    use crate::rsync::version::Version;

    fn rules(users: Option<&str>) -> Rules {
        let built_in = vec!["/dev/*", "/proc/*"];
        Rules {
            ours: own_files(&Prefix::default()),
            apart: Vec::new(),
            built_in,
            users: users.map(|text| text.as_bytes().to_vec()),
            ..Rules::default()
        }
    }

    fn build(purpose: Purpose, root: bool, nanoseconds: bool, rules: &Rules) -> Vec<String> {
        build_with(purpose, if root { Rights::ALL } else { Rights::NONE }, nanoseconds, rules)
    }

    fn build_with(purpose: Purpose, rights: Rights, nanoseconds: bool, rules: &Rules) -> Vec<String> {
        let capabilities = Capabilities { has: Optional::ALL.to_vec(), lacks: Vec::new() };
        let (source, destination) = (Path::new("/"), Path::new("/-d/a:b"));
        let version = Version::of(3, 5, 1);
        let arguments = Arguments {
            purpose,
            version,
            capabilities: &capabilities,
            nanoseconds,
            rights,
            one_file_system: true,
            rules,
            bandwidth: None,
            checksum: false,
            itemize: true,
            whole_file: false,
            backup_dir: None,
            source,
            destination,
        };
        arguments.to_vec().into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    const CLONE: Purpose = Purpose::Clone { progress: false, deletes_first: false, is_plain: false };

    fn position(arguments: &[String], wanted: &str) -> usize {
        arguments
            .iter()
            .position(|argument| argument == wanted)
            .unwrap_or_else(|| panic!("{wanted}: {arguments:#?}"))
    }

    #[test]
    fn a_clone_has_every_option_that_the_contract_names() {
        let arguments = build(CLONE, true, true, &rules(None));
        for option in [
            "--acls",
            "--archive",
            "--delete",
            "--delete-excluded",
            "--hard-links",
            "--one-file-system",
            "--sparse",
            "--stats",
            "--numeric-ids",
            "--modify-window=-1",
            "--open-noatime",
            "--fileflags",
            "--crtimes",
            "--hfs-compression",
            "--protect-decmpfs",
        ] {
            assert_eq!(arguments.iter().filter(|argument| *argument == option).count(), 1, "{option}");
        }
        for option in ["--dry-run", "--info=progress2", "--no-owner", "--exclude-from=-", "--ignore-errors"] {
            assert!(!arguments.contains(&option.to_owned()), "{option}");
        }
    }

    #[test]
    fn both_ends_come_last_with_a_slash_and_are_no_options() {
        let arguments = build(CLONE, true, true, &rules(None));
        assert_eq!(arguments[arguments.len() - 3..], ["--", "/", "/-d/a:b/"]);
    }

    #[test]
    fn our_rules_come_first_and_once() {
        let rules = rules(Some("+ *\n"));
        let arguments = build(CLONE, true, true, &rules);
        let users = position(&arguments, "--exclude-from=-");
        let built_in = position(&arguments, "--exclude=/dev/*");
        let last_of_ours = arguments.iter().rposition(|argument| argument.starts_with("--filter="));
        assert!(last_of_ours < Some(built_in) && built_in < users, "{arguments:#?}");
        for rule in
            ["H /.me.jedda.counterpart.*", "P /.me.jedda.counterpart.*", "H /.*.counterpart.completed"]
        {
            let rule = format!("--filter={rule}");
            assert_eq!(arguments.iter().filter(|argument| **argument == rule).count(), 1, "{rule}");
        }
    }

    #[test]
    fn what_only_root_can_keep_is_left_out_for_others() {
        let arguments = build(CLONE, false, true, &rules(None));
        for option in ["--no-owner", "--no-group", "--no-devices", "--no-specials"] {
            // It must come after the option that it overrides.
            assert!(position(&arguments, option) > position(&arguments, "--archive"));
        }
        assert!(!arguments.contains(&"--open-noatime".to_owned()), "only an owner may read that way");
    }

    #[test]
    fn attributes_are_given_twice() {
        let restored = super::restore(
            &Capabilities { has: Optional::ALL.to_vec(), lacks: Vec::new() },
            Rights::ALL,
            &["/d/net/f".into()],
            Path::new("/t"),
        );
        let restored = restored.into_iter().map(|argument| argument.into_string().unwrap()).collect();
        for arguments in [build(CLONE, true, true, &rules(None)), restored] {
            assert_eq!(
                arguments.iter().filter(|argument| *argument == "--xattrs").count(),
                2,
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn what_a_bounded_root_may_not_do_is_left_out() {
        let of = |rights| build_with(CLONE, rights, true, &rules(None));
        let without_owner = of(Rights { as_owner: false, ..Rights::ALL });
        assert!(!without_owner.contains(&"--open-noatime".to_owned()));
        assert!(!without_owner.iter().any(|argument| argument.starts_with("--no-owner")));
        let in_a_container = of(Rights { devices: false, all_users: false, ..Rights::ALL });
        assert!(position(&in_a_container, "--no-devices") > position(&in_a_container, "--archive"));
        for option in ["--open-noatime", "--no-specials", "--no-owner"] {
            assert!(!in_a_container.contains(&option.to_owned()), "{option}");
        }
        let without_chown = of(Rights { owners: false, ..Rights::ALL });
        for option in ["--no-owner", "--no-group"] {
            assert!(position(&without_chown, option) > position(&without_chown, "--archive"));
        }
        position(&without_chown, "--open-noatime");
    }

    #[test]
    fn nanoseconds_are_compared_only_where_they_are_kept() {
        assert!(!build(CLONE, true, false, &rules(None)).contains(&"--modify-window=-1".to_owned()));
    }

    #[test]
    fn a_list_is_dry_and_has_no_statistics() {
        let arguments = build(Purpose::List, true, true, &rules(None));
        position(&arguments, "--dry-run");
        position(&arguments, "--verbose");
        for option in ["--stats", "--info=progress2"] {
            assert!(!arguments.contains(&option.to_owned()), "{option}");
        }
    }

    #[test]
    fn a_list_is_taken_as_it_is_and_deletes_nothing_else() {
        let rules = rules(Some("+ *\n"));
        for purpose in [Purpose::Listed { progress: false }, Purpose::Root] {
            let arguments = build(purpose, true, true, &rules);
            assert!(position(&arguments, "--no-recursive") > position(&arguments, "--archive"));
            for option in ["--delete", "--delete-excluded", "--exclude-from=-", "--exclude=/dev/*"] {
                assert!(!arguments.contains(&option.to_owned()), "{option}");
            }
            position(&arguments, "--filter=P /.me.jedda.counterpart.*");
        }
        position(&build(Purpose::Listed { progress: false }, true, true, &rules), "--delete-missing-args");
    }

    #[test]
    fn what_is_written_in_place_is_never_sparse() {
        let rules = rules(Some("+ *\n"));
        let arguments = build(Purpose::InPlace { progress: false }, true, true, &rules);
        for option in ["--inplace", "--no-whole-file", "--existing", "--files-from=-"] {
            position(&arguments, option);
        }
        for option in ["--sparse", "--delete", "--delete-missing-args", "--force", "--exclude-from=-"] {
            assert!(!arguments.contains(&option.to_owned()), "{option}");
        }
        for purpose in [CLONE, Purpose::Listed { progress: false }, Purpose::List] {
            let arguments = build(purpose, true, true, &rules);
            position(&arguments, "--sparse");
            assert!(!arguments.contains(&"--inplace".to_owned()));
        }
    }

    #[test]
    fn progress_is_for_a_terminal_only() {
        let with = build(
            Purpose::Clone { progress: true, deletes_first: false, is_plain: false },
            true,
            true,
            &rules(None),
        );
        position(&with, "--info=progress2");
    }

    #[test]
    fn what_an_rsync_lacks_is_never_given() {
        let rules = rules(None);
        let capabilities = Capabilities { has: Vec::new(), lacks: Optional::ALL.to_vec() };
        let arguments = Arguments {
            purpose: Purpose::Clone { progress: true, deletes_first: false, is_plain: false },
            version: Version::OLDEST,
            capabilities: &capabilities,
            nanoseconds: true,
            rights: Rights::ALL,
            one_file_system: true,
            rules: &rules,
            bandwidth: None,
            checksum: false,
            itemize: false,
            whole_file: false,
            backup_dir: None,
            source: Path::new("/s"),
            destination: Path::new("/d"),
        };
        let arguments = arguments.to_vec();
        for option in Optional::ALL {
            assert!(!arguments.iter().any(|argument| argument == option.argument()), "{option:?}");
        }
    }
}
