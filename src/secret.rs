//! A secret: redacted when displayed, zeroed on drop, and impossible to put into an argument or environment.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::{Zeroize as _, Zeroizing};

/// The longest password, in bytes: every store preserves it and every prompt accepts it.
pub const LONGEST: usize = 1000;

/// A password.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for passing to a program's standard input or a library.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, if the bytes are valid UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why it is not usable as a password, as the end of a sentence: one that cannot be typed again for a restore would
    /// lock its owner out.
    #[must_use]
    pub fn objection(&self) -> Option<&'static str> {
        if self.is_empty() {
            return Some("is empty");
        }
        if self.0.len() > LONGEST {
            return Some("is longer than 1000 bytes");
        }
        let Some(text) = self.expose_text() else { return Some("is not UTF-8") };
        if text.contains(['\n', '\r']) {
            return Some("has more than one line");
        }
        text.contains(char::is_control).then_some("contains a control character, which no prompt accepts")
    }

    /// Removes one trailing line end, as a file or pipe with a single line has.
    pub fn strip_line_end(&mut self) {
        if self.0.last() == Some(&b'\n') {
            if let Some(last) = self.0.last_mut() {
                last.zeroize();
            }
            self.0.pop();
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A secret that is handed over once: the taker holds the only copy.
#[derive(Debug, Clone)]
pub struct Once(Arc<Mutex<Option<Secret>>>);

impl Once {
    /// Stores a secret until it is taken.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Arc::new(Mutex::new(Some(secret))))
    }

    /// Shows the secret to `look`, unless it has been taken.
    pub fn show(&self, look: impl FnOnce(&Secret)) {
        if let Some(secret) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            look(secret);
        }
    }

    /// The secret, on the first call only.
    #[must_use]
    pub fn take(&self) -> Option<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Once, Secret};

    #[test]
    fn what_cannot_be_typed_is_objected_to() {
        let of = |bytes: &[u8]| Secret::new(bytes.to_vec()).objection();
        for fine in ["x", " a \"b\" 'c'=$d\\ ", "Pässwörd\u{2603}", &"x".repeat(LONGEST)] {
            assert_eq!(of(fine.as_bytes()), None, "{fine}");
        }
        let long = vec![b'x'; LONGEST + 1];
        for bad in [b"".as_slice(), b"a\nb", b"a\r", b"a\tb", b"\0", b"\xff", &long] {
            assert!(of(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn it_is_never_shown() {
        let mut secret = Secret::new(b"word\n\n".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        secret.strip_line_end();
        assert_eq!(secret.expose(), b"word\n");
    }

    #[test]
    fn it_is_handed_over_once() {
        let once = Once::new(Secret::new(b"word".to_vec()));
        let other = once.clone();
        assert_eq!(once.take().map(|secret| secret.expose().to_vec()), Some(b"word".to_vec()));
        assert!(other.take().is_none() && once.take().is_none());
    }
}
