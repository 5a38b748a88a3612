//! The password as a systemd credential: passed to the job, or stored encrypted, or plain where that is not possible.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::display;
use crate::fs::dir::Dir;
use crate::host::machine::Machine;
use crate::host::{Host, TOOL_LIMIT};
use crate::marker::Prefix;
use crate::password_store::error::StoreError;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, capture};
use crate::secret::Secret;

/// The longest file that is read, in bytes: far more than the longest password needs in any form.
const LONGEST: u64 = 1 << 16;

/// The name of the credential, which is bound into its encrypted form.
fn name(prefix: &Prefix) -> String {
    prefix.service()
}

/// Reads the password: the job's own credential first, then the encrypted one, then the plain one.
pub fn load(machine: Machine<'_>, prefix: &Prefix) -> Result<Secret, StoreError> {
    let name = name(prefix);
    if let Some(dir) = &machine.host.job_credentials {
        let path = dir.join(&name);
        if let Some(content) = read(&path, |_| Ok(()))? {
            return usable(&path, content);
        }
    }
    let encrypted = machine.host.encrypted_credentials.join(&name);
    if read(&encrypted, check_private)?.is_some() {
        let content = decrypt(machine, &name, &encrypted)?;
        return usable(&encrypted, content);
    }
    let plain = machine.host.plain_credentials.join(&name);
    match read(&plain, check_private)? {
        Some(content) => usable(&plain, content),
        None => Err(StoreError(format!(
            "none is stored in {} or {}",
            display::path(&encrypted),
            display::path(&plain)
        ))),
    }
}

/// Stores the password encrypted if systemd supports that, and plain otherwise.
pub fn save(machine: Machine<'_>, prefix: &Prefix, secret: &Secret) -> Result<String, StoreError> {
    let name = name(prefix);
    if !machine.host.tools.systemd_creds.is_file() {
        let path = machine.host.plain_credentials.join(&name);
        write(&machine.host.plain_credentials, &name, secret.expose())?;
        remove(&machine.host.encrypted_credentials, &name)?;
        return Ok(format!(
            "in the file {}, which only root can read: it is not encrypted, as there is no {}",
            display::path(&path),
            display::path(&machine.host.tools.systemd_creds)
        ));
    }
    let encrypted = encrypt(machine, &name, secret)?;
    write(&machine.host.encrypted_credentials, &name, &encrypted)?;
    let path = machine.host.encrypted_credentials.join(&name);
    let back = decrypt(machine, &name, &path)?;
    if usable(&path, back)?.expose() != secret.expose() {
        return Err(StoreError(format!(
            "{} does not return the password as it was stored",
            display::path(&path)
        )));
    }
    remove(&machine.host.plain_credentials, &name)?;
    Ok(format!("encrypted in {}", display::path(&path)))
}

/// Deletes the stored password in both forms; false if there was none.
pub fn delete(host: &Host, prefix: &Prefix) -> Result<bool, StoreError> {
    let name = name(prefix);
    let encrypted = remove(&host.encrypted_credentials, &name)?;
    let plain = remove(&host.plain_credentials, &name)?;
    Ok(encrypted || plain)
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError(format!("{}: {}", display::path(path), display::reason(error)))
}

/// Reads a whole file; `None` if it does not exist. `check` decides whether it can be trusted.
fn read(path: &Path, check: fn(&std::fs::Metadata) -> io::Result<()>) -> Result<Option<Secret>, StoreError> {
    let content = || {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > LONGEST {
            return Err(io::Error::other("it is not a credential"));
        }
        check(&metadata)?;
        let mut content = Vec::with_capacity(usize::try_from(LONGEST).unwrap_or(0));
        file.take(LONGEST).read_to_end(&mut content)?;
        Ok(Secret::new(content))
    };
    match content() {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// A file that others could read is no longer secret, and one that others could write is not ours.
fn check_private(metadata: &std::fs::Metadata) -> io::Result<()> {
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned()));
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return refuse("it is owned by another user");
    }
    if metadata.mode() & 0o077 != 0 {
        return refuse("others can read it; store the password again");
    }
    Ok(())
}

/// A stored password without the trailing newline that a file made by hand has.
fn usable(path: &Path, mut secret: Secret) -> Result<Secret, StoreError> {
    secret.strip_line_end();
    match secret.objection() {
        None => Ok(secret),
        Some(why) => Err(StoreError(format!("the password in {} {why}", display::path(path)))),
    }
}

fn write(dir: &Path, name: &str, content: &[u8]) -> Result<(), StoreError> {
    Dir::open_or_create(dir, 0o700)
        .and_then(|dir| dir.replace(name.as_ref(), 0o600, content))
        .map_err(|error| failed(&dir.join(name), &error))
}

/// Removes a file of the store; false if there was none.
fn remove(dir: &Path, name: &str) -> Result<bool, StoreError> {
    let path = dir.join(name);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(&path, &error)),
    }
}

fn encrypt(machine: Machine<'_>, name: &str, secret: &Secret) -> Result<Vec<u8>, StoreError> {
    let arguments = ["encrypt".into(), format!("--name={name}"), "-".into(), "-".into()];
    let mut command = Command::tool(&machine.host.tools.systemd_creds, arguments);
    command.input = secret.expose().to_vec().into();
    Ok(ask(&command, machine.interrupts)?.expose().to_vec())
}

fn decrypt(machine: Machine<'_>, name: &str, path: &Path) -> Result<Secret, StoreError> {
    let arguments: [OsString; 4] =
        ["decrypt".into(), format!("--name={name}").into(), path.into(), "-".into()];
    ask(&Command::tool(&machine.host.tools.systemd_creds, arguments), machine.interrupts)
}

fn ask(command: &Command, interrupts: &Interrupts) -> Result<Secret, StoreError> {
    let tool = display::path(&command.program);
    let printed = capture(command, interrupts, TOOL_LIMIT)
        .map_err(|error| StoreError(format!("{tool} could not be run: {}", display::reason(&error))))?;
    let out = Secret::new(printed.out);
    if printed.end == End::Exited(0) && !out.is_empty() {
        return Ok(out);
    }
    Err(StoreError(format!("{tool} refused: {}", display::line(printed.err.trim_ascii()))))
}
