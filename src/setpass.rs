//! `counterpart setpass`: stores the password of the server backup.

use std::io::{self, IsTerminal as _, Read as _};

use crate::cli::SetpassArgs;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::password_store;
use crate::password_store::error::StoreError;
use crate::process::interrupts::Interrupts;
use crate::secret::{LONGEST, Secret};

fn unusable(error: &StoreError) -> Refusal {
    Refusal(ExitCode::NO_PASSWORD, format!("The password store cannot be used: {error}."))
}

/// Runs the subcommand, and returns what to print.
pub fn run(args: &SetpassArgs, machine: Machine<'_>) -> Result<String, Refusal> {
    if !machine.host.is_root() {
        let why = "setpass must be run as root: the password is stored for the whole system.";
        return Err(Refusal(ExitCode::NOT_ROOT_OR_INTERNAL, why.to_owned()));
    }
    let prefix = &args.organisation_prefix;
    if args.delete {
        return if password_store::delete(machine, prefix).map_err(|error| unusable(&error))? {
            Ok(format!("The password of {prefix} is deleted."))
        } else {
            Err(Refusal(ExitCode::NO_PASSWORD, format!("No password of {prefix} is stored.")))
        };
    }
    if args.check {
        password_store::load(machine, prefix).map_err(|error| unusable(&error))?;
        return Ok(format!("A password of {prefix} is stored and can be read."));
    }
    let secret = if args.stdin { from_standard_input()? } else { from_terminal(machine.interrupts)? };
    if let Some(why) = secret.objection() {
        return Err(refused(&format!("The password {why}. Nothing was stored.")));
    }
    let place = password_store::save(machine, prefix, &secret).map_err(|error| unusable(&error))?;
    Ok(format!("The password of {prefix} is stored {place}."))
}

fn refused(sentence: &str) -> Refusal {
    Refusal(ExitCode::USAGE, sentence.to_owned())
}

/// Reads one line; its end is not part of the password, but everything else is.
fn from_standard_input() -> Result<Secret, Refusal> {
    // Allocate the full size at once: a growing vector would leave copies behind.
    let most = LONGEST + 2;
    let mut bytes = Vec::with_capacity(most);
    let read = io::stdin().lock().take(u64::try_from(most).unwrap_or(0)).read_to_end(&mut bytes);
    let mut secret = Secret::new(bytes);
    read.map_err(|error| refused(&format!("The password could not be read: {error}.")))?;
    secret.strip_line_end();
    Ok(secret)
}

fn from_terminal(interrupts: &Interrupts) -> Result<Secret, Refusal> {
    if !io::stdin().is_terminal() {
        return Err(refused("Standard input is not a terminal. To take the password from it, use --stdin."));
    }
    let first = ask("Password of the server backup: ", interrupts)?;
    let second = ask("Repeat the password: ", interrupts)?;
    if first.expose() == second.expose() {
        Ok(first)
    } else {
        Err(refused("The two passwords do not match. Nothing was stored."))
    }
}

fn ask(prompt: &str, interrupts: &Interrupts) -> Result<Secret, Refusal> {
    let typed = rpassword::prompt_password(prompt);
    if let Some(signal) = interrupts.received() {
        let sentence = "Interrupted. Nothing was stored.".to_owned();
        return Err(Refusal(ExitCode::from_interruption(signal), sentence));
    }
    match typed {
        Ok(text) => Ok(Secret::new(text.into_bytes())),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            Err(Refusal(ExitCode::INTERRUPTED, "Interrupted. Nothing was stored.".to_owned()))
        }
        Err(error) => Err(refused(&format!("The password could not be read: {error}."))),
    }
}
