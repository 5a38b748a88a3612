//! Which filesystem of the clone stands for which of the source, by asking their devices.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::fs::dir::Dir;
use crate::linux::bootable::fstab;
use crate::linux::bootable::layout::{Becomes, Container, Layout, Names, Part};
use crate::phases::bootable::trees::Trees;
use crate::run::Run;
use crate::volume;
use crate::volume::block::{self, BlockDevice};
use crate::volume::kind::SUBVOLUME_TOP;
use crate::volume::mounts;

/// How many layers of devices are looked through.
const DEPTH: usize = 8;

/// The type of an EFI system partition, in a GPT and in an MBR.
const EFI: [&str; 2] = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"];

/// The type of the partition that GRUB needs in a GPT to be started by a BIOS.
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";

/// The disk that the clone starts from.
#[derive(Debug, Clone)]
pub struct Disks {
    /// Its device.
    pub disk: PathBuf,
    /// Its partition table, `gpt` or `dos`.
    pub table: Option<String>,
    /// Its EFI system partition.
    pub efi: Option<BlockDevice>,
    /// Its BIOS boot partition.
    pub bios_boot: Option<PathBuf>,
    /// It has an MBR, and a partition in it is marked active.
    pub is_active: bool,
    /// The clone's filesystems, for links that the loader looks for.
    pub filesystems: Vec<BlockDevice>,
}

/// Where a directory is: its device, what it is known by, and its path on it.
struct Probed {
    block: BlockDevice,
    names: Names,
    path: PathBuf,
}

/// Asks for all filesystems of source and clone.
pub fn of(run: &Run<'_>, trees: &Trees<'_>) -> Result<(Layout, Disks), Failure> {
    let place = |why: String| Failure::not_bootable(Obstacle::Place, why);
    let mut parts: Vec<Part> = Vec::new();
    let mut filesystems: Vec<BlockDevice> = Vec::new();
    let mut of_source = BTreeSet::new();
    for pair in &trees.0 {
        let failed = |which: &str, why: String| {
            place(format!("the {which}'s filesystem for {}: {why}", display::path(&pair.point)))
        };
        let source = probe(run, pair.source).map_err(|why| failed("source", why))?;
        let clone = probe(run, pair.destination).map_err(|why| failed("clone", why))?;
        of_source.extend(
            block::disks_of(source.block.rdev).map_err(|error| failed("source", display::reason(&error)))?,
        );
        let is_own = filesystems.iter().all(|known| known.rdev != clone.block.rdev)
            || clone.is_subvolume(pair.destination);
        let becomes = if is_own {
            clone.refuse_part(pair.destination).map_err(|why| failed("clone", why))?;
            filesystems.push(clone.block.clone());
            Becomes::Filesystem(clone.names)
        } else {
            Becomes::Directory
        };
        parts.push(Part { point: pair.point.clone(), source: source.names, becomes });
    }
    for it in trees.1 {
        let point = Path::new("/").join(&it.place);
        let failed =
            |why: String| place(format!("the source's filesystem for {}: {why}", display::path(&point)));
        let source = probe(run, &it.dir).map_err(failed)?;
        of_source
            .extend(block::disks_of(source.block.rdev).map_err(|error| failed(display::reason(&error)))?);
        parts.push(Part { point, source: source.names, becomes: Becomes::Directory });
    }
    let disks = disks(run, filesystems).map_err(place)?;
    of_source.extend(disks_of_running().map_err(|error| {
        let why = display::reason(&error);
        place(format!("which disk the running system is on cannot be determined: {why}"))
    })?);
    if of_source.contains(&disks.disk) {
        return Err(place(format!(
            "it is on {}, the disk of the source or of the running system, whose boot loader would be replaced",
            display::path(&disks.disk)
        )));
    }
    let mut layout = Layout { parts };
    let table = trees.read_source(Path::new("/etc/fstab")).map_err(|error| {
        Failure::not_bootable(Obstacle::Table, format!("/etc/fstab: {}", display::reason(&error)))
    })?;
    let table = table.unwrap_or_default();
    add_efi(&mut layout, &disks, &table);
    if let Some(missing) = vital(&table).find(|point| layout.part(point).is_none()) {
        return Err(place(format!(
            "{} is a filesystem of its own, which is not part of this clone",
            display::path(&missing)
        )));
    }
    layout.root().map_err(|why| place(why.to_string()))?;
    Ok((layout, disks))
}

/// The disks of the running system; none if its root is on no disk, as in a container or on a live medium.
fn disks_of_running() -> io::Result<Vec<PathBuf>> {
    let place = mounts::of(&Dir::open(Path::new("/"))?)?.ok_or(io::ErrorKind::Unsupported)?;
    let mount = place.mount().ok_or(io::ErrorKind::NotFound)?;
    let Some(device) = volume::device(mount) else { return Ok(Vec::new()) };
    match fs::metadata(&device) {
        Ok(found) => block::disks_of(found.rdev()),
        Err(error) => Err(error),
    }
}

/// A filesystem of its own that a system cannot start without.
fn vital(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let is_vital = |point: &PathBuf| {
        [Path::new("/boot"), Path::new("/usr"), Path::new("/boot/firmware")].contains(&point.as_path())
    };
    fstab::points(table).into_iter().filter(is_vital)
}

/// The system partition of the clone's disk stands for the source's, wherever that is mounted.
fn add_efi(layout: &mut Layout, disks: &Disks, table: &[u8]) {
    let Some(efi) = &disks.efi else { return };
    let points = fstab::points(table).into_iter();
    let is_efi = |point: &PathBuf| [Path::new("/boot/efi"), Path::new("/efi")].contains(&point.as_path());
    if let Some(point) = points.into_iter().find(is_efi).filter(|point| layout.part(point).is_none()) {
        let clone = names(efi, None);
        layout.parts.push(Part { point, source: Names::default(), becomes: Becomes::Filesystem(clone) });
    }
}

fn probe(run: &Run<'_>, dir: &Dir) -> Result<Probed, String> {
    let place = mounts::of(dir).map_err(|error| display::reason(&error))?;
    let place = place.ok_or("this system has no table of mounts")?;
    let mount = place.mount().ok_or("it is not in the table of mounts")?;
    let device = volume::device(mount).ok_or("it is not on a disk")?;
    let block = block::probe(run.machine, &device)
        .map_err(|error| format!("{}: {}", display::path(&device), display::reason(&error)))?;
    if block.is_ambiguous || block.found.kind.is_none() {
        return Err(format!("what {} holds is not certain", display::path(&device)));
    }
    let (_, path) = mounts::locate(&place, dir).map_err(|error| display::reason(&error))?;
    let mut names = names(&block, (mount.kind == "btrfs").then_some(path.as_path()));
    names.within = within(run, &block).map_err(|error| display::reason(&error))?;
    Ok(Probed { block, names, path })
}

fn names(block: &BlockDevice, subvolume: Option<&Path>) -> Names {
    let found = block.found.clone();
    Names {
        device: block.path.clone(),
        kind: found.kind.unwrap_or_default(),
        uuid: found.uuid,
        label: found.label,
        part_uuid: found.part_uuid,
        part_label: found.part_label,
        subvolume: subvolume.map(|path| path.to_string_lossy().trim_matches('/').to_owned()),
        within: Vec::new(),
    }
}

impl Probed {
    fn is_subvolume(&self, dir: &Dir) -> bool {
        self.names.kind == "btrfs"
            && self.path != Path::new("/")
            && dir.metadata().is_ok_and(|found| found.ino() == SUBVOLUME_TOP)
    }

    /// A system does not start from a directory.
    fn refuse_part(&self, dir: &Dir) -> Result<(), String> {
        if self.path == Path::new("/") || self.is_subvolume(dir) {
            return Ok(());
        }
        Err(format!(
            "it is the directory {} on {}, not a whole filesystem",
            display::path(&self.path),
            display::path(&self.block.path)
        ))
    }
}

/// What a device lies in, from the inside out.
fn within(run: &Run<'_>, block: &BlockDevice) -> io::Result<Vec<Container>> {
    let mut found = Vec::new();
    let mut device = block.clone();
    for _ in 0..DEPTH {
        let sys = Path::new("/sys/dev/block").join(device.number());
        let read = |name: &str| fs::read_to_string(sys.join(name)).map(|text| text.trim().to_owned());
        let below = device.made_of()?;
        let Some(first) = below.first() else { return Ok(found) };
        let next = block::probe(run.machine, first)?;
        match read("dm/uuid") {
            Ok(uuid) if uuid.starts_with("CRYPT-") => {
                found.push(Container::Luks(Box::new(names(&next, None))));
            }
            Ok(uuid) if uuid.starts_with("LVM-") => {
                found.push(Container::Lvm(logical_volume(&read("dm/name")?)));
            }
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is of an unknown kind",
                    display::path(&device.path)
                )));
            }
            Err(_) if sys.join("md").exists() => found.push(Container::Raid),
            Err(_) => return Ok(found),
        }
        device = next;
    }
    Err(io::Error::other("too many layers of devices"))
}

/// `group-volume`, in which a hyphen of either is doubled, as `GROUP/VOLUME`.
fn logical_volume(name: &str) -> String {
    name.replace("--", "\0").replacen('-', "/", 1).replace('\0', "-")
}

fn disks(run: &Run<'_>, filesystems: Vec<BlockDevice>) -> Result<Disks, String> {
    let why = |error: io::Error| display::reason(&error);
    let mut all = BTreeSet::new();
    for filesystem in &filesystems {
        all.extend(block::disks_of(filesystem.rdev).map_err(why)?);
    }
    let mut all = all.into_iter();
    let (Some(disk), None) = (all.next(), all.next()) else {
        return Err("the clone lies on several disks".to_owned());
    };
    let whole = block::probe(run.machine, &disk).map_err(why)?;
    if filesystems.iter().any(|filesystem| filesystem.rdev == whole.rdev) {
        return Err(format!(
            "{} has no partition table, so there is no room for a boot loader",
            display::path(&disk)
        ));
    }
    let (mut efi, mut bios_boot) = (None, None);
    for path in block::partitions_of(whole.rdev).map_err(why)? {
        let partition = block::probe(run.machine, &path).map_err(why)?;
        let kind = partition.found.part_type.clone().unwrap_or_default().to_ascii_lowercase();
        if kind == BIOS_BOOT {
            bios_boot.get_or_insert(path);
        } else if EFI.contains(&kind.as_str()) && partition.found.kind.as_deref() == Some("vfat") {
            efi.get_or_insert(partition);
        }
    }
    let table = whole.found.table;
    let is_active = table.as_deref() == Some("dos") && is_active(&disk).map_err(why)?;
    Ok(Disks { disk, table, efi, bios_boot, is_active, filesystems })
}

/// Whether a partition in an MBR is marked active.
fn is_active(disk: &Path) -> io::Result<bool> {
    const ENTRIES: std::ops::Range<usize> = 446..510;
    const ENTRY: usize = 16;
    let mut sector = [0; 512];
    fs::File::open(disk)?.read_exact(&mut sector)?;
    Ok(sector[ENTRIES].iter().step_by(ENTRY).any(|flag| *flag == 0x80))
}

#[cfg(test)]
mod tests {
    use super::logical_volume;

    #[test]
    fn hyphens_in_names_of_logical_volumes_are_doubled() {
        assert_eq!(logical_volume("vg-root"), "vg/root");
        assert_eq!(logical_volume("my--vg-the--root"), "my-vg/the-root");
    }
}
