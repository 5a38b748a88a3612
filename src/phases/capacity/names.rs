//! Names that a filesystem treats as equal, and names that it may reject.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Which names a filesystem treats as equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folds {
    /// Upper and lower case.
    pub case: bool,
    /// Different Unicode forms of a character, or invisible characters.
    pub form: bool,
}

impl Folds {
    /// Whether it folds names at all.
    #[must_use]
    pub fn any(self) -> bool {
        self.case || self.form
    }

    /// The folded form that two names share if such a filesystem may treat them as equal. Every system folds a little
    /// differently: this folds everything that any of them does.
    #[must_use]
    pub fn key(self, name: &[u8]) -> Cow<'_, [u8]> {
        if name.is_ascii() {
            let folded = self.case && name.iter().any(u8::is_ascii_uppercase);
            return if folded { name.to_ascii_lowercase().into() } else { name.into() };
        }
        let Ok(text) = std::str::from_utf8(name) else {
            return if self.case { name.to_ascii_lowercase().into() } else { name.into() };
        };
        let mut key = text.to_owned();
        // The result of one step may need folding by the next.
        for _ in 0..2 {
            if self.form {
                key = key.nfkd().filter(|character| !is_ignorable(*character)).collect();
            }
            if self.case {
                key = fold_case(&key);
            }
        }
        key.into_bytes().into()
    }
}

/// Lower, upper and lower case again: ß becomes ss, the three sigmas become one, and the Kelvin sign becomes k.
fn fold_case(text: &str) -> String {
    let down = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    down(&down(text).chars().flat_map(char::to_uppercase).collect::<String>())
}

/// Invisible characters that some filesystems ignore when comparing names.
fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A kind of names that some filesystems reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusual {
    /// Bytes that are not UTF-8.
    NoUtf8,
    /// A character beyond ASCII.
    NoAscii,
    /// A character beyond the first 65,536.
    Astral,
    /// A control character.
    Control,
    /// A character with a special meaning in DOS.
    Marker,
    /// A trailing dot or space.
    End,
    /// The name of a DOS device.
    Device,
}

impl Unusual {
    /// A name of all kinds: a filesystem that accepts it accepts all of them.
    pub const TOGETHER: &'static [u8] = b"con.\xf0\x9f\x98\x80\xc3\xa9\x01\n\\:*?\"<>|\xff .";

    /// All kinds, each with names to probe.
    pub const ALL: [(Self, &'static [&'static [u8]]); 7] = [
        (Self::NoUtf8, &[b"a\xff"]),
        (Self::NoAscii, &["\u{e9}".as_bytes(), "\u{3042}".as_bytes()]),
        (Self::Astral, &["\u{1f600}".as_bytes()]),
        (Self::Control, &[b"a\x01", b"a\n"]),
        (Self::Marker, &[b"a\\", b"a:", b"a*", b"a?", b"a\"", b"a<", b"a>", b"a|"]),
        (Self::End, &[b"a.", b"b "]),
        (Self::Device, &[b"con", b"aux.txt"]),
    ];

    /// Whether a name is of this kind.
    #[must_use]
    pub fn has(self, name: &[u8]) -> bool {
        match self {
            Self::NoUtf8 => std::str::from_utf8(name).is_err(),
            Self::NoAscii => !name.is_ascii(),
            Self::Astral => name.iter().any(|byte| *byte >= 0xf0),
            Self::Control => name.iter().any(|byte| *byte < b' ' || *byte == 0x7f),
            Self::Marker => name.iter().any(|byte| b"\\:*?\"<>|".contains(byte)),
            Self::End => name.ends_with(b".") || name.ends_with(b" "),
            Self::Device => {
                let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
                let stem = stem.trim_ascii_end().to_ascii_lowercase();
                let numbered = |start: &[u8]| stem.len() > 3 && stem.starts_with(start);
                [&b"con"[..], b"prn", b"aux", b"nul"].contains(&&*stem)
                    || numbered(b"com")
                    || numbered(b"lpt")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Folds, Unusual};

    const BOTH: Folds = Folds { case: true, form: true };

    fn same(folds: Folds, one: &str, other: &str) -> bool {
        folds.key(one.as_bytes()) == folds.key(other.as_bytes())
    }

    #[test]
    fn what_any_filesystem_takes_for_one_has_one_key() {
        for (one, other) in [
            ("Makefile", "makefile"),
            ("\u{c9}t\u{e9}", "\u{e9}t\u{e9}"),
            ("stra\u{df}e", "STRASSE"),
            ("stra\u{1e9e}e", "strasse"),
            ("\u{3c3}", "\u{3c2}"),
            ("\u{3a3}", "\u{3c2}"),
            ("\u{212a}", "k"),
            ("\u{17f}", "S"),
            ("\u{fb01}", "FI"),
            ("\u{212b}", "\u{e5}"),
            ("\u{390}", "\u{1fd3}"),
            ("\u{130}", "i\u{307}"),
            ("\u{345}", "\u{3b9}"),
            ("\u{10400}", "\u{10428}"),
            ("a\u{200d}b", "AB"),
            ("\u{f1}", "n\u{303}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
        ] {
            assert!(same(BOTH, one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        for (one, other) in [("a", "b"), ("a", "\u{e4}"), ("a.", "a"), ("\u{e9}", "e"), ("", " ")] {
            assert!(!same(BOTH, one, other), "{one:?} {other:?}");
        }
        assert_ne!(BOTH.key(b"a\xff"), BOTH.key(b"a\xfe"));
        assert_eq!(BOTH.key(b"A\xff"), BOTH.key(b"a\xff"));
    }

    #[test]
    fn only_what_is_folded_is_folded() {
        let (case, form) = (Folds { case: true, form: false }, Folds { case: false, form: true });
        assert!(same(case, "\u{c9}", "\u{e9}") && !same(case, "\u{e9}", "e\u{301}"));
        assert!(same(form, "\u{e9}", "e\u{301}") && !same(form, "\u{c9}", "\u{e9}"));
        assert!(!same(form, "A", "a") && !same(Folds::default(), "A", "a"));
    }

    #[test]
    fn each_kind_of_names_is_known_by_its_samples() {
        for (kind, samples) in Unusual::ALL {
            assert!(samples.iter().all(|sample| kind.has(sample)), "{kind:?}");
            assert!(kind.has(Unusual::TOGETHER), "{kind:?}");
            assert!(!kind.has(b"plain name.txt"), "{kind:?}");
        }
        assert!(
            Unusual::Device.has(b"COM1") && Unusual::Device.has(b"nul .x") && !Unusual::Device.has(b"com")
        );
    }
}
