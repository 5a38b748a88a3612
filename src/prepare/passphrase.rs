//! The passphrase of the encrypted root: typed twice, the one line of standard input, or a file's bytes.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::private_file;
use crate::process::interrupts::Interrupts;
use crate::secret::{LONGEST, Secret};

/// The longest key file, in bytes.
const LONGEST_KEY: u64 = 64 * 1024;

/// Gets it.
pub fn get(key_file: Option<&Path>, interrupts: &Interrupts) -> Result<Secret, Refusal> {
    if let Some(path) = key_file {
        return of_file(path);
    }
    let secret = if io::stdin().is_terminal() { typed(interrupts)? } else { of_input()? };
    match secret.objection() {
        Some(why) => Err(refused(&format!("The passphrase {why}. Nothing was written."))),
        None => Ok(secret),
    }
}

fn refused(sentence: &str) -> Refusal {
    Refusal(ExitCode::USAGE, sentence.to_owned())
}

/// A key may have any bytes, but not none, and only root may read it: the clone asks that of it too.
fn of_file(path: &Path) -> Result<Secret, Refusal> {
    let shown = display::path(path);
    private_file::read(path, 0, LONGEST_KEY)
        .map(|mut key| Secret::new(std::mem::take(&mut *key)))
        .map_err(|why| refused(&format!("The key file {shown} {why}. Nothing was written.")))
}

fn of_input() -> Result<Secret, Refusal> {
    let mut secret = limited(io::stdin().lock(), LONGEST + 2).map_err(|error| {
        refused(&format!("The passphrase cannot be read: {}. Nothing was written.", display::reason(&error)))
    })?;
    secret.strip_line_end();
    Ok(secret)
}

/// Allocates the full size at once: a growing vector would leave copies behind.
fn limited(from: impl io::Read, most: usize) -> io::Result<Secret> {
    let mut bytes = Vec::with_capacity(most);
    let read = from.take(u64::try_from(most).unwrap_or(0)).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    read.map(|_| secret)
}

fn typed(interrupts: &Interrupts) -> Result<Secret, Refusal> {
    let ask = |prompt: &str| {
        let typed = rpassword::prompt_password(prompt);
        if let Some(signal) = interrupts.received() {
            let sentence = "Interrupted. Nothing was written.".to_owned();
            return Err(Refusal(ExitCode::from_interruption(signal), sentence));
        }
        typed.map(|text| Secret::new(text.into_bytes())).map_err(|error| {
            refused(&format!(
                "The passphrase cannot be read: {}. Nothing was written.",
                display::reason(&error)
            ))
        })
    };
    let (first, second) = (ask("Passphrase of the encrypted root: ")?, ask("Repeat the passphrase: ")?);
    if first.expose() == second.expose() {
        Ok(first)
    } else {
        Err(refused("The two passphrases do not match. Nothing was written."))
    }
}
