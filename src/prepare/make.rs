//! Writes to the disk: the partition table, then one filesystem after the other.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::cli::prepare::Table;
use crate::display;
use crate::linux::mounts::device_name;
use crate::prepare::disk::Disk;
use crate::prepare::format;
use crate::prepare::layout::Placed;
use crate::prepare::output::say;
use crate::prepare::subvolumes;
use crate::prepare::table;
use crate::prepare::table::Identifiers;
use crate::prepare::tools::Tools;
use crate::prepare::wanted::{Kind, MIB};
use crate::process::Command;
use crate::secret::Secret;
use crate::volume::block;

/// How long a partition's device node may take to appear where udev makes it, and an old one to be given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A partition as it will be: its place, label and identifiers.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its place.
    pub placed: Placed,
    /// The new label.
    pub label: Option<String>,
    /// The UUID of its filesystem; empty for the BIOS boot partition.
    pub uuid: String,
    /// The UUID of its LUKS container.
    pub luks: Option<String>,
}

/// How to make it all.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// The tools.
    pub tools: Tools<'a>,
    /// The type of the partition table.
    pub table: Table,
    /// The table's identifiers.
    pub ids: &'a Identifiers,
    /// What shall be on the disk.
    pub parts: &'a [Part],
    /// The passphrase, if a part is encrypted.
    pub passphrase: Option<&'a Secret>,
}

/// How far it has come: what a failure has to say of the disk.
#[derive(Debug, Default)]
pub struct Progress {
    /// Whether anything may have been written.
    pub has_begun: bool,
    /// The partitions that are done.
    pub done: Vec<u32>,
}

impl Progress {
    /// The state of the disk in a sentence.
    #[must_use]
    pub fn state(&self) -> String {
        if !self.has_begun {
            return "Nothing was written to the disk.".to_owned();
        }
        let done: Vec<String> = self.done.iter().map(u32::to_string).collect();
        let made = match done.as_slice() {
            [] => "no filesystem is made".to_owned(),
            [one] => format!("of its new partitions only {one} is made"),
            [first @ .., last] => {
                format!("of its new partitions only {} and {last} are made", first.join(", "))
            }
        };
        format!("The disk's old contents are lost and {made}: no clone can be made to it. Run prepare again.")
    }
}

impl Maker<'_> {
    /// Does everything. The error says what failed; `progress` how far it came.
    pub fn make(&self, disk: &mut Disk, progress: &mut Progress) -> Result<(), String> {
        self.forget_old(disk)?;
        disk.check()?;
        self.check_interrupt()?;
        progress.has_begun = true;
        self.write_table(disk)?;
        say("The partition table is written.");
        self.announce(disk)?;
        disk.share();
        for part in self.parts {
            self.check_interrupt()?;
            let node = Node::open(disk, &part.placed)?;
            self.fill(part, &node)?;
            progress.done.push(part.placed.number);
            if let Some(kind) = part.placed.wanted.kind {
                say(format_args!("{} is made on {}.", kind.name(), display::path(&node.path)));
            }
        }
        disk.file()
            .sync_all()
            .map_err(|error| format!("the disk cannot be flushed: {}", display::reason(&error)))
    }

    fn check_interrupt(&self) -> Result<(), String> {
        match self.tools.machine.interrupts.received() {
            Some(signal) => Err(format!("interrupted ({signal})")),
            None => Ok(()),
        }
    }

    fn on(&self, file: &File, tool: &str, arguments: &[&str]) -> Result<Command, String> {
        let mut command = self.tools.command(tool, arguments.iter().map(OsString::from))?;
        let copy = file.try_clone().map_err(|error| display::reason(&error))?;
        let path = command.hand_over(copy);
        command.arguments.push(path.into());
        Ok(command)
    }

    /// Has the kernel forget the old partitions, which fails if anything has one of them open. Writes nothing.
    fn forget_old(&self, disk: &Disk) -> Result<(), String> {
        for number in kernel_partitions(&disk.dir()) {
            let done = self.forget(disk, number);
            if let Err(why) = done {
                // Back to what the kernel knew; what is missing then is only missing until the next look.
                let _ = self.tools.ask(&self.on(disk.file(), "partx", &["--add"])?);
                return Err(format!("its old partition {number} cannot be given up: {why}"));
            }
        }
        Ok(())
    }

    /// Tries for a while: whatever looks for filesystems has it open for a moment.
    fn forget(&self, disk: &Disk, number: u64) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // By its number: partx finds no name for a disk that it gets by a descriptor.
            let command = self.on(disk.file(), "partx", &["--delete", "--nr", &number.to_string()])?;
            let done = self.tools.run(&command);
            if done.is_ok() || Instant::now() > deadline || self.tools.machine.interrupts.received().is_some()
            {
                return done.map(|_| ());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn write_table(&self, disk: &Disk) -> Result<(), String> {
        let placed: Vec<Placed> = self.parts.iter().map(|part| part.placed.clone()).collect();
        let script = table::script(&placed, disk.facts.sector, self.table, self.ids);
        let options =
            ["--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "always", "--wipe-partitions", "always"];
        let mut command = self.on(disk.file(), "sfdisk", &options)?;
        command.input = Zeroizing::new(script.into_bytes());
        self.tools.run(&command)?;
        disk.file()
            .sync_all()
            .map_err(|error| format!("the disk cannot be written: {}", display::reason(&error)))
    }

    /// Tells the kernel of the partitions: not every kernel reads tables, and none reads one at a moment of ours.
    fn announce(&self, disk: &Disk) -> Result<(), String> {
        // A kernel that has read the table itself meanwhile has them all, and this fails: what counts is checked next.
        let done = self.tools.run(&self.on(disk.file(), "partx", &["--add"])?);
        if kernel_partitions(&disk.dir()).len() < self.parts.len() {
            return Err(done
                .err()
                .unwrap_or_else(|| "the kernel does not show the new partitions".to_owned()));
        }
        Ok(())
    }

    fn fill(&self, part: &Part, node: &Node) -> Result<(), String> {
        let Some(kind) = part.placed.wanted.kind else { return Ok(()) };
        let Some(luks) = &part.luks else {
            self.format(part, kind, node)?;
            return self.verify(&node.path, kind.name(), &part.uuid, part.label.as_deref());
        };
        let opened = self.encrypt(luks, node)?;
        let made = Node::of(opened.path.clone()).and_then(|inner| self.format(part, kind, &inner));
        let made =
            made.and_then(|()| self.verify(&opened.path, kind.name(), &part.uuid, part.label.as_deref()));
        let closed = self.close(&opened);
        made?;
        closed?;
        self.verify(&node.path, "crypto_LUKS", luks, None)
    }

    fn format(&self, part: &Part, kind: Kind, node: &Node) -> Result<(), String> {
        let arguments = format::arguments(kind, &part.uuid, part.label.as_deref());
        let mut command = self.tools.command(kind.maker(), arguments)?;
        let copy = node.file.try_clone().map_err(|error| display::reason(&error))?;
        let path = command.hand_over(copy);
        command.arguments.push(path.into());
        self.tools.run(&command).map_err(|why| format!("{}: {why}", display::path(&node.path)))?;
        if part.placed.wanted.subvolumes.is_empty() {
            return Ok(());
        }
        subvolumes::make(self.tools, &node.path, &part.placed.wanted.subvolumes)
    }

    /// Makes a LUKS container and opens it. The passphrase goes by standard input.
    fn encrypt(&self, uuid: &str, node: &Node) -> Result<Opened, String> {
        let passphrase = self.passphrase.ok_or("there is no passphrase")?;
        let with_key = |arguments: &[&OsStr]| {
            let mut command = self.tools.command("cryptsetup", arguments)?;
            command.input = Zeroizing::new(passphrase.expose().to_vec());
            self.tools.run(&command).map(|_| ())
        };
        let device = node.path.as_os_str();
        let format = ["luksFormat", "--batch-mode", "--type", "luks2", "--key-file", "-", "--uuid", uuid];
        let format: Vec<&OsStr> = format.iter().map(OsStr::new).chain([device]).collect();
        with_key(&format)?;
        let name = format!("counterpart-{}", uuid.get(..8).unwrap_or_default());
        let open = ["open", "--type", "luks2", "--key-file", "-"];
        let open: Vec<&OsStr> = open.iter().map(OsStr::new).chain([device, OsStr::new(&name)]).collect();
        with_key(&open)?;
        Ok(Opened { path: Path::new("/dev/mapper").join(&name), name })
    }

    fn close(&self, opened: &Opened) -> Result<(), String> {
        self.tools.run(&self.tools.command("cryptsetup", ["close", &opened.name])?).map(|_| ())
    }

    /// Reads back what was made.
    fn verify(&self, path: &Path, kind: &str, uuid: &str, label: Option<&str>) -> Result<(), String> {
        let shown = display::path(path);
        let found = block::probe(self.tools.machine, path)
            .map_err(|error| format!("{shown} cannot be read back: {}", display::reason(&error)))?;
        let is_right = found.found.kind.as_deref() == Some(kind)
            && found.found.uuid.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(uuid))
            && found.found.label.as_deref() == label;
        if is_right { Ok(()) } else { Err(format!("{shown} does not hold what was made there")) }
    }
}

/// An open LUKS container.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    name: String,
}

/// A partition's device, held open.
#[derive(Debug)]
struct Node {
    path: PathBuf,
    file: File,
}

impl Node {
    /// The partition that the kernel shows at this place, and no other.
    fn open(disk: &Disk, placed: &Placed) -> Result<Self, String> {
        let wrong = || format!("the kernel does not show partition {} where it was put", placed.number);
        let dir = partition_dir(&disk.dir(), placed.number).ok_or_else(wrong)?;
        // The kernel counts in sectors of 512 bytes.
        let is_at = |name: &str, mib: u64| number(&dir.join(name)) == Some(mib * (MIB / 512));
        if !is_at("start", placed.start) || !is_at("size", placed.size) {
            return Err(wrong());
        }
        let uevent = fs::read_to_string(dir.join("uevent")).unwrap_or_default();
        let path = Path::new("/dev").join(device_name(&uevent).ok_or_else(wrong)?);
        let deadline = Instant::now() + PATIENCE;
        while !path.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let node = Self::of(path)?;
        let found = node.file.metadata().map_err(|error| display::reason(&error))?;
        let expected = fs::read_to_string(dir.join("dev")).unwrap_or_default();
        if block::number(found.rdev()) == expected.trim_end() { Ok(node) } else { Err(wrong()) }
    }

    /// A block device that nothing else claims.
    fn of(path: PathBuf) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("{}: {}", display::path(&path), display::reason(&error));
        let claim = OFlag::O_EXCL.bits();
        drop(File::options().read(true).write(true).custom_flags(claim).open(&path).map_err(cannot)?);
        // The program that makes the filesystem claims it itself.
        let file = File::options().read(true).write(true).open(&path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.file_type().is_block_device() {
            return Err(format!("{} is no block device", display::path(&path)));
        }
        Ok(Self { path, file })
    }
}

/// The numbers of the partitions that the kernel knows.
fn kernel_partitions(disk: &Path) -> Vec<u64> {
    let entries = fs::read_dir(disk).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = entries.filter_map(|entry| number(&entry.path().join("partition"))).collect();
    numbers.sort_unstable();
    numbers
}

fn partition_dir(disk: &Path, wanted: u32) -> Option<PathBuf> {
    let entries = fs::read_dir(disk).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find(|dir| number(&dir.join("partition")) == Some(u64::from(wanted)))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
