//! The initramfs: the source's serves the clone, unless it holds what the clone does not have, or lacks what it needs.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Obstacle};
use crate::linux::bootable::layout::{Container, Layout, Names};
use crate::phases::bootable::tools;
use crate::phases::bootable::tools::Tools;
use crate::phases::bootable::trees::Trees;

/// How the names of images begin.
const IMAGES: [&str; 3] = ["initrd.img-", "initramfs-", "initrd-"];

/// How the names of kernels begin.
const KERNELS: [&str; 2] = ["vmlinuz-", "vmlinux-"];

/// Whether the source's cannot start the clone: another type of filesystem, or another way of holding it. An encrypted
/// volume is named in it.
pub fn is_needed(layout: &Layout) -> bool {
    let Ok((source, clone)) = layout.root() else { return false };
    let shape = |names: &Names| {
        let kind = |container: &Container| match container {
            Container::Luks(_) => "luks",
            Container::Lvm(_) => "lvm",
            Container::Raid => "raid",
        };
        names.within.iter().map(kind).collect::<Vec<_>>()
    };
    source.kind != clone.kind || shape(source) != shape(clone) || clone.volumes().next().is_some()
}

fn beginning(trees: &Trees<'_>, beginnings: &[&str]) -> Vec<PathBuf> {
    // A directory that cannot be read has failed the copy.
    let names = trees.names(Path::new("/boot")).unwrap_or_default();
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        beginnings.iter().any(|beginning| name.starts_with(beginning))
    };
    names.into_iter().filter(fits).collect()
}

/// The images of the source.
pub fn images(trees: &Trees<'_>) -> Vec<PathBuf> {
    beginning(trees, &IMAGES)
}

/// Without a kernel no loader has anything to start.
pub fn refuse_without_kernel(trees: &Trees<'_>) -> Result<(), Failure> {
    if beginning(trees, &["vmlinuz", "vmlinux", "Image", "kernel"]).is_empty() {
        return Err(Failure::not_bootable(Obstacle::Place, "there is no kernel in its /boot"));
    }
    Ok(())
}

/// Makes the clone's images by its own program.
pub fn rebuild(trees: &Trees<'_>, tools: &Tools<'_>) -> Result<(), Failure> {
    let has = |name: &str| tools::find(trees.root().destination, &[name], "").ok();
    if let Some(program) = has("update-initramfs") {
        for kernel in beginning(trees, &KERNELS) {
            let name = kernel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let version = KERNELS.iter().find_map(|beginning| name.strip_prefix(beginning)).unwrap_or(name);
            tools.run(&program, &["-c", "-k", version])?;
        }
        return Ok(());
    }
    if let Some(program) = has("mkinitcpio") {
        return tools.run(&program, &["-P"]);
    }
    if let Some(program) = has("dracut") {
        return tools.run(&program, &["--force", "--no-hostonly", "--regenerate-all"]);
    }
    Err(Failure::not_bootable(
        Obstacle::Loader,
        "the clone needs an initramfs of its own, and neither update-initramfs (package initramfs-tools), dracut nor \
         mkinitcpio is in it",
    ))
}
