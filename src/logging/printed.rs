//! Logs the output of other programs, within limits: the log is on the system's own disk.

use log::{Level, info, log};

use crate::display;
use crate::logging::warning;
use crate::process::Line;

/// How much of one line is logged, in bytes.
const LONGEST: usize = 8 * 1024;

/// How many lines of one program are logged.
const LINES: u64 = 100_000;

/// How many bytes of one program are logged; escaping may make them five times as many.
const BYTES: u64 = 64 << 20;

/// How many complaints of one program are more than lines of the log.
const COMPLAINTS: u64 = 20;

/// How many further lines that matter to the reader, such as a program's last messages, may be logged.
const RESERVE: u64 = 1_000;

/// Logs the output of one program.
#[derive(Debug)]
pub struct Printed {
    /// The prefix of each line.
    prefix: String,
    lines: u64,
    complaints: u64,
    bytes: u64,
    reserve: u64,
    /// How many bytes of the current line were omitted.
    left_out: u64,
    /// How many lines were not logged at all.
    dropped: u64,
}

impl Printed {
    /// For a program whose lines get this prefix.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), lines: 0, complaints: 0, bytes: 0, reserve: 0, left_out: 0, dropped: 0 }
    }

    /// Logs a line, or the beginning of one that is too long.
    pub fn log(&mut self, line: Line<'_>) {
        self.put(line, false, Level::Info);
    }

    /// Logs a line that is a complaint; a person sees the first of them.
    pub fn log_complaint(&mut self, line: Line<'_>) {
        let level = if self.complaints < COMPLAINTS { Level::Warn } else { Level::Info };
        self.complaints += u64::from(line.piece.begins);
        self.put(line, false, level);
    }

    /// Logs an important line even if the program has printed too much already.
    pub fn log_in_any_case(&mut self, line: Line<'_>) {
        self.put(line, true, Level::Info);
    }

    fn put(&mut self, line: Line<'_>, matters: bool, level: Level) {
        if !line.piece.begins {
            self.left_out += line.bytes.len() as u64;
            if line.piece.ends {
                self.end_long_line();
            }
            return;
        }
        self.end_long_line();
        if !self.may(matters) {
            return;
        }
        let (shown, rest) = line.bytes.split_at(line.bytes.len().min(LONGEST));
        self.lines += 1;
        self.bytes += shown.len() as u64;
        let (prefix, text) = (&self.prefix, display::line(shown));
        if line.piece.ends && !rest.is_empty() {
            log!(level, "{prefix}{text}… {} bytes more", rest.len());
        } else if line.piece.ends {
            log!(level, "{prefix}{text}");
        } else {
            log!(level, "{prefix}{text}…");
            self.left_out = rest.len() as u64;
        }
    }

    /// Whether another line may be logged. Logs when the limit is reached.
    fn may(&mut self, matters: bool) -> bool {
        if self.lines < LINES && self.bytes < BYTES {
            return true;
        }
        if matters && self.reserve < RESERVE {
            self.reserve += 1;
            return true;
        }
        if self.dropped == 0 {
            warning(format_args!(
                "{}the program has printed too much; the rest of its output is not logged.",
                self.prefix
            ));
        }
        self.dropped += 1;
        false
    }

    fn end_long_line(&mut self) {
        if self.left_out > 0 && self.dropped == 0 {
            info!("{}… {} bytes more of this line", self.prefix, self.left_out);
        }
        self.left_out = 0;
    }

    /// Logs, once the program has ended, how much was omitted.
    pub fn finish(mut self) {
        self.end_long_line();
        if self.dropped > 0 {
            info!("{}{} more lines were not logged.", self.prefix, self.dropped);
        }
    }
}
