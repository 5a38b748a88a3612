//! A filesystem that is named by a tag: finds its device, opens it if it is encrypted, and mounts it for this process.

mod macos;
pub mod wanted;

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::display;
use crate::fs::dir::Dir;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::linux::mounts;
use crate::password_store;
use crate::process::interrupts::Interrupts;
use crate::volume::block::BlockDevice;
use crate::volume::private::{How, Mounted};
use crate::volume::{block, luks, private, unclean};
pub use wanted::{NotMounted, Purpose, Wanted};

/// A mounted filesystem; unmounted, and closed if we opened it, when this is dropped.
#[derive(Debug)]
pub struct Named<'a> {
    // Fields are dropped in this order.
    mounted: Place<'a>,
    #[allow(dead_code, reason = "closed when this is dropped")]
    opened: Option<luks::Opened<'a>>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// What is worth knowing: where it was found, and where else it is mounted.
    pub remarks: Vec<String>,
    /// What may be wrong with it.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
enum Place<'a> {
    Private(Mounted),
    Volume(macos::Mounted<'a>),
}

impl Named<'_> {
    /// Where it is mounted. On Linux the path means something to this process and its children only.
    #[must_use]
    pub fn point(&self) -> &Path {
        match &self.mounted {
            Place::Private(mounted) => mounted.point(),
            Place::Volume(mounted) => mounted.point(),
        }
    }
}

/// Mounts it. To be called by the main thread, at most once: on Linux it leaves our caller's mount namespace.
pub fn mount<'a>(machine: Machine<'a>, wanted: &Wanted<'_>) -> Result<Named<'a>, NotMounted> {
    if !machine.host.is_root() {
        return Err("only root can mount it; name the directory where it is mounted".to_owned().into());
    }
    let named = match machine.host.platform {
        Platform::MacOs(_) => volume(machine, wanted),
        Platform::Linux => linux(machine, wanted),
    };
    match machine.interrupts.received() {
        Some(_) => Err(NotMounted::Interrupted),
        None => named,
    }
}

fn volume<'a>(machine: Machine<'a>, wanted: &Wanted<'_>) -> Result<Named<'a>, NotMounted> {
    let (mounted, disk) = macos::mount(machine, wanted)?;
    let remark = format!("{} is {}.", wanted.tag, mounted.described());
    Ok(Named {
        mounted: Place::Volume(mounted),
        opened: None,
        uuid: disk.volume_uuid,
        remarks: vec![remark],
        warnings: Vec::new(),
    })
}

fn linux<'a>(machine: Machine<'a>, wanted: &Wanted<'_>) -> Result<Named<'a>, NotMounted> {
    let found = block::find(machine, wanted.tag)
        .map_err(|error| format!("the block devices cannot be searched: {}", display::reason(&error)))?;
    let (device, others) = one(&found)?;
    let (device, opened) = opened(machine, wanted, device)?;
    let kind = kind(&device)?;
    let mut remarks = vec![format!("{} is {} ({kind}).", wanted.tag, display::path(&device.path))];
    let mut warnings = Vec::new();
    let held = File::open(&device.path).map_err(|error| cannot_mount(&error, kind))?;
    let points = mounted_at(&device)
        .map_err(|error| format!("what is mounted cannot be determined: {}", display::reason(&error)))?;
    remarks.extend(
        points.iter().map(|point| {
            format!("It is also mounted at {}, where others may change it.", display::path(point))
        }),
    );
    if points.is_empty() {
        let state = unclean::look(&held, kind).map_err(|error| cannot_mount(&error, kind))?;
        warnings.extend(state.map(|why| format!("the filesystem {}: {why}.", wanted.tag)));
    }
    let point = point(machine.host).map_err(|error| {
        format!(
            "there is no place to mount it in {}: {}",
            display::path(&machine.host.lock_dir),
            display::reason(&error)
        )
    })?;
    private::leave_namespace().map_err(|error| {
        let why = display::reason(&error);
        format!("a private mount is not available here ({why}); mount it and name the directory")
    })?;
    let how = How {
        kind,
        read_only: wanted.purpose != Purpose::Write,
        keeps_log: matches!(wanted.purpose, Purpose::Examine | Purpose::Glance),
        others: &others,
    };
    let mounted = patiently(machine.interrupts, &device.path, &point, how, &points)
        .map_err(|error| cannot_mount(&error, kind))?;
    // Its path may mean another device by now: what is mounted counts.
    if !is_mounted(&device, &held, &point).unwrap_or(false) {
        return Err("another device has just taken its place".to_owned().into());
    }
    if let Some(opened) = &opened {
        opened.close_with_last_user();
    }
    let uuid = device.found.uuid.clone();
    Ok(Named { mounted: Place::Private(mounted), opened, uuid, remarks, warnings })
}

/// How long another mount may keep a filesystem from being written.
const PATIENCE: Duration = Duration::from_secs(10);

/// Mounts it, and waits for whoever has it read-only for a moment, as our own plugin does.
fn patiently(
    interrupts: &Interrupts,
    device: &Path,
    point: &Path,
    how: How<'_>,
    elsewhere: &[PathBuf],
) -> io::Result<Mounted> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match private::mount(device, point, how) {
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy
                    && Instant::now() < deadline
                    && interrupts.received().is_none() =>
            {
                // Our copy of a mount may outlast the mount itself.
                let others = elsewhere.iter().filter(|other| other.as_os_str() != "/");
                others.for_each(|other| private::let_go(other));
                std::thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

/// The device to mount, and the other devices of the same filesystem.
fn one(found: &[BlockDevice]) -> Result<(BlockDevice, Vec<PathBuf>), NotMounted> {
    let is_one = |devices: &[BlockDevice]| {
        let uuids: Vec<_> = devices.iter().map(|device| &device.found.device_uuid).collect();
        devices.iter().all(|device| {
            device.found.kind.as_deref() == Some("btrfs") && device.found.uuid == devices[0].found.uuid
        }) && uuids.iter().enumerate().all(|(at, uuid)| uuid.is_some() && !uuids[..at].contains(uuid))
    };
    match found {
        [] => Err(NotMounted::Missing),
        [device] => Ok((device.clone(), Vec::new())),
        [device, others @ ..] if is_one(found) => {
            Ok((device.clone(), others.iter().map(|other| other.path.clone()).collect()))
        }
        several => {
            let paths: Vec<String> =
                several.iter().map(|device| display::path(&device.path).to_string()).collect();
            Err(format!(
                "{} devices have this name ({}). Disconnect one, give one another name, or use a name that only one has",
                paths.len(),
                paths.join(", ")
            )
            .into())
        }
    }
}

/// The device itself, or what is in it if it is encrypted.
fn opened<'a>(
    machine: Machine<'a>,
    wanted: &Wanted<'_>,
    device: BlockDevice,
) -> Result<(BlockDevice, Option<luks::Opened<'a>>), NotMounted> {
    if device.found.kind.as_deref() != Some(luks::KIND) {
        return Ok((device, None));
    }
    let probe = |path: &Path| {
        block::probe(machine, path).map_err(|error| {
            format!("{}, which is in it, cannot be read: {}", display::path(path), display::reason(&error))
        })
    };
    let uuid = device.found.uuid.clone().unwrap_or_default();
    let holders = device.holders().unwrap_or_default();
    if let [inner] = &holders[..] {
        // What somebody else has opened stays open.
        let ours = Path::new("/dev/mapper").join(luks::name_of(&uuid));
        let is_ours = std::fs::metadata(ours).map(|found| found.rdev()).ok();
        let inner = probe(inner)?;
        let left = (is_ours == Some(inner.rdev)).then(|| luks::Opened::left_behind(machine.host, &uuid));
        return Ok((inner, left));
    }
    if wanted.purpose == Purpose::Glance {
        return Err("it is encrypted, and not open".to_owned().into());
    }
    let key = if let Some(file) = wanted.key_file {
        luks::key(file)?
    } else {
        let secret = password_store::load(machine, wanted.prefix).map_err(|error| {
            format!(
                "it is encrypted, and there is no key: {error}. Give --key-file, or store its passphrase with \
                 counterpart setpass"
            )
        })?;
        Zeroizing::new(secret.expose().to_vec())
    };
    let (opened, path) =
        luks::open(machine, &device.path, &uuid, key).map_err(|why| format!("it is encrypted, and {why}"))?;
    Ok((probe(&path)?, Some(opened)))
}

/// The filesystem's type.
fn kind(device: &BlockDevice) -> Result<&str, String> {
    let path = display::path(&device.path);
    if device.is_ambiguous {
        return Err(format!("{path} has the signatures of several filesystems (see wipefs)"));
    }
    match (device.found.kind.as_deref(), device.found.usage.as_deref()) {
        // A type is a word of the kernel's; anything else would be an option's beginning or a path.
        (Some(kind), Some("filesystem"))
            if kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Ok(kind)
        }
        (Some(kind), _) => Err(format!("{path} holds no filesystem, but {}", display::line(kind.as_bytes()))),
        (None, _) => Err(format!("{path} holds no filesystem that blkid knows")),
    }
}

fn cannot_mount(error: &io::Error, kind: &str) -> String {
    /// Linux's EUCLEAN, which other systems have not.
    const DAMAGED: i32 = 117;
    match error.raw_os_error() {
        Some(nix::libc::ENODEV) => format!("this kernel cannot mount {kind}"),
        Some(nix::libc::EROFS | nix::libc::EACCES) => "it is write-protected".to_owned(),
        Some(nix::libc::EBUSY) => "it is in use, or mounted read-only elsewhere".to_owned(),
        Some(nix::libc::EINVAL | DAMAGED) => {
            format!(
                "the kernel cannot mount it as {kind}: it is damaged, or has features that this kernel lacks"
            )
        }
        _ => format!("it cannot be mounted as {kind}: {}", display::reason(error)),
    }
}

/// Where a device's filesystem is mounted, as far as our caller's namespace shows.
fn mounted_at(device: &BlockDevice) -> io::Result<Vec<PathBuf>> {
    let table = mounts::read(&std::fs::read("/proc/self/mountinfo")?);
    let number = device.number();
    let is_it = |mount: &mounts::Mount| {
        mount.device_number == number || mount.kind == "btrfs" && Path::new(&mount.device) == device.path
    };
    Ok(table.into_iter().filter(is_it).map(|mount| mount.point).collect())
}

/// The directory to mount on, which nobody else can enter.
fn point(host: &Host) -> io::Result<PathBuf> {
    let dir = Dir::open_or_create(&host.lock_dir, 0o700)?;
    dir.refuse_strangers()?;
    let point = std::fs::canonicalize(&host.lock_dir)?.join("disk");
    Dir::open_or_create(&point, 0o700)?;
    Ok(point)
}

/// Whether what is mounted is what was found.
fn is_mounted(device: &BlockDevice, held: &File, point: &Path) -> io::Result<bool> {
    if held.metadata()?.rdev() != device.rdev || std::fs::metadata(&device.path)?.rdev() != device.rdev {
        return Ok(false);
    }
    // btrfs has device numbers of its own.
    Ok(device.found.kind.as_deref() == Some("btrfs") || std::fs::metadata(point)?.dev() == device.rdev)
}
