//! Parses rsync's messages as they arrive, with bounded memory.

mod meaning;
mod message;
mod temporary;

use crate::display;
use crate::fs::says_no_room;
pub use meaning::Limit;
use meaning::{Meaning, device_gone, meaning};
use message::{Message, Operation, cut};

/// How many failing paths are kept for the log.
pub const KEPT_PATHS: usize = 20;

/// How many paths are listed as examples of what the destination cannot store.
const EXAMPLES: usize = 5;

/// How many changes of the source are remembered for a second look; more than that is a failure.
const KEPT_CHANGES: usize = 1000;

/// What rsync's messages reported.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// The first failing paths, escaped.
    pub paths: Vec<String>,
    /// How many messages named a failing path.
    pub failing: u64,
    /// How many files and directories vanished from the source while it was read.
    pub vanished: u64,
    /// The first message about lack of space at the destination.
    pub no_room: Option<String>,
    /// The first limit of the destination's filesystem that was reached.
    pub limited: Option<Limited>,
    /// A read failed as if its device were gone.
    pub device_gone: bool,
    /// A deletion failed, which before 3.1.3 does not show in the exit code.
    pub undeleted: bool,
    /// Moving something into the safety net failed; that it then stays unchanged may not show in the exit code.
    pub unsaved: bool,
    /// After an error at the source rsync stopped deleting.
    pub skipped_deletions: bool,
    /// Directories that are gone from the source but were kept because something in them, such as another filesystem,
    /// must stay: the first of them, escaped. rsync exits with 0 all the same.
    pub not_empty: Vec<String>,
    /// An access control entry for an unknown user: the path, if this rsync names it.
    pub missing_user: Option<Option<String>>,
    /// Paths of the source, as printed, where rsync found something else than it had listed.
    changes: Vec<Vec<u8>>,
    /// An error occurred that is not such a change.
    is_worse: bool,
    /// Paths that may be those of temporary files: as counted, as printed, and the names they may stand for.
    temporaries: Vec<(String, Vec<u8>, [Vec<u8>; 2])>,
    last: Option<String>,
}

/// A limit of the destination's filesystem that was reached.
#[derive(Debug, Clone)]
pub struct Limited {
    /// Which limit.
    pub limit: Limit,
    /// The first paths, escaped.
    pub examples: Vec<String>,
    /// The first message, if its error number may also mean a full disk.
    pub or_no_room: Option<String>,
}

/// How a message begins if something could not be moved into the safety net. The last two are about a symbolic link and
/// a device that could not be renamed: from 3.1.0 on rsync creates a new one there, and continues even if it cannot.
fn is_unsaved(message: &Message<'_>) -> bool {
    message.operation == Operation::Save || message.text.starts_with(b"mknod \"")
}

impl Diagnostics {
    /// Parses a line of rsync's standard error.
    pub fn read_line(&mut self, line: &[u8]) {
        self.unsaved |= line == b"backup filename too long";
        if let Some(path) = vanished(line) {
            self.vanished += 1;
            self.count(path);
        } else if let Some(path) = unverified(line) {
            self.remember_change(path);
            self.count(path);
        } else if let Some(path) = overlong(line) {
            self.is_worse = true;
            self.count(path);
        } else if let Some(message) = Message::read(line) {
            self.read_message(line, &message);
        } else if !self.read_output(line) && !is_comment(line) {
            self.is_worse = true;
        }
    }

    /// Parses a line of rsync's standard output; `true` if it was a message about the destination.
    pub fn read_output(&mut self, line: &[u8]) -> bool {
        if line == b"IO error encountered -- skipping file deletion" {
            self.skipped_deletions = true;
            return true;
        }
        let Some(path) = kept_dir(line) else { return false };
        let path = display::line(path).to_string();
        if self.not_empty.len() < KEPT_PATHS && !self.not_empty.contains(&path) {
            self.not_empty.push(path);
        }
        true
    }

    fn read_message(&mut self, line: &[u8], message: &Message<'_>) {
        if let Some(path) = message.of_missing_user() {
            let path = (!path.is_empty()).then(|| display::line(path).to_string());
            self.missing_user = match self.missing_user.take() {
                Some(Some(known)) => Some(Some(known)),
                _ => Some(path),
            };
        }
        self.device_gone |= device_gone(message);
        self.undeleted |= message.text.starts_with(b"delete_file: ");
        self.unsaved |= is_unsaved(message);
        let meaning = meaning(message);
        if meaning == Meaning::NoRoom && self.no_room.is_none() {
            self.no_room = Some(display::line(line).to_string());
        }
        let path = message.path();
        match path.filter(|_| meaning == Meaning::Changed) {
            Some(path) => self.remember_change(path),
            None => self.is_worse = true,
        }
        if let Some(path) = path {
            self.count_of(message, path);
        }
        if let Meaning::Limit(limit) = meaning {
            let or_no_room = says_no_room(message.errno).then(|| display::line(line).to_string());
            let known =
                self.limited.get_or_insert_with(|| Limited { limit, examples: Vec::new(), or_no_room });
            let path = self.last.as_ref().filter(|last| path.is_some() && !known.examples.contains(last));
            if known.limit == limit && known.examples.len() < EXAMPLES {
                known.examples.extend(path.cloned());
            }
        }
    }

    /// Counts a path under its final name: rsync's temporary files are gone by the time anyone looks.
    fn count_of(&mut self, message: &Message<'_>, path: &[u8]) {
        let originals = temporary::originals(path).filter(|_| message.is_of_a_new_file());
        let Some(originals) = originals else { return self.count(path) };
        if let Some(name) = message.renamed_to() {
            return self.count(&temporary::beside(path, name));
        }
        self.count(if message.is_of_a_temporary() { &originals[0] } else { path });
        if let Some(counted) = self.last.clone().filter(|_| self.temporaries.len() < KEPT_PATHS + EXAMPLES) {
            self.temporaries.push((counted, path.to_owned(), originals));
        }
    }

    fn count(&mut self, path: &[u8]) {
        let path = display::line(path).to_string();
        // Some failures are reported twice in a row, because rsync tries twice.
        if self.last.as_ref() == Some(&path) {
            return;
        }
        self.failing += 1;
        if self.paths.len() < KEPT_PATHS && !self.paths.contains(&path) {
            self.paths.push(path.clone());
        }
        self.last = Some(path);
    }

    fn remember_change(&mut self, path: &[u8]) {
        if self.changes.len() < KEPT_CHANGES {
            self.changes.push(path.to_owned());
        } else {
            self.is_worse = true;
        }
    }

    /// Replaces the paths of temporary files with those of the files they were to become; `exists` says which of them
    /// exist, as a file may really have such a name.
    pub fn name_temporaries(&mut self, exists: impl Fn(&[u8]) -> bool) {
        for (counted, printed, [likely, hidden]) in std::mem::take(&mut self.temporaries) {
            let named = [&printed, &likely, &hidden].into_iter().find(|path| exists(path));
            let name = display::line(named.unwrap_or(&likely)).to_string();
            let examples = self.limited.iter_mut().flat_map(|limited| &mut limited.examples);
            let named = self.paths.iter_mut().chain(examples).filter(|path| **path == counted);
            named.for_each(|path| path.clone_from(&name));
        }
    }

    /// The paths of the source that were not what rsync had listed, if nothing worse was reported: perhaps the source
    /// only changed while it was read.
    #[must_use]
    pub fn only_changes(&self) -> Option<&[Vec<u8>]> {
        let is_worse = self.is_worse || self.undeleted || self.unsaved || self.device_gone;
        (!is_worse && !self.changes.is_empty()).then_some(&self.changes)
    }

    /// How many messages named a path beyond those that were kept.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.failing.saturating_sub(self.paths.len() as u64)
    }
}

/// The path of a file that failed verification twice.
fn unverified(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"ERROR: ")?.strip_suffix(b" failed verification -- update discarded.")
}

fn overlong(line: &[u8]) -> Option<&[u8]> {
    cut(line.strip_prefix(b"filename overflows max-path len")?, b": ").map(|(_, path)| path)
}

/// The path in `file has vanished: "P"`; for a directory the message begins with `directory`.
#[must_use]
pub fn vanished(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"file").or_else(|| line.strip_prefix(b"directory"))?;
    rest.strip_prefix(b" has vanished: \"")?.strip_suffix(b"\"")
}

/// The path of a directory that was not deleted: one that contains, or is, another filesystem.
fn kept_dir(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"cannot delete non-empty directory: ")
        .or_else(|| line.strip_prefix(b"cannot delete mount point: "))
}

/// Messages that add nothing: the summary at the end, and announcements of a retry.
fn is_comment(line: &[u8]) -> bool {
    line.starts_with(b"rsync error: some files/attrs were not transferred")
        || line.starts_with(b"rsync warning: some files vanished")
        || line.starts_with(b"WARNING: ")
            && line.ends_with(b" failed verification -- update discarded (will try again).")
        || line.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Diagnostics, KEPT_PATHS};

    /// The output of a version, from the captured files.
    macro_rules! captured {
        ($version:literal, $case:literal) => {
            read(include_str!(concat!("../../tests/fixtures/rsync/", $version, "/", $case, ".err")))
        };
    }

    /// The same for an rsync without process names, one before 3.5.0 and one after it.
    macro_rules! generations {
        ($case:literal) => {
            [captured!("3.0.9", $case), captured!("3.1.3", $case), captured!("3.5.1", $case)]
        };
    }

    pub(super) fn read(printed: &str) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        for line in printed.lines() {
            diagnostics.read_line(line.as_bytes());
        }
        diagnostics
    }

    /// Asserts the paths and that nothing else was concluded.
    #[track_caller]
    pub(super) fn assert_only(found: &Diagnostics, paths: &[&str]) {
        assert_eq!(found.paths, paths);
        assert_eq!(found.failing, paths.len() as u64);
        assert!(found.no_room.is_none() && found.missing_user.is_none(), "{found:?}");
        assert!(!found.device_gone && !found.undeleted, "{found:?}");
    }

    #[test]
    fn a_full_disk_is_found_among_its_consequences() {
        for found in generations!("no-space").iter().chain(&[captured!("3.1.0", "no-space")]) {
            let message = found.no_room.as_deref().unwrap();
            assert!(
                message.ends_with("write failed on \"/clones/full/d/f146\": No space left on device (28)")
            );
            assert_eq!(found.paths, ["/clones/full/d/f146"]);
        }
    }

    #[test]
    fn a_disk_without_inodes_is_full() {
        for found in generations!("no-inodes") {
            assert!(found.no_room.as_deref().unwrap().contains("mkstemp \"/clones/full/d/.f1264."));
            assert_eq!((found.paths.len(), found.failing, found.more()), (KEPT_PATHS, 40, 20));
        }
        let found = read(
            "rsync: recv_generator: mkdir \"/d/x\" failed: No space left on device (28)\n\
             *** Skipping any contents from this failed directory ***",
        );
        assert_eq!(found.paths, ["/d/x"]);
        assert!(found.no_room.is_some());
    }

    #[test]
    fn what_could_not_be_moved_into_a_net_is_told() {
        let [old, middle, new] = generations!("backup-no-inodes");
        for found in [&old, &middle, &new] {
            assert!(found.unsaved);
            assert!(found.no_room.as_deref().unwrap().contains("mkdir"), "{found:?}");
        }
        assert_eq!(old.paths[..2], ["/clones/full/net/T/gone2", "/clones/full/gone2/f"]);
        for found in [middle, new] {
            assert_eq!(found.paths[..3], ["net/T/gone2", "gone2/f", "net/T/gone1"]);
            assert!(found.undeleted);
        }
        for line in [
            "backup filename too long",
            "rsync: [generator] link \"/d/net/T/l\" -> \"target\": No space left on device (28)",
            "rsync: [generator] mknod \"/d/net/T/null\" failed: No space left on device (28)",
        ] {
            assert!(read(line).unsaved, "{line}");
        }
    }

    #[test]
    fn an_exceeded_quota_is_a_full_disk() {
        for line in [
            "rsync: [receiver] write failed on \"/d/f\": Disk quota exceeded (122)",
            "rsync: write failed on \"/d/f\": Disc quota exceeded (69)",
        ] {
            assert_eq!(read(line).no_room.as_deref(), Some(line));
        }
    }

    #[test]
    fn a_device_that_is_gone_is_told_from_closed_files() {
        for found in generations!("read-error") {
            assert!(found.device_gone && found.no_room.is_none());
            for path in ["/clones/ls/big \"1\"", "/clones/ls/big \"3\"", "big \"1\""] {
                assert!(found.paths.iter().any(|found| found == path), "{path}: {found:?}");
            }
        }
        for line in [
            "rsync: readdir(\"/s/d\"): Input/output error (5)",
            "rsync: [sender] readlink_stat(\"/s/d\") failed: Stale file handle (116)",
            "rsync: write failed on \"/d/f\": Input/output error (5)",
            "rsync: [sender] send_files failed to open \"/s/d\": Transport endpoint is not connected (107)",
            "rsync: opendir \"/s/d\" failed: No such device (19)",
        ] {
            let found = read(line);
            assert!(found.device_gone, "{line}");
            assert_eq!(found.paths.len(), 1, "{line}");
        }
    }

    #[test]
    fn a_name_that_looks_like_an_error_is_a_name() {
        let expected = [
            "/clones/den/closed",
            "/clones/den/a \"quoted\", [b] (5) failed: No space left on device (28)",
            "/clones/den/new\\#012line",
            "/clones/den/plain",
        ];
        for found in
            [captured!("3.0.9", "denied"), captured!("3.1.3", "denied"), captured!("3.5.0", "denied")]
        {
            assert_only(&found, &expected);
        }
    }

    #[test]
    fn refused_lists_and_attributes_name_their_file() {
        for found in generations!("refused") {
            assert_eq!(found.paths.len(), 3, "{found:?}");
            assert_eq!(found.paths[0], "folder");
            assert!(
                found.paths.iter().any(|path| path.starts_with(".acl(1), x.") && path.len() == 17),
                "{found:?}"
            );
            assert!(
                found.paths.iter().any(|path| path.starts_with("/clones/xd/.it is \"quoted\", yes.")
                    && path.len() == "/clones/xd/.it is \"quoted\", yes.VG1p58".len()),
                "{found:?}"
            );
            assert!(!found.device_gone && found.no_room.is_none());
        }
    }

    #[test]
    fn what_could_not_be_deleted_is_told() {
        for found in generations!("immutable").iter().chain(&[captured!("3.1.0", "immutable")]) {
            assert_eq!(found.paths, ["imdir/f", "im \"m\""]);
            assert!(found.undeleted);
        }
    }

    #[test]
    fn what_vanished_is_named_and_is_nothing_else() {
        for found in generations!("vanished") {
            assert_only(&found, &["/clones/vs/z \"1\"", "/clones/vs/zz"]);
        }
    }

    #[test]
    fn a_destination_that_became_read_only_is_not_full() {
        for found in generations!("read-only") {
            assert_eq!(found.paths[..4], ["/clones/full/.", "gone", "/clones/full/fifo", "/clones/full/l"]);
            assert!(!found.device_gone && found.no_room.is_none());
        }
    }

    #[test]
    fn what_names_no_path_names_none() {
        for found in generations!("destination-is-file") {
            assert_only(&found, &[]);
        }
        for line in [
            "",
            "rsync: [sender] write error: Broken pipe (32)",
            "rsync: writefd_unbuffered failed to write 4 bytes to socket [sender]: Broken pipe (32)",
            "rsync: connection unexpectedly closed (9 bytes received so far) [sender]",
            "rsync error: error in file IO (code 11) at receiver.c(389) [receiver=3.1.0]",
            "[sender] io timeout after 4 seconds -- exiting",
            "Deletions stopped due to --max-delete limit (2 skipped)",
            "*** Skipping any contents from this failed directory ***",
            "\"",
            "(",
            "rsync: ",
            "rsync: [",
        ] {
            assert_only(&read(line), &[]);
        }
    }

    #[test]
    fn directories_that_stay_are_named_and_counted_nowhere() {
        let mut found = Diagnostics::default();
        for line in
            ["cannot delete non-empty directory: m", "cannot delete mount point: top \\#012", "sent 5 bytes"]
        {
            found.read_output(line.as_bytes());
        }
        assert_eq!(found.not_empty, ["m", "top \\#012"]);
        assert_only(&found, &[]);
        (0..100).for_each(|number| {
            found.read_output(format!("cannot delete non-empty directory: {number}").as_bytes());
        });
        assert_eq!(found.not_empty.len(), KEPT_PATHS);
        assert!(!found.skipped_deletions);
        found.read_output(b"IO error encountered -- skipping file deletion");
        assert!(found.skipped_deletions);
    }

    #[test]
    fn memory_is_bounded_however_much_fails() {
        let mut diagnostics = Diagnostics::default();
        for number in 0..100_000 {
            let line = format!("rsync: send_files failed to open \"/s/{number}\": Permission denied (13)");
            diagnostics.read_line(line.as_bytes());
        }
        assert_eq!((diagnostics.paths.len(), diagnostics.more()), (KEPT_PATHS, 99_980));
    }
}
