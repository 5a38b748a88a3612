//! The keychain of macOS, through `security`: its input, its arguments and its output.

use std::ffi::OsString;

use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::Secret;

/// The keychain that root can read without user interaction.
pub const KEYCHAIN: &str = "/Library/Keychains/System.keychain";

/// The account of the stored item; its service identifies the prefix.
const ACCOUNT: &str = "counterpart";

/// The longest line that `security -i` accepts, in bytes, with its end: the rest would be run as another command.
const LONGEST_LINE: usize = 4095;

/// Why a password cannot be passed to `security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unquotable {
    /// There is nothing to store.
    #[error("the password is empty")]
    Empty,
    /// A line is a command, and its end cannot be escaped.
    #[error("the password contains a newline, which the keychain's tool does not accept")]
    LineEnd,
    /// A NUL byte ends a string there.
    #[error("the password contains a NUL byte, which the keychain's tool does not accept")]
    Zero,
    /// The line would be truncated.
    #[error("the password is too long for the keychain's tool")]
    TooLong,
}

/// The line for the standard input of `security -i` that stores the password, replacing an earlier one.
///
/// Errors if the password cannot be written there; nothing is ever omitted or changed.
pub fn add_line(service: &str, password: &Secret) -> Result<Zeroizing<Vec<u8>>, Unquotable> {
    let bytes = password.expose();
    if bytes.is_empty() {
        return Err(Unquotable::Empty);
    }
    if bytes.contains(&b'\n') {
        return Err(Unquotable::LineEnd);
    }
    if bytes.contains(&0) {
        return Err(Unquotable::Zero);
    }
    // One allocation: a growing buffer would leave copies of the password behind.
    let mut line = Zeroizing::new(Vec::with_capacity(2 * bytes.len() + service.len() + 128));
    let start = format!("add-generic-password -U -a \"{ACCOUNT}\" -s \"{service}\" -w \"");
    line.extend_from_slice(start.as_bytes());
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            line.push(b'\\');
        }
        line.push(*byte);
    }
    line.extend_from_slice(format!("\" \"{KEYCHAIN}\"\n").as_bytes());
    if line.len() > LONGEST_LINE { Err(Unquotable::TooLong) } else { Ok(line) }
}

/// The arguments that make `security` print the item and, on standard error, its password.
///
/// `-w` would print some passwords in hexadecimal without saying so.
#[must_use]
pub fn find_arguments(service: &str) -> Vec<OsString> {
    ["find-generic-password", "-g", "-a", ACCOUNT, "-s", service, KEYCHAIN].map(OsString::from).into()
}

/// The arguments that make `security` delete the item.
#[must_use]
pub fn delete_arguments(service: &str) -> Vec<OsString> {
    ["delete-generic-password", "-a", ACCOUNT, "-s", service, KEYCHAIN].map(OsString::from).into()
}

/// Parses the password printed by `find-generic-password -g` on standard error: `password: "…"`, with some bytes as
/// `\ooo`, or `password: 0xHEX  "…"`.
#[must_use]
pub fn read_password(err: &[u8]) -> Option<Secret> {
    let printed = err.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"password: "))?;
    match printed.strip_prefix(b"0x") {
        Some(digits) => from_hex(digits.split(|byte| *byte == b' ').next()?),
        None => from_octal(printed.trim_ascii_end().strip_prefix(b"\"")?.strip_suffix(b"\"")?),
    }
}

fn from_hex(digits: &[u8]) -> Option<Secret> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    gather(digits.len() / 2, digits.chunks(2).map(|pair| number(pair, 16)))
}

fn from_octal(mut text: &[u8]) -> Option<Secret> {
    let longest = text.len();
    let bytes = std::iter::from_fn(|| {
        let (first, rest) = text.split_first()?;
        if *first != b'\\' {
            text = rest;
            return Some(Some(*first));
        }
        let digits = rest.first_chunk::<3>();
        text = rest.get(3..).unwrap_or_default();
        Some(digits.and_then(|digits| number(digits, 8)))
    });
    gather(longest, bytes)
}

/// Zeroes the bytes collected so far if a part cannot be parsed.
fn gather(length: usize, bytes: impl Iterator<Item = Option<u8>>) -> Option<Secret> {
    let mut gathered = Vec::with_capacity(length);
    for byte in bytes {
        if let Some(byte) = byte {
            gathered.push(byte);
        } else {
            gathered.zeroize();
            return None;
        }
    }
    (!gathered.is_empty()).then(|| Secret::new(gathered))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let is_digit = |digit: &u8| char::from(*digit).is_digit(radix);
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(is_digit))?;
    u8::from_str_radix(text, radix).ok()
}

/// What the exit code of `security` means: the last byte of the system's error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is no such item.
    NotFound,
    /// Anything else, in words.
    Failed(&'static str),
}

/// Interprets the exit code of a failed `security`; `None` if its meaning is unknown.
#[must_use]
pub fn answer(code: i32) -> Option<Answer> {
    Some(match code {
        44 => Answer::NotFound,
        45 => Answer::Failed("it already holds such an item, which could not be replaced"),
        36 => Answer::Failed("it is locked, or waits for an answer on the screen, and nobody is there"),
        50 => Answer::Failed("it does not exist"),
        51 => Answer::Failed("it denied access (run as root)"),
        128 => Answer::Failed("access was denied on the screen"),
        195 => Answer::Failed("it may not be written (run as root)"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(password: &[u8]) -> Result<Vec<u8>, Unquotable> {
        add_line("me.jedda.counterpart", &Secret::new(password.to_vec())).map(|line| line.to_vec())
    }

    #[test]
    fn a_password_is_quoted_exactly() {
        let expected = "add-generic-password -U -a \"counterpart\" -s \"me.jedda.counterpart\" \
                        -w \"a \\\"b\\\" \\\\ 'c' = \u{fc}\t\" \"/Library/Keychains/System.keychain\"\n";
        assert_eq!(line("a \"b\" \\ 'c' = \u{fc}\t".as_bytes()).unwrap(), expected.as_bytes());
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        assert_eq!(line(b""), Err(Unquotable::Empty));
        assert_eq!(line(b"a\nb"), Err(Unquotable::LineEnd));
        assert_eq!(line(b"a\0b"), Err(Unquotable::Zero));
        assert_eq!(line(&[b'x'; 4096]), Err(Unquotable::TooLong));
        assert!(line(&[b'\\'; 1900]).is_ok());
    }

    #[test]
    fn the_answer_is_read_without_a_doubt() {
        let of = |text: &[u8]| read_password(text).map(|secret| secret.expose().to_vec());
        assert_eq!(of(b"password: \"414243\"\n").unwrap(), b"414243");
        assert_eq!(of(b"password: 0x414243  \"ABC\"\n").unwrap(), b"ABC");
        assert_eq!(of(b"password: 0xC3BC\n").unwrap(), "\u{fc}".as_bytes());
        assert_eq!(of(b"noise\npassword: \"a\"b\\134 \"\n").unwrap(), b"a\"b\\ ");
        assert_eq!(of(b"password: \"0x41\"\n").unwrap(), b"0x41");
        for bad in
            ["", "password: \n", "password: \"\"", "password: \"a", "password: 0x4", "password: \"\\9\""]
        {
            assert_eq!(of(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
