//! The confirmation: the disk's own number, typed in full.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::prepare::contents::Contents;
use crate::prepare::disk::Disk;
use crate::prepare::output::quoted;
use crate::process::interrupts::Interrupts;

/// How often to look for a signal while nobody types, in milliseconds.
const TICK_MS: u16 = 100;

/// The longest line that is read, in bytes.
const LONGEST: usize = 4096;

/// What is to be confirmed.
#[derive(Debug)]
pub struct Question<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// What is on it.
    pub contents: &'a Contents,
    /// What may be typed, any one of them.
    pub identifiers: &'a [String],
    /// What was typed on the command line.
    pub erase: Option<&'a OsStr>,
}

/// Ensures that it is this disk that shall be erased.
pub fn ask(question: &Question<'_>, interrupts: &Interrupts) -> Result<(), Refusal> {
    let refused = |why: String| Failure::DiskRefused { path: question.disk.path.clone(), why: why.into() };
    let own = question.identifiers.first().map_or("", String::as_str);
    if let Some(typed) = question.erase {
        if question.identifiers.iter().any(|own| typed == OsStr::new(own)) {
            return Ok(());
        }
        let typed = display::name(typed);
        return Err(refused(format!("--erase names {typed}, but this disk is {own}")).into());
    }
    let option = format!("--erase {}", quoted(own));
    if !question.contents.is_empty() {
        return Err(refused(format!("it is not empty; if all of it may be lost, add {option}")).into());
    }
    if !io::stdin().is_terminal() {
        return Err(refused(format!("it was not confirmed; to prepare it, add {option}")).into());
    }
    let disk = display::path(&question.disk.path);
    let _ = write!(io::stdout(), "Type {own} to erase {disk}: ");
    let _ = io::stdout().flush();
    let typed = line(interrupts);
    if let Some(signal) = interrupts.received() {
        let sentence = format!("Interrupted ({signal}). Nothing was written to {disk}.");
        return Err(Refusal(ExitCode::from_interruption(signal), sentence));
    }
    let typed =
        typed.map_err(|error| refused(format!("the answer cannot be read: {}", display::reason(&error))))?;
    if question.identifiers.iter().any(|own| typed == own.as_bytes()) {
        return Ok(());
    }
    Err(refused(format!("{} was typed, but this disk is {own}", display::line(&typed))).into())
}

/// Reads one line byte by byte: what follows may be a passphrase. Returns early if a signal arrives.
fn line(interrupts: &Interrupts) -> io::Result<Vec<u8>> {
    let mut typed = Vec::new();
    let input = io::stdin();
    let mut file = std::fs::File::from(input.as_fd().try_clone_to_owned()?);
    while interrupts.received().is_none() && typed.len() < LONGEST {
        let mut polled = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(TICK_MS)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        if file.read(&mut byte)? == 0 || byte == *b"\n" {
            break;
        }
        typed.push(byte[0]);
    }
    Ok(typed)
}
