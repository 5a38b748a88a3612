//! What rsync says on standard error, read as it comes and with bounded memory.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::shown;

/// How many failing paths are kept for the log.
pub const KEPT_PATHS: usize = 20;

/// The error numbers for no space and for an exceeded quota: 28 everywhere, 122 on Linux, 69 on Apple's systems.
const NO_ROOM: [i32; 3] = [28, 122, 69];

/// Error numbers that a lost device or mount gives: EIO, ENXIO, ENODEV, and, by system, ESTALE and ENOTCONN.
const DEVICE_GONE: [i32; 8] = [5, 6, 19, 116, 70, 107, 57, 108];

/// What was found in rsync's messages.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// The first failing paths, as shown.
    pub paths: Vec<String>,
    /// How many messages named a failing path.
    pub failing: u64,
    /// How many files and folders vanished from the source while it was read.
    pub vanished: u64,
    /// The first message about missing room at the destination.
    pub no_room: Option<String>,
    /// Something could not be read as if its device were gone.
    pub device_gone: bool,
    /// Something could not be deleted, which before 3.1.3 does not show in the exit code.
    pub undeleted: bool,
    /// Something could not be moved into the safety net; what then stays as it was does not always show in the exit code.
    pub unsaved: bool,
    /// An access control entry of an unknown user: the path, where this rsync names it.
    pub missing_user: Option<Option<String>>,
    last: Option<String>,
}

/// The name in `lsetxattr("P","N")`, which 3.1.3 and older quote twice; else in `symlink "P" -> "T" failed`; else from
/// the first quote to the last, since a name may hold quotes itself.
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)xattr\("+(.*?)"+,["\w]|"(.*?)" -> "|"(.*)"[^"]*$"#).ok());

/// The name in `set_acl: sys_acl_set_file(P, ACL_TYPE_ACCESS)`, `get_acl: unpack_smb_acl(P)` and
/// `delete_file: unlink(P)`; it may hold parentheses and quotes itself.
static IN_PARENTHESES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?-u)^(?:delete_file|[sg]et_acl): \w+\((.+?)(?:, ACL_TYPE_\w+)?\)(?: failed)?: [^()]*\(-?\d+\)$",
    )
    .ok()
});

/// The name in `backup mkdir NET/TIME/folder failed`.
static OF_BACKUP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)^backup \w+ "?(.+?)"? failed: [^()]*\(\d+\)$"#).ok());

/// How a message begins when something could not be moved into the safety net. The last two are those of a symbolic link
/// and of a device that could not be renamed: from 3.1.0 on rsync makes another there, and if it cannot, it goes on all the same.
const UNSAVED: [&[u8]; 5] = [b"backup ", b"make_bak_dir ", b"keep_backup failed: ", b"link \"", b"mknod \""];

impl Diagnostics {
    /// Reads a line of rsync's standard error.
    pub fn read_line(&mut self, line: &[u8]) {
        self.unsaved |= line == b"backup filename too long";
        if let Some(path) = vanished(line) {
            self.vanished += 1;
            self.count(path);
        } else if let Some(path) = nameless(line) {
            self.count(path);
        } else if let Some(message) = message(line) {
            self.read_message(line, message);
        }
    }

    fn read_message(&mut self, line: &[u8], message: &[u8]) {
        let errno = error_number(message);
        if is_missing_user(message) {
            let path = parenthesised(message).filter(|path| !path.is_empty());
            self.missing_user = match self.missing_user.take() {
                Some(Some(known)) => Some(Some(known)),
                _ => Some(path.map(|path| shown::line(path).to_string())),
            };
        }
        if errno.is_some_and(|errno| NO_ROOM.contains(&errno)) && self.no_room.is_none() {
            self.no_room = Some(shown::line(line).to_string());
        }
        self.device_gone |= errno.is_some_and(|errno| DEVICE_GONE.contains(&errno));
        self.undeleted |= errno.is_some() && message.starts_with(b"delete_file: ");
        self.unsaved |= errno.is_some() && UNSAVED.iter().any(|start| message.starts_with(start));
        if errno.is_some()
            && let Some(path) =
                of_backup(message).or_else(|| parenthesised(message)).or_else(|| quoted(message))
        {
            self.count(path);
        }
    }

    fn count(&mut self, path: &[u8]) {
        let path = shown::line(path).to_string();
        // Some failures are told twice in a row, as they are tried twice.
        if self.last.as_ref() == Some(&path) {
            return;
        }
        self.failing += 1;
        if self.paths.len() < KEPT_PATHS && !self.paths.contains(&path) {
            self.paths.push(path.clone());
        }
        self.last = Some(path);
    }

    /// How many messages named a path beyond those that were kept.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.failing.saturating_sub(self.paths.len() as u64)
    }
}

/// What follows `rsync: ` and, from 3.2.3 on, the name of the process, such as `[sender] `.
fn message(line: &[u8]) -> Option<&[u8]> {
    let message = line.strip_prefix(b"rsync: ")?;
    let after_role = message.strip_prefix(b"[").and_then(|inner| after(inner, b"] "));
    Some(after_role.unwrap_or(message))
}

/// The path in the messages that have no error number, whose end may be the path itself.
fn nameless(line: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = line.strip_prefix(b"filename overflows max-path len") {
        return after(rest, b": ");
    }
    line.strip_prefix(b"ERROR: ")?.strip_suffix(b" failed verification -- update discarded.")
}

/// The path in `file has vanished: "P"`; a folder is called `directory`.
#[must_use]
pub fn vanished(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"file").or_else(|| line.strip_prefix(b"directory"))?;
    rest.strip_prefix(b" has vanished: \"")?.strip_suffix(b"\"")
}

/// The number in the parentheses at the very end: a name that looks like an error cannot stand there.
fn error_number(message: &[u8]) -> Option<i32> {
    let inner = message.strip_suffix(b")")?;
    let open = inner.iter().rposition(|byte| *byte == b'(')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

/// Only at its beginning is this rsync's message, and not the name of a file.
fn is_missing_user(message: &[u8]) -> bool {
    message.strip_prefix(b"get_acl: ").unwrap_or(message).starts_with(b"unpack_smb_acl")
}

fn quoted(message: &[u8]) -> Option<&[u8]> {
    let found = QUOTED.as_ref()?.captures(message)?;
    (1..=3).find_map(|group| found.get(group)).map(|name| name.as_bytes())
}

fn of_backup(message: &[u8]) -> Option<&[u8]> {
    OF_BACKUP.as_ref()?.captures(message)?.get(1).map(|name| name.as_bytes())
}

fn parenthesised(message: &[u8]) -> Option<&[u8]> {
    let found = IN_PARENTHESES.as_ref()?.captures(message)?;
    found.get(1).map(|name| name.as_bytes())
}

fn after<'a>(line: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let at = line.windows(part.len()).position(|window| window == part)?;
    Some(&line[at + part.len()..])
}

#[cfg(test)]
mod tests {
    use super::{Diagnostics, KEPT_PATHS};

    /// Reads what a version printed, from the captured output.
    macro_rules! captured {
        ($version:literal, $case:literal) => {
            read(include_str!(concat!("../../tests/fixtures/rsync/", $version, "/", $case, ".err")))
        };
    }

    /// The same of an rsync before the names of its processes came, of one before 3.5.0 and of one after it.
    macro_rules! generations {
        ($case:literal) => {
            [captured!("3.0.9", $case), captured!("3.1.3", $case), captured!("3.5.1", $case)]
        };
    }

    fn read(printed: &str) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        for line in printed.lines() {
            diagnostics.read_line(line.as_bytes());
        }
        diagnostics
    }

    /// Asserts the paths and that nothing else was concluded.
    #[track_caller]
    fn assert_only(found: &Diagnostics, paths: &[&str]) {
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
    fn a_name_at_the_end_of_a_message_is_no_error() {
        for (line, name) in [
            (
                "filename overflows max-path len by 1: d/write failed: No space left (28)",
                "d/write failed: No space left (28)",
            ),
            ("file has vanished: \"/s/rsync: unpack_smb_acl: (5)\"", "/s/rsync: unpack_smb_acl: (5)"),
            (
                "ERROR: x failed verification (28) failed verification -- update discarded.",
                "x failed verification (28)",
            ),
        ] {
            assert_only(&read(line), &[name]);
        }
    }

    #[test]
    fn the_name_of_a_file_is_no_missing_user() {
        assert_only(
            &read(
                "rsync: [sender] send_files failed to open \"/s/unpack_smb_acl(me)\": Permission denied (13)",
            ),
            &["/s/unpack_smb_acl(me)"],
        );
        assert_only(
            &read(
                "rsync: [generator] chown \"/s/get_acl: unpack_smb_acl\" failed: Operation not permitted (1)",
            ),
            &["/s/get_acl: unpack_smb_acl"],
        );
    }

    #[test]
    fn a_missing_user_is_found_and_where_this_is_told() {
        let found = read("rsync: unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)");
        assert_eq!(found.missing_user, Some(None));
        let printed = "rsync: [sender] unpack_smb_acl: sys_acl_get_info(): Undefined error: 0 (0)\n\
            rsync: [sender] get_acl: unpack_smb_acl(a (b), c): Undefined error: 0 (0)\n\
            rsync: [sender] get_acl: unpack_smb_acl(later): Undefined error: 0 (0)";
        assert_eq!(read(printed).missing_user, Some(Some("a (b), c".to_owned())));
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
    fn every_other_form_names_its_file() {
        for (line, path) in [
            ("rsync: delete_file: unlink(a) failed: (x) failed: Read-only file system (30)", "a) failed: (x"),
            ("rsync: [generator] delete_file: rmdir(d) failed: Directory not empty (39)", "d"),
            ("rsync: [generator] set_acl: acl_delete_def_file(d): Operation not supported (95)", "d"),
            ("rsync: [receiver] set_acl: xacl_set(f, ACL_TYPE_ACCESS): Operation not supported (95)", "f"),
            ("rsync: symlink \"/d/l\" -> \"x\" failed: Read-only file system (30)", "/d/l"),
            ("rsync: [receiver] rename \"/d/.f.X\" -> \"f\": Operation not permitted (1)", "/d/.f.X"),
            (
                "rsync: rsync_xal_set: lsetxattr(\"\"/d/f\"\",\"user.x\") failed: Permission denied (13)",
                "/d/f",
            ),
            (
                "rsync: [sender] rsync_xal_get: lgetxattr(\"/s/f\",\"user.x\",17) failed: Permission denied (13)",
                "/s/f",
            ),
            (
                "rsync: [sender] get_xattr_names: llistxattr(\"/s/f\",1024) failed: Permission denied (13)",
                "/s/f",
            ),
            ("rsync: failed to set times on \"/d/.\": Operation not permitted (1)", "/d/."),
            ("rsync: change_dir \"/s\" failed: Permission denied (13)", "/s"),
        ] {
            assert_eq!(read(line).paths, [path], "{line}");
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
    fn memory_is_bounded_however_much_fails() {
        let mut diagnostics = Diagnostics::default();
        for number in 0..100_000 {
            let line = format!("rsync: send_files failed to open \"/s/{number}\": Permission denied (13)");
            diagnostics.read_line(line.as_bytes());
        }
        assert_eq!((diagnostics.paths.len(), diagnostics.more()), (KEPT_PATHS, 99_980));
    }
}
