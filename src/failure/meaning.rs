//! What each failure means for the run: its exit code, and what may still be written.

use crate::exit_code::ExitCode;
use crate::failure::{Failure, Moment};

impl Failure {
    /// The documented exit code of this failure.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            // rsync's 1 means that it rejected our own options.
            Self::NotRoot | Self::Internal(_) | Self::RsyncUnusable { code: 1, .. } => {
                ExitCode::NOT_ROOT_OR_INTERNAL
            }
            Self::SourceUnreadable { .. } | Self::SourceEmpty { .. } => ExitCode::SOURCE,
            Self::DestinationUnusable { .. } | Self::DestinationMissing { .. } => ExitCode::DESTINATION,
            Self::ExcludesUnreadable { .. } => ExitCode::EXCLUDES,
            Self::ScriptNotExecutable { which, .. } => match which {
                Moment::PreClone => ExitCode::PRE_SCRIPT,
                Moment::PostClone => ExitCode::POST_SCRIPT,
                Moment::OnError => ExitCode::USAGE,
            },
            Self::OutputInDestination { .. }
            | Self::FilesystemsRefused { .. }
            | Self::InPlaceRefused { .. }
            | Self::PingFile { .. } => ExitCode::USAGE,
            Self::ScriptFailed { which, .. } => match which {
                Moment::PreClone => ExitCode::PRE_SCRIPT_FAILED,
                Moment::PostClone => ExitCode::POST_SCRIPT_FAILED,
                // It runs after the run has failed, and does not change the exit code.
                Moment::OnError => ExitCode::NOT_ROOT_OR_INTERNAL,
            },
            Self::SourceLost { .. } | Self::SnapshotLost { .. } => ExitCode::SOURCE_LOST,
            Self::DestinationLost { .. } | Self::MarkerNotWritten { .. } | Self::SafetyNet { .. } => {
                ExitCode::DESTINATION_LOST
            }
            Self::NoSnapshot { .. } => ExitCode::NO_SNAPSHOT,
            Self::MissingUser { .. } => ExitCode::MISSING_USER,
            Self::DestinationFull { .. } | Self::NoRoom { .. } => ExitCode::DESTINATION_FULL,
            Self::CannotHold { .. } => ExitCode::CANNOT_HOLD,
            Self::WouldDelete { .. }
            | Self::Shrunken { .. }
            | Self::SourceChanged { .. }
            | Self::DeletesMost { .. }
            | Self::ShrinkUnknown { .. } => ExitCode::WOULD_DELETE,
            Self::NotBootable { .. } => ExitCode::NOT_BOOTABLE,
            Self::NotBooted { .. } => ExitCode::NOT_BOOTED,
            Self::Damaged { .. } => ExitCode::DAMAGE,
            Self::Locked { .. } => ExitCode::LOCKED,
            Self::RsyncNotFound { .. } => ExitCode::RSYNC_NOT_FOUND,
            Self::WrongRsync { .. }
            | Self::LosesBackups { .. }
            | Self::RsyncNotRun { .. }
            | Self::RsyncUnusable { .. } => ExitCode::WRONG_RSYNC,
            Self::SameDir { .. }
            | Self::SourceInsideDestination { .. }
            | Self::PartInsideDestination { .. }
            | Self::HoldsSystem { .. } => ExitCode::OVERLAP,
            Self::DestinationChanged { .. }
            | Self::DestinationUnknown { .. }
            | Self::DiskUnmounted { .. }
            | Self::NoDiskMounted { .. } => ExitCode::CHANGED_DESTINATION,
            Self::IgnoresOwnership { .. } => ExitCode::IGNORES_OWNERSHIP,
            Self::SealedSystem { .. } => ExitCode::SEALED_SYSTEM,
            Self::NoPassword { .. } => ExitCode::NO_PASSWORD,
            Self::BackupUnsupported { .. } => ExitCode::BACKUP_UNSUPPORTED,
            Self::ServeradminNotFound { .. } => ExitCode::SERVERADMIN_NOT_FOUND,
            Self::PgDumpallNotFound { .. } => ExitCode::PG_DUMPALL_NOT_FOUND,
            Self::DatabaseNotDumped { .. } => ExitCode::DATABASE,
            Self::DirectoryNotArchived { .. } => ExitCode::DIRECTORY,
            // The directory holds everything that was asked for, the settings last.
            Self::SettingsNotDumped { .. } | Self::BackupDir { .. } => ExitCode::SETTINGS,
            Self::DiskRefused { .. } => ExitCode::DISK_REFUSED,
            Self::Interrupted { signal } => ExitCode::from_interruption(*signal),
            Self::Stalled { .. } => ExitCode::TIMEOUT,
            Self::Encrypted { .. } | Self::LinkedVanished { .. } => ExitCode::PARTIAL,
            Self::Rsync { code, .. } => *code,
            Self::RsyncKilled { signal } => ExitCode::from_signal(*signal),
            Self::StatisticsMissing { .. } => ExitCode::DIAGNOSTICS,
            Self::FlushFailed { .. } => ExitCode::FILE_IO,
        }
    }

    /// Whether the destination was refused as a whole: then nothing is written there at all.
    #[must_use]
    pub fn refuses_destination(&self) -> bool {
        match self {
            Self::DestinationUnusable { .. }
            | Self::DestinationMissing { .. }
            | Self::WouldDelete { .. }
            | Self::Shrunken { .. }
            | Self::SourceChanged { .. }
            | Self::ShrinkUnknown { .. }
            | Self::DeletesMost { .. }
            | Self::OutputInDestination { .. }
            | Self::FilesystemsRefused { .. }
            | Self::InPlaceRefused { .. }
            | Self::DestinationUnknown { .. }
            | Self::Locked { .. }
            | Self::SameDir { .. }
            | Self::SourceInsideDestination { .. }
            | Self::PartInsideDestination { .. }
            | Self::HoldsSystem { .. }
            | Self::DestinationChanged { .. }
            | Self::DiskUnmounted { .. }
            | Self::NoDiskMounted { .. }
            | Self::IgnoresOwnership { .. }
            | Self::SealedSystem { .. }
            | Self::DiskRefused { .. }
            | Self::NotRoot => true,
            Self::Internal(_)
            | Self::SourceUnreadable { .. }
            | Self::SourceEmpty { .. }
            | Self::ExcludesUnreadable { .. }
            | Self::PingFile { .. }
            | Self::ScriptNotExecutable { .. }
            | Self::ScriptFailed { .. }
            | Self::SourceLost { .. }
            | Self::NoSnapshot { .. }
            | Self::SnapshotLost { .. }
            | Self::DestinationLost { .. }
            | Self::MissingUser { .. }
            | Self::DestinationFull { .. }
            | Self::CannotHold { .. }
            | Self::NoRoom { .. }
            | Self::Encrypted { .. }
            | Self::RsyncNotFound { .. }
            | Self::WrongRsync { .. }
            | Self::Interrupted { .. }
            | Self::Stalled { .. }
            | Self::LinkedVanished { .. }
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
            | Self::DatabaseNotDumped { .. }
            | Self::DirectoryNotArchived { .. }
            | Self::SettingsNotDumped { .. }
            | Self::SafetyNet { .. }
            | Self::LosesBackups { .. }
            | Self::NotBootable { .. }
            | Self::NotBooted { .. }
            | Self::Damaged { .. }
            | Self::MarkerNotWritten { .. } => false,
        }
    }

    /// Whether the destination is simply missing, as when its disk is not connected.
    #[must_use]
    pub fn means_missing(&self) -> bool {
        matches!(
            self,
            Self::DestinationMissing { .. } | Self::DiskUnmounted { .. } | Self::NoDiskMounted { .. }
        )
    }

    /// Whether there is no rsync to begin with.
    #[must_use]
    pub fn is_of_preflight(&self) -> bool {
        matches!(self, Self::RsyncNotFound { .. } | Self::WrongRsync { .. } | Self::LosesBackups { .. })
    }

    /// Whether it is a refusal by the survey, of which a test run only warns.
    #[must_use]
    pub fn is_of_survey(&self) -> bool {
        matches!(
            self,
            Self::Shrunken { .. }
                | Self::ShrinkUnknown { .. }
                | Self::NoRoom { .. }
                | Self::WouldDelete { .. }
                | Self::DeletesMost { .. }
        )
    }
}
