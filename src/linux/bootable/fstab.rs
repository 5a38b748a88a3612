//! `/etc/fstab` for a clone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::linux::bootable::Unresolved;
use crate::linux::bootable::layout::{Becomes, Layout, Names};
use crate::linux::bootable::mount_options;
use crate::linux::bootable::text::{Fields, change, commented_out};
use crate::linux::fstab;
use crate::linux::mounts::{is_pseudo, unescape};
use crate::plan::tag::Tag;

const DIRECTORY: &str = "A directory of the clone, not a filesystem";
const NO_SWAP: &str = "Swap that the clone does not have";

/// The clone's table, from the source's.
pub fn rewrite(text: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    layout.root()?;
    change(text, |line| entry(line, layout))
}

/// Whether the table uses swap that the clone does not have.
#[must_use]
pub fn loses_swap(text: &[u8]) -> bool {
    fstab::read(text).iter().any(|entry| entry.is_swap() && !entry.is_zram())
}

/// The mount points of the table that are mounted when the system starts, in their order.
#[must_use]
pub fn points(text: &[u8]) -> Vec<PathBuf> {
    let entries = fstab::read(text).into_iter();
    entries.filter(|entry| entry.is_mounted() && !entry.has("noauto")).map(|entry| entry.point).collect()
}

fn entry(line: &str, layout: &Layout) -> Result<Option<String>, Unresolved> {
    let mut fields = Fields::of(line);
    let (Some(device), Some(point)) = (fields.get(0), fields.get(1)) else { return Ok(None) };
    let kind = fields.get(2).unwrap_or("auto").to_owned();
    let options = fields.get(3).unwrap_or_default().to_owned();
    let has = |wanted: &str| options.split(',').any(|option| option == wanted);
    if kind == "swap" {
        // It is in memory.
        let is_zram = device.starts_with("/dev/zram");
        return Ok((!is_zram).then(|| commented_out(line, NO_SWAP)));
    }
    let point = clean(&unescape(point.as_bytes()));
    let is_within = has("bind") || has("rbind") || kind == "overlay" || kind == "none";
    if !point.is_absolute() || is_pseudo(&kind) || is_within {
        return Ok(None);
    }
    let device = device.to_owned();
    match layout.part(&point).map(|part| (part, &part.becomes)) {
        Some((_, Becomes::Directory)) => Ok(Some(commented_out(line, DIRECTORY))),
        Some((part, Becomes::Filesystem(clone))) => {
            fields.set(0, &spelled(&device, clone)?);
            if kind != "auto" && kind != clone.kind {
                fields.set(2, &clone.kind);
            }
            if fields.get(3).is_some() {
                let source = if kind == "auto" { &part.source.kind } else { &kind };
                let options = mount_options::of(&options, source, clone);
                fields.set(3, if options.is_empty() { "defaults" } else { &options });
            } else if let Some(subvolume) = clone.subvolume.as_deref().filter(|name| !name.is_empty()) {
                fields.set(2, &clone.kind);
                fields.set(3, &format!("subvol={subvolume}"));
            }
            Ok(Some(fields.line(line)))
        }
        None if has("nofail") || has("noauto") => Ok(None),
        None => {
            if fields.get(2).is_none() {
                fields.set(2, "auto");
            }
            let options = if options.is_empty() { "nofail".to_owned() } else { format!("{options},nofail") };
            fields.set(3, &options);
            Ok(Some(fields.line(line)))
        }
    }
}

/// A partition's UUID stays one: the system may have chosen it because nothing else works.
fn spelled(device: &str, clone: &Names) -> Result<String, Unresolved> {
    let tag = match Tag::read_or_device(OsStr::new(device)) {
        Some(Ok(tag)) => tag,
        Some(Err(why)) => return Err(Unresolved(why.to_string())),
        None => return Err(Unresolved(format!("{device} names no disk that is understood"))),
    };
    match tag {
        Tag::PartUuid(_) | Tag::PartLabel(_) if clone.part_uuid.is_some() => clone.by_part_uuid(),
        Tag::Uuid(_) | Tag::Label(_) | Tag::PartUuid(_) | Tag::PartLabel(_) | Tag::Device(_) => {
            clone.by_uuid()
        }
    }
}

/// Without slashes at the end.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}
