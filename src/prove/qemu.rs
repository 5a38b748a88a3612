//! QEMU's command line.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accelerator {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }

    fn options(self) -> [&'static str; 2] {
        match self {
            Self::Kvm => ["kvm", "host"],
            // The oldest processor that current distributions run on; with all that TCG knows, some kernels hang.
            Self::Tcg => ["tcg,thread=multi", "Nehalem"],
        }
    }
}

/// The guest's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// `SeaBIOS`, which comes with QEMU.
    Bios,
    /// OVMF: its code, and its variables at the first start.
    Uefi(PathBuf, PathBuf),
}

/// What the guest's disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// virtio.
    Virtio,
    /// AHCI.
    Sata,
    /// `NVMe`.
    Nvme,
}

impl Bus {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Sata => "SATA",
            Self::Nvme => "NVMe",
        }
    }

    fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-blk-pci",
            Self::Sata => "ide-hd",
            Self::Nvme => "nvme,serial=counterpart",
        }
    }
}

/// The guest's disk: an open file that QEMU inherits.
#[derive(Debug, Clone, Copy)]
pub struct GuestDisk {
    /// Its descriptor, open for reading only.
    pub descriptor: RawFd,
    /// A block device, not a file.
    pub is_device: bool,
    /// The size of its sectors.
    pub sector: u32,
}

/// What of a guest stays the same from start to start.
#[derive(Debug, Clone)]
pub struct VirtualMachine {
    /// What runs its instructions.
    pub accelerator: Accelerator,
    /// Forbid QEMU the system calls that it does not need.
    pub is_sandboxed: bool,
    /// Its firmware.
    pub firmware: Firmware,
    /// Its memory, in MiB.
    pub memory: u32,
    /// Its processors.
    pub cpus: u32,
}

/// The ends of the sockets that QEMU inherits.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// The monitor.
    pub monitor: RawFd,
    /// Both serial ports.
    pub serial: [RawFd; 2],
}

/// The arguments that start a guest from its disk.
#[must_use]
pub fn arguments(
    vm: &VirtualMachine,
    disk: GuestDisk,
    bus: Bus,
    lines: Lines,
    smbios: &str,
) -> Vec<OsString> {
    let mut all = common(vm);
    let mut add = |words: &[String]| all.extend(words.iter().map(OsString::from));
    let words = |option: &str, value: String| [option.to_owned(), value];
    // A guest that switches itself off is kept until its screen is read.
    add(&["-no-shutdown".to_owned()]);
    // Entropy, or some guests wait for it.
    add(&words("-object", "rng-random,id=rng,filename=/dev/urandom".to_owned()));
    add(&words("-device", "virtio-rng-pci,rng=rng".to_owned()));
    add(&words("-device", "pvpanic".to_owned()));
    add(&words("-chardev", format!("socket,id=monitor,fd={}", lines.monitor)));
    add(&words("-mon", "chardev=monitor,mode=control".to_owned()));
    for (at, descriptor) in lines.serial.into_iter().enumerate() {
        add(&words("-chardev", format!("socket,id=serial{at},fd={descriptor}")));
        add(&words("-serial", format!("chardev:serial{at}")));
    }
    add(&words("-smbios", format!("type=11,value={}", smbios.replace(',', ",,"))));
    add(&words("-add-fd", format!("fd={},set=1", disk.descriptor)));
    let driver = if disk.is_device { "host_device" } else { "file" };
    add(&words(
        "-drive",
        format!(
            "file.driver={driver},file.filename=/dev/fdset/1,format=raw,if=none,id=disk,snapshot=on,cache.no-flush=on"
        ),
    ));
    let sectors = match disk.sector {
        // What every bus has.
        512 => String::new(),
        size => format!(",logical_block_size={size},physical_block_size={size}"),
    };
    add(&words("-device", format!("{},drive=disk,bootindex=1{sectors}", bus.device())));
    all
}

/// The arguments that try QEMU out: they start a boot sector in an open file, which ends QEMU with [`TRIED`].
#[must_use]
pub fn trial(vm: &VirtualMachine, sector: RawFd) -> Vec<OsString> {
    let mut all = common(vm);
    let more = [
        "-device".to_owned(),
        "isa-debug-exit,iobase=0xf4,iosize=2".to_owned(),
        "-add-fd".to_owned(),
        format!("fd={sector},set=1"),
        "-drive".to_owned(),
        "file.driver=file,file.filename=/dev/fdset/1,format=raw,if=none,id=disk,snapshot=on".to_owned(),
        "-device".to_owned(),
        "virtio-blk-pci,drive=disk,bootindex=1".to_owned(),
    ];
    all.extend(more.into_iter().map(OsString::from));
    all
}

/// The boot sector of a trial: counts down from fifty million, and then ends QEMU.
///
/// That takes a moment, unless each instruction is emulated: where one KVM runs on top of another, a guest may start and
/// then get nowhere.
#[must_use]
pub fn trial_sector() -> Vec<u8> {
    const CODE: [u8; 19] = [
        0x66, 0xb9, 0x80, 0xf0, 0xfa, 0x02, // mov ecx, 50000000
        0x66, 0x49, // dec ecx
        0x75, 0xfc, // jnz to the line above
        0xba, 0xf4, 0x00, // mov dx, 0xf4
        0xb0, 0x10, // mov al, 0x10
        0xee, // out dx, al
        0xf4, 0xeb, 0xfd, // hlt, forever
    ];
    let mut sector = vec![0; 512];
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    sector
}

/// The size of the disk of a trial: a BIOS reads from none without cylinders.
pub const TRIAL_SIZE: u64 = 2 << 20;

/// QEMU's exit code at the end of a trial: twice the number that was written, plus one.
pub const TRIED: i32 = 0x10 << 1 | 1;

fn common(vm: &VirtualMachine) -> Vec<OsString> {
    let [accelerator, cpu] = vm.accelerator.options();
    let memory = vm.memory.to_string();
    let cpus = vm.cpus.to_string();
    let fixed = [
        "-nodefaults",
        "-no-user-config",
        "-machine",
        "q35",
        "-accel",
        accelerator,
        "-cpu",
        cpu,
        "-m",
        &memory,
        "-smp",
        &cpus,
        "-display",
        "none",
        "-vga",
        "std",
        "-nic",
        "none",
        "-rtc",
        "base=utc",
    ];
    let mut all: Vec<OsString> = fixed.into_iter().map(OsString::from).collect();
    if vm.is_sandboxed {
        let forbidden = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
        all.extend(["-sandbox".into(), forbidden.into()]);
    }
    if let Firmware::Uefi(code, variables) = &vm.firmware {
        for (unit, file, is_changed) in [(0, code, false), (1, variables, true)] {
            let how = if is_changed { "snapshot=on" } else { "readonly=on" };
            let mut drive = OsString::from(format!("if=pflash,format=raw,unit={unit},{how},file="));
            drive.push(file);
            all.extend(["-drive".into(), drive]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{
        Accelerator, Bus, Firmware, GuestDisk, Lines, VirtualMachine, arguments, trial, trial_sector,
    };

    fn joined(words: &[std::ffi::OsString]) -> String {
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    fn vm() -> VirtualMachine {
        VirtualMachine {
            accelerator: Accelerator::Tcg,
            is_sandboxed: true,
            firmware: Firmware::Bios,
            memory: 1024,
            cpus: 2,
        }
    }

    #[test]
    fn the_disk_is_read_through_a_descriptor_and_never_written() {
        let disk = GuestDisk { descriptor: 7, is_device: true, sector: 512 };
        let lines = Lines { monitor: 8, serial: [9, 10] };
        let words = joined(&arguments(&vm(), disk, Bus::Virtio, lines, "a,b"));
        assert_eq!(
            words,
            "-nodefaults -no-user-config -machine q35 -accel tcg,thread=multi -cpu Nehalem -m 1024 -smp 2 \
             -display none -vga std -nic none -rtc base=utc \
             -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -no-shutdown \
             -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng -device pvpanic \
             -chardev socket,id=monitor,fd=8 -mon chardev=monitor,mode=control \
             -chardev socket,id=serial0,fd=9 -serial chardev:serial0 -chardev socket,id=serial1,fd=10 \
             -serial chardev:serial1 -smbios type=11,value=a,,b -add-fd fd=7,set=1 \
             -drive file.driver=host_device,file.filename=/dev/fdset/1,format=raw,if=none,id=disk,snapshot=on,\
             cache.no-flush=on -device virtio-blk-pci,drive=disk,bootindex=1"
        );
    }

    #[test]
    fn each_choice_has_its_words() {
        let disk = GuestDisk { descriptor: 7, is_device: false, sector: 4096 };
        let lines = Lines { monitor: 8, serial: [9, 10] };
        let uefi = VirtualMachine {
            firmware: Firmware::Uefi("/c.fd".into(), "/v.fd".into()),
            accelerator: Accelerator::Kvm,
            is_sandboxed: false,
            ..vm()
        };
        let words = joined(&arguments(&uefi, disk, Bus::Nvme, lines, ""));
        for part in [
            "-accel kvm -cpu host ",
            "-drive if=pflash,format=raw,unit=0,readonly=on,file=/c.fd ",
            "-drive if=pflash,format=raw,unit=1,snapshot=on,file=/v.fd ",
            "file.driver=file,",
            "-device nvme,serial=counterpart,drive=disk,bootindex=1,logical_block_size=4096,physical_block_size=4096",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("-sandbox"), "{words}");
        assert!(joined(&trial(&vm(), 5)).contains(" -sandbox on,"), "it tries what is used");
        assert_eq!(trial_sector()[510..512], [0x55, 0xaa]);
    }
}
