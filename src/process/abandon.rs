//! Runs children that may never answer, and abandons those that do not.

use std::io::{self, Read as _};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use crate::process::command::Command;

/// The output of one child, with its index in the list.
type Answer = (usize, io::Result<Vec<u8>>);

/// Starts all these programs at once and returns the standard output of each, truncated at `most` bytes. The answer for
/// an entry without a program is `NotFound`.
///
/// One that has not closed its output by `deadline` is killed but not waited for, since nothing kills a process that
/// waits for a dead disk; its answer is `TimedOut`. The others are not waited for either, so the caller has to check
/// that an answer is complete.
pub fn ask_all(commands: &[Option<Command>], deadline: Instant, most: u64) -> Vec<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel::<Answer>();
    let mut answers: Vec<Option<io::Result<Vec<u8>>>> = Vec::new();
    let mut children = Vec::new();
    for (place, command) in commands.iter().enumerate() {
        let started = match command {
            Some(command) => command.spawn(),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match started {
            Ok(child) => {
                children.push((place, listen(child, place, most, &sender)));
                answers.push(None);
            }
            Err(error) => answers.push(Some(Err(error))),
        }
    }
    drop(sender);
    while answers.iter().any(Option::is_none) {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((place, answer)) => {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    for (place, child) in &mut children {
        if answers.get(*place).is_some_and(Option::is_none) {
            // It may be beyond reach, or have just ended.
            let _ = child.kill();
        }
    }
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))).collect()
}

/// Reads the child's output in a thread, which ends with the pipe or with us.
fn listen(mut child: Child, place: usize, most: u64, sender: &mpsc::Sender<Answer>) -> Child {
    // Its standard error is not read, so it must not block on it.
    drop(child.stderr.take());
    if let Some(pipe) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut printed = Vec::new();
            let read = pipe.take(most).read_to_end(&mut printed);
            // After the deadline nobody receives it.
            let _ = sender.send((place, read.map(|_| printed)));
        });
    }
    child
}
