//! What macOS knows about a volume.

use std::ffi::OsStr;
use std::path::Path;

use crate::host::TOOL_LIMIT;
use crate::macos::ownership::Volume;
use crate::process::{Command, capture};
use crate::run::Run;

/// What `diskutil` reports about a volume; `None` if it cannot.
#[must_use]
pub fn diskutil(run: &Run<'_>, volume: &Path) -> Option<Volume> {
    let arguments = [OsStr::new("info"), OsStr::new("-plist"), volume.as_os_str()];
    let printed = capture(
        &Command::tool(&run.machine.host.tools.diskutil, arguments),
        run.machine.interrupts,
        TOOL_LIMIT,
    )
    .ok()?;
    Volume::read(&printed.out)
}
