//! The kernel's command line for a clone.

use std::ffi::OsStr;

use crate::linux::bootable::Unresolved;
use crate::linux::bootable::layout::{Layout, Names};
use crate::linux::bootable::mount_options;
use crate::plan::tag::Tag;

/// Parameters that name a device in a way that is not understood.
const UNKNOWN: [&str; 4] = ["mount.usr", "nfsroot", "zfs", "systemd.verity_root_data"];

/// The clone's command line, from the source's: words keep their order, and all others stay as they are.
pub fn rewrite(line: &str, layout: &Layout) -> Result<String, Unresolved> {
    let (source, clone) = layout.root()?;
    let mut out = String::with_capacity(line.len() + 64);
    let (mut loses_resume, mut has_noresume) = (false, false);
    for (blanks, word) in words(line) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let value = value.trim_matches('"');
        let new = match name {
            "root" | "real_root" => Some(format!("{name}={}", root(value, clone)?)),
            "rootfstype" => Some(format!("rootfstype={}", clone.kind)),
            "rootflags" => {
                let options = mount_options::of(value, &source.kind, clone);
                (!options.is_empty()).then(|| format!("rootflags={options}"))
            }
            "resume" | "resume_offset" => {
                loses_resume = true;
                None
            }
            "noresume" => {
                has_noresume = true;
                Some(word.to_owned())
            }
            "cryptdevice" => cryptdevice(value, layout)?,
            "rd.luks.uuid" | "luks.uuid" | "rd.luks.name" | "luks.name" | "rd.luks.options"
            | "luks.options" | "rd.luks.key" | "luks.key" | "rd_LUKS_UUID" => luks(name, value, layout)?,
            "rd.lvm.lv" | "rd_LVM_LV" => logical_volume(name, value, source, clone),
            "rd.md.uuid" | "rd_MD_UUID" => None,
            _ if UNKNOWN.contains(&name) => {
                return Err(Unresolved(format!("{name}= on the kernel's command line is not understood")));
            }
            _ => Some(word.to_owned()),
        };
        if let Some(new) = new {
            out.push_str(blanks);
            out.push_str(&new);
        }
    }
    if loses_resume && !has_noresume {
        out.push_str(if out.is_empty() { "noresume" } else { " noresume" });
    }
    Ok(if line.starts_with([' ', '\t']) { out } else { out.trim_start().to_owned() })
}

/// Splits a command line at blanks outside of quotes; each word comes with the blanks before it.
fn words(line: &str) -> Vec<(&str, &str)> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let word = rest.trim_start_matches([' ', '\t']);
        if word.is_empty() {
            return words;
        }
        let blanks = &rest[..rest.len() - word.len()];
        let mut is_quoted = false;
        let end = word.find(|c: char| {
            is_quoted ^= c == '"';
            !is_quoted && matches!(c, ' ' | '\t')
        });
        let end = end.unwrap_or(word.len());
        words.push((blanks, &word[..end]));
        rest = &word[end..];
    }
}

/// A kernel without an initramfs finds its root by the partition's UUID only, and one that had a device's name may be one.
fn root(value: &str, clone: &Names) -> Result<String, Unresolved> {
    let is_mapped = value.starts_with("/dev/mapper/") || value.starts_with("/dev/dm-");
    let tag = Tag::read_or_device(OsStr::new(value)).filter(|_| !value.starts_with("/dev/nfs"));
    match tag {
        Some(Ok(Tag::PartUuid(_) | Tag::PartLabel(_))) => clone.by_part_uuid().or_else(|_| clone.by_uuid()),
        Some(Ok(Tag::Device(_))) if is_mapped || clone.part_uuid.is_none() => clone.by_uuid(),
        Some(Ok(Tag::Device(path))) => {
            // A logical volume has a path of two names.
            if path.components().count() > 3 && !path.starts_with("/dev/disk") {
                clone.by_uuid()
            } else {
                clone.by_part_uuid()
            }
        }
        Some(Ok(Tag::Uuid(_) | Tag::Label(_))) => clone.by_uuid(),
        Some(Err(_)) | None => {
            Err(Unresolved(format!("root={value} on the kernel's command line is not understood")))
        }
    }
}

/// `cryptdevice=DEVICE:NAME[:OPTIONS]`, as on Arch Linux.
fn cryptdevice(value: &str, layout: &Layout) -> Result<Option<String>, Unresolved> {
    let (device, name) = value.split_once(':').unwrap_or((value, "root"));
    let unknown = || Unresolved(format!("cryptdevice={value} names no volume of the source"));
    let tag = Tag::read_or_device(OsStr::new(device)).and_then(Result::ok).ok_or_else(unknown)?;
    let (_, clone) = layout.volume(&tag).ok_or_else(unknown)?;
    let spell = |clone: &Names| Ok(format!("cryptdevice={}:{name}", clone.by_uuid()?));
    clone.map(spell).transpose()
}

/// A volume that is not in the clone would only be waited for.
fn luks(name: &str, value: &str, layout: &Layout) -> Result<Option<String>, Unresolved> {
    let (prefix, rest) = match value.strip_prefix("luks-") {
        Some(rest) => ("luks-", rest),
        None => ("", value),
    };
    let (uuid, more) = match rest.find('=') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    // Options and keys may be for all volumes.
    if more.is_empty() && (name.ends_with("options") || name.ends_with("key")) {
        return Ok(Some(format!("{name}={value}")));
    }
    let Some((_, Some(clone))) = layout.volume(&Tag::Uuid(uuid.to_owned())) else { return Ok(None) };
    let uuid =
        clone.uuid.as_deref().ok_or_else(|| Unresolved("the clone's volume has no UUID".to_owned()))?;
    Ok(Some(format!("{name}={prefix}{uuid}{more}")))
}

fn logical_volume(name: &str, value: &str, source: &Names, clone: &Names) -> Option<String> {
    let is_root = source.logical_volume() == Some(value);
    clone.logical_volume().filter(|_| is_root).map(|volume| format!("{name}={volume}"))
}
