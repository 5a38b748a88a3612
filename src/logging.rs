//! The run's log: one file per run, and the same lines on standard output.

pub mod changes;
pub mod kept;
pub mod printed;
mod screen;
mod shelf;
pub mod shown;
mod warn;
pub use screen::{Busy, Screen, Step};
pub use warn::warning;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local};
use log::{Level, LevelFilter};
use simplelog::{ConfigBuilder, LevelPadding, WriteLogger};

use crate::display;
use crate::fs::dir::Dir;
use crate::process;
use crate::sys::last_words;
use changes::{Changes, Wanted};
use shelf::Shelf;
use shown::{Place, Shown};

/// The log's last lines, for reports on how a run went.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// How many lines are kept.
    const LINES: usize = 50;

    /// How much of each, in bytes.
    const LENGTH: usize = 1000;

    fn kept(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut kept = self.kept();
        if kept.len() == Self::LINES {
            kept.pop_front();
        }
        kept.push_back(String::from_utf8_lossy(&line[..line.len().min(Self::LENGTH)]).into_owned());
    }

    /// The lines, without line ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.kept().iter().cloned().collect()
    }
}

/// The open log.
#[derive(Debug)]
pub struct Log {
    /// Its path, if it can be written.
    pub path: Option<PathBuf>,
    /// The terminal that shows its lines.
    pub screen: Screen,
    /// Its last lines, whether or not it can be written.
    pub tail: Tail,
    /// The list of what is changed.
    pub changes: Changes,
    shelf: Option<Arc<Shelf>>,
}

impl Log {
    /// Everything that was asked of the run has been checked. Older logs are removed until only `keep` are left, including
    /// this one; without a number all are kept.
    pub fn go_on(&self, keep: Option<NonZeroUsize>) {
        if let Some(shelf) = &self.shelf {
            shelf.go_on(keep);
        }
    }

    /// The run ends. If it does so before that, then of the logs of such runs only `keep` are left, including this one.
    pub fn end(&self, keep: NonZeroUsize) {
        if let Some(shelf) = &self.shelf {
            shelf.end(keep);
        }
    }
}

/// Opens the log in `dir` and sends every later message there.
///
/// If it cannot be written, the run continues with a warning on standard error: a full system disk must not prevent a
/// clone.
#[must_use]
pub fn start(directory: &Path, now: DateTime<Local>, wanted: Wanted, shown: Shown) -> Log {
    let (screen, tail) = (Screen::new(shown), Tail::default());
    let created = create(directory, now).and_then(|(dir, file, name)| {
        let path = directory.join(&name);
        Ok((file.try_clone()?, path, Arc::new(Shelf::new(dir, file, name))))
    });
    let (file, path, shelf) = match created {
        Ok((file, path, shelf)) => (Some(file), Some(path), Some(shelf)),
        Err(error) => {
            complain(&format!(
                "The log in {} cannot be written: {}. The run continues without it.",
                display::path(directory),
                display::reason(&error)
            ));
            (None, None, None)
        }
    };
    // From now on the last line goes to standard output, and to the log if there is one.
    last_words::set_log(file.as_ref().map(File::as_fd));
    process::speak_when_aborted();
    let writer = Lines {
        file,
        path: path.clone(),
        screen: screen.clone(),
        tail: tail.clone(),
        shown,
        start: Start::default(),
        level: Level::Info,
        line: Vec::new(),
    };
    let plain = ConfigBuilder::new()
        // Each message begins with its level, which `Lines` takes off again.
        .set_max_level(LevelFilter::Error)
        .set_level_padding(LevelPadding::Off)
        .set_time_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        // Messages of libraries are not ours, and may contain a secret address.
        .add_filter_allow_str("counterpart")
        .build();
    // What is printed but not logged has a level of its own.
    let level = if wanted.printed { LevelFilter::Debug } else { LevelFilter::Info };
    if let Err(error) = WriteLogger::init(level, plain, writer) {
        complain(&format!("The log cannot be started: {error}."));
    }
    Log { path, screen, tail, changes: Changes::new(wanted, shelf.clone()), shelf }
}

/// Whether the last line has been written.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes the log's last line; whatever another thread logs after it is dropped.
pub fn close(last: impl Display) {
    log::info!("{last}");
    CLOSED.store(true, Ordering::SeqCst);
}

/// Reports on standard error what cannot be logged.
pub fn complain(message: &str) {
    let name = Shown::chosen().map_or("counterpart:", Shown::name);
    let _ = writeln!(io::stderr(), "{name} {message}");
}

/// How many names are tried if the first is taken.
const ATTEMPTS: u32 = 100;

fn create(directory: &Path, now: DateTime<Local>) -> io::Result<(Dir, File, OsString)> {
    let dir = Dir::open_or_create(directory, 0o755)?;
    let stem = now.format("Counterpart_%y-%m-%d_%H-%M-%S").to_string();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 1..=ATTEMPTS {
        let name = OsString::from(if attempt == 1 { stem.clone() } else { format!("{stem}_{attempt}") });
        match dir.create_new(&name, 0o600) {
            Ok(file) => return Ok((dir, file, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// `Mon DD HH:MM:SS Counterpart[PID]: `, formatted once a second: rsync may print millions of lines.
#[derive(Default)]
struct Start {
    second: Option<u64>,
    text: String,
}

impl Start {
    fn now(&mut self) -> &[u8] {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        if second.is_none() || second != self.second {
            let time = DateTime::<Local>::from(now);
            self.text = format!("{} Counterpart[{}]: ", time.format("%b %d %H:%M:%S"), std::process::id());
            last_words::set_start(&self.text);
            self.second = second;
        }
        self.text.as_bytes()
    }
}

/// The level that a message begins with, and the rest.
fn level(message: &[u8]) -> Option<(Level, &[u8])> {
    let (name, rest) =
        message.strip_prefix(b"[")?.split_at_checked(message.iter().position(|byte| *byte == b']')? - 1)?;
    let level = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some((level, rest.strip_prefix(b"] ")?))
}

/// Puts the time before each line, and writes each line to the file in one piece once it is complete.
struct Lines {
    file: Option<File>,
    path: Option<PathBuf>,
    screen: Screen,
    tail: Tail,
    shown: Shown,
    start: Start,
    /// That of the message whose lines come.
    level: Level,
    line: Vec<u8>,
}

impl Lines {
    fn finish_line(&mut self) {
        if CLOSED.load(Ordering::SeqCst) {
            self.line.clear();
            return;
        }
        let text = match level(&self.line) {
            Some((level, text)) => {
                self.level = level;
                text
            }
            None => &self.line,
        };
        let start = self.start.now();
        match self.shown.place(self.level, start, text) {
            Place::Out(line) => self.screen.print(&line),
            Place::Err(line) => {
                let _ = io::stderr().write_all(&line);
            }
            Place::Nowhere => {}
        }
        if self.level >= Level::Debug {
            self.line.clear();
            return;
        }
        let mut whole = [start, text].concat();
        self.line.clear();
        self.tail.push(&whole);
        whole.push(b'\n');
        if let Some(Err(error)) = self.file.as_mut().map(|file| file.write_all(&whole)) {
            // Reported once; the terminal still shows every line.
            last_words::set_log(None);
            self.file = None;
            let path = self.path.as_deref().unwrap_or_else(|| Path::new("?"));
            complain(&format!(
                "The log {} cannot be written any more: {}. The run continues.",
                display::path(path),
                display::reason(&error)
            ));
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.finish_line();
            }
            self.line.extend_from_slice(part);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
