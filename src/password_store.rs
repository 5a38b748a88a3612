//! Where the password is stored: the System keychain of a Mac, systemd's credentials on Linux.

pub mod credentials;
pub mod error;
pub mod keychain;

use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::marker::Prefix;
use crate::password_store::error::StoreError;
use crate::secret::Secret;

/// Reads the stored password.
pub fn load(machine: Machine<'_>, prefix: &Prefix) -> Result<Secret, StoreError> {
    match machine.host.platform {
        Platform::MacOs(_) => keychain::load(machine, &prefix.service()),
        Platform::Linux => credentials::load(machine, prefix),
    }
}

/// Stores a password, replacing an earlier one, and returns where.
pub fn save(machine: Machine<'_>, prefix: &Prefix, secret: &Secret) -> Result<String, StoreError> {
    match machine.host.platform {
        Platform::MacOs(_) => {
            keychain::save(machine, &prefix.service(), secret).map(|()| "in the System keychain".to_owned())
        }
        Platform::Linux => credentials::save(machine, prefix, secret),
    }
}

/// Deletes the stored password; false if there was none.
pub fn delete(machine: Machine<'_>, prefix: &Prefix) -> Result<bool, StoreError> {
    match machine.host.platform {
        Platform::MacOs(_) => keychain::delete(machine, &prefix.service()),
        Platform::Linux => credentials::delete(machine.host, prefix),
    }
}
