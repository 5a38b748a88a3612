//! The names of rsync's temporary files, `.NAME.XXXXXX`, which are gone afterwards.

/// The paths a temporary file may stand for, if the last component looks like one; the first is more likely.
///
/// From 3.1.0 on no second dot is put before a name that begins with one, so both are possible.
pub fn originals(path: &[u8]) -> Option<[Vec<u8>; 2]> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(start);
    let name = name.strip_prefix(b".")?;
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let (original, random) = (&name[..dot], &name[dot + 1..]);
    // From `mkstemp`, or a number for a link or device.
    let is_random = (random.len() == 6 && random.iter().all(u8::is_ascii_alphanumeric))
        || (!random.is_empty() && random.len() <= 6 && random.iter().all(u8::is_ascii_digit));
    if original.is_empty() || !is_random {
        return None;
    }
    Some([[directory, original].concat(), [directory, b".", original].concat()])
}

/// The path with a different last component.
pub fn beside(path: &[u8], name: &[u8]) -> Vec<u8> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&path[..start], name].concat()
}

#[cfg(test)]
mod tests {
    use super::originals;
    use crate::rsync::diagnostics::tests::read;

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

    #[test]
    fn temporary_files_have_the_names_of_what_they_were_to_become() {
        let named = |line: &str, there: &[&str]| {
            let mut found = read(line);
            found.name_temporaries(|path| there.iter().any(|name| name.as_bytes() == path));
            found.paths
        };
        let refused = "rsync: [receiver] set_acl: sys_acl_set_fd_type(x/.f.Ab12Cd, ACL_TYPE_ACCESS): Invalid argument \
                       (22)";
        assert_eq!(named(refused, &["x/f"]), ["x/f"]);
        assert_eq!(named(refused, &["x/.f"]), ["x/.f"]);
        assert_eq!(named(refused, &["x/.f.Ab12Cd", "x/f"]), ["x/.f.Ab12Cd"]);
        assert_eq!(named(refused, &[]), ["x/f"]);
        let renamed = "rsync: [receiver] rename \"/d/x/.profile.Ab12Cd\" -> \"x/.profile\": Operation not permitted (1)";
        assert_eq!(named(renamed, &["/d/x/profile"]), ["/d/x/.profile"]);
        let of_source = "rsync: [sender] send_files failed to open \"/s/.f.Ab12Cd\": Permission denied (13)";
        assert_eq!(named(of_source, &["/s/f"]), ["/s/.f.Ab12Cd"]);
        let attribute = "rsync: [receiver] rsync_xal_set: fsetxattr(\"/d/.f.Ab12Cd\",\"user.x\") failed: No space left \
                         on device (28)";
        let mut found = read(attribute);
        found.name_temporaries(|path| path == b"/d/f");
        assert_eq!(found.limited.unwrap().examples, ["/d/f"]);
    }
}
