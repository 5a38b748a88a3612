//! A secret: redacted when shown, zeroed when dropped, and without a way into an argument or an environment.

use std::fmt;

use zeroize::{Zeroize as _, Zeroizing};

/// A password.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one who hands them to a program's standard input or a library.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, where the bytes are one.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one line end away, as a file or a pipe has behind its only line.
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

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn it_is_never_shown() {
        let mut secret = Secret::new(b"word\n\n".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        secret.strip_line_end();
        assert_eq!(secret.expose(), b"word\n");
    }
}
