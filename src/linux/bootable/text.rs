//! Text files line by line.

use crate::display;
use crate::linux::bootable::Unresolved;

/// Replaces lines of a text. `change` gets each line that is not a comment; `None` keeps it as it is.
///
/// Errors carry the number of the line.
pub(super) fn change(
    text: &[u8],
    mut change: impl FnMut(&str) -> Result<Option<String>, Unresolved>,
) -> Result<Vec<u8>, Unresolved> {
    let mut out = Vec::with_capacity(text.len() + 256);
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (content, end) = match line.strip_suffix(b"\n") {
            Some(content) => (content, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        if matches!(content.trim_ascii_start().first(), None | Some(b'#')) {
            out.extend_from_slice(line);
            continue;
        }
        let at = |Unresolved(why)| {
            Unresolved(format!("line {} ({}): {why}", number + 1, display::line(content.trim_ascii())))
        };
        let content =
            std::str::from_utf8(content).map_err(|_| at(Unresolved("it is not UTF-8".to_owned())))?;
        match change(content).map_err(at)? {
            Some(changed) => out.extend_from_slice(changed.as_bytes()),
            None => out.extend_from_slice(content.as_bytes()),
        }
        out.extend_from_slice(end);
    }
    Ok(out)
}

/// A line as a comment, with the reason in a line above it.
pub(super) fn commented_out(line: &str, why: &str) -> String {
    format!("# {why}, says counterpart --bootable:\n# {line}")
}

/// The fields of a line: each with the blanks before it.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    fields: Vec<(&'a str, String)>,
    rest: &'a str,
}

impl<'a> Fields<'a> {
    /// Splits a line at blanks.
    pub(super) fn of(line: &'a str) -> Self {
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r');
        let mut fields = Vec::new();
        let mut rest = line;
        loop {
            let start = rest.len() - rest.trim_start_matches(is_blank).len();
            if start == rest.len() {
                return Self { fields, rest };
            }
            let length = rest[start..].find(is_blank).unwrap_or(rest.len() - start);
            fields.push((&rest[..start], rest[start..start + length].to_owned()));
            rest = &rest[start + length..];
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        self.fields.get(index).map(|(_, field)| field.as_str())
    }

    /// Sets a field; one that is missing directly behind the last is added.
    pub(super) fn set(&mut self, index: usize, value: &str) {
        match self.fields.get_mut(index) {
            Some((_, field)) => value.clone_into(field),
            None => self.fields.push((" ", value.to_owned())),
        }
    }

    /// The line again. Columns that were aligned by spaces stay aligned where there is room.
    pub(super) fn line(&self, original: &str) -> String {
        let before = Fields::of(original);
        let mut line = String::new();
        let mut ahead = 0_usize;
        for (index, (blanks, field)) in self.fields.iter().enumerate() {
            let is_aligned = index > 0 && blanks.len() > 1 && blanks.bytes().all(|blank| blank == b' ');
            if is_aligned {
                // `ahead` is how far the fields so far reach beyond their old place.
                let kept = blanks.len().saturating_sub(ahead).max(1);
                ahead = (ahead + kept).saturating_sub(blanks.len());
                line.push_str(&" ".repeat(kept));
            } else {
                line.push_str(blanks);
                // Behind a tab a column begins where it was.
                if blanks.contains('\t') {
                    ahead = 0;
                }
            }
            let old = before.get(index).map_or(0, str::len);
            ahead = (ahead + field.len()).saturating_sub(old);
            line.push_str(field);
        }
        line.push_str(self.rest);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn columns_stay_where_they_are_if_there_is_room() {
        let set = |line: &str, value: &str| {
            let mut fields = Fields::of(line);
            fields.set(0, value);
            fields.line(line)
        };
        assert_eq!(set("/dev/sda1   /     ext4  defaults", "UUID=12345"), "UUID=12345  /     ext4  defaults");
        assert_eq!(set("/dev/sda1 /     ext4 \t d ", "UUID=1234567"), "UUID=1234567 /  ext4 \t d ");
        assert_eq!(set("  a\tb  c", "xyz"), "  xyz\tb  c");
        assert_eq!(set("aaaaaa  b", "x"), "x  b");
    }
}
