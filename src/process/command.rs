//! What is started, and its output and end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use zeroize::Zeroizing;

use crate::process::lines::Piece;
use crate::sys;

/// What to start.
#[derive(Debug)]
pub struct Command {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// Its complete environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard input; empty means none.
    pub input: Zeroizing<Vec<u8>>,
    /// The user and group to run as, without supplementary groups; ours if `None`.
    pub user: Option<(u32, u32)>,
    /// Pass on standard output as it arrives, not line by line: it is not text.
    pub raw_output: bool,
    /// A lock that is held until both this process and the child are gone.
    pub lock: Option<OwnedFd>,
    /// The mount namespace to run in, from a view of the phases; ours if `None`.
    pub namespace: Option<Namespace>,
    /// Descriptors that the child inherits under the same numbers.
    pub inherit: Vec<OwnedFd>,
}

/// A mount namespace to run in.
#[derive(Debug)]
pub struct Namespace {
    /// The namespace.
    pub mounts: OwnedFd,
    /// What is the root directory there, where it is not the namespace's own: we may have been started in a chroot.
    pub root: Option<OwnedFd>,
}

/// The environment of every tool: the C locale, the system's directories, and nothing from our caller.
///
/// rsync would use `RSYNC_*`, `CVSIGNORE` and `~/.popt` from it, and format numbers by the locale (3.2.4 and later).
#[must_use]
pub fn tool_environment() -> Vec<(OsString, OsString)> {
    [("LC_ALL", "C"), ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

impl Command {
    /// A tool with the standard environment.
    #[must_use]
    pub fn tool(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: tool_environment(),
            input: Zeroizing::default(),
            user: None,
            raw_output: false,
            lock: None,
            namespace: None,
            inherit: Vec::new(),
        }
    }

    /// Lets the program inherit this open file, and returns the path by which to reach it.
    pub fn hand_over(&mut self, file: File) -> PathBuf {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.inherit.push(file.into());
        path
    }

    pub(super) fn spawn(&self) -> io::Result<Child> {
        self.spawn_with(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
    }

    /// With our own outputs.
    pub(super) fn spawn_attached(&self) -> io::Result<Child> {
        self.spawn_as(Stdio::null(), Stdio::inherit)
    }

    pub(super) fn spawn_with(&self, input: Stdio) -> io::Result<Child> {
        self.spawn_as(input, Stdio::piped)
    }

    fn spawn_as(&self, input: Stdio, output: impl Fn() -> Stdio) -> io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(input)
            .stdout(output())
            .stderr(output())
            .process_group(0);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        sys::prepare_child(
            &mut command,
            self.namespace.as_ref().map(|it| (&it.mounts, it.root.as_ref())),
            self.lock.iter().chain(&self.inherit),
        );
        command.spawn()
    }
}

/// One of the child's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A piece of output: a whole line, or as much of it as fits the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The output it came from.
    pub stream: Stream,
    /// The bytes, without the line end.
    pub bytes: &'a [u8],
    /// Its position in the line.
    pub piece: Piece,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// Killed by this signal.
    Killed(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Killed(signal.unwrap_or(0)),
        }
    }
}
