//! Command lines in the files of boot loaders: entries of systemd-boot and Fedora's GRUB, extlinux, Raspberry Pi, GRUB's own.

use crate::linux::bootable::layout::Layout;
use crate::linux::bootable::text::change;
use crate::linux::bootable::{Unresolved, kernel_line};

/// An entry of the Boot Loader Specification: its lines `options`.
pub fn entry(text: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    change(text, |line| after(line, &["options"], layout))
}

/// A menu of extlinux, or of U-Boot, which reads the same: its lines `append`.
pub fn extlinux(text: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    change(text, |line| after(line, &["append"], layout))
}

/// A file that is a command line: `cmdline.txt` of a Raspberry Pi, `/etc/kernel/cmdline`.
pub fn whole(text: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    change(text, |line| kernel_line::rewrite(line, layout).map(Some))
}

/// GRUB's environment block, in which Fedora kept the command line: it keeps its size.
pub fn grub_environment(block: &[u8], layout: &Layout) -> Result<Vec<u8>, Unresolved> {
    let size = block.len();
    let content: Vec<u8> = match block.iter().rposition(|byte| *byte != b'#') {
        Some(last) => block[..=last].to_vec(),
        None => return Ok(block.to_vec()),
    };
    let mut changed = change(&content, |line| match line.strip_prefix("kernelopts=") {
        Some(words) => Ok(Some(format!("kernelopts={}", kernel_line::rewrite(words, layout)?))),
        None => Ok(None),
    })?;
    if changed.len() > size {
        return Err(Unresolved(
            "GRUB's environment block has no room for the clone's command line".to_owned(),
        ));
    }
    changed.resize(size, b'#');
    Ok(changed)
}

/// The command line after one of these words, which begin a line in any case.
fn after(line: &str, names: &[&str], layout: &Layout) -> Result<Option<String>, Unresolved> {
    let start = line.len() - line.trim_start().len();
    let length = line[start..].find([' ', '\t']).unwrap_or(line.len() - start);
    let (head, words) = line.split_at(start + length);
    if !names.iter().any(|name| head[start..].eq_ignore_ascii_case(name)) {
        return Ok(None);
    }
    Ok(Some(format!("{head}{}", kernel_line::rewrite(words, layout)?)))
}
