//! Asking children that may never answer, and leaving those behind that do not.

use std::io::{self, Read as _};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use crate::process::command::Command;

/// What one child has printed, by its place in the list.
type Answer = (usize, io::Result<Vec<u8>>);

/// Starts all these programs at once and returns what each prints on standard output, cut at `most` bytes. What stands
/// at a place without a program is `NotFound`.
///
/// One that has not closed its output at `deadline` is killed, but not waited for, since nothing kills a process that
/// waits for a dead disk; its answer is `TimedOut`. Nor is the end of the others waited for: whoever reads an answer
/// has to see by itself that it is whole.
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
            // It may be beyond reach, or over in this moment.
            let _ = child.kill();
        }
    }
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))).collect()
}

/// Reads the child's output in a thread, which ends with the pipe or with us.
fn listen(mut child: Child, place: usize, most: u64, sender: &mpsc::Sender<Answer>) -> Child {
    // Nobody reads its complaints; it must not wait for that.
    drop(child.stderr.take());
    if let Some(pipe) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut printed = Vec::new();
            let read = pipe.take(most).read_to_end(&mut printed);
            // Nobody listens any more after the deadline.
            let _ = sender.send((place, read.map(|_| printed)));
        });
    }
    child
}
