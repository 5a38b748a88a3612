//! The list of what a run changes at the destination: a file beside the log, named after it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::debug;

use crate::display;
use crate::logging::shelf::Shelf;
use crate::logging::warn::warning;

/// How long the list may become, in bytes: it is on the system's own disk.
const LONGEST: u64 = 256 << 20;

/// How much is written at once, in bytes: what kills the run loses no more.
const BUFFER: usize = 4 * 1024;

/// What is done with each change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// It is listed in the file.
    pub listed: bool,
    /// It is printed.
    pub printed: bool,
}

/// The list; the file comes into being with the first change.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    printed: bool,
    list: Arc<Mutex<List>>,
}

#[derive(Debug, Default)]
enum List {
    /// Nothing is listed, or no more.
    #[default]
    Over,
    /// Nothing has changed yet.
    Empty { shelf: Arc<Shelf> },
    /// It is being written.
    Open { writer: BufWriter<File>, path: PathBuf, bytes: u64 },
    /// It has reached its limit.
    Full { path: PathBuf },
}

impl Changes {
    /// The list beside the log of this shelf.
    pub(super) fn new(wanted: Wanted, shelf: Option<Arc<Shelf>>) -> Self {
        let list = match shelf.filter(|_| wanted.listed) {
            Some(shelf) => List::Empty { shelf },
            None => List::Over,
        };
        Self { printed: wanted.printed, list: Arc::new(Mutex::new(list)) }
    }

    /// Whether anybody is interested.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.printed || !matches!(*self.list(), List::Over)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a change: rsync's letters for it, such as `>f.st......`, and the name below the destination, with rsync's
    /// escapes. Any thread may.
    pub fn add(&self, letters: &str, name: &[u8]) {
        let mut line = String::with_capacity(letters.len() + name.len() + 2);
        let _ = write!(line, "{letters:11} {}", display::line(name));
        if self.printed {
            debug!("{line}");
        }
        line.push('\n');
        self.list().add(&line);
    }

    /// Writes what has been added so far.
    pub fn flush(&self) {
        let mut list = self.list();
        if let List::Open { writer, .. } = &mut *list
            && let Err(error) = writer.flush()
        {
            list.give_up(&error);
        }
    }

    /// The path of the file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match &*self.list() {
            List::Over | List::Empty { .. } => None,
            List::Open { path, .. } | List::Full { path } => Some(path.clone()),
        }
    }
}

impl List {
    fn add(&mut self, line: &str) {
        if let Self::Empty { shelf } = self {
            match shelf.create_list() {
                Ok((file, path)) => {
                    *self = Self::Open { writer: BufWriter::with_capacity(BUFFER, file), path, bytes: 0 };
                }
                Err(error) => return self.give_up(&error),
            }
        }
        let Self::Open { writer, bytes, path } = self else { return };
        *bytes = bytes.saturating_add(line.len() as u64);
        let is_full = *bytes > LONGEST;
        let line = if is_full { "… The list ends here: it has become too long.\n" } else { line };
        let written = writer.write_all(line.as_bytes());
        let written = written.and_then(|()| if is_full { writer.flush() } else { Ok(()) });
        match written {
            Err(error) => self.give_up(&error),
            Ok(()) if is_full => *self = Self::Full { path: path.clone() },
            Ok(()) => {}
        }
    }

    /// A list that cannot be written must not stop a clone.
    fn give_up(&mut self, error: &io::Error) {
        warning(format_args!(
            "the list of changes beside the log cannot be written: {}. The run continues without it.",
            display::reason(error)
        ));
        // What is still buffered is not tried again.
        if let Self::Open { writer, .. } = std::mem::take(self) {
            let _ = writer.into_parts();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufWriter, Read as _, Seek as _};
    use std::path::PathBuf;

    use super::{LONGEST, List};

    #[test]
    fn a_list_that_is_too_long_says_so_and_ends() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = BufWriter::new(file.try_clone().unwrap());
        let mut list = List::Open { writer, path: PathBuf::from("/list"), bytes: LONGEST - 10 };
        for line in ["123456789\n", "one too many\n", "another\n"] {
            list.add(line);
        }
        assert!(matches!(&list, List::Full { path } if path.as_os_str() == "/list"));
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "123456789\n… The list ends here: it has become too long.\n");
    }

    #[test]
    fn a_list_that_cannot_be_written_is_given_up() {
        let writer = BufWriter::with_capacity(1, File::open("/dev/null").unwrap());
        let mut list = List::Open { writer, path: PathBuf::from("/list"), bytes: 0 };
        list.add("a line\n");
        assert!(matches!(list, List::Over));
    }
}
