//! Kills a dumper that has been silent for too long: it may be waiting for a lock that is never released.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process::interrupts::Interrupts;

/// How long a dumper has been silent.
#[derive(Debug)]
pub struct Silence {
    limit: Duration,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug)]
struct State {
    since: Instant,
    is_over: bool,
    too_long: bool,
}

impl Silence {
    /// Allows silence of up to `limit`.
    pub fn new(limit: Duration) -> Self {
        let state = State { since: Instant::now(), is_over: false, too_long: false };
        Self { limit, state: Mutex::new(state), over: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a dumper and kills it if it is silent for too long. Fails if it could not be watched.
    pub fn watch<T>(&self, interrupts: &Interrupts, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("silence".into())
                .spawn_scoped(scope, || self.wait(interrupts))?;
            let end = run();
            self.state().is_over = true;
            self.over.notify_all();
            end
        })
    }

    fn wait(&self, interrupts: &Interrupts) {
        let mut state = self.state();
        while !state.is_over {
            let left = self.limit.saturating_sub(state.since.elapsed());
            if left.is_zero() {
                state.too_long = true;
                interrupts.stop_child();
                return;
            }
            state = self.over.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The dumper has written something, and it was processed.
    pub fn breaks(&self) {
        self.state().since = Instant::now();
    }

    /// Whether the dumper was killed for its silence.
    pub fn was_too_long(&self) -> bool {
        self.state().too_long
    }
}
