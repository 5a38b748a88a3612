//! The names of rsync's temporary files, `.NAME.XXXXXX`, which nobody can find afterwards.

/// What a path may have been named for, if its last part looks like a temporary file's: the first is more likely.
///
/// A name that begins with a dot gets no second one from 3.1.0 on, so that both are possible.
pub fn originals(path: &[u8]) -> Option<[Vec<u8>; 2]> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(start);
    let name = name.strip_prefix(b".")?;
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let (original, random) = (&name[..dot], &name[dot + 1..]);
    // From `mkstemp`, or a number where rsync makes a link or a device.
    let is_random = (random.len() == 6 && random.iter().all(u8::is_ascii_alphanumeric))
        || (!random.is_empty() && random.len() <= 6 && random.iter().all(u8::is_ascii_digit));
    if original.is_empty() || !is_random {
        return None;
    }
    Some([[directory, original].concat(), [directory, b".", original].concat()])
}

/// The path with another last part.
pub fn beside(path: &[u8], name: &[u8]) -> Vec<u8> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&path[..start], name].concat()
}

#[cfg(test)]
mod tests {
    use super::originals;

    #[test]
    fn temporary_names_lead_back_to_their_files() {
        for (path, expected) in [
            ("/d/.größe.txt.Ompcl7", Some("/d/größe.txt")),
            (".f.a1B2c3", Some("f")),
            ("/d/x/.a.b.c.ZZZZZZ", Some("/d/x/a.b.c")),
            ("/d/..hidden.abcdef", Some("/d/.hidden")),
            ("/d/.l.4711", Some("/d/l")),
            ("/d/f.Ompcl7", None),
            ("/d/.f.Ompc", None),
            ("/d/.f.Ompcl77", None),
            ("/d/.Ompcl7", None),
            ("/d/..Ompcl7", None),
            ("/d.x.Ompcl7/f", None),
            ("", None),
        ] {
            let found = originals(path.as_bytes()).map(|found| found[0].clone());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
        assert_eq!(originals(b".profile.abcdef").unwrap()[1], b".profile");
    }
}
