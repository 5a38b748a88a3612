//! The subvolumes of a new btrfs. It is mounted nowhere meanwhile: only we can reach it.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use crate::display;
use crate::prepare::tools::Tools;
use crate::volume::detached;

/// Makes them, the ones above first; the first of the list becomes what is mounted by default.
pub fn make(tools: Tools<'_>, device: &Path, wanted: &[PathBuf]) -> Result<(), String> {
    let top = detached::open("btrfs", device).map_err(|error| {
        format!("{} cannot be mounted: {}", display::path(device), display::reason(&error))
    })?;
    let mut paths: Vec<&PathBuf> = wanted.iter().filter(|path| is_plain(path)).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let below = path.strip_prefix("/").unwrap_or(path);
        on(tools, &top, below, |top| {
            let above = below.parent().map(|above| top.join(above));
            let mode = DirBuilder::new().recursive(true).mode(0o755).create(above.unwrap_or_default());
            mode.map_err(|error| display::reason(&error))?;
            Ok(vec!["subvolume".into(), "create".into(), top.join(below).into()])
        })?;
    }
    let Some(first) = wanted.first().filter(|path| is_plain(path)) else { return Ok(()) };
    let first = first.strip_prefix("/").unwrap_or(first);
    on(tools, &top, first, |top| Ok(vec!["subvolume".into(), "set-default".into(), top.join(first).into()]))?;
    rustix::fs::syncfs(top.as_fd()).map_err(|error| display::reason(&error.into()))
}

/// A path of names only: it comes from the source's mount table.
fn is_plain(path: &Path) -> bool {
    let below = path.strip_prefix("/").unwrap_or(path);
    let is_name = |component: Component<'_>| matches!(component, Component::Normal(_));
    below.components().count() > 0 && below.components().all(is_name)
}

fn on(
    tools: Tools<'_>,
    top: &std::os::fd::OwnedFd,
    path: &Path,
    arguments: impl FnOnce(&Path) -> Result<Vec<OsString>, String>,
) -> Result<(), String> {
    let mut command = tools.command("btrfs", Vec::<OsString>::new())?;
    let copy = top.try_clone().map_err(|error| display::reason(&error))?;
    let base = command.hand_over(File::from(copy));
    command.arguments = arguments(&base)?;
    tools.run(&command).map(|_| ()).map_err(|why| format!("the subvolume {}: {why}", display::path(path)))
}
