//! Work that creates more work, done by a few threads: reading a tree's directories, for example.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::process::interrupts::Interrupts;

/// The number of threads, on any machine: they wait for disks more than they work, and with four of them on two processors a first
/// clone with cold caches takes a quarter less time than with two (measured; eight are no faster). Each holds directories open,
/// and a launchd job may open 256 files.
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
        idle: AtomicUsize::new(0),
    };
    std::thread::scope(|scope| {
        // If the system allows no more threads, use fewer.
        let begin = |_| std::thread::Builder::new().spawn_scoped(scope, || shared.work(&each)).ok();
        let helpers: Vec<_> = (1..THREADS).filter_map(begin).collect();
        let mut kept = vec![shared.work(&each)];
        for helper in helpers {
            kept.push(helper.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        }
        kept
    })
}

/// Pieces that any thread may take.
struct Waiting<T> {
    /// Last in, first out, so that few pieces wait.
    pieces: Vec<T>,
    /// How many threads have work of their own and may still add more.
    working: usize,
}

struct Shared<'a, T> {
    interrupts: &'a Interrupts,
    waiting: Mutex<Waiting<T>>,
    change: Condvar,
    /// How many threads wait for work: only then is it worth the lock to share some.
    idle: AtomicUsize,
}

impl<T> Shared<'_, T> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on pieces until there are none left.
    fn work<K: Default>(&self, each: impl Fn(T, &mut Vec<T>, &mut K)) -> K {
        let mut kept = K::default();
        let (mut own, mut found) = (Vec::new(), Vec::new());
        while let Some(piece) = self.next() {
            own.push(piece);
            while let Some(piece) = own.pop().filter(|_| self.interrupts.received().is_none()) {
                each(piece, &mut found, &mut kept);
                own.append(&mut found);
                if own.len() > 1 && self.idle.load(Ordering::Relaxed) > 0 {
                    self.give(&mut own);
                }
            }
            own.clear();
            let mut waiting = self.waiting();
            waiting.working -= 1;
            drop(waiting);
            self.change.notify_all();
        }
        kept
    }

    /// Gives half of a thread's pieces to the others: the oldest, from which the most follows.
    fn give(&self, own: &mut Vec<T>) {
        let given = own.drain(..own.len() / 2);
        self.waiting().pieces.extend(given);
        self.change.notify_all();
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
            self.idle.fetch_add(1, Ordering::Relaxed);
            waiting = self.change.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Does the same to each of these pieces, with a few threads; returns what has come of them, in their order. Of those that
/// were not begun when a signal has asked us to stop, nothing has.
pub fn each<T: Send, R: Send>(
    pieces: Vec<T>,
    interrupts: &Interrupts,
    work: impl Fn(T) -> R + Sync,
) -> Vec<Option<R>> {
    let mut results: Vec<Option<R>> = Vec::new();
    results.resize_with(pieces.len(), || None);
    if let [_, _, ..] = &pieces[..] {
        let all: Vec<(usize, T)> = pieces.into_iter().enumerate().collect();
        let parts = share(all, interrupts, |mut some, found, kept: &mut Vec<(usize, R)>| match &some[..] {
            [_] => kept.extend(some.pop().map(|(at, piece)| (at, work(piece)))),
            // Single pieces, so that a thread with nothing to do takes the next.
            _ => found.extend(some.into_iter().map(|piece| vec![piece])),
        });
        for (at, result) in parts.into_iter().flatten() {
            results[at] = Some(result);
        }
    } else if interrupts.received().is_none() {
        results = pieces.into_iter().map(|piece| Some(work(piece))).collect();
    }
    results
}
