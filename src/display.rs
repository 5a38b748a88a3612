//! How names and other programs' output are displayed: nothing printed can forge a line or control a terminal.
//!
//! The format is rsync's own: `\#ooo`, with three octal digits, for a byte that cannot be displayed.

pub mod words;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A name for display: control characters, invalid UTF-8 and invisible characters become `\#ooo`.
#[derive(Clone, Copy)]
pub struct Shown<'a>(&'a [u8]);

/// Displays a path.
#[must_use]
pub fn path(path: &Path) -> Shown<'_> {
    Shown(path.as_os_str().as_bytes())
}

/// Displays a name or an argument.
#[must_use]
pub fn name(name: &OsStr) -> Shown<'_> {
    Shown(name.as_bytes())
}

/// Displays a line printed by another program.
#[must_use]
pub fn line(bytes: &[u8]) -> Shown<'_> {
    Shown(bytes)
}

/// The reason of an error in words, without the error number that std appends.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut rest = chunk.valid();
            // Written in runs, as millions of lines may pass through here.
            while let Some((at, harmful)) =
                rest.char_indices().find(|(_, character)| !is_harmless(*character))
            {
                let end = at + harmful.len_utf8();
                formatter.write_str(&rest[..at])?;
                octal(formatter, &rest.as_bytes()[at..end])?;
                rest = &rest[end..];
            }
            formatter.write_str(rest)?;
            octal(formatter, chunk.invalid())?;
        }
        Ok(())
    }
}

fn octal(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "\\#{byte:03o}"))
}

/// Control characters control terminals; separators, bidirectional and invisible characters disguise names.
fn is_harmless(character: char) -> bool {
    character == '\t'
        || character.is_ascii_graphic()
        || character == ' '
        || !(character.is_control()
            || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character)))
}

/// Characters that are invisible or reorder the text after them: `Default_Ignorable_Code_Point` of Unicode 16.0
/// (DerivedCoreProperties.txt), which includes variation selectors, tags and unassigned code points; `Bidi_Control`
/// (PropList.txt); the line and paragraph separators; musical and hieroglyphic format controls; the blank Braille
/// pattern and the null notehead; and private-use characters, which each font displays differently.
const INVISIBLE: [(char, char); 22] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{f0000}', '\u{10ffff}'),
];

/// The bytes of a name that rsync printed, with `\#ooo` decoded.
#[must_use]
pub fn unescape(printed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(printed.len());
    let mut rest = printed;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = rest.strip_prefix(b"\\#").and_then(|tail| tail.first_chunk::<3>());
        if let Some(value) = digits.and_then(|digits| octal_value(*digits)) {
            bytes.push(value);
            rest = &rest[5..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

/// The bytes of a name in which udev and blkid have written some as `\xNN`; `None` if one has no two digits.
#[must_use]
pub fn decode_hex(printed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(printed.len());
    let mut rest = printed;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(digits) = rest.strip_prefix(b"\\x") {
            let digits =
                digits.first_chunk::<2>().filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &rest[4..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    Some(bytes)
}

fn octal_value(digits: [u8; 3]) -> Option<u8> {
    // The standard library would accept a sign as well.
    let text = std::str::from_utf8(&digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::{line, unescape};

    #[test]
    fn what_could_drive_a_terminal_is_escaped() {
        assert_eq!(
            line(b"a\nb\x1b[2J\xff \xc3\xbc \xe2\x80\xaex").to_string(),
            "a\\#012b\\#033[2J\\#377 \u{fc} \\#342\\#200\\#256x"
        );
    }

    #[test]
    fn what_is_invisible_is_escaped() {
        for character in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200f}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2065}',
            '\u{206f}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fff9}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e007f}',
            '\u{e01ef}',
            '\u{e0fff}',
            '\u{e000}',
            '\u{10fffd}',
            '\u{80}',
            '\u{9b}',
            '\u{85}',
        ] {
            let name = format!("a{character}b");
            let shown = line(name.as_bytes()).to_string();
            assert!(shown.starts_with("a\\#") && shown.ends_with('b') && shown.is_ascii(), "{shown:?}");
            assert_eq!(unescape(shown.as_bytes()), name.as_bytes());
        }
        let visible = "Größe 名前 имя שם اسم नाम 🙂 ~!\u{301}\u{3000}";
        assert_eq!(line(visible.as_bytes()).to_string(), visible);
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(super::INVISIBLE.iter().all(|(first, last)| first <= last));
        assert!(super::INVISIBLE.is_sorted_by(|one, other| one.1 < other.0));
    }

    #[test]
    fn rsyncs_escapes_are_turned_back() {
        assert_eq!(unescape(b"a\\#012b\\#134#012\\#9\\#"), b"a\nb\\#012\\#9\\#");
        assert_eq!(unescape(b"\\#777"), b"\\#777", "no byte has that value");
        assert_eq!(unescape(b"\\#+12"), b"\\#+12", "a sign is no digit");
    }
}
