//! Where the password is stored: the System keychain of a Mac, systemd's credentials on Linux.

pub mod credentials;
pub mod error;
pub mod keychain;

use crate::host::Host;
use crate::host::platform::Platform;
use crate::marker::Prefix;
use crate::password_store::error::StoreError;
use crate::process::interrupts::Interrupts;
use crate::secret::Secret;

/// Reads the stored password.
pub fn load(host: &Host, interrupts: &Interrupts, prefix: &Prefix) -> Result<Secret, StoreError> {
    match host.platform {
        Platform::MacOs(_) => keychain::load(host, interrupts, &prefix.service()),
        Platform::Linux => credentials::load(host, interrupts, prefix),
    }
}

/// Stores a password, replacing an earlier one, and returns where.
pub fn save(
    host: &Host,
    interrupts: &Interrupts,
    prefix: &Prefix,
    secret: &Secret,
) -> Result<String, StoreError> {
    match host.platform {
        Platform::MacOs(_) => keychain::save(host, interrupts, &prefix.service(), secret)
            .map(|()| "in the System keychain".to_owned()),
        Platform::Linux => credentials::save(host, interrupts, prefix, secret),
    }
}

/// Deletes the stored password; false if there was none.
pub fn delete(host: &Host, interrupts: &Interrupts, prefix: &Prefix) -> Result<bool, StoreError> {
    match host.platform {
        Platform::MacOs(_) => keychain::delete(host, interrupts, &prefix.service()),
        Platform::Linux => credentials::delete(host, prefix),
    }
}
