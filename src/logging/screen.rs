//! The terminal: a bar for what is being done, and lines above it.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::display::words;
use crate::logging::shown::Shown;

/// The terminal: log lines go above the progress bar, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// Progress is drawn.
    draws: bool,
    /// A person sees what is done, instead of the log's lines.
    is_for_people: bool,
    slot: Arc<Mutex<Slot>>,
}

/// What the last line of the terminal shows.
#[derive(Debug, Default)]
struct Slot {
    bar: Option<ProgressBar>,
    /// The bar is that of the innermost step, which gives way to any other.
    is_of_step: bool,
    /// The steps that are being done, the innermost last.
    steps: Vec<&'static str>,
}

/// How often what moves by itself is drawn.
const TICK: Duration = Duration::from_millis(200);

/// The width of the names of steps.
const WIDTH: usize = 18;

impl Screen {
    /// The terminal, or what stands in its place.
    #[must_use]
    pub fn new(shown: Shown) -> Self {
        Self { draws: shown.draws(), is_for_people: shown.is_for_people(), slot: Arc::default() }
    }

    /// Whether anyone is watching.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.draws
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the progress of the transfer.
    pub fn show(&self, percent: u64, bytes: u64, rest: &str) {
        let mut slot = self.slot();
        if slot.is_of_step {
            slot.take();
        }
        let bar = slot.bar.get_or_insert_with(|| {
            // A bar that comes back does not begin at the left.
            let bar = ProgressBar::new(100).with_position(percent);
            // The template is fixed and therefore valid; the default style would do as well.
            if let Ok(style) = ProgressStyle::with_template("{percent:>3}% [{bar:20}] {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        // Set the message first: the bar is drawn at its first change, and then shows both.
        bar.set_message(format!("{}, {rest}", HumanBytes(bytes)));
        bar.set_position(percent);
    }

    /// Shows what takes its time, and how long already, until the returned value is dropped. `{pos}` in `what` is the number
    /// that [`Busy::count`] has counted.
    #[must_use]
    pub fn busy(&self, what: &str) -> Busy {
        let bar = self.draws.then(|| {
            let mut slot = self.slot();
            slot.take();
            let bar = spinner(what);
            slot.bar = Some(bar.clone());
            bar
        });
        Busy { screen: self.clone(), bar }
    }

    /// Shows a step of the run until the returned value is dropped, and then how long it took.
    #[must_use]
    pub fn step(&self, name: &'static str) -> Step {
        if self.draws {
            let mut slot = self.slot();
            slot.take();
            slot.steps.push(name);
            slot.show_step();
        }
        Step { screen: self.clone(), name, began: Instant::now() }
    }

    /// Removes the progress bar; that of the current step comes back.
    pub fn clear(&self) {
        let mut slot = self.slot();
        if slot.bar.is_some() && !slot.is_of_step {
            slot.take();
            slot.show_step();
        }
    }

    /// Prints a line for a person; nothing where every line of the log is shown.
    pub fn say(&self, line: &str) {
        if self.is_for_people {
            self.print(format!("{line}\n").as_bytes());
        }
    }

    pub(super) fn print(&self, line: &[u8]) {
        // A closed standard output must not stop a clone: the log file has the line.
        let print = || {
            let mut out = io::stdout().lock();
            let _ = out.write_all(line).and_then(|()| out.flush());
        };
        match &self.slot().bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {what}, {{elapsed}}")) {
        bar.set_style(style);
    }
    // The first time at once: what is over soon is seen too.
    bar.tick();
    bar.enable_steady_tick(TICK);
    bar
}

impl Slot {
    fn take(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.is_of_step = false;
    }

    fn show_step(&mut self) {
        if let Some(step) = self.steps.last() {
            self.bar = Some(spinner(step));
            self.is_of_step = true;
        }
    }
}

/// A step of the run that is shown while it lasts.
#[derive(Debug)]
pub struct Step {
    screen: Screen,
    name: &'static str,
    began: Instant,
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.screen.draws {
            return;
        }
        let is_outermost = {
            let mut slot = self.screen.slot();
            slot.take();
            slot.steps.pop();
            slot.show_step();
            slot.steps.is_empty()
        };
        if is_outermost {
            let took = words::took(self.began.elapsed());
            self.screen.say(&format!("  {:WIDTH$}{took}", self.name));
        }
    }
}

/// Something that takes its time and is shown meanwhile.
#[derive(Debug)]
pub struct Busy {
    screen: Screen,
    bar: Option<ProgressBar>,
}

impl Busy {
    /// Counts more of what is done; any thread may.
    pub fn count(&self, more: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(more);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.bar.is_some() {
            self.screen.clear();
        }
    }
}
