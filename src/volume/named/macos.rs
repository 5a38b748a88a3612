//! On a Mac, `diskutil` mounts volumes, where everybody sees them. What was not mounted before is unmounted afterwards.

use std::path::{Path, PathBuf};

use super::{Named, NotMounted, Place, Purpose, Wanted};
use crate::display;
use crate::host::{Host, TOOL_LIMIT};
use crate::macos::disks;
use crate::plan::tag::Tag;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, capture};

/// A mounted volume; unmounted when this is dropped, if we mounted it.
#[derive(Debug)]
pub struct Mounted<'a> {
    host: &'a Host,
    point: PathBuf,
    /// What to unmount.
    identifier: Option<String>,
}

impl Mounted<'_> {
    /// Where it is.
    pub fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Some(identifier) = &self.identifier {
            // The signal that ends the run must not leave it mounted.
            let _ = diskutil(self.host, &Interrupts::default(), &["unmount", identifier]);
        }
    }
}

/// Finds a volume and mounts it.
pub fn mount<'a>(
    host: &'a Host,
    interrupts: &Interrupts,
    wanted: &Wanted<'_>,
) -> Result<Named<'a>, NotMounted> {
    let tag = wanted.tag;
    let printed = diskutil(host, interrupts, &["list", "-plist"])?;
    let disks = disks::list(&printed).ok_or_else(|| "diskutil lists no disks".to_owned())?;
    let found: Vec<disks::Disk> = disks.into_iter().filter(|disk| disk.is(tag)).collect();
    let disk = match &found[..] {
        [] => return Err(NotMounted::Missing),
        [disk] => disk,
        several => {
            let names: Vec<&str> = several.iter().map(|disk| disk.identifier.as_str()).collect();
            return Err(format!(
                "{} volumes have this name ({}). Disconnect one, or use a name that only one has",
                names.len(),
                names.join(", ")
            )
            .into());
        }
    };
    if let Some(point) = &disk.mount_point {
        return Ok(named(tag, disk, Mounted { host, point: point.clone(), identifier: None }));
    }
    if wanted.purpose == Purpose::Glance {
        return Err("it is not mounted".to_owned().into());
    }
    diskutil(host, interrupts, &["mount", &disk.identifier])?;
    // From here on it is unmounted, whatever comes.
    let mut mounted = Mounted { host, point: PathBuf::new(), identifier: Some(disk.identifier.clone()) };
    let info = diskutil(host, interrupts, &["info", "-plist", &disk.identifier])?;
    mounted.point = disks::mount_point(&info)
        .ok_or_else(|| format!("diskutil does not say where {} is mounted", disk.identifier))?;
    Ok(named(tag, disk, mounted))
}

fn named<'a>(tag: &Tag, disk: &disks::Disk, mounted: Mounted<'a>) -> Named<'a> {
    let how = if mounted.identifier.is_some() { "mounted for this run" } else { "mounted already" };
    Named {
        uuid: disk.volume_uuid.clone(),
        remarks: vec![format!("{tag} is {}, {how} at {}.", disk.identifier, display::path(&mounted.point))],
        warnings: Vec::new(),
        mounted: Place::Volume(mounted),
        opened: None,
    }
}

fn diskutil(host: &Host, interrupts: &Interrupts, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let command = Command::tool(&host.tools.diskutil, arguments);
    let tool = display::path(&host.tools.diskutil);
    let printed = capture(&command, interrupts, TOOL_LIMIT)
        .map_err(|error| format!("{tool} cannot be run: {}", display::reason(&error)))?;
    if printed.end == End::Exited(0) {
        return Ok(printed.out);
    }
    let both = [printed.err, printed.out].concat();
    let first = both.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
    Err(format!("{tool} {} failed: {}", arguments.join(" "), display::line(first)))
}
