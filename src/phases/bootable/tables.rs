//! The files that name filesystems, made for the clone from the source's.

use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::linux::bootable::layout::Layout;
use crate::linux::bootable::{Unresolved, crypttab, fstab, grub_defaults, loader_entries, resume};
use crate::logging::warning;
use crate::phases::bootable::trees::Trees;

/// What makes the clone's file from the source's.
type Rewrite = fn(&[u8], &Layout, bool) -> Result<Vec<u8>, Unresolved>;

/// The files at fixed places.
const FILES: [(&str, Rewrite); 11] = [
    ("/etc/fstab", |text, layout, _| fstab::rewrite(text, layout)),
    ("/etc/crypttab", |text, layout, _| crypttab::rewrite(text, layout)),
    ("/etc/initramfs-tools/conf.d/resume", |text, _, _| resume::rewrite(text)),
    ("/etc/default/grub", grub_defaults::rewrite),
    ("/etc/kernel/cmdline", |text, layout, _| loader_entries::whole(text, layout)),
    ("/boot/cmdline.txt", |text, layout, _| loader_entries::whole(text, layout)),
    ("/boot/firmware/cmdline.txt", |text, layout, _| loader_entries::whole(text, layout)),
    ("/boot/extlinux/extlinux.conf", |text, layout, _| loader_entries::extlinux(text, layout)),
    ("/extlinux/extlinux.conf", |text, layout, _| loader_entries::extlinux(text, layout)),
    ("/boot/syslinux/syslinux.cfg", |text, layout, _| loader_entries::extlinux(text, layout)),
    ("/boot/grub2/grubenv", |text, layout, _| loader_entries::grub_environment(text, layout)),
];

/// The directories in which every file with this ending is one.
const DIRS: [(&str, &str, Rewrite); 2] = [
    ("/boot/loader/entries", "conf", |text, layout, _| loader_entries::entry(text, layout)),
    ("/etc/default/grub.d", "cfg", |text, layout, _| grub_defaults::rewrite(text, layout, false)),
];

fn all(trees: &Trees<'_>) -> Vec<(PathBuf, Rewrite)> {
    let mut all: Vec<(PathBuf, Rewrite)> =
        FILES.iter().map(|(path, rewrite)| (PathBuf::from(path), *rewrite)).collect();
    for (dir, ending, rewrite) in DIRS {
        // A directory that cannot be read fails the loader, which reads it too.
        let names = trees.names(Path::new(dir)).unwrap_or_default();
        let fits = |path: &PathBuf| path.extension().is_some_and(|extension| extension == ending);
        all.extend(names.into_iter().filter(fits).map(|path| (path, rewrite)));
    }
    all
}

/// Those that the source has.
pub fn existing(trees: &Trees<'_>) -> Vec<PathBuf> {
    let paths = all(trees).into_iter().map(|(path, _)| path);
    paths.filter(|path| trees.has(path).unwrap_or(true)).collect()
}

/// Makes each of them, and hands them over: path, what the source has, and what the clone has.
fn each(
    trees: &Trees<'_>,
    layout: &Layout,
    mut then: impl FnMut(PathBuf, Vec<u8>, Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |path: &Path, why: String| {
        Failure::not_bootable(Obstacle::Table, format!("{}: {why}", display::path(path)))
    };
    let read = |path: &Path| trees.read_source(path).map_err(|error| failed(path, display::reason(&error)));
    let loses_swap = read(Path::new("/etc/fstab"))?.is_some_and(|table| fstab::loses_swap(&table));
    for (path, rewrite) in all(trees) {
        if let Some(text) = read(&path)? {
            let made = rewrite(&text, layout, loses_swap).map_err(|why| failed(&path, why.to_string()))?;
            then(path, text, made)?;
        }
    }
    Ok(())
}

/// Whether all of them can be made.
pub fn check(trees: &Trees<'_>, layout: &Layout) -> Result<(), Failure> {
    each(trees, layout, |_, _, _| Ok(()))
}

/// Those that differ from the source's.
pub fn differing(trees: &Trees<'_>, layout: &Layout) -> Result<Vec<PathBuf>, Failure> {
    let mut differing = Vec::new();
    each(trees, layout, |path, text, made| {
        if text != made {
            differing.push(path);
        }
        Ok(())
    })?;
    Ok(differing)
}

/// Writes those that are not in the clone already, and returns their paths.
pub fn write(trees: &Trees<'_>, layout: &Layout) -> Result<Vec<PathBuf>, Failure> {
    let mut made = Vec::new();
    each(trees, layout, |path, _, content| {
        made.push((path, content));
        Ok(())
    })?;
    let mut written = Vec::new();
    for (path, content) in made {
        let failed = |error| {
            Failure::not_bootable(
                Obstacle::Table,
                format!("{}: {}", display::path(&path), display::reason(&error)),
            )
        };
        if trees.write(&path, &content).map_err(failed)? {
            written.push(path);
        }
    }
    Ok(written)
}

/// Copies those that the clone lacks as the source has them: what was left out of the copy would be missing.
pub fn copy_missing(trees: &Trees<'_>, generated: &[PathBuf]) {
    for path in generated {
        if let Err(error) = trees.copy_missing(path) {
            warning(format_args!(
                "{} is missing in the clone: {}.",
                display::path(path),
                display::reason(&error)
            ));
        }
    }
}
