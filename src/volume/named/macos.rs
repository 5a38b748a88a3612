//! On a Mac, `diskutil` mounts volumes, where everybody sees them. What was not mounted before is unmounted afterwards.

use std::path::{Path, PathBuf};

use crate::display;
use crate::host::machine::Machine;
use crate::host::{Host, TOOL_LIMIT};
use crate::macos::disks;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, capture};
use crate::volume::named::wanted::{NotMounted, Purpose, Wanted};

/// A mounted volume; unmounted when this is dropped, if we mounted it.
#[derive(Debug)]
pub struct Mounted<'a> {
    host: &'a Host,
    point: PathBuf,
    /// Its identifier.
    identifier: String,
    /// We mounted it.
    is_ours: bool,
}

impl Mounted<'_> {
    /// Where it is.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// What it is, and since when it is mounted.
    pub fn described(&self) -> String {
        let how = if self.is_ours { "mounted for this run" } else { "mounted already" };
        format!("{}, {how} at {}", self.identifier, display::path(&self.point))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            // The signal that ends the run must not leave it mounted.
            let machine = Machine { host: self.host, interrupts: &Interrupts::default() };
            let _ = diskutil(machine, &["unmount", &self.identifier]);
        }
    }
}

/// Finds a volume and mounts it.
pub fn mount<'a>(
    machine: Machine<'a>,
    wanted: &Wanted<'_>,
) -> Result<(Mounted<'a>, disks::Disk), NotMounted> {
    let tag = wanted.tag;
    let printed = diskutil(machine, &["list", "-plist"])?;
    let disks = disks::list(&printed).ok_or_else(|| "diskutil lists no disks".to_owned())?;
    let mut found: Vec<disks::Disk> = disks.into_iter().filter(|disk| disk.is(tag)).collect();
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().map(|disk| disk.identifier.as_str()).collect();
        return Err(format!(
            "{} volumes have this name ({}). Disconnect one, or use a name that only one has",
            names.len(),
            names.join(", ")
        )
        .into());
    }
    let disk = found.pop().ok_or(NotMounted::Missing)?;
    let identifier = disk.identifier.clone();
    if let Some(point) = disk.mount_point.clone() {
        return Ok((Mounted { host: machine.host, point, identifier, is_ours: false }, disk));
    }
    if wanted.purpose == Purpose::Glance {
        return Err("it is not mounted".to_owned().into());
    }
    diskutil(machine, &["mount", &identifier])?;
    // From here on it is unmounted, whatever comes.
    let mut mounted = Mounted { host: machine.host, point: PathBuf::new(), identifier, is_ours: true };
    let info = diskutil(machine, &["info", "-plist", &mounted.identifier])?;
    mounted.point = disks::mount_point(&info)
        .ok_or_else(|| format!("diskutil does not say where {} is mounted", mounted.identifier))?;
    Ok((mounted, disk))
}

fn diskutil(machine: Machine<'_>, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let command = Command::tool(&machine.host.tools.diskutil, arguments);
    let tool = display::path(&machine.host.tools.diskutil);
    let printed = capture(&command, machine.interrupts, TOOL_LIMIT)
        .map_err(|error| format!("{tool} cannot be run: {}", display::reason(&error)))?;
    if printed.end == End::Exited(0) {
        return Ok(printed.out);
    }
    let both = [printed.err, printed.out].concat();
    let first = both.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
    Err(format!("{tool} {} failed: {}", arguments.join(" "), display::line(first)))
}
