//! Property lists, as launchd stores them and other tools print them: always XML.

use plist::{Dictionary, Value};

/// The largest list that is parsed, in bytes; those we need have a few thousand. A larger one could be nested so deeply
/// that parsing it exhausts the stack.
const LARGEST: usize = 64 * 1024;

/// The dictionary in a list; `None` if it is anything else or too large.
#[must_use]
pub fn dictionary(bytes: &[u8]) -> Option<Dictionary> {
    if bytes.len() > LARGEST {
        return None;
    }
    Value::from_reader_xml(std::io::Cursor::new(bytes)).ok()?.into_dictionary()
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, dictionary};

    fn nested(depth: usize) -> Vec<u8> {
        let (start, end) = ("<array>".repeat(depth), "</array>".repeat(depth));
        format!("<plist><dict><key>a</key>{start}{end}</dict></plist>").into_bytes()
    }

    #[test]
    fn a_dictionary_is_read() {
        let list =
            dictionary(b"<?xml version=\"1.0\"?>\n<plist><dict><key>a</key><true/></dict></plist>").unwrap();
        assert_eq!(list.get("a").and_then(plist::Value::as_boolean), Some(true));
        for other in [&b""[..], b"<plist><true/></plist>", b"bplist00", b"<plist><dict><key>a</key>"] {
            assert_eq!(dictionary(other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn no_depth_takes_up_the_stack() {
        let deepest = (LARGEST - 100) / 15;
        assert!(dictionary(&nested(deepest)).is_some());
        assert_eq!(dictionary(&nested(100_000)), None);
        assert_eq!(dictionary(&nested(deepest * 2)[..LARGEST]), None);
    }
}
