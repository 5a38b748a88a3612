//! Parses the statistics that rsync prints at its end.

use crate::record::{Kinds, Statistics};

impl Statistics {
    /// Parses a line of rsync's standard output; `true` if it was part of the statistics.
    pub fn read_line(&mut self, line: &[u8]) -> bool {
        let Some((label, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(": "))
        else {
            return false;
        };
        match label {
            "Number of files" => self.files_by_kind = kinds(value),
            "Number of created files" => self.created_by_kind = kinds(value),
            "Number of deleted files" => self.deleted_by_kind = kinds(value),
            _ => {}
        }
        let field = match label {
            "Number of files" => &mut self.files,
            "Number of created files" => &mut self.created,
            "Number of deleted files" => &mut self.deleted,
            // 3.1.0 and later, and before.
            "Number of regular files transferred" | "Number of files transferred" => &mut self.transferred,
            "Total file size" => &mut self.total_size,
            "Total transferred file size" => &mut self.transferred_size,
            "Literal data" => &mut self.literal,
            "Matched data" => &mut self.matched,
            "Number of 4 KiB logical blocks touched" => &mut self.touched_blocks,
            "File list size" => &mut self.list_size,
            "Total bytes sent" => &mut self.sent,
            "Total bytes received" => &mut self.received,
            "File list generation time" => {
                self.list_generation_ms = milliseconds(value);
                return self.list_generation_ms.is_some();
            }
            "File list transfer time" => {
                self.list_transfer_ms = milliseconds(value);
                return self.list_transfer_ms.is_some();
            }
            _ => return false,
        };
        *field = plain_number(value);
        field.is_some()
    }

    /// Adds an earlier attempt at the same clone; what the source contains is taken from the last one.
    pub fn add_earlier(&mut self, earlier: &Self) {
        for (number, before) in [
            (&mut self.created, earlier.created),
            (&mut self.deleted, earlier.deleted),
            (&mut self.transferred, earlier.transferred),
            (&mut self.transferred_size, earlier.transferred_size),
            (&mut self.literal, earlier.literal),
            (&mut self.matched, earlier.matched),
            (&mut self.touched_blocks, earlier.touched_blocks),
            (&mut self.list_size, earlier.list_size),
            (&mut self.list_generation_ms, earlier.list_generation_ms),
            (&mut self.list_transfer_ms, earlier.list_transfer_ms),
            (&mut self.sent, earlier.sent),
            (&mut self.received, earlier.received),
        ] {
            if let Some(number) = number {
                *number = number.saturating_add(before.unwrap_or(0));
            }
        }
        for (kinds, before) in [
            (&mut self.created_by_kind, earlier.created_by_kind),
            (&mut self.deleted_by_kind, earlier.deleted_by_kind),
        ] {
            if let (Some(kinds), Some(before)) = (kinds, before) {
                kinds.add(&before);
            }
        }
    }

    /// Whether the statistics were printed: every version from 3.0.9 to 3.5.1 prints these.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        [self.files, self.transferred, self.total_size, self.transferred_size, self.literal, self.matched]
            .iter()
            .all(Option::is_some)
    }

    /// The lines of the statistics file that programs written for the original read; more follow below.
    #[must_use]
    pub fn original_lines(&self) -> [(&'static str, Option<u64>, &'static str); 4] {
        [
            ("Number of files", self.files, ""),
            ("Number of files transferred", self.transferred, ""),
            ("Total file size", self.total_size, " bytes"),
            ("Total transferred file size", self.transferred_size, " bytes"),
        ]
    }

    /// The lines that the original did not write.
    #[must_use]
    pub fn further_lines(&self) -> [(&'static str, Option<u64>, &'static str); 4] {
        [
            ("Number of created files", self.created, ""),
            ("Number of deleted files", self.deleted, ""),
            ("Literal data", self.literal, " bytes"),
            ("Matched data", self.matched, " bytes"),
        ]
    }
}

/// `1,507 (reg: 1,502)` is 1507, as is `1.507 bytes`: digits are grouped by commas or dots, depending on the locale.
fn plain_number(value: &str) -> Option<u64> {
    let digits: String =
        value.split(' ').next()?.chars().filter(|character| !",.".contains(*character)).collect();
    digits.parse().ok()
}

/// `0.001 seconds` is 1: rsync prints three decimals, after a comma in some locales.
fn milliseconds(value: &str) -> Option<u64> {
    let (whole, decimals) = value.strip_suffix(" seconds")?.split_once(['.', ','])?;
    if decimals.len() != 3 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(decimals.parse().ok()?)
}

/// `4 (reg: 1, dir: 2, special: 1)`: zero counts are omitted, and without parentheses nothing is known unless it is 0.
fn kinds(value: &str) -> Option<Kinds> {
    let mut kinds = Kinds::default();
    let Some((_, list)) = value.split_once(" (") else {
        return (plain_number(value) == Some(0)).then_some(kinds);
    };
    for (name, number) in list.strip_suffix(')')?.split(", ").filter_map(|item| item.split_once(": ")) {
        let field = match name {
            "reg" => &mut kinds.files,
            "dir" => &mut kinds.dirs,
            "link" => &mut kinds.links,
            "dev" => &mut kinds.devices,
            "special" => &mut kinds.special,
            _ => return None,
        };
        *field = plain_number(number)?;
    }
    Some(kinds)
}

#[cfg(test)]
mod tests {
    use super::{kinds, milliseconds};
    use crate::record::{Kinds, Statistics};

    fn read(block: &str) -> Statistics {
        let mut statistics = Statistics::default();
        for line in block.lines() {
            statistics.read_line(line.as_bytes());
        }
        statistics
    }

    #[test]
    fn numbers_are_plain_in_every_form() {
        let of = |line: &str| read(line).files;
        assert_eq!(of("Number of files: 1507"), Some(1507));
        assert_eq!(of("Number of files: 1,507 (reg: 1,502, dir: 2)"), Some(1507));
        assert_eq!(of("Number of files: 1.507 (reg: 1.502, dir: 2)"), Some(1507));
        assert_eq!(of("Number of files: "), None);
        assert_eq!(of("Number of files: 99999999999999999999999"), None);
    }

    #[test]
    fn kinds_and_times_are_read_in_every_form() {
        let grouped = Kinds { files: 1502, dirs: 2, special: 1, ..Kinds::default() };
        assert_eq!(kinds("1,505 (reg: 1,502, dir: 2, special: 1)"), Some(grouped));
        assert_eq!(kinds("1.505 (reg: 1.502, dir: 2, special: 1)"), Some(grouped));
        assert_eq!(kinds("0"), Some(Kinds::default()));
        for unknown in ["5", "", "5 (reg: 5", "5 (reg: x)", "5 (door: 5)"] {
            assert_eq!(kinds(unknown), None, "{unknown:?}");
        }
        assert_eq!(milliseconds("12.345 seconds"), Some(12_345));
        assert_eq!(milliseconds("0,001 seconds"), Some(1));
        for unknown in ["1 seconds", "1.5 seconds", "0.001", "", "99999999999999999999.000 seconds"] {
            assert_eq!(milliseconds(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_part_of_the_block_is_not_the_block() {
        assert!(!read("Number of files: 3\nTotal file size: 5 bytes").is_complete());
    }

    /// The output of a version, from the captured files.
    macro_rules! captured {
        ($version:literal, $case:literal) => {
            read(include_str!(concat!("../../tests/fixtures/rsync/", $version, "/", $case, ".out")))
        };
    }

    #[test]
    fn every_generation_says_the_same() {
        let expected = Statistics {
            files: Some(1507),
            created: Some(1506),
            deleted: Some(1),
            transferred: Some(1502),
            total_size: Some(12_359_585),
            transferred_size: Some(12_359_584),
            literal: Some(12_359_584),
            matched: Some(0),
            files_by_kind: Some(Kinds { files: 1502, dirs: 2, links: 1, devices: 1, special: 1 }),
            created_by_kind: Some(Kinds { files: 1502, dirs: 1, links: 1, devices: 1, special: 1 }),
            deleted_by_kind: Some(Kinds { files: 1, ..Kinds::default() }),
            ..Statistics::default()
        };
        let oldest = captured!("3.0.9", "statistics");
        assert_eq!(oldest.list_size, Some(18609));
        assert_eq!((oldest.list_generation_ms, oldest.list_transfer_ms), (Some(1), Some(0)));
        assert_eq!((oldest.sent, oldest.received), (Some(12_444_309), Some(28_563)));
        assert_eq!(captured!("3.5.1", "statistics").touched_blocks, Some(4516));
        // The size of rsync's protocol overhead differs by version.
        let of_the_files = |found: Statistics| Statistics {
            touched_blocks: None,
            list_size: None,
            list_generation_ms: None,
            list_transfer_ms: None,
            sent: None,
            received: None,
            ..found
        };
        let without = Statistics { created: None, deleted: None, files_by_kind: None, ..expected };
        let without = Statistics { created_by_kind: None, deleted_by_kind: None, ..without };
        assert_eq!(of_the_files(oldest), without);
        assert!(oldest.is_complete() && expected.is_complete());
        for found in [
            captured!("3.1.0", "statistics"),
            captured!("3.1.3", "statistics"),
            // With a line between the literal and the matched data.
            captured!("3.5.1", "statistics"),
        ] {
            assert_eq!(found.list_transfer_ms, Some(0));
            assert_eq!(of_the_files(found), expected);
        }
    }

    #[test]
    fn groups_of_digits_are_read_whole() {
        let found = captured!("3.1.3", "statistics-grouped");
        assert_eq!((found.files, found.transferred, found.created), (Some(1503), Some(1502), Some(1502)));
        assert!(found.is_complete());
    }

    #[test]
    fn the_block_of_a_partial_transfer_is_whole() {
        assert!(captured!("3.0.9", "no-inodes").is_complete());
        assert!(captured!("3.1.3", "vanished").is_complete());
        assert!(captured!("3.5.1", "read-error").is_complete());
    }
}
