//! Which boot loader the source uses: what is installed and configured, never a guess.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::phases::bootable::layout::Disks;
use crate::phases::bootable::trees::Trees;

/// A boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loader {
    /// GRUB 2.
    Grub(Grub),
    /// extlinux, for a BIOS.
    Extlinux {
        /// The directory with its menu.
        dir: PathBuf,
    },
    /// The firmware of a Raspberry Pi, which reads files in a directory.
    RaspberryPi {
        /// The directory.
        dir: PathBuf,
    },
}

/// How GRUB is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grub {
    /// Its directory, `/boot/grub` or `/boot/grub2`.
    pub dir: PathBuf,
    /// The platforms that it was installed for.
    pub targets: Vec<String>,
}

/// Where GRUB is, and the names of its programs there.
const GRUB: [&str; 2] = ["/boot/grub", "/boot/grub2"];

/// Where the firmware of a Raspberry Pi looks, from the system.
const RASPBERRY_PI: [&str; 2] = ["/boot/firmware", "/boot"];

/// Where extlinux may be, and the name of its menu.
const EXTLINUX: [(&str, &str); 4] = [
    ("/boot/extlinux", "extlinux.conf"),
    ("/extlinux", "extlinux.conf"),
    ("/boot/syslinux", "syslinux.cfg"),
    ("/boot/syslinux", "extlinux.conf"),
];

/// What is known and not installed by this version.
const OTHERS: [(&str, &str); 4] = [
    ("/boot/loader/loader.conf", "systemd-boot"),
    ("/efi/loader/loader.conf", "systemd-boot"),
    ("/boot/efi/loader/loader.conf", "systemd-boot"),
    ("/etc/lilo.conf", "LILO"),
];

/// Finds the source's loader. Several that are configured are refused: which of them starts it is not known.
pub fn loader(trees: &Trees<'_>) -> Result<Loader, Failure> {
    let unknown = |why: String| Failure::not_bootable(Obstacle::Loader, why);
    let failed =
        |error: io::Error| unknown(format!("the source's cannot be found: {}", display::reason(&error)));
    let mut found: Vec<Loader> = Vec::new();
    for dir in GRUB.map(Path::new) {
        if trees.has(&dir.join("grub.cfg")).map_err(failed)? {
            let targets = targets(trees, dir).map_err(failed)?;
            found.push(Loader::Grub(Grub { dir: dir.to_owned(), targets }));
        }
    }
    for dir in RASPBERRY_PI.map(Path::new) {
        let has = |name: &str| trees.has(&dir.join(name));
        if has("cmdline.txt").map_err(failed)? && has("config.txt").map_err(failed)? {
            found.push(Loader::RaspberryPi { dir: dir.to_owned() });
        }
    }
    let mut others: Vec<&str> = Vec::new();
    for (dir, menu) in EXTLINUX.map(|(dir, menu)| (Path::new(dir), menu)) {
        let has = |name: &str| trees.has(&dir.join(name));
        if has(menu).map_err(failed)? {
            if has("ldlinux.sys").map_err(failed)? {
                found.push(Loader::Extlinux { dir: dir.to_owned() });
            } else {
                // The firmware of many small machines reads the same menu; it lies outside of the filesystems.
                others.push("U-Boot");
            }
        }
    }
    for (path, name) in OTHERS {
        if trees.has(Path::new(path)).map_err(failed)? {
            others.push(name);
        }
    }
    match (found.pop(), found.is_empty(), others.first()) {
        (Some(Loader::Grub(grub)), true, _) if grub.targets.is_empty() => Err(unknown(format!(
            "the source has a configuration of GRUB in {}, but no GRUB that grub-install has put there",
            display::path(&grub.dir)
        ))),
        // A menu of U-Boot beside GRUB is of no use to a firmware that starts GRUB, and the reverse.
        (Some(loader), true, None) => Ok(loader),
        (Some(loader), _, _) => Err(unknown(format!(
            "the source has several, {loader} among them, and which of them starts it is not known"
        ))),
        (None, _, Some(other)) => {
            Err(unknown(format!("the source uses {other}, which Counterpart does not install yet")))
        }
        (None, _, None) => {
            Err(unknown("the source has none that is known (is it a whole system?)".to_owned()))
        }
    }
}

/// The platforms for which `grub-install` has put an image there.
fn targets(trees: &Trees<'_>, dir: &Path) -> io::Result<Vec<String>> {
    let mut targets = Vec::new();
    for path in trees.names(dir)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let image = match name.rsplit_once('-') {
            Some((_, "efi")) => "core.efi",
            Some((_, "pc")) => "core.img",
            _ => continue,
        };
        if trees.has(&path.join(image))? {
            targets.push(name.to_owned());
        }
    }
    Ok(targets)
}

/// The platforms of GRUB for the machines that start by a BIOS or by UEFI.
const PLATFORMS: [&str; 8] = [
    "i386-pc",
    "i386-efi",
    "x86_64-efi",
    "arm-efi",
    "arm64-efi",
    "loongarch64-efi",
    "riscv64-efi",
    "ia64-efi",
];

/// What any loader keeps in a clone that differs from the source's.
#[must_use]
pub fn of_any_loader() -> Vec<PathBuf> {
    let grub = GRUB.map(|dir| {
        Loader::Grub(Grub { dir: dir.into(), targets: PLATFORMS.map(str::to_owned).into() }).generated()
    });
    let extlinux = EXTLINUX.map(|(dir, _)| Loader::Extlinux { dir: dir.into() }.generated());
    grub.into_iter().chain(extlinux).flatten().collect()
}

impl Loader {
    /// What it keeps in the clone that differs from the source's.
    #[must_use]
    pub fn generated(&self) -> Vec<PathBuf> {
        match self {
            Self::Grub(grub) => {
                let own = ["grub.cfg", "fonts/unicode.pf2", "locale"].map(|name| grub.dir.join(name));
                let targets = grub.targets.iter().map(|target| grub.dir.join(target));
                own.into_iter().chain(targets).collect()
            }
            Self::Extlinux { dir } => ["ldlinux.sys", "ldlinux.c32"].map(|name| dir.join(name)).into(),
            Self::RaspberryPi { .. } => Vec::new(),
        }
    }

    /// Whether the clone's disk has what the loader needs.
    pub fn check(&self, _trees: &Trees<'_>, disks: &Disks) -> Result<(), Failure> {
        match self {
            Self::Grub(grub) => grub.possible(disks).map(|_| ()),
            Self::Extlinux { .. } if !disks.is_active => Err(Failure::not_bootable(
                Obstacle::Place,
                format!(
                    "extlinux needs an MBR with a partition that is marked active, which the clone's disk {} does not have",
                    display::path(&disks.disk)
                ),
            )),
            Self::Extlinux { .. } | Self::RaspberryPi { .. } => Ok(()),
        }
    }
}

impl Grub {
    /// The platforms that it can be installed for on the clone's disk: one suffices, as machines start by either.
    pub fn possible(&self, disks: &Disks) -> Result<Vec<&str>, Failure> {
        let mut possible = Vec::new();
        let mut missing = String::new();
        for target in &self.targets {
            let why = if target.ends_with("-efi") {
                disks.efi.is_none().then_some("an EFI system partition (vfat)")
            } else if disks.table.as_deref() == Some("gpt") {
                disks
                    .bios_boot
                    .is_none()
                    .then_some("a BIOS boot partition (1 MiB, type 21686148-6449-6e6f-744e-656564454649)")
            } else {
                None
            };
            match why {
                None => possible.push(target.as_str()),
                Some(what) => {
                    let more = if missing.is_empty() { "" } else { ", and " };
                    missing = format!("{missing}{more}GRUB for {target} needs {what}");
                }
            }
        }
        if possible.is_empty() {
            let disk = display::path(&disks.disk);
            return Err(Failure::not_bootable(
                Obstacle::Place,
                format!("{missing}, which the clone's disk {disk} does not have"),
            ));
        }
        Ok(possible)
    }
}

impl fmt::Display for Loader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grub(grub) => {
                let name = |target: &String| {
                    if target.ends_with("-efi") {
                        format!("UEFI ({target})")
                    } else {
                        format!("a BIOS ({target})")
                    }
                };
                let firmware: Vec<String> = grub.targets.iter().map(name).collect();
                write!(formatter, "GRUB for {}", firmware.join(" and "))
            }
            Self::Extlinux { dir } => write!(formatter, "extlinux in {}", display::path(dir)),
            Self::RaspberryPi { dir } => {
                write!(
                    formatter,
                    "the Raspberry Pi's firmware, with {}",
                    display::path(&dir.join("cmdline.txt"))
                )
            }
        }
    }
}
