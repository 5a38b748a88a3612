//! An error message of rsync's: which operation failed, on which path, with which error number.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// The rsync process that printed the message; named from 3.2.3 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that reads the source.
    Sender,
    /// One of those that write the destination.
    Writer,
    /// It is not named.
    Unknown,
}

/// The operation that failed, which determines what an error number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading the contents of a file in the source.
    Read,
    /// Reading the metadata of an entry, or listing a directory.
    Look,
    /// Reading an access control list or extended attributes.
    ReadAttributes,
    /// Creating a name.
    Create,
    /// Writing contents, and everything else that needs space.
    Write,
    /// Creating a hard link.
    Link,
    /// Setting an access control list or extended attributes.
    SetAttributes,
    /// Setting a time.
    SetTimes,
    /// Removing a name.
    Delete,
    /// Moving something into the safety net.
    Save,
    /// Anything else.
    Other,
}

/// The operation for the words a message begins with, from 3.0.9 to 3.5.1.
const OPERATIONS: [(&[u8], Operation); 48] = [
    (b"send_files failed to open ", Operation::Read),
    (b"read errors mapping ", Operation::Read),
    (b"readlink_stat(", Operation::Look),
    (b"link_stat ", Operation::Look),
    (b"opendir ", Operation::Look),
    (b"readdir(", Operation::Look),
    (b"change_dir ", Operation::Look),
    (b"get_acl: ", Operation::ReadAttributes),
    (b"get_xattr_names: ", Operation::ReadAttributes),
    (b"get_xattr_data: ", Operation::ReadAttributes),
    (b"rsync_xal_get: ", Operation::ReadAttributes),
    (b"mkstemp ", Operation::Create),
    (b"recv_generator: mkdir ", Operation::Create),
    (b"recv_generator: failed to stat ", Operation::Create),
    (b"mkdir ", Operation::Create),
    (b"symlink ", Operation::Create),
    (b"mknod ", Operation::Write),
    (b"rename ", Operation::Write),
    (b"rename failed for ", Operation::Write),
    (b"copy ", Operation::Write),
    (b"open ", Operation::Write),
    (b"write ", Operation::Write),
    (b"write failed on ", Operation::Write),
    (b"fsync failed on ", Operation::Write),
    (b"close failed on ", Operation::Write),
    (b"do_fallocate ", Operation::Write),
    (b"ftruncate ", Operation::Write),
    (b"lseek of ", Operation::Write),
    (b"chown ", Operation::Write),
    (b"chgrp ", Operation::Write),
    (b"failed to set permissions on ", Operation::Write),
    (b"failed to modify permissions on ", Operation::Write),
    (b"failed to hard-link ", Operation::Link),
    (b"set_acl: ", Operation::SetAttributes),
    (b"change_sacl_perms: ", Operation::SetAttributes),
    (b"rsync_xal_set: ", Operation::SetAttributes),
    (b"rsync_xal_clear: ", Operation::SetAttributes),
    (b"copy_xattrs: ", Operation::SetAttributes),
    (b"set_xattr_acl: ", Operation::SetAttributes),
    (b"del_def_xattr_acl: ", Operation::SetAttributes),
    (b"failed to write xattr ", Operation::SetAttributes),
    (b"delete of stat xattr failed ", Operation::SetAttributes),
    (b"failed to set times on ", Operation::SetTimes),
    (b"delete_file: ", Operation::Delete),
    (b"unlink ", Operation::Delete),
    (b"backup ", Operation::Save),
    (b"make_bak_dir ", Operation::Save),
    (b"keep_backup failed: ", Operation::Save),
];

/// The name in `lsetxattr("P","N")`, where 3.1.3 and older quote twice; else in `symlink "P" -> "T" failed`; else
/// between the first and the last quote, since a name may contain quotes itself.
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)xattr\("+(.*?)"+,["\w]|"(.*?)" -> "|"(.*)"[^"]*$"#).ok());

/// The name in `link "P" => Q failed`.
static LINKED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?-u)^link "(.*?)" => "#).ok());

/// Both names in `rename "P" -> "Q"`.
static RENAMED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)^rename "(.*?)" -> "+(.*?)"+(?: failed)?: [^"]*$"#).ok());

/// The name in `set_acl: sys_acl_set_file(P, ACL_TYPE_ACCESS)`, `get_acl: unpack_smb_acl(P)` and `delete_file:
/// unlink(P)`; it may contain parentheses and quotes itself.
static IN_PARENTHESES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?-u)^(?:delete_file|[sg]et_acl): \w+\((.+?)(?:, ACL_TYPE_\w+)?\)(?: failed)?: [^()]*\(-?\d+\)$",
    )
    .ok()
});

/// The name in `backup mkdir NET/TIME/directory failed`.
static OF_BACKUP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)^backup \w+ "?(.+?)"? failed: [^()]*\(\d+\)$"#).ok());

/// A message with an error number.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The process that printed it.
    pub role: Role,
    /// The operation that failed.
    pub operation: Operation,
    /// The error number.
    pub errno: i32,
    /// The text, without the start of the line.
    pub text: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses `rsync: [sender] TEXT: REASON (NUMBER)`.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (role, text) = role(line)?;
        let errno = error_number(text)?;
        Some(Self { role, operation: operation(text), errno, text })
    }

    /// The path that it names, as printed.
    pub fn path(&self) -> Option<&'a [u8]> {
        match self.operation {
            Operation::Save => group(&OF_BACKUP, self.text).or_else(|| quoted(self.text)),
            Operation::Link => group(&LINKED, self.text).or_else(|| quoted(self.text)),
            Operation::Read
            | Operation::Look
            | Operation::ReadAttributes
            | Operation::Create
            | Operation::Write
            | Operation::SetAttributes
            | Operation::SetTimes
            | Operation::Delete
            | Operation::Other => group(&IN_PARENTHESES, self.text).or_else(|| quoted(self.text)),
        }
    }

    /// The new name in a failed rename, without its directory.
    pub fn renamed_to(&self) -> Option<&'a [u8]> {
        let new = RENAMED.as_ref()?.captures(self.text)?.get(2)?.as_bytes();
        new.rsplit(|byte| *byte == b'/').next()
    }

    /// The name in a message about an access control entry that cannot be read; empty if not given.
    pub fn of_missing_user(&self) -> Option<&'a [u8]> {
        // Only at the beginning is it rsync's message, and not part of a file name.
        let words = self.text.strip_prefix(b"get_acl: ").unwrap_or(self.text);
        words.starts_with(b"unpack_smb_acl").then(|| group(&IN_PARENTHESES, self.text).unwrap_or_default())
    }

    /// Whether rsync may have printed the name of one of its temporary files.
    pub fn is_of_a_new_file(&self) -> bool {
        self.role != Role::Sender
            && matches!(
                self.operation,
                Operation::Create
                    | Operation::Write
                    | Operation::Link
                    | Operation::SetAttributes
                    | Operation::SetTimes
            )
    }

    /// Whether a file of the source could not be opened.
    pub fn is_of_opening(&self) -> bool {
        self.text.starts_with(b"send_files failed to open ")
    }

    /// Whether the name is certainly that of a temporary file.
    pub fn is_of_a_temporary(&self) -> bool {
        self.text.starts_with(b"mkstemp ")
    }
}

/// Parses what follows `rsync: `: the process name, such as `[sender] `, and the rest.
fn role(line: &[u8]) -> Option<(Role, &[u8])> {
    let text = line.strip_prefix(b"rsync: ")?;
    let Some((name, rest)) = text.strip_prefix(b"[").and_then(|inner| cut(inner, b"] ")) else {
        return Some((Role::Unknown, text));
    };
    Some((if name == b"sender" { Role::Sender } else { Role::Writer }, rest))
}

fn operation(text: &[u8]) -> Operation {
    if text.starts_with(b"link \"") {
        // `link "P" => Q failed: …` is a hard link, `link "NET/P" -> "TARGET": …` a symbolic one in the safety net.
        let before = text.rsplitn(2, |byte| *byte == b':').last().unwrap_or_default();
        return if before.ends_with(b" failed") { Operation::Link } else { Operation::Save };
    }
    let found = OPERATIONS.iter().find(|(start, _)| text.starts_with(start));
    found.map_or(Operation::Other, |(_, operation)| *operation)
}

/// The number in parentheses at the very end, where a name that looks like an error cannot be.
fn error_number(text: &[u8]) -> Option<i32> {
    let inner = text.strip_suffix(b")")?;
    let open = inner.iter().rposition(|byte| *byte == b'(')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

fn group<'a>(pattern: &LazyLock<Option<Regex>>, text: &'a [u8]) -> Option<&'a [u8]> {
    pattern.as_ref()?.captures(text)?.get(1).map(|name| name.as_bytes())
}

fn quoted(text: &[u8]) -> Option<&[u8]> {
    let found = QUOTED.as_ref()?.captures(text)?;
    (1..=3).find_map(|group| found.get(group)).map(|name| name.as_bytes())
}

/// The parts before and after the first occurrence of `part`.
pub fn cut<'a>(line: &'a [u8], part: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = line.windows(part.len()).position(|window| window == part)?;
    Some((&line[..at], &line[at + part.len()..]))
}

#[cfg(test)]
mod tests {
    use crate::rsync::diagnostics::tests::{assert_only, read};

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
}
