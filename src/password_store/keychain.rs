//! The password in the keychain of macOS. It is passed to `security` only on standard input.

use std::io;

use zeroize::Zeroizing;

use crate::display;
use crate::host::machine::Machine;
use crate::host::{Host, TOOL_LIMIT};
use crate::macos::keychain;
use crate::macos::keychain::{Answer, KEYCHAIN};
use crate::password_store::error::StoreError;
use crate::process::{Captured, Command, End, capture};
use crate::secret::Secret;

/// Reads the password stored for `service`.
pub fn load(machine: Machine<'_>, service: &str) -> Result<Secret, StoreError> {
    let command = Command::tool(&machine.host.tools.security, keychain::find_arguments(service));
    let printed = ask(machine, &command)?;
    match printed.end {
        End::Exited(0) => {
            let err = Zeroizing::new(printed.err);
            keychain::read_password(&err).ok_or_else(|| {
                StoreError(format!(
                    "the keychain {KEYCHAIN} has the item {service}, but no password in it can be read"
                ))
            })
        }
        end @ (End::Exited(_) | End::Killed(_)) => Err(StoreError(words(machine.host, end, "read", service))),
    }
}

/// Stores the password for `service`, replacing an earlier one.
///
/// It is read back, so that a password altered by the keychain is never considered stored.
pub fn save(machine: Machine<'_>, service: &str, password: &Secret) -> Result<(), StoreError> {
    let line = keychain::add_line(service, password).map_err(|error| StoreError(error.to_string()))?;
    let mut command = Command::tool(&machine.host.tools.security, ["-i"]);
    command.input = line;
    let end = ask(machine, &command)?.end;
    if end != End::Exited(0) {
        return Err(StoreError(words(machine.host, end, "written", service)));
    }
    if load(machine, service)?.expose() == password.expose() {
        return Ok(());
    }
    Err(StoreError(format!(
        "the keychain {KEYCHAIN} returned a different password for {service} than the one stored"
    )))
}

/// Deletes the password of `service`; returns whether there was one.
pub fn delete(machine: Machine<'_>, service: &str) -> Result<bool, StoreError> {
    let command = Command::tool(&machine.host.tools.security, keychain::delete_arguments(service));
    match ask(machine, &command)?.end {
        End::Exited(0) => Ok(true),
        End::Exited(code) if keychain::answer(code) == Some(Answer::NotFound) => Ok(false),
        end @ (End::Exited(_) | End::Killed(_)) => {
            Err(StoreError(words(machine.host, end, "changed", service)))
        }
    }
}

fn ask(machine: Machine<'_>, command: &Command) -> Result<Captured, StoreError> {
    capture(command, machine.interrupts, TOOL_LIMIT).map_err(|error| {
        let tool = display::path(&machine.host.tools.security);
        StoreError(if error.kind() == io::ErrorKind::TimedOut {
            format!("{tool} did not answer within {} seconds", TOOL_LIMIT.as_secs())
        } else {
            format!("{tool} could not be run: {}", display::reason(&error))
        })
    })
}

/// The tool's output is not repeated, because it was given the password.
fn words(host: &Host, end: End, done: &str, service: &str) -> String {
    let tool = display::path(&host.tools.security);
    match end {
        End::Exited(code) => match keychain::answer(code) {
            Some(Answer::NotFound) => format!("the keychain {KEYCHAIN} holds no item {service}"),
            Some(Answer::Failed(why)) => format!("the keychain {KEYCHAIN} could not be {done}: {why}"),
            None => format!("the keychain {KEYCHAIN} could not be {done}: {tool} ended with code {code}"),
        },
        End::Killed(signal) => {
            format!("the keychain {KEYCHAIN} could not be {done}: {tool} was killed by signal {signal}")
        }
    }
}
