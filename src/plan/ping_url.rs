//! The address to ping about a run. Its path is effectively a password, so it is never displayed.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

/// An `http` or `https` address.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Uri);

/// Why an address is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be parsed.
    #[error("it is not a URL: write https://HOST/PATH")]
    Form,
    /// Another scheme, or none.
    #[error("it does not begin with https:// or http://")]
    Scheme,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(|_| AddressError::Form)?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Self(uri)),
            Some("http" | "https") => Err(AddressError::Form),
            Some(_) | None => Err(AddressError::Scheme),
        }
    }
}

impl Address {
    /// The whole address with `more` appended to its path, before the query: for requests, not for display.
    #[must_use]
    pub fn with(&self, more: &str) -> String {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let path = if more.is_empty() { self.0.path() } else { self.0.path().trim_end_matches('/') };
        let query = self.0.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{authority}{path}{more}{query}")
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

/// Scheme and host only.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}://{}",
            self.0.scheme_str().unwrap_or_default(),
            self.0.host().unwrap_or_default()
        )
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError};

    #[test]
    fn the_query_stays_behind_the_path() {
        for (text, start, plain) in [
            ("https://hc-ping.com/uuid", "https://hc-ping.com/uuid/start", "https://hc-ping.com/uuid"),
            (
                "http://h:8000/a/b/?create=1",
                "http://h:8000/a/b/start?create=1",
                "http://h:8000/a/b/?create=1",
            ),
            ("https://h", "https://h/start", "https://h/"),
            ("https://u:p@h/x", "https://u:p@h/x/start", "https://u:p@h/x"),
            ("http://[::1]:80/x", "http://[::1]:80/x/start", "http://[::1]:80/x"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.with("/start").as_str(), address.with("").as_str()), (start, plain));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let address: Address = "https://user:secret@hc-ping.com:444/secret?key=secret".parse().unwrap();
        assert_eq!(address.to_string(), "https://hc-ping.com");
        assert_eq!(format!("{address:?}"), "https://hc-ping.com");
    }

    #[test]
    fn only_the_web_is_spoken_to() {
        let of = str::parse::<Address>;
        for other in ["ftp://h/x", "file:///etc/passwd", "hc-ping.com/uuid", "/uuid", "hc-ping.com"] {
            assert!(of(other).is_err(), "{other}");
        }
        assert_eq!(of("ftp://h/x"), Err(AddressError::Scheme));
        for bad in ["", "http://", "https:///x", "https://h/a b", "https://h/\n", "http://:80/"] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
