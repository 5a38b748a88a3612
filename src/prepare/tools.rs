//! The programs that work on disks, and how they are run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::display;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::prepare::output::failed;
use crate::process::{Captured, Command, End, capture};

/// The longest that one step may take: a filesystem on a large disk that is first discarded.
const LONGEST: Duration = Duration::from_secs(3600);

/// How much of a failed tool's complaint is quoted, in characters.
const QUOTED: usize = 400;

/// The machine's tools, and the signals to pass on to them.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    /// The machine we run on, and the signals that may end us.
    pub machine: Machine<'a>,
}

/// The package of Debian and its relatives that has a tool, and of most others.
fn package(tool: &str) -> &'static str {
    match tool {
        "sfdisk" => "fdisk or util-linux",
        "mkfs.ext2" | "mkfs.ext3" | "mkfs.ext4" => "e2fsprogs",
        "mkfs.xfs" => "xfsprogs",
        "mkfs.btrfs" | "btrfs" => "btrfs-progs",
        "mkfs.vfat" => "dosfstools",
        "cryptsetup" => "cryptsetup",
        _ => "util-linux",
    }
}

impl Tools<'_> {
    /// Where a tool is; `None` if it is not installed.
    fn path(&self, tool: &str) -> Option<PathBuf> {
        self.machine.host.tools.disk_tools.iter().map(|dir| dir.join(tool)).find(|path| path.exists())
    }

    /// Ensures that all of these are installed.
    pub fn require<'t>(&self, tools: impl IntoIterator<Item = &'t str>) -> Result<(), Refusal> {
        let missing: Vec<&str> = tools.into_iter().filter(|tool| self.path(tool).is_none()).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let packages: Vec<String> =
            missing.iter().map(|tool| format!("{tool} (package {})", package(tool))).collect();
        let (verb, what) = if missing.len() == 1 { ("is", first) } else { ("are", &"them") };
        let sentence =
            format!("{} {verb} not installed: install {what}. Nothing was written.", packages.join(", "));
        Err(failed(sentence))
    }

    /// A command to add input and descriptors to.
    pub fn command(
        &self,
        tool: &str,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Command, String> {
        let path =
            self.path(tool).ok_or_else(|| format!("{tool} is not installed (package {})", package(tool)))?;
        Ok(Command::tool(path, arguments))
    }

    /// Runs a command, whatever its exit code is.
    pub fn ask(&self, command: &Command) -> Result<Captured, String> {
        let name = name(&command.program);
        capture(command, self.machine.interrupts, LONGEST)
            .map_err(|error| format!("{name} cannot be run: {}", display::reason(&error)))
    }

    /// Runs a command that has to succeed; the error quotes its complaint.
    pub fn run(&self, command: &Command) -> Result<Captured, String> {
        let done = self.ask(command)?;
        let name = name(&command.program);
        let how = match done.end {
            End::Exited(0) => return Ok(done),
            End::Exited(code) => format!("{name} failed with code {code}"),
            End::Killed(signal) => format!("{name} was killed by signal {signal}"),
        };
        let said = if done.err.trim_ascii().is_empty() { &done.out } else { &done.err };
        let said = display::line(said.trim_ascii()).to_string().replace("\\#012", " / ");
        let said: String = said.chars().take(QUOTED).collect();
        Err(if said.is_empty() { how } else { format!("{how} ({said})") })
    }
}

fn name(program: &Path) -> String {
    program.file_name().map_or_else(String::new, |name| display::name(name).to_string())
}
