//! Work that creates more work, done by a few threads: reading a tree's directories, for example.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::process::interrupts::Interrupts;

/// The maximum number of threads: more would only wait for the disk.
const THREADS: usize = 4;

/// Does `first` and everything that follows from it; returns what each thread has gathered.
///
/// `each` does one piece of work and adds what remains to be done to the given list. Once a signal asks us to stop, no
/// further piece is started.
pub fn share<T: Send, K: Default + Send>(
    first: T,
    interrupts: &Interrupts,
    each: impl Fn(T, &mut Vec<T>, &mut K) + Sync,
) -> Vec<K> {
    let shared = Shared {
        interrupts,
        waiting: Mutex::new(Waiting { pieces: vec![first], working: 0 }),
        change: Condvar::new(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    std::thread::scope(|scope| {
        // If the system allows no more threads, use fewer.
        let begin = |_| std::thread::Builder::new().spawn_scoped(scope, || shared.work(&each)).ok();
        let helpers: Vec<_> = (1..threads).filter_map(begin).collect();
        let mut kept = vec![shared.work(&each)];
        for helper in helpers {
            kept.push(helper.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        }
        kept
    })
}

struct Waiting<T> {
    /// Last in, first out, so that few pieces wait.
    pieces: Vec<T>,
    /// How many threads are working on a piece and may still add more.
    working: usize,
}

struct Shared<'a, T> {
    interrupts: &'a Interrupts,
    waiting: Mutex<Waiting<T>>,
    change: Condvar,
}

impl<T> Shared<'_, T> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on pieces until there are none left.
    fn work<K: Default>(&self, each: impl Fn(T, &mut Vec<T>, &mut K)) -> K {
        let mut kept = K::default();
        let mut found = Vec::new();
        while let Some(piece) = self.next() {
            each(piece, &mut found, &mut kept);
            let mut waiting = self.waiting();
            waiting.pieces.append(&mut found);
            waiting.working -= 1;
            drop(waiting);
            self.change.notify_all();
        }
        kept
    }

    fn next(&self) -> Option<T> {
        let mut waiting = self.waiting();
        loop {
            if self.interrupts.received().is_some() {
                waiting.pieces.clear();
            }
            if let Some(piece) = waiting.pieces.pop() {
                waiting.working += 1;
                return Some(piece);
            }
            if waiting.working == 0 {
                return None;
            }
            waiting = self.change.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
