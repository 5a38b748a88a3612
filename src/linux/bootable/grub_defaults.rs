//! GRUB's settings, `/etc/default/grub`, for a clone.

use crate::linux::bootable::layout::Layout;
use crate::linux::bootable::text::change;
use crate::linux::bootable::{Unresolved, kernel_line};

/// The settings for the clone, from the source's. With `forgets_swap`, the kernel does not look for a suspended
/// system.
pub fn rewrite(text: &[u8], layout: &Layout, forgets_swap: bool) -> Result<Vec<u8>, Unresolved> {
    let mut has_noresume = !forgets_swap;
    let mut settings = change(text, |line| {
        let Some((name, value)) = line.split_once('=') else { return Ok(None) };
        let name = name.trim_start().trim_start_matches("export ").trim();
        if matches!(name, "GRUB_DEVICE" | "GRUB_DEVICE_UUID" | "GRUB_DEVICE_PARTUUID" | "GRUB_DEVICE_BOOT") {
            return Err(Unresolved(format!("{name} names a disk in a way that is not understood")));
        }
        if !name.starts_with("GRUB_CMDLINE_LINUX") || name.contains("XEN") {
            return Ok(None);
        }
        let (open, inner, rest) = quoted(value)?;
        let mut words = kernel_line::rewrite(inner, layout)?;
        if name == "GRUB_CMDLINE_LINUX" && !has_noresume {
            has_noresume = true;
            if !words.split_whitespace().any(|word| word == "noresume") {
                words = if words.is_empty() { "noresume".to_owned() } else { words + " noresume" };
            }
        }
        // Without quotes a second word would be a command.
        let open = if open.is_empty() && words.contains(' ') { "\"" } else { open };
        let start = &line[..line.len() - value.len()];
        Ok(Some(format!("{start}{open}{words}{open}{rest}")))
    })?;
    if !has_noresume {
        if !settings.is_empty() && !settings.ends_with(b"\n") {
            settings.push(b'\n');
        }
        settings.extend_from_slice(b"GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX noresume\"\n");
    }
    Ok(settings)
}

/// The quote, what is between it and its end, and the rest of the line.
fn quoted(value: &str) -> Result<(&'static str, &str, &str), Unresolved> {
    let quote = match value.as_bytes().first() {
        Some(b'"') => "\"",
        Some(b'\'') => "'",
        _ => {
            let end = value.find([' ', '\t', '#', ';']).unwrap_or(value.len());
            return Ok(("", &value[..end], &value[end..]));
        }
    };
    let inner = &value[1..];
    let is_end = |at: &usize| quote == "'" || !inner[..*at].ends_with('\\');
    let end = inner.match_indices(quote).map(|(at, _)| at).find(is_end);
    let end = end.ok_or_else(|| Unresolved("a quote is not closed in its line".to_owned()))?;
    Ok((quote, &inner[..end], &inner[end + 1..]))
}
