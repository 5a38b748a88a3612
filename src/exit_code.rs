//! The documented exit codes: the numbers, what each means and how to fix it.
//!
//! `docs/exit-codes.md`, `--help` and the man page are generated from or checked against [`TABLE`].

mod signal;

pub use signal::Signal;

/// An exit code of this program, always one that [`TABLE`] documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// The clone is complete.
    pub const SUCCESS: Self = Self(0);
    /// Not root, or an internal error.
    pub const NOT_ROOT_OR_INTERNAL: Self = Self(1);
    /// The command line is wrong.
    pub const USAGE: Self = Self(2);
    /// Writing to the destination's device failed; rsync's code for file I/O.
    pub const FILE_IO: Self = Self(11);
    /// rsync's statistics of the run are missing; rsync's code for its diagnostics.
    pub const DIAGNOSTICS: Self = Self(13);
    /// The run was interrupted; rsync's code for that.
    pub const INTERRUPTED: Self = Self(20);
    /// The clone is incomplete; rsync's code for that.
    pub const PARTIAL: Self = Self(23);
    /// The clone is complete except for files that vanished meanwhile; rsync's code for that.
    pub const VANISHED: Self = Self(24);
    /// Nothing progressed for too long; rsync's code for a timeout.
    pub const TIMEOUT: Self = Self(30);
    /// The source cannot be read or is empty.
    pub const SOURCE: Self = Self(65);
    /// The destination cannot be written.
    pub const DESTINATION: Self = Self(66);
    /// The exclusion file cannot be read.
    pub const EXCLUDES: Self = Self(67);
    /// The pre-clone script cannot be executed.
    pub const PRE_SCRIPT: Self = Self(68);
    /// The post-clone script cannot be executed.
    pub const POST_SCRIPT: Self = Self(69);
    /// This was a test run; nothing was cloned.
    pub const TEST_RUN: Self = Self(70);
    /// The source became unreadable during the clone.
    pub const SOURCE_LOST: Self = Self(71);
    /// The destination became unwritable during the clone.
    pub const DESTINATION_LOST: Self = Self(72);
    /// An access control entry names a user that no longer exists.
    pub const MISSING_USER: Self = Self(73);
    /// The destination is full.
    pub const DESTINATION_FULL: Self = Self(74);
    /// Verification found damage.
    pub const DAMAGE: Self = Self(75);
    /// The clone would delete more than it is allowed to.
    pub const WOULD_DELETE: Self = Self(76);
    /// No snapshot could be taken of the source.
    pub const NO_SNAPSHOT: Self = Self(77);
    /// The copy is complete, but it could not be made bootable.
    pub const NOT_BOOTABLE: Self = Self(78);
    /// The clone did not boot.
    pub const NOT_BOOTED: Self = Self(79);
    /// Another Counterpart is cloning to this destination.
    pub const LOCKED: Self = Self(80);
    /// The pre-clone script failed.
    pub const PRE_SCRIPT_FAILED: Self = Self(81);
    /// The post-clone script failed.
    pub const POST_SCRIPT_FAILED: Self = Self(82);
    /// Verification found damage and repaired it.
    pub const REPAIRED: Self = Self(83);
    /// A job's file is wrong.
    pub const JOB_FILE: Self = Self(84);
    /// rsync was not found.
    pub const RSYNC_NOT_FOUND: Self = Self(85);
    /// The rsync found cannot make a clone.
    pub const WRONG_RSYNC: Self = Self(86);
    /// Source and destination are the same, or the destination contains the source or the running system.
    pub const OVERLAP: Self = Self(87);
    /// The destination is not the same one as before.
    pub const CHANGED_DESTINATION: Self = Self(88);
    /// The destination cannot store what the source has.
    pub const CANNOT_HOLD: Self = Self(89);
    /// The destination ignores ownership.
    pub const IGNORES_OWNERSHIP: Self = Self(90);
    /// The source is a sealed system volume.
    pub const SEALED_SYSTEM: Self = Self(91);

    /// There is no stored password, or the store cannot be read.
    pub const NO_PASSWORD: Self = Self(92);
    /// This system has nothing that a server backup could save.
    pub const BACKUP_UNSUPPORTED: Self = Self(93);
    /// serveradmin was not found.
    pub const SERVERADMIN_NOT_FOUND: Self = Self(94);
    /// `pg_dumpall` was not found.
    pub const PG_DUMPALL_NOT_FOUND: Self = Self(95);
    /// A database could not be dumped.
    pub const DATABASE: Self = Self(96);
    /// The directory could not be archived.
    pub const DIRECTORY: Self = Self(97);
    /// The service settings could not be dumped.
    pub const SETTINGS: Self = Self(98);
    /// `prepare` refuses this disk.
    pub const DISK_REFUSED: Self = Self(99);

    /// rsync's own code, if it is one of those that are passed on unchanged (3 to 35).
    #[must_use]
    pub fn from_rsync(code: i32) -> Option<Self> {
        u8::try_from(code).ok().filter(|code| (3..=35).contains(code)).map(Self)
    }

    /// The code of a run ended by this signal: 20 for the three that rsync's own 20 covers, otherwise 128+N.
    #[must_use]
    pub fn from_interruption(signal: Signal) -> Self {
        if signal.is_ordinary() { Self::INTERRUPTED } else { Self::from_signal(signal.number()) }
    }

    /// 128+N, for an rsync killed by signal N.
    #[must_use]
    pub fn from_signal(signal: i32) -> Self {
        Self(128 | u8::try_from(signal & 0x7f).unwrap_or(0))
    }

    /// The code with which this program has ended, if it is one that is documented.
    #[must_use]
    pub fn of_ourselves(code: i32) -> Option<Self> {
        u8::try_from(code).ok().map(Self).filter(|code| Row::of(*code).is_some())
    }

    /// The process's exit status.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// A row of the table of exit codes.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The code, or the range of codes, as printed.
    pub code: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// How to fix it.
    pub remedy: &'static str,
}

impl Row {
    /// The row of the table that documents this code.
    #[must_use]
    pub fn of(code: ExitCode) -> Option<&'static Self> {
        let holds = |row: &&Self| match row.code.split_once('–') {
            Some((first, last)) => {
                let (first, last) = (first.parse::<u8>(), last.parse::<u8>());
                first.is_ok_and(|first| first <= code.number())
                    && last.is_ok_and(|last| code.number() <= last)
            }
            None => row.code.parse() == Ok(code.number()),
        };
        TABLE.iter().find(holds).or_else(|| TABLE.last().filter(|_| code.number() > 128))
    }
}

const fn row(code: &'static str, meaning: &'static str, remedy: &'static str) -> Row {
    Row { code, meaning, remedy }
}

/// Every exit code, in ascending order.
pub const TABLE: &[Row] = &[
    row("0", "success", "nothing to do: the clone is complete and on the disk"),
    row(
        "1",
        "not run as root, or an internal error",
        "run it with sudo or from a root job; report an internal error with the log",
    ),
    row("2", "usage", "read the message and `counterpart --help`"),
    row(
        "3–35",
        "rsync's own code, where nothing more exact is known; 20 also if Counterpart was interrupted; \
         24, files vanished during a clone that is otherwise complete",
        "read the failing paths at the end of the log; see rsync(1), \"EXIT VALUES\"",
    ),
    row(
        "65",
        "source not readable, or empty",
        "check `-s`: is its disk mounted, does the directory hold anything?",
    ),
    row(
        "66",
        "destination not writable",
        "check `-d`: it must be an existing, writable directory and not a symbolic link",
    ),
    row("67", "exclusion file not readable", "check `-e`: it must be a readable file"),
    row(
        "68",
        "pre-clone script not executable",
        "check `-p`: `chmod +x` it and give it a `#!` line whose interpreter exists",
    ),
    row(
        "69",
        "post-clone script not executable",
        "check `-o`: `chmod +x` it and give it a `#!` line whose interpreter exists",
    ),
    row("70", "this was a test run", "nothing was changed; run it again without `-t` to make the clone"),
    row(
        "71",
        "source became unreadable during the clone",
        "check the source's disk and cable, then run it again; give a snapshot that overflowed more room (`--snapshot-size`)",
    ),
    row(
        "72",
        "destination became unwritable during the clone",
        "check the destination's disk and cable, repair its filesystem, then run it again",
    ),
    row(
        "73",
        "an access control entry in the source names a user who no longer exists",
        "remove the entry from the path named in the log (`ls -le`, `chmod -a# N`), then run it again",
    ),
    row(
        "74",
        "destination full",
        "make room at the destination (space or inodes), exclude more, or use a larger disk; if the clone would fit \
         after all, give `--no-space-check`",
    ),
    row(
        "75",
        "verification found damage (`verify`, `--verify-daily`, `--hashes`)",
        "read the paths that it names; find out what changes the clone besides Counterpart, or replace the disk; \
         `--repair` copies damaged entries anew",
    ),
    row(
        "76",
        "the clone would delete more than it may",
        "make sure that this is the right disk, and that the source is all there and its disk mounted; then allow it \
         once with `--adopt` or `--allow-shrink`, as the message says",
    ),
    row(
        "77",
        "no snapshot could be taken of the source (`--snapshot require`)",
        "read the reason; clone from a source on btrfs that is mounted whole or on LVM with room for a snapshot, or leave the option out",
    ),
    row(
        "78",
        "the copy is complete, but it could not be made bootable (`--bootable`)",
        "the message says what is in the way: a disk without the partition that the boot loader needs, a program that is \
         missing, a line that is not understood; `counterpart doctor` with the same options says it beforehand",
    ),
    row(
        "79",
        "the clone did not boot (`prove`, `--prove`)",
        "read the reason, and look at the screen that was saved in the log directory; the copy itself is complete",
    ),
    row(
        "80",
        "another Counterpart is cloning to this destination",
        "wait for it to finish; the rsync of a killed run may still be at work",
    ),
    row("81", "pre-clone script failed (`--strict-scripts`)", "read the script's output in the log"),
    row(
        "82",
        "post-clone script failed (`--strict-scripts`)",
        "read the script's output in the log; the files were cloned before it ran",
    ),
    row(
        "83",
        "verification found damage and repaired it (`verify --repair`)",
        "read the paths that it names, and find out what changes the clone besides Counterpart, or whether the disk is failing",
    ),
    row(
        "84",
        "the job file is wrong",
        "correct it where the message says, or write it anew with `counterpart job init`; it must belong to root and be \
         writable by nobody else",
    ),
    row("85", "rsync not found", "install rsync (see INSTALL.md), or name it with `--rsync`"),
    row("86", "wrong rsync", "install Samba's rsync 3.0.9 or later; Apple's openrsync cannot make a clone"),
    row(
        "87",
        "source and destination are the same, or the source or the running system lies inside the destination",
        "check `-s` and `-d`",
    ),
    row(
        "88",
        "the destination is not the disk that it was, or no disk is mounted there",
        "mount the right disk; to accept this one, give `--adopt` once; for a plain directory, give `--allow-folder`",
    ),
    row(
        "89",
        "the destination cannot hold what the source has (case, attribute size, link count, times and more)",
        "exclude the paths that the log names, rename or change them, or use a filesystem that can hold them",
    ),
    row(
        "90",
        "destination ignores ownership",
        "macOS: `diskutil enableOwnership VOLUME`; Linux: use a filesystem such as ext4, xfs or btrfs",
    ),
    row(
        "91",
        "source is a sealed system volume",
        "clone `/System/Volumes/Data` instead; macOS itself is reinstalled, not cloned",
    ),
    row(
        "92",
        "no password is stored, or the password store cannot be read",
        "store it with `counterpart setpass`, as root and with the same `-g`",
    ),
    row(
        "93",
        "server backup not supported on this system",
        "leave out `-b` or `-B`: nothing was found here that it could back up",
    ),
    row("94", "serveradmin not found", "install Server.app, or leave out `-b` or `-B`"),
    row("95", "pg_dumpall not found", "install the PostgreSQL client programs of the server's version"),
    row("96", "a database could not be dumped", "read what the dump program printed in the log"),
    row("97", "the directory could not be archived", "read what serveradmin or slapcat printed in the log"),
    row("98", "the service settings could not be dumped", "read what serveradmin printed in the log"),
    row(
        "99",
        "`prepare` refuses this disk",
        "read the message: nothing was written to the disk; name the right one, free it, or give `--erase` and its \
         serial number",
    ),
    row(
        "128+N",
        "rsync was killed, or Counterpart ended, by signal N",
        "find out who sent it (9 may be the kernel's out-of-memory killer; 6 is an abort of Counterpart itself, as \
         when it gets no memory), then run again",
    ),
];

/// Where a line of [`table_text`] is wrapped: before the 100 columns at which clap would wrap it without indentation.
const WIDTH: usize = 96;

/// The table as text for `--help`: code and meaning, one per line.
#[must_use]
pub fn table_text() -> String {
    TABLE.iter().fold(String::new(), |mut text, row| {
        let mut line = format!("  {:<6}", row.code);
        for word in row.meaning.split(' ') {
            if line.len() + 1 + word.len() > WIDTH {
                text = text + &line + "\n";
                line = " ".repeat(8);
            }
            line = line + " " + word;
        }
        text + &line + "\n"
    })
}
