//! extlinux, for a BIOS: by the clone's own `extlinux`, and the boot sector of its package.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use log::info;

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::phases::bootable::tools::{self, Tools};
use crate::phases::bootable::trees::Trees;
use crate::phases::bootable::way::Way;
use crate::phases::bootable::{initramfs, stamp};
use crate::run::Run;

const PACKAGES: &str =
    "extlinux (Debian, Ubuntu), syslinux-extlinux (Fedora) or syslinux (openSUSE, Arch Linux)";

/// Where packages put the boot sector that starts the active partition.
const BOOT_SECTORS: [&str; 5] = [
    "/usr/lib/EXTLINUX/mbr.bin",
    "/usr/lib/syslinux/mbr/mbr.bin",
    "/usr/lib/syslinux/bios/mbr.bin",
    "/usr/share/syslinux/mbr.bin",
    "/usr/lib/syslinux/mbr.bin",
];

/// The part of the boot sector before the partition table, in bytes.
const CODE: usize = 440;

/// Whether the source has what a clone will need.
pub fn look(trees: &Trees<'_>) -> Result<(), Failure> {
    initramfs::refuse_without_kernel(trees)?;
    tools::find(trees.root().source, &["extlinux"], PACKAGES).map(|_| ())
}

/// Installs extlinux into the clone, if anything that it depends on has changed.
pub fn install(run: &Run<'_>, trees: &Trees<'_>, way: &Way, dir: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::not_bootable(Obstacle::Loader, display::reason(&error));
    initramfs::refuse_without_kernel(trees)?;
    let inputs: Vec<PathBuf> =
        ["/boot", "/etc/fstab", "/etc/crypttab"].into_iter().chain(BOOT_SECTORS).map(PathBuf::from).collect();
    let inputs: Vec<PathBuf> = inputs.into_iter().chain([dir.to_owned()]).collect();
    let outputs = [dir.to_owned()];
    let now = || stamp::of(trees, way, &inputs, &outputs).map_err(failed);
    if stamp::is_current(run, trees, &now()?) {
        info!("The clone's boot loader is up to date.");
        return Ok(());
    }
    let program = tools::find(trees.root().destination, &["extlinux"], PACKAGES)?;
    let code = boot_sector(trees)?;
    stamp::forget(run, trees).map_err(failed)?;
    let tools = Tools::open(run, trees, &way.layout, &way.disks)?;
    if initramfs::is_needed(&way.layout) {
        initramfs::rebuild(trees, &tools)?;
    }
    tools.run(&program, &["--install", &dir.to_string_lossy()])?;
    drop(tools);
    let write = || {
        let disk = File::options().read(true).write(true).open(&way.disks.disk)?;
        disk.write_all_at(&code, 0)?;
        disk.sync_all()
    };
    write().map_err(failed)?;
    stamp::keep(run, trees, &now()?).map_err(failed)
}

/// The clone's boot sector.
fn boot_sector(trees: &Trees<'_>) -> Result<Vec<u8>, Failure> {
    for path in BOOT_SECTORS {
        let failed = |why: String| Failure::not_bootable(Obstacle::Loader, format!("{path}: {why}"));
        if let Some(code) =
            trees.read_clone(Path::new(path)).map_err(|error| failed(display::reason(&error)))?
        {
            if code.is_empty() || code.len() > CODE {
                return Err(failed("it is no boot sector".to_owned()));
            }
            return Ok(code);
        }
    }
    let why =
        "mbr.bin is missing in the clone; install syslinux-common (Debian, Ubuntu) or syslinux in the source";
    Err(Failure::not_bootable(Obstacle::Loader, why))
}
