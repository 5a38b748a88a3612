//! What a process has done so far, from its files in `/proc`.

/// A process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its process group.
    pub group: i32,
    /// It has exited but its parent has not reaped it yet.
    pub is_over: bool,
    /// The CPU time it has used, in ticks.
    pub ticks: u64,
}

impl Stat {
    /// Parses the line. The name in parentheses may contain anything, so parsing starts after the last parenthesis.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        // Fields 14 and 15 of the line.
        let user: u64 = fields.nth(8)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Self { group, is_over: matches!(state, "Z" | "X" | "x"), ticks: user.saturating_add(system) })
    }
}

/// The bytes a process has read and written in any way, from `/proc/PID/io`.
#[must_use]
pub fn bytes_moved(io: &str) -> Option<u64> {
    let value = |name: &str| {
        io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.trim().parse::<u64>().ok())
    };
    Some(value("rchar")?.wrapping_add(value("wchar")?))
}

#[cfg(test)]
mod tests {
    use super::{Stat, bytes_moved};

    #[test]
    fn a_process_is_read_behind_any_name() {
        let line = "12 (a) S 9 9) D 1 7 7 0 -1 4194560 118 0 0 0 30 12 0 0 20 0 1 0 99 1 2";
        assert_eq!(Stat::read(line), Some(Stat { group: 7, is_over: false, ticks: 42 }));
        assert!(Stat::read("12 (rsync) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0").unwrap().is_over);
        assert_eq!(Stat::read("12 (rsync) S 1 7"), None);
        assert_eq!(Stat::read(""), None);
    }

    #[test]
    fn what_was_read_and_written_is_summed() {
        assert_eq!(bytes_moved("rchar: 10\nwchar: 5\nsyscr: 9\nread_bytes: 4096\n"), Some(15));
        assert_eq!(bytes_moved("rchar: 10\n"), None);
        assert_eq!(bytes_moved(""), None);
    }
}
