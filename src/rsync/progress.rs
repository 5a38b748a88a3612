//! Parses the lines of `--info=progress2`.

/// The progress of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Bytes transferred so far.
    pub bytes: u64,
    /// How much of what is known so far is done, in percent.
    pub percent: u64,
    /// The speed as printed by rsync, such as `473.71MB/s`.
    pub speed: String,
    /// The time remaining, or elapsed at the end, as `H:MM:SS`.
    pub time: String,
}

impl Progress {
    /// Parses `  5000000  33%  473.71MB/s    0:00:00 (xfr#1, to-chk=2/4)`; digits may be grouped.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let bytes = words.next()?.replace([',', '.'], "").parse().ok()?;
        let percent = words.next()?.strip_suffix('%')?.parse().ok().filter(|percent| *percent <= 100)?;
        let speed = words.next().filter(|speed| speed.ends_with("/s"))?.to_owned();
        let time = words.next().filter(|time| time.contains(':'))?.to_owned();
        Some(Self { bytes, percent, speed, time })
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn progress_is_read_and_other_lines_are_not() {
        let progress =
            Progress::read(b"      5,000,000  33%  473.71MB/s    0:00:00 (xfr#1, to-chk=2/4)").unwrap();
        assert_eq!((progress.bytes, progress.percent), (5_000_000, 33));
        assert_eq!((progress.speed.as_str(), progress.time.as_str()), ("473.71MB/s", "0:00:00"));
        for line in ["", "Number of files: 3", "5 33%", "5 133% 1MB/s 0:00:00"] {
            assert_eq!(Progress::read(line.as_bytes()), None, "{line}");
        }
    }
}
