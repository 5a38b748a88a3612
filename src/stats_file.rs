//! `.PREFIX.counterpart.stats`, read back: what a run of ours or of the original left at the destination.

use serde::{Deserialize, Serialize};

/// What a statistics file says. A value is missing where the file does not tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsFile {
    /// When the run began, in seconds since 1970.
    pub started: Option<i64>,
    /// When rsync ended, in seconds since 1970. Ours say so of a success only; the original said it of failures too.
    pub completed: Option<i64>,
    /// When rsync ended after a failure, in seconds since 1970; not in the original's.
    pub ended: Option<i64>,
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// The size of all files in the source, in bytes.
    pub total_size: Option<u64>,
    /// The size of the files whose contents were copied, in bytes.
    pub transferred_size: Option<u64>,
    /// Entries made at the destination; not in the original's.
    pub created: Option<u64>,
    /// Entries deleted at the destination; not in the original's.
    pub deleted: Option<u64>,
    /// Bytes that were sent as they are; not in the original's.
    pub literal: Option<u64>,
    /// Bytes that the destination had already; not in the original's.
    pub matched: Option<u64>,
    /// The code of the run; not in the original's.
    pub exit_code: Option<u8>,
}

impl StatsFile {
    /// Reads a file's content. Lines that are not known are passed over; `None` when not a single one is.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let mut file = Self::default();
        let known = content.split(|byte| *byte == b'\n').filter(|line| file.read_line(line)).count();
        (known > 0).then_some(file)
    }

    fn read_line(&mut self, line: &[u8]) -> bool {
        let Some((label, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(": "))
        else {
            return false;
        };
        match label {
            "Clone Started" => keep(&mut self.started, value),
            "Clone Completed" => keep(&mut self.completed, value),
            "Clone Ended" => keep(&mut self.ended, value),
            "Exit Code" => keep(&mut self.exit_code, value),
            "Number of files" => keep(&mut self.files, value),
            "Number of files transferred" => keep(&mut self.transferred, value),
            "Total file size" => keep(&mut self.total_size, value),
            "Total transferred file size" => keep(&mut self.transferred_size, value),
            "Number of created files" => keep(&mut self.created, value),
            "Number of deleted files" => keep(&mut self.deleted, value),
            "Literal data" => keep(&mut self.literal, value),
            "Matched data" => keep(&mut self.matched, value),
            _ => false,
        }
    }

    /// How long the run took, in seconds, if the file tells and no clock was set meanwhile.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let ended = self.completed.or(self.ended)?;
        ended.checked_sub(self.started?).filter(|seconds| *seconds >= 0)
    }
}

/// Plain digits, with or without the unit; anything else leaves the field as it is.
fn keep<T: std::str::FromStr>(field: &mut Option<T>, value: &str) -> bool {
    let value = value.trim_end();
    let parsed = value.strip_suffix(" bytes").unwrap_or(value).parse().ok();
    let is_known = parsed.is_some();
    if is_known {
        *field = parsed;
    }
    is_known
}

#[cfg(test)]
mod tests {
    use super::StatsFile;

    #[test]
    fn the_originals_six_lines_are_read() {
        let file = StatsFile::parse(
            b"Clone Started: 1395391326\nNumber of files: 133002\nNumber of files transferred: 1204\n\
              Total file size: 24697752 bytes\nTotal transferred file size: 12352071 bytes\n\
              Clone Completed: 1395391566\n",
        )
        .unwrap();
        let expected = StatsFile {
            started: Some(1_395_391_326),
            completed: Some(1_395_391_566),
            files: Some(133_002),
            transferred: Some(1204),
            total_size: Some(24_697_752),
            transferred_size: Some(12_352_071),
            ..StatsFile::default()
        };
        assert_eq!(file, expected);
        assert_eq!(file.seconds(), Some(240));
    }

    #[test]
    fn the_lines_that_we_add_are_read() {
        let file = StatsFile::parse(
            b"Clone Started: 10\nNumber of files: 5\nClone Ended: 14\nNumber of created files: 4\n\
              Number of deleted files: 3\nLiteral data: 2 bytes\nMatched data: 1 bytes\nSomething New: 9\n\
              Exit Code: 23\n",
        )
        .unwrap();
        assert_eq!((file.started, file.completed, file.ended), (Some(10), None, Some(14)));
        assert_eq!((file.created, file.deleted), (Some(4), Some(3)));
        assert_eq!((file.literal, file.matched, file.exit_code), (Some(2), Some(1), Some(23)));
        assert_eq!(file.seconds(), Some(4));
    }

    #[test]
    fn damage_is_no_number_and_no_panic() {
        for nothing in [
            "",
            "\n\n",
            "\0\0\0\0",
            "Number of files",
            "Number of files: ",
            "Number of files: many\n",
            "Number of files: -1\n",
            "Number of files: 99999999999999999999999\n",
            "Exit Code: 256\n",
            "number of files: 5\n",
        ] {
            assert_eq!(StatsFile::parse(nothing.as_bytes()), None, "{nothing:?}");
        }
        assert_eq!(StatsFile::parse(b"\xff\xfe: 5\nClone Started: 7\n").unwrap().started, Some(7));
        let torn = StatsFile::parse(b"Clone Started: 7\nNumber of fil").unwrap();
        assert_eq!((torn.started, torn.files, torn.seconds()), (Some(7), None, None));
        let backwards = StatsFile::parse(b"Clone Started: 9\nClone Completed: 7\n").unwrap();
        assert_eq!(backwards.seconds(), None);
        let far = format!("Clone Started: {}\nClone Completed: {}\n", i64::MIN, i64::MAX);
        assert_eq!(StatsFile::parse(far.as_bytes()).unwrap().seconds(), None);
    }
}
