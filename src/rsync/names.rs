//! Restores the user's paths in rsync's output if rsync was given other ones.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use memchr::memmem;

/// The paths given to rsync, and the ones they stand for.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Names {
    /// Displays `given` as `real` from now on.
    pub fn add(&mut self, given: &Path, real: &Path) {
        self.pairs.push((given.as_os_str().as_bytes().to_vec(), escaped(real)));
    }

    /// A line of rsync's output with the user's paths.
    #[must_use]
    pub fn restore<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let mut line = Cow::Borrowed(line);
        for (given, real) in &self.pairs {
            if let Some(replaced) = replace(&line, given, real) {
                line = Cow::Owned(replaced);
            }
        }
        line
    }
}

/// Replaces every `given` that is a whole path or the start of one; `None` if there is none.
fn replace(line: &[u8], given: &[u8], real: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = None::<Vec<u8>>;
    let mut copied = 0;
    for at in memmem::find_iter(line, given) {
        let (before, after) = (at.checked_sub(1).map(|at| line[at]), line.get(at + given.len()));
        let begins = before.is_none_or(|byte| b"\"'( ".contains(&byte));
        let ends = after.is_none_or(|byte| b"/\"'), :".contains(byte));
        if begins && ends {
            let text = replaced.get_or_insert_default();
            text.extend_from_slice(&line[copied..at]);
            // The root directory's path includes the slash that follows.
            let has_slash = after == Some(&b'/') && real.ends_with(b"/");
            text.extend_from_slice(if has_slash { &real[..real.len() - 1] } else { real });
            copied = at + given.len();
        }
    }
    replaced.map(|mut text| {
        text.extend_from_slice(&line[copied..]);
        text
    })
}

/// A path as rsync prints it: a control character, or a backslash that would look like an escape, becomes `\#` and
/// three octal digits.
#[must_use]
pub fn escaped(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    let mut escaped = Vec::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let is_like_escape = byte == b'\\'
            && bytes.get(at + 1) == Some(&b'#')
            && bytes.get(at + 2..at + 5).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
        if (byte < b' ' && byte != b'\t') || byte == 0x7f || is_like_escape {
            escaped.extend_from_slice(format!("\\#{byte:03o}").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Names;
    use std::path::Path;

    fn names() -> Names {
        let mut names = Names::default();
        names.add(Path::new("/run/counterpart/source"), Path::new("/"));
        names.add(Path::new("/run/counterpart/destination"), Path::new("/mnt/a \"b\"\n"));
        names
    }

    #[track_caller]
    fn assert_restored(line: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&names().restore(line.as_bytes())), expected);
    }

    #[test]
    fn the_users_paths_are_restored() {
        assert_restored(
            "rsync: [sender] send_files failed to open \"/run/counterpart/source/etc/x\": Permission denied (13)",
            "rsync: [sender] send_files failed to open \"/etc/x\": Permission denied (13)",
        );
        assert_restored(
            "rsync: [generator] set_acl: sys_acl_set_file(/run/counterpart/destination/x, A): No (5)",
            "rsync: [generator] set_acl: sys_acl_set_file(/mnt/a \"b\"\\#012/x, A): No (5)",
        );
        assert_restored("change_dir \"/run/counterpart/source\" failed", "change_dir \"/\" failed");
    }

    #[test]
    fn names_that_only_look_like_them_stay() {
        for line in ["x/run/counterpart/source/y", "/run/counterpart/sources", "etc/x", ""] {
            assert_restored(line, line);
        }
    }
}
