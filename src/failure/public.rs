//! The part of a failure that anyone may read: no file names below the source or the destination, and no message of
//! rsync's, which may contain them. A dump program's messages are about its server.

use crate::display;
use crate::failure::{Deletion, Failure, Obstacle, counted};

impl Failure {
    /// The message for files that anyone can read. The log has the full one.
    #[must_use]
    pub fn for_everybody(&self) -> String {
        match self {
            Self::DestinationFull { path, .. } => format!(
                "The destination {} is full. Make room there, exclude more, or use a larger disk.",
                display::path(path)
            ),
            Self::MissingUser { path: Some(_) } => Self::MissingUser { path: None }.to_string(),
            Self::WouldDelete { path, files, dirs, .. } => format!(
                "The destination {} has no Counterpart marker, and this clone would delete or overwrite {} and {} \
                 there. If it is the right disk, run once with --adopt.",
                display::path(path),
                counted(*files, "file"),
                counted(*dirs, "directory")
            ),
            Self::DeletesMost { path, deletion } => {
                let deletion = Deletion { first: None, ..deletion.clone() };
                Self::DeletesMost { path: path.clone(), deletion }.to_string()
            }
            Self::CannotHold { path, .. } => format!(
                "The destination {} cannot hold everything that the source has. The log says what, and names the first \
                 paths.",
                display::path(path)
            ),
            Self::Encrypted { .. } => "Encrypted directories of the source could not be read because the key is not \
                                       available. Everything else was copied, and the clone's earlier copies were \
                                       kept. The log names them."
                .to_owned(),
            Self::Stalled { limit, left_behind, .. } => {
                Self::Stalled { limit: *limit, last: None, left_behind: *left_behind }.to_string()
            }
            Self::LinkedVanished { .. } => {
                "A file vanished while it was being copied. It had other hard links, which may be missing from the \
                 clone or have old contents there. Run it again."
                    .to_owned()
            }
            // The line of a file may hold more than its reader would show to everybody.
            Self::NotBootable { obstacle: obstacle @ Obstacle::Table, .. } => {
                format!("The copy is complete, but it could not be made bootable: {obstacle}. The log says why.")
            }
            Self::NotBooted { path, public, .. } => {
                format!("The clone on {} did not boot: {public}. The log says more.", display::path(path))
            }
            Self::DatabaseNotDumped { .. }
            | Self::DirectoryNotArchived { .. }
            | Self::SettingsNotDumped { .. }
            | Self::MissingUser { path: None }
            | Self::NotRoot
            | Self::Internal(_)
            | Self::SourceUnreadable { .. }
            | Self::SourceEmpty { .. }
            | Self::DestinationUnusable { .. }
            | Self::DestinationMissing { .. }
            | Self::ExcludesUnreadable { .. }
            | Self::PingFile { .. }
            | Self::ScriptNotExecutable { .. }
            | Self::ScriptFailed { .. }
            | Self::SourceLost { .. }
            | Self::NoSnapshot { .. }
            | Self::SnapshotLost { .. }
            | Self::DestinationLost { .. }
            | Self::NoRoom { .. }
            | Self::Shrunken { .. }
            | Self::Locked { .. }
            | Self::RsyncNotFound { .. }
            | Self::WrongRsync { .. }
            | Self::SameDir { .. }
            | Self::SourceInsideDestination { .. }
            | Self::PartInsideDestination { .. }
            | Self::HoldsSystem { .. }
            | Self::DestinationChanged { .. }
            | Self::DestinationUnknown { .. }
            | Self::SourceChanged { .. }
            | Self::ShrinkUnknown { .. }
            | Self::OutputInDestination { .. }
            | Self::FilesystemsRefused { .. }
            | Self::InPlaceRefused { .. }
            | Self::DiskUnmounted { .. }
            | Self::NoDiskMounted { .. }
            | Self::IgnoresOwnership { .. }
            | Self::SealedSystem { .. }
            | Self::Interrupted { .. }
            | Self::Rsync { .. }
            | Self::RsyncUnusable { .. }
            | Self::RsyncKilled { .. }
            | Self::RsyncNotRun { .. }
            | Self::StatisticsMissing { .. }
            | Self::FlushFailed { .. }
            | Self::BackupDir { .. }
            | Self::NoPassword { .. }
            | Self::BackupUnsupported { .. }
            | Self::ServeradminNotFound { .. }
            | Self::PgDumpallNotFound { .. }
            | Self::SafetyNet { .. }
            | Self::LosesBackups { .. }
            | Self::NotBootable { .. }
            | Self::DiskRefused { .. }
            | Self::Damaged { .. }
            | Self::MarkerNotWritten { .. } => self.to_string(),
        }
    }
}
