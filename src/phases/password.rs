//! The password for the server backup: from the command line, or from where `setpass` stored it.

use crate::failure::Failure;
use crate::logging::warning;
use crate::password_store;
use crate::plan::BackupPassword;
use crate::run::Run;
use crate::secret::Secret;

/// Finds it before anything else runs and returns the only copy; `None` if no server backup was requested.
pub fn resolve(run: &Run<'_>) -> Result<Option<Secret>, Failure> {
    run.go_on()?;
    match &run.plan.backup {
        None => Ok(None),
        Some(BackupPassword::Given(secret)) => {
            warning("-b exposes the password to every user in the process list. Use setpass and -B instead.");
            secret
                .take()
                .map(Some)
                .ok_or_else(|| Failure::Internal("the password was taken before".to_owned()))
        }
        Some(BackupPassword::Stored) => password_store::load(run.machine, &run.plan.prefix)
            .map(Some)
            .map_err(|error| Failure::NoPassword {
                why: error.to_string().into(),
                command: format!("counterpart setpass -g {}", run.plan.prefix),
            }),
    }
}
