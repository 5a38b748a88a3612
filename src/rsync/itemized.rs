//! Parses rsync's items: what is created, changed and deleted, or would be by a dry run.

/// What happens to one entry of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is deleted.
    Delete,
    /// It is created, or replaces something of another type.
    Create,
    /// Its content, target or device number is replaced.
    Replace,
    /// Only attributes change.
    Attributes,
}

/// An item: the change and the name as printed, with rsync's escapes; a directory's name ends with a slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// What happens.
    pub change: Change,
    /// rsync's eleven letters, such as `>f.st......`.
    pub letters: &'a str,
    /// The name, relative to the source.
    pub name: &'a [u8],
}

impl<'a> Item<'a> {
    /// Parses a line of `--out-format='%i %n'`.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        // The word is padded to the width of the letters; the rest is the name, including spaces.
        if let Some(name) = line.strip_prefix(b"*deleting   ") {
            return Some(Self { change: Change::Delete, letters: "*deleting", name });
        }
        let space = line.iter().position(|byte| *byte == b' ')?;
        let (letters, name) = (std::str::from_utf8(&line[..space]).ok()?, &line[space + 1..]);
        let mut characters = letters.chars();
        let (update, kind) = (characters.next()?, characters.next()?);
        // Nine letters follow since 3.0.0; a message that happens to begin like an item has different ones.
        if letters.len() < 9 || !"<>ch.".contains(update) || !"fdLDS".contains(kind) {
            return None;
        }
        let attributes = characters.as_str();
        if !attributes.chars().all(|letter| ".+ ?cstTpougaxnb".contains(letter)) {
            return None;
        }
        let change = if attributes.contains('+') {
            Change::Create
        } else if update == '.' {
            Change::Attributes
        } else {
            Change::Replace
        };
        Some(Self { change, letters, name })
    }

    /// Whether it is the root with another time and nothing else: each run changes that by its own files there.
    #[must_use]
    pub fn is_root_time(&self) -> bool {
        self.name == b"./"
            && self.letters.strip_prefix(".d").is_some_and(|rest| rest.trim_matches('.') == "t")
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.name.ends_with(b"/")
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Item};

    #[test]
    fn every_kind_of_item_is_read() {
        for (line, change, name) in [
            ("*deleting   extra dir/", Change::Delete, "extra dir/"),
            ("*deleting     two blanks", Change::Delete, "  two blanks"),
            (">f+++++++++ new", Change::Create, "new"),
            ("cd+++++++++ new/", Change::Create, "new/"),
            (">f.st...... a b", Change::Replace, "a b"),
            ("cLc........ lnk", Change::Replace, "lnk"),
            ("hf......... h1", Change::Replace, "h1"),
            (".d..t...... ./", Change::Attributes, "./"),
            (".f...pog.x. x", Change::Attributes, "x"),
        ] {
            let item = Item::read(line.as_bytes()).unwrap();
            assert_eq!((item.change, item.name), (change, name.as_bytes()), "{line}");
        }
    }

    #[test]
    fn other_lines_are_no_items() {
        for line in
            ["", "sending incremental file list", "sent 10 bytes", "total size is 5", "skipping x", "a b"]
        {
            assert_eq!(Item::read(line.as_bytes()), None, "{line}");
        }
    }
}
