//! The statistics file at a destination's root, `.PREFIX.counterpart.stats`, as we and the original write it: a pure
//! parser, and what its numbers mean.

use serde::{Deserialize, Serialize};

use crate::record::Totals;

/// The largest statistics file that is read, in bytes; ours have a few hundred.
pub const LARGEST: u64 = 64 * 1024;

/// The label of the line in which a failed run preserves the number of entries of the last complete clone.
pub const LAST_COMPLETE: &str = "Files In Last Complete Clone";

/// The label of the line with the bytes of file contents in the source, by our own count: holes excluded and
/// hard-linked files counted once.
pub const CONTENT: &str = "File Contents";

/// The label of the line in which a failed run preserves that number of the last complete clone.
pub const LAST_CONTENT: &str = "File Contents In Last Complete Clone";

/// The contents of a statistics file. A value is `None` if the file lacks its line or the line has no number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsFile {
    /// When the run began, in seconds since 1970.
    pub started: Option<u64>,
    /// When rsync ended, in seconds since 1970. We write it after a success only; the original wrote it after failures
    /// too.
    pub completed: Option<u64>,
    /// When rsync ended in a failed run, in seconds since 1970; ours only.
    pub ended: Option<u64>,
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Files whose contents were transferred.
    pub transferred: Option<u64>,
    /// The size of all files, in bytes.
    pub total_size: Option<u64>,
    /// The size of the transferred files, in bytes.
    pub transferred_size: Option<u64>,
    /// Entries created at the destination; ours only.
    pub created: Option<u64>,
    /// Entries deleted at the destination; ours only.
    pub deleted: Option<u64>,
    /// Literal data, in bytes; ours only.
    pub literal: Option<u64>,
    /// Matched data, which the destination already had, in bytes; ours only.
    pub matched: Option<u64>,
    /// The run's exit code; ours only.
    pub exit_code: Option<u64>,
    /// Entries of the source at the last complete clone before this run, which failed; ours only.
    pub last_complete: Option<u64>,
    /// Bytes of file contents in the source, by our own count; ours only, after a success.
    #[serde(default)]
    pub content: Option<u64>,
    /// The same at the last complete clone before this run, which failed; ours only.
    #[serde(default)]
    pub last_content: Option<u64>,
}

impl StatsFile {
    /// Parses the file; unknown lines are ignored.
    #[must_use]
    pub fn read(content: &[u8]) -> Self {
        let mut found = Self::default();
        for line in String::from_utf8_lossy(content).lines() {
            let Some((label, value)) = line.split_once(": ") else { continue };
            if let Some(field) = found.field(label.trim()) {
                *field = number(value);
            }
        }
        found
    }

    /// Whether no line was recognized.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How long the run took, in seconds, if the file says so and no clock was set back meanwhile.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        self.completed.or(self.ended)?.checked_sub(self.started?)
    }

    fn field(&mut self, label: &str) -> Option<&mut Option<u64>> {
        Some(match label {
            "Clone Started" => &mut self.started,
            "Clone Completed" => &mut self.completed,
            "Clone Ended" => &mut self.ended,
            "Number of files" => &mut self.files,
            "Number of files transferred" => &mut self.transferred,
            "Total file size" => &mut self.total_size,
            "Total transferred file size" => &mut self.transferred_size,
            "Number of created files" => &mut self.created,
            "Number of deleted files" => &mut self.deleted,
            "Literal data" => &mut self.literal,
            "Matched data" => &mut self.matched,
            "Exit Code" => &mut self.exit_code,
            LAST_COMPLETE => &mut self.last_complete,
            CONTENT => &mut self.content,
            LAST_CONTENT => &mut self.last_content,
            _ => return None,
        })
    }

    /// What the source held at the last complete clone, as far as this file shows.
    ///
    /// The original writes the same lines after a failure as after a success: `completion_stands`, whether `.completed`
    /// exists beside the file, distinguishes them. We write `Clone Completed` after a success only, and after a failure
    /// preserve the number in a line of its own.
    #[must_use]
    pub fn last_complete(&self, completion_stands: bool) -> Option<Totals> {
        let is_complete = self.completed.is_some() && (self.exit_code.is_some() || completion_stands);
        if let Some(entries) = self.last_complete {
            return Some(Totals { entries, bytes: self.last_content });
        }
        let entries = self.files.filter(|_| is_complete)?;
        Some(Totals { entries, bytes: self.content })
    }
}

/// `1507`, `1507 bytes`; an rsync that groups digits made the original write `1,507`.
fn number(value: &str) -> Option<u64> {
    let word = value.split_whitespace().next()?;
    word.chars().filter(|character| *character != ',').collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::StatsFile;

    const ORIGINAL: &str = "Clone Started: 1383206400\nNumber of files: 812345\nNumber of files transferred: 17\n\
        Total file size: 98765432100 bytes\nTotal transferred file size: 123 bytes\nClone Completed: 1383207000\n";

    #[test]
    fn both_kinds_of_file_are_read_whole() {
        let original = StatsFile {
            started: Some(1_383_206_400),
            completed: Some(1_383_207_000),
            files: Some(812_345),
            transferred: Some(17),
            total_size: Some(98_765_432_100),
            transferred_size: Some(123),
            ..StatsFile::default()
        };
        assert_eq!(StatsFile::read(ORIGINAL.as_bytes()), original);
        let ours = ORIGINAL.replace("Clone Completed", "Clone Ended")
            + "Number of created files: 4\nNumber of deleted files: 0\nLiteral data: 4 bytes\nMatched data: 5 bytes\n\
               Exit Code: 23\nFiles In Last Complete Clone: 900000\n";
        let expected = StatsFile {
            completed: None,
            ended: Some(1_383_207_000),
            created: Some(4),
            deleted: Some(0),
            literal: Some(4),
            matched: Some(5),
            exit_code: Some(23),
            last_complete: Some(900_000),
            ..original
        };
        assert_eq!(StatsFile::read(ours.as_bytes()), expected);
    }

    #[test]
    fn the_last_complete_clone_is_told_by_each_kind() {
        let of = |text: &str, stands| {
            let last = StatsFile::read(text.as_bytes()).last_complete(stands)?;
            Some((last.entries, last.bytes))
        };
        assert_eq!(of(ORIGINAL, true), Some((812_345, None)), "its sizes count holes, and each name");
        assert_eq!(of(ORIGINAL, false), None, "the original's failure looks the same");
        assert_eq!(of("Number of files: 5\nClone Completed: 2\nExit Code: 0\n", false), Some((5, None)));
        let counted = "Number of files: 5\nClone Completed: 2\nExit Code: 0\nFile Contents: 9 bytes\n";
        assert_eq!(of(counted, false), Some((5, Some(9))));
        assert_eq!(of("Number of files: 5\nClone Ended: 2\nExit Code: 23\n", true), None);
        let carried = "Number of files: 5\nClone Ended: 2\nExit Code: 23\nFiles In Last Complete Clone: 7\n";
        assert_eq!(of(carried, false), Some((7, None)));
        let bytes = format!("{carried}File Contents In Last Complete Clone: 8 bytes\n");
        assert_eq!(of(&bytes, false), Some((7, Some(8))));
        assert_eq!(of("", true), None);
    }

    #[test]
    fn a_run_takes_its_time_unless_a_clock_was_set_back() {
        let of = |text: &str| StatsFile::read(text.as_bytes());
        assert_eq!(of(ORIGINAL).seconds(), Some(600));
        assert_eq!(of("Clone Started: 5\nClone Ended: 9\n").seconds(), Some(4));
        assert_eq!(of("Clone Started: 9\nClone Completed: 5\n").seconds(), None);
        assert_eq!(of("Clone Started: 9\n").seconds(), None);
        assert!(of("Something New: 5\n").is_empty() && !of("Clone Started: 9\n").is_empty());
    }

    #[test]
    fn nothing_in_a_file_is_trusted() {
        assert_eq!(
            StatsFile::read(b"\xff\xfe: 1\nNumber of files: -1\nExit Code: x\nnothing"),
            StatsFile::default()
        );
        let huge = b"Number of files: 99999999999999999999999\nNumber of files transferred: \n";
        assert_eq!(StatsFile::read(huge), StatsFile::default());
        assert_eq!(StatsFile::read(b"Number of files: 1,507 (reg: 3)\r\n").files, Some(1507));
    }
}
