//! Where the password is stored.

use super::keychain;
use crate::host::Host;
use crate::host::platform::Platform;
use crate::plan::Prefix;
use crate::process::interrupts::Interrupts;
use crate::secret::Secret;

/// Why the store could not do it; whole sentences without a full stop.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Reads the stored password.
pub fn load(host: &Host, interrupts: &Interrupts, prefix: &Prefix) -> Result<Secret, StoreError> {
    match host.platform {
        Platform::MacOs(_) => keychain::load(host, interrupts, &prefix.service()),
        Platform::Linux => Err(StoreError("not written yet".into())),
    }
}
