//! SIGINT, SIGTERM, SIGHUP and the like: recorded and forwarded to the running child; a second SIGINT ends the process
//! at once.
//!
//! Any other signal that would silently end the process is handled too, and ends the run as SIGTERM does.

use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit_code;
use crate::exit_code::ExitCode;
use crate::process::command::End;
use crate::sys;

/// The signals that reached us and the child that they are forwarded to.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<State>);

#[derive(Debug, Default)]
struct State {
    first: AtomicI32,
    /// The last signal, set by the handler itself in whichever thread it has met: the thread that listens hears it a
    /// moment later, and what follows a call that it has interrupted must not be done first.
    arrived: Arc<AtomicUsize>,
    child: Mutex<Option<Pid>>,
}

impl Interrupts {
    /// Installs the handlers. `last_words` is called, for at most half a second, before a second SIGINT ends the
    /// process.
    ///
    /// Signals are handled in a thread, so that a second SIGINT works while the main thread hangs on a dead disk.
    /// Errors if the handlers cannot be installed.
    pub fn install(last_words: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let interrupts = Self::default();
        // A signal ignored by nohup stays ignored: the clone survives its administrator's logout.
        let others =
            [SIGHUP].into_iter().chain(sys::ending_signals()).filter(|signal| !sys::is_ignored(*signal));
        let heard: Vec<i32> = [SIGINT, SIGTERM].into_iter().chain(others).collect();
        let mut signals = Signals::new(&heard)?;
        // Exceeding the file size limit becomes an error like a full disk, instead of silently ending the process.
        sys::ignore(SIGXFSZ);
        for signal in heard {
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            flag::register_usize(signal, Arc::clone(&interrupts.0.arrived), number)?;
        }
        let listener = interrupts.clone();
        let last_words = Arc::new(last_words);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let is_first =
                    listener.0.first.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
                if !is_first && signal == SIGINT {
                    // The main thread may hold the log's lock while it hangs: never wait for it without a limit.
                    let (done, wait) = mpsc::channel();
                    let last_words = Arc::clone(&last_words);
                    std::thread::spawn(move || {
                        last_words();
                        let _ = done.send(());
                    });
                    let _ = wait.recv_timeout(Duration::from_millis(500));
                    // Not before, or the main thread would continue and log more.
                    listener.stop_child();
                    std::process::exit(i32::from(ExitCode::INTERRUPTED.number()));
                }
                listener.forward(signal);
            }
        })?;
        Ok(interrupts)
    }

    /// The first signal that reached us.
    #[must_use]
    pub fn received(&self) -> Option<exit_code::Signal> {
        let arrived = || i32::try_from(self.0.arrived.load(Ordering::SeqCst)).unwrap_or(0);
        let signal = match self.0.first.load(Ordering::SeqCst) {
            0 => arrived(),
            first => first,
        };
        (signal != 0).then(|| exit_code::Signal::of(signal))
    }

    /// Marks the signals so far as handled: programs started from now on do not get them.
    pub fn answered(&self) {
        self.0.first.store(0, Ordering::SeqCst);
        self.0.arrived.store(0, Ordering::SeqCst);
    }

    /// Sleeps for this long, or until a signal arrives.
    pub fn sleep(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while self.received().is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process group of the running child.
    #[must_use]
    pub fn child_group(&self) -> Option<i32> {
        self.child().map(Pid::as_raw)
    }

    /// Forwards the three that every program knows as they are, and any other as SIGTERM.
    fn forward(&self, signal: i32) {
        let is_ordinary = exit_code::Signal::of(signal).is_ordinary();
        self.send(Signal::try_from(signal).ok().filter(|_| is_ordinary).unwrap_or(Signal::SIGTERM));
    }

    fn send(&self, signal: Signal) {
        if let Some(child) = *self.child() {
            // The group may have just ended.
            let _ = killpg(child, signal);
        }
    }

    /// Kills the running child's whole group: its work is no longer needed.
    pub fn stop_child(&self) {
        self.send(Signal::SIGKILL);
    }

    /// Starts a child in such a way that no signal is lost before the child is registered here.
    pub(super) fn adopt(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let mut slot = self.child();
        let child = spawn()?;
        *slot = i32::try_from(child.id()).ok().map(Pid::from_raw);
        drop(slot);
        let earlier = self.0.first.load(Ordering::SeqCst);
        if earlier != 0 {
            self.forward(earlier);
        }
        Ok(child)
    }

    /// Whether the child has ended. From then on its process ID is no longer used.
    pub(super) fn has_ended(&self, child: &mut Child) -> io::Result<bool> {
        let mut slot = self.child();
        let ended = child.try_wait()?.is_some();
        if ended {
            *slot = None;
        }
        Ok(ended)
    }

    /// Waits for the child to end, while still forwarding signals. `None` if `gives_up` does.
    pub(super) fn wait(
        &self,
        child: &mut Child,
        gives_up: &mut dyn FnMut() -> bool,
    ) -> io::Result<Option<End>> {
        let mut pause = Duration::from_micros(200);
        while !self.has_ended(child)? {
            if gives_up() {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        child.wait().map(|status| Some(End::from(status)))
    }

    /// Abandons a child that nothing ends: signals are no longer forwarded to it.
    pub(super) fn abandon(&self) {
        *self.child() = None;
    }
}
