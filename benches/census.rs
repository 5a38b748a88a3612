//! Counts the directory that is named, as a run does before the clone, and prints how long that took; see `census.sh`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be set up has failed")]

use std::path::PathBuf;
use std::time::Instant;

use counterpart::fs::dir::Dir;
use counterpart::phases::survey;
use counterpart::process::interrupts::Interrupts;
use counterpart::rsync::filter::matcher::LeftOut;

fn main() {
    // cargo bench gives an option of its own.
    let dir = std::env::args_os().skip(1).find(|argument| argument != "--bench").map(PathBuf::from);
    // Without a directory this is cargo bench for all there is, and there is nothing to measure.
    let Some(dir) = dir else { return };
    let dir = Dir::open(&dir).expect("the directory cannot be opened");
    let begin = Instant::now();
    let census = survey::count(&dir, &LeftOut::default(), &Interrupts::default()).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!("{seconds:.6} {}", census.entries);
}
