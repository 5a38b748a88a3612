//! Work that brings more work, done by a few threads: to read a tree's directories, for one.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::process::interrupts::Interrupts;

/// How many threads work at most: more of them only wait for the disk.
const THREADS: usize = 4;

/// Does `first` and all that comes of it; returns what each thread has kept.
///
/// `each` does one piece, and adds what is still to be done to the list that it is given. When a signal has asked us to
/// end, no further piece is begun.
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
        // Where no more threads may be started, fewer do.
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
    /// The last one is done first: so few pieces wait.
    pieces: Vec<T>,
    /// How many threads are doing a piece, and may yet bring more.
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

    /// Does pieces until there are no more.
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
