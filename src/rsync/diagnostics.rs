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

/// The start of the one message that ends in a name without quotes.
const OVERFLOW: &[u8] = b"filename overflows max-path len";

/// What was found in rsync's messages.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// The first failing paths, as shown.
    pub paths: Vec<String>,
    /// How many messages named a failing path.
    pub failing: u64,
    /// The first message about missing room at the destination.
    pub no_room: Option<String>,
    /// Something could not be read as if its device were gone.
    pub device_gone: bool,
    /// An access control entry of an unknown user: the path, where this rsync names it.
    pub missing_user: Option<Option<String>>,
    last: Option<String>,
}

/// The quoted name in `rsync: [sender] send_files failed to open "P": Permission denied (13)`, to the last quote
/// before the reason; in `setxattr("P","N")` the first of two.
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)"(.*?)"(?:,"[^"]*"\)|[^"]*$)"#).ok());

/// The second name in `rename "P/.f.AbCdEf" -> "f": No space left on device (28)`: the first is a temporary one.
static RENAMED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?-u)rename ".*" -> "(.*)"[^"]*$"#).ok());

/// The name in `sys_acl_set_file(P, ACL_TYPE_ACCESS)`, `acl_delete_def_file(P)` and `unpack_smb_acl(P)`.
static IN_PARENTHESES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u)(?:sys_acl_[sg]et_file|xacl_set|acl_delete_def_file|unpack_smb_acl|acl_set_file)\((.+?)(?:, ACL_TYPE_\w+|, \w+)?\)").ok()
});

impl Diagnostics {
    /// Reads a line of rsync's standard error, or a message on its standard output.
    pub fn read_line(&mut self, line: &[u8]) {
        let errno = error_number(line);
        if is_missing_user(line) {
            let path = parenthesised(line).filter(|path| !path.is_empty());
            self.missing_user = match self.missing_user.take() {
                Some(Some(known)) => Some(Some(known)),
                _ => Some(path.map(|path| shown::line(path).to_string())),
            };
        }
        if errno.is_some_and(|errno| NO_ROOM.contains(&errno)) && self.no_room.is_none() {
            self.no_room = Some(shown::line(line).to_string());
        }
        self.device_gone |= errno.is_some_and(|errno| DEVICE_GONE.contains(&errno));
        if let Some(path) = failing_path(line) {
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

/// Whether the message itself, and not a name in it, is that of an access control entry of an unknown user:
/// `rsync: unpack_smb_acl: …`, since 3.2.7 also `rsync: [sender] get_acl: unpack_smb_acl(P): …`.
fn is_missing_user(line: &[u8]) -> bool {
    let message = line.strip_prefix(b"rsync: ").unwrap_or(line);
    let message = match message.strip_prefix(b"[").and_then(|rest| after(rest, b"] ")) {
        Some(rest) => rest,
        None => message,
    };
    message.strip_prefix(b"get_acl: ").unwrap_or(message).starts_with(b"unpack_smb_acl")
}

/// The number in the parentheses at the very end, where only one message puts a name instead.
fn error_number(line: &[u8]) -> Option<i32> {
    if line.starts_with(OVERFLOW) {
        return None;
    }
    let inner = line.strip_suffix(b")")?;
    let open = inner.iter().rposition(|byte| *byte == b'(')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

fn failing_path(line: &[u8]) -> Option<&[u8]> {
    if let Some(at) = find(line, OVERFLOW) {
        return after(&line[at..], b": ").map(|path| path.strip_suffix(b"\n").unwrap_or(path));
    }
    if let Some(rest) = line.strip_prefix(b"ERROR: ") {
        return find(rest, b" failed verification").map(|end| &rest[..end]);
    }
    let is_failure =
        error_number(line).is_some() || contains(line, b"file has vanished") || contains(line, b"cannot ");
    let ours =
        line.starts_with(b"rsync: ") || contains(line, b"vanished") || contains(line, b"delete_file: ");
    if !is_failure || !ours || line.starts_with(b"rsync error:") {
        return None;
    }
    let quoted = |form: &LazyLock<Option<Regex>>| form.as_ref()?.captures(line)?.get(1);
    let named = quoted(&RENAMED).or_else(|| quoted(&QUOTED));
    named.map(|name| name.as_bytes()).or_else(|| parenthesised(line)).or_else(|| call(line))
}

fn parenthesised(line: &[u8]) -> Option<&[u8]> {
    let found = IN_PARENTHESES.as_ref()?.captures(line)?;
    found.get(1).map(|name| name.as_bytes())
}

/// The name in `rsync: delete_file: unlink(old) failed: Operation not permitted (1)`.
fn call(line: &[u8]) -> Option<&[u8]> {
    let end = find(line, b") failed: ")?;
    let start = find(line, b"(")? + 1;
    line.get(start..end)
}

fn find(line: &[u8], part: &[u8]) -> Option<usize> {
    line.windows(part.len()).position(|window| window == part)
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    find(line, part).is_some()
}

fn after<'a>(line: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    find(line, part).map(|at| &line[at + part.len()..])
}

#[cfg(test)]
mod tests {
    use super::Diagnostics;

    #[test]
    fn of_a_rename_the_final_name_is_told() {
        let mut found = Diagnostics::default();
        found.read_line(
            br#"rsync: [receiver] rename "/d/.031.vrvtdu" -> "folder/031": No space left on device (28)"#,
        );
        assert_eq!(found.paths, ["folder/031"]);
        assert!(found.no_room.is_some());
    }
}
