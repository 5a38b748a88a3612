//! `/etc/crypttab` for a clone.

use std::ffi::OsStr;

use crate::linux::bootable::Unresolved;
use crate::linux::bootable::layout::Layout;
use crate::linux::bootable::text::{Fields, change, commented_out};
use crate::plan::tag::Tag;

const ERASES: &str = "Erased at each start: the clone has no such partition";
const PLAIN: &str = "Not encrypted in the clone";

/// The clone's table, from the source's.
///
/// A volume of the clone without a line gets one at the end.
pub fn rewrite(text: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    let mut named: Vec<String> = Vec::new();
    let mut table = change(text, |line| entry(line, layout, &mut named))?;
    for volume in layout.filesystems().flat_map(|(_, names)| names.volumes()) {
        let device = volume.by_uuid()?;
        if named.contains(&device) {
            continue;
        }
        if !table.is_empty() && !table.ends_with(b"\n") {
            table.push(b'\n');
        }
        let uuid = volume.uuid.as_deref().unwrap_or_default();
        table.extend_from_slice(format!("luks-{uuid} {device} none luks\n").as_bytes());
        named.push(device);
    }
    Ok(table)
}

fn entry(line: &str, layout: &Layout, named: &mut Vec<String>) -> Result<Option<String>, Unresolved> {
    let mut fields = Fields::of(line);
    let Some(device) = fields.get(1) else { return Ok(None) };
    let options = fields.get(3).unwrap_or_default().to_owned();
    // Whatever has that name on the machine that starts from the clone would be overwritten.
    if options.split(',').any(|option| matches!(option, "swap" | "tmp") || option.starts_with("tmp=")) {
        return Ok(Some(commented_out(line, ERASES)));
    }
    let tag = match Tag::read_or_device(OsStr::new(device)) {
        Some(Ok(tag)) => tag,
        Some(Err(why)) => return Err(Unresolved(why.to_string())),
        // A container in a file.
        None => return Ok(None),
    };
    match layout.volume(&tag) {
        Some((_, Some(clone))) => {
            let device = clone.by_uuid()?;
            fields.set(1, &device);
            if named.contains(&device) {
                return Ok(Some(commented_out(line, "Another line has the clone's volume")));
            }
            named.push(device);
            Ok(Some(fields.line(line)))
        }
        Some((_, None)) => Ok(Some(commented_out(line, PLAIN))),
        None if options.split(',').any(|option| matches!(option, "nofail" | "noauto")) => Ok(None),
        None => {
            if fields.get(2).is_none() {
                fields.set(2, "none");
            }
            let options = if options.is_empty() { "nofail".to_owned() } else { format!("{options},nofail") };
            fields.set(3, &options);
            Ok(Some(fields.line(line)))
        }
    }
}
