//! The system that the disk shall be like: its filesystems, swap, and how it starts.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::cli::prepare::{PrepareArgs, Table};
use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::fs::space::Space;
use crate::linux::fstab;
use crate::linux::fstab::Entry;
use crate::linux::mounts::Mount;
use crate::linux::swaps;
use crate::prepare::tools::Tools;
use crate::prepare::wanted::{Kind, MIB, Role, Wanted};
use crate::volume;
use crate::volume::block::{BlockDevice, Tag};
use crate::volume::kind::SUBVOLUME_TOP;
use crate::volume::{block, mounts};

/// What the new disk shall hold, and what has to be said about that.
#[derive(Debug)]
pub struct Source {
    /// The partitions to make.
    pub wanted: Vec<Wanted>,
    /// What differs from the source.
    pub notes: Vec<String>,
}

/// The longest fstab, in bytes.
const LONGEST: u64 = 1 << 20;

/// The size of an EFI system partition, a /boot and swap where the source has none to take it from.
const USUAL_EFI: u64 = 512 * MIB;
const USUAL_BOOT: u64 = 1024 * MIB;
const USUAL_SWAP: u64 = 1024 * MIB;

/// What a separate /boot that the source does not have must hold: some kernels.
const KERNELS: u64 = 400 * MIB;

/// A filesystem of the source.
#[derive(Debug)]
struct Found<'a> {
    /// Where it is mounted in the source.
    point: PathBuf,
    mount: &'a Mount,
    device: PathBuf,
    rdev: u64,
}

/// Looks at the source.
pub fn survey(args: &PrepareArgs, tools: Tools<'_>) -> Result<Source, Failure> {
    Survey::of(args, tools)
        .and_then(Survey::finish)
        .map_err(|error| Failure::SourceUnreadable { path: args.like.clone(), why: error.into() })
}

struct Survey<'a> {
    args: &'a PrepareArgs,
    tools: Tools<'a>,
    dir: Dir,
    fstab: Vec<Entry>,
    source: Source,
}

impl<'a> Survey<'a> {
    fn of(args: &'a PrepareArgs, tools: Tools<'a>) -> io::Result<Self> {
        let dir = Dir::reach(&args.like)?;
        let fstab = match dir.enter(OsStr::new("etc")).and_then(|etc| etc.read(OsStr::new("fstab"), LONGEST))
        {
            Ok(text) => text.unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io::Error::new(error.kind(), format!("etc/fstab: {error}"))),
        };
        let source = Source { wanted: Vec::new(), notes: Vec::new() };
        Ok(Self { args, tools, dir, fstab: fstab::read(&fstab), source })
    }

    fn finish(mut self) -> io::Result<Source> {
        let place = mounts::of(&self.dir)?.ok_or_else(|| io::Error::other("no mount table"))?;
        let root = place.mount().ok_or_else(|| io::Error::other("no mount"))?;
        self.add_root(root)?;
        self.add_mounted(root, &place.table)?;
        self.add_listed()?;
        self.add_swap()?;
        self.add_efi();
        if self.args.encrypt {
            self.encrypt();
        }
        self.add_bios_boot();
        Ok(self.source)
    }

    fn note(&mut self, text: String) {
        self.source.notes.push(text);
    }

    fn has(&self, point: &str) -> bool {
        self.source.wanted.iter().any(|wanted| wanted.point.as_deref() == Some(Path::new(point)))
    }

    fn add_root(&mut self, root: &Mount) -> io::Result<()> {
        let kind = Kind::named(&root.kind).filter(|kind| *kind != Kind::Vfat).unwrap_or_else(|| {
            self.source.notes.push(format!("{} is not made here: the root becomes ext4", root.kind));
            Kind::Ext4
        });
        let space = Space::of(self.dir.file())?;
        let device = volume::device(root);
        let label = device.as_deref().map(|device| self.label(device)).transpose()?.flatten();
        let mut wanted = Wanted::new(Role::Data, kind, Some(Path::new("/")), space.total.max(MIB));
        wanted.used = space.used();
        wanted.label = label;
        let is_whole = root.root == Path::new("/") || root.point != self.dir.path();
        if kind == Kind::Btrfs && !is_whole && is_subvolume(self.dir.path())? {
            wanted.subvolumes.push(root.root.clone());
        }
        self.source.wanted.push(wanted);
        Ok(())
    }

    fn label(&self, device: &Path) -> io::Result<Option<String>> {
        Ok(block::probe(self.tools.machine, device)?.found.label)
    }

    /// What is mounted below the source now, from a local disk, and belongs to the system.
    fn add_mounted(&mut self, root: &Mount, table: &[Mount]) -> io::Result<()> {
        let root_device = volume::device(root).and_then(|device| rdev(&device));
        let mut made: Vec<(u64, usize)> = root_device.map(|rdev| (rdev, 0)).into_iter().collect();
        for found in self.found(table) {
            if !self.belongs(&found.point, found.rdev, root_device) {
                continue;
            }
            let place = made.iter().find(|(rdev, _)| *rdev == found.rdev).map(|(_, place)| *place);
            if let Some(place) = place {
                if found.mount.kind == "btrfs" && is_subvolume(&found.mount.point)? {
                    self.source.wanted[place].subvolumes.push(found.mount.root.clone());
                }
                continue;
            }
            let Some(kind) = Kind::named(&found.mount.kind) else {
                let point = display::path(&found.point).to_string();
                self.note(format!("{point} is left out: it is {}, which is not made here", found.mount.kind));
                continue;
            };
            let space = Space::of(File::open(&found.mount.point)?)?;
            let label = self.label(&found.device)?;
            let mut wanted = Wanted::new(role(kind, &found.point), kind, Some(&found.point), space.total);
            wanted.used = space.used();
            wanted.label = label;
            let is_whole = found.mount.root == Path::new("/");
            if kind == Kind::Btrfs && !is_whole && is_subvolume(&found.mount.point)? {
                wanted.subvolumes.push(found.mount.root.clone());
            }
            made.push((found.rdev, self.source.wanted.len()));
            self.source.wanted.push(wanted);
        }
        Ok(())
    }

    /// The topmost mount of each point below the source that is on a block device.
    fn found<'t>(&self, table: &'t [Mount]) -> Vec<Found<'t>> {
        let mut found: Vec<Found<'t>> = Vec::new();
        for mount in table.iter().filter(|mount| mount.point != self.dir.path()) {
            let Ok(below) = mount.point.strip_prefix(self.dir.path()) else { continue };
            let point = Path::new("/").join(below);
            found.retain(|earlier| earlier.point != point);
            let Some(device) = volume::device(mount) else { continue };
            let Some(rdev) = rdev(&device) else { continue };
            found.push(Found { point, mount, device, rdev });
        }
        found.sort_by(|one, other| one.point.cmp(&other.point));
        found
    }

    /// Whether fstab mounts it at boot, or it lies on the root's own disk and not where users mount theirs.
    fn belongs(&self, point: &Path, rdev: u64, root: Option<u64>) -> bool {
        if self.fstab.iter().any(|line| line.point == point && line.is_local()) {
            return true;
        }
        let disk = |rdev| block::disk_of(rdev).ok();
        let is_on_disk = root.is_some_and(|root| disk(root).is_some() && disk(root) == disk(rdev));
        is_on_disk && !["/mnt", "/media", "/run", "/tmp"].iter().any(|dir| point.starts_with(dir))
    }

    /// What fstab mounts at boot and is not mounted now, as the EFI system partition until it is used.
    fn add_listed(&mut self) -> io::Result<()> {
        let is_new =
            |line: &&Entry| line.is_local() && Kind::named(&line.kind).is_some_and(|k| k != Kind::Swap);
        for line in self.fstab.iter().filter(is_new).cloned().collect::<Vec<_>>() {
            let is_known = line.point == Path::new("/") || self.is_mounted(&line.point);
            let Some(kind) = Kind::named(&line.kind).filter(|_| !is_known) else { continue };
            let point = display::path(&line.point).to_string();
            let device = match self.device(&line.device)? {
                Some(device) if !line.is_optional() => device,
                _ => {
                    self.note(format!("{point} is left out: fstab lists it, and it is not mounted"));
                    continue;
                }
            };
            let size = device.size()?;
            let mut wanted = Wanted::new(role(kind, &line.point), kind, Some(&line.point), size);
            // All of it may be in use.
            wanted.reserved = if wanted.role == Role::Data { size } else { 0 };
            wanted.label = device.found.label;
            self.source.wanted.push(wanted);
        }
        Ok(())
    }

    /// Whether something is made for this mount point, or it is a subvolume of what is made.
    fn is_mounted(&self, point: &Path) -> bool {
        let inside = self.dir.path().join(point.strip_prefix("/").unwrap_or(point));
        let is_point = |inside: &Path| {
            let above = inside.parent().and_then(|above| fs::symlink_metadata(above).ok());
            let own = fs::symlink_metadata(inside).ok();
            above.zip(own).is_some_and(|(above, own)| above.dev() != own.dev())
        };
        self.source.wanted.iter().any(|wanted| wanted.point.as_deref() == Some(point)) || is_point(&inside)
    }

    /// The one device that fstab names.
    fn device(&self, named: &OsStr) -> io::Result<Option<BlockDevice>> {
        let Some(Ok(tag)) = Tag::read_or_device(named) else { return Ok(None) };
        let mut found = block::find(self.tools.machine, &tag)?;
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    fn add_swap(&mut self) -> io::Result<()> {
        let devices = self.fstab.iter().filter(|line| line.is_swap_device()).map(|line| line.device.clone());
        let devices: Vec<OsString> = devices.collect();
        let mut size = if devices.is_empty() && self.is_running() { active_swap()? } else { 0 };
        for device in &devices {
            size += match self.device(device)? {
                Some(found) => found.size()?,
                None => USUAL_SWAP,
            };
        }
        if size > 0 {
            self.source.wanted.push(Wanted::new(Role::Swap, Kind::Swap, None, size));
        }
        Ok(())
    }

    /// Whether the source is the system that runs here.
    fn is_running(&self) -> bool {
        self.dir.path() == Path::new("/")
    }

    /// The machine's firmware needs an EFI system partition even where nothing is mounted from it.
    fn add_efi(&mut self) {
        let is_efi =
            self.is_running() && self.tools.machine.host.tools.system_root.join("sys/firmware/efi").exists();
        if is_efi && !self.source.wanted.iter().any(|wanted| wanted.role == Role::Efi) {
            let point = Path::new("/boot/efi");
            self.source.wanted.push(Wanted::new(Role::Efi, Kind::Vfat, Some(point), USUAL_EFI));
            self.note(
                "this machine starts by EFI: an EFI system partition is added for /boot/efi".to_owned(),
            );
        }
    }

    /// The loader has to read /boot before anybody has typed the passphrase.
    fn encrypt(&mut self) {
        for wanted in &mut self.source.wanted {
            wanted.is_encrypted = wanted.point.as_deref() == Some(Path::new("/"));
        }
        if !self.has("/boot") {
            let mut boot = Wanted::new(Role::Data, Kind::Ext4, Some(Path::new("/boot")), USUAL_BOOT);
            boot.reserved = KERNELS;
            self.source.wanted.push(boot);
            self.note("the root is encrypted: a /boot that the loader can read is added".to_owned());
        }
        let is_plain = |wanted: &&Wanted| !wanted.is_encrypted && wanted.role == Role::Data;
        let mut plain: Vec<String> = self
            .source
            .wanted
            .iter()
            .filter(is_plain)
            .filter_map(|wanted| Some(display::path(wanted.point.as_deref()?).to_string()))
            .collect();
        plain.extend(
            self.source.wanted.iter().any(|wanted| wanted.role == Role::Swap).then(|| "swap".to_owned()),
        );
        self.note(format!("not encrypted: {}", plain.join(", ")));
    }

    /// GRUB needs it on a GPT disk of a machine that starts by its BIOS.
    fn add_bios_boot(&mut self) {
        let is_pc = ["x86", "x86_64"].contains(&std::env::consts::ARCH);
        let by_firmware =
            self.source.wanted.iter().any(|wanted| [Role::Efi, Role::Firmware].contains(&wanted.role));
        let has = |path: &str| self.dir.path().join(path).exists();
        let has_bios_grub =
            has("usr/lib/grub/i386-pc") || has("boot/grub/i386-pc") || has("boot/grub2/i386-pc");
        if self.args.table == Table::Gpt && is_pc && (!by_firmware || has_bios_grub) {
            self.source.wanted.push(Wanted::bios_boot());
        }
    }
}

/// The size of all devices that are swapped to now.
fn active_swap() -> io::Result<u64> {
    let table = match fs::read("/proc/swaps") {
        Ok(table) => table,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let is_disk = |path: &PathBuf| !path.to_string_lossy().starts_with("/dev/zram");
    let sizes = swaps::active_devices(&table).into_iter().filter(is_disk).filter_map(|path| rdev(&path));
    sizes.map(block::size).sum()
}

/// What a filesystem is for: firmware reads FAT in certain places.
fn role(kind: Kind, point: &Path) -> Role {
    match (kind, point.to_str()) {
        (Kind::Vfat, Some("/boot/efi" | "/efi" | "/boot")) => Role::Efi,
        (Kind::Vfat, Some("/boot/firmware")) => Role::Firmware,
        _ => Role::Data,
    }
}

fn rdev(device: &Path) -> Option<u64> {
    fs::metadata(device).ok().map(|found| found.rdev())
}

fn is_subvolume(point: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(point)?.ino() == SUBVOLUME_TOP)
}
