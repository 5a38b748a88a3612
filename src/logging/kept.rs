//! Keeps messages in memory instead of a log, for running the phases of a clone without making one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The messages logged since they were last taken.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<(Level, String)>>>);

impl Kept {
    /// Captures every later message of this process; none is shown or written.
    #[must_use]
    pub fn start() -> Self {
        let kept = Self::default();
        // A process has a single logger for its whole life.
        if log::set_logger(Box::leak(Box::new(kept.clone()))).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
        kept
    }

    fn messages(&self) -> MutexGuard<'_, Vec<(Level, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The warnings and the other messages since the last call, each in order.
    #[must_use]
    pub fn take(&self) -> (Vec<String>, Vec<String>) {
        let (warnings, others): (Vec<_>, Vec<_>) =
            self.messages().drain(..).partition(|(level, _)| *level <= Level::Warn);
        let text = |messages: Vec<(Level, String)>| messages.into_iter().map(|(_, text)| text).collect();
        (text(warnings), text(others))
    }
}

impl Log for Kept {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        let text = text.strip_prefix("Warning: ").map(str::to_owned).unwrap_or(text);
        self.messages().push((record.level(), text));
    }

    fn flush(&self) {}
}
