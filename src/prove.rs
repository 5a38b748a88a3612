//! `counterpart prove`: boots a clone in a virtual machine, by its own loader from firmware, and never writes to it.

pub mod account;
pub mod after_clone;
pub mod console;
pub mod disk;
pub mod evidence;
pub mod guest;
pub mod media;
pub mod probe;
pub mod qemu;
pub mod qmp;
pub mod remember;
pub mod screen;
pub mod trial;
pub mod verdict;
pub mod work;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::Local;

use crate::cli::prove::{AcceleratorName, BusName, FirmwareName, ProveArgs, Setup};
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::logging::complain;
use crate::record::Proof;
use disk::{Disk, Search};
use evidence::Evidence;
use guest::Boot;
use qemu::{Accelerator, Bus, Firmware, VirtualMachine};
use trial::Qemu;
use verdict::{Ending, Expected, Limits, Reason};
use work::Work;

/// Runs the subcommand.
pub fn run(args: &ProveArgs, machine: Machine<'_>) -> Result<String, Refusal> {
    refuse_elsewhere(machine.host)?;
    let disk = Search { machine, is_locked: false }.open(&args.destination)?;
    let said = |line: &str| {
        // A closed output must not make a success look like a failure.
        let _ = writeln!(io::stdout(), "{line}");
    };
    let result = prove(&args.how, machine, &disk, &said)?;
    if !remember::save(machine.host, &disk, &result.proof) {
        said("This machine has no record of a clone to this disk, so the proof is not recorded.");
    }
    result.sentence.map_err(Refusal::from)
}

/// A proof, and what to say of it.
#[derive(Debug)]
pub struct Proven {
    /// For the records.
    pub proof: Proof,
    /// That the clone boots, or why it does not.
    pub sentence: Result<String, Failure>,
}

/// Only Linux on the processors that QEMU is asked for can do this.
pub(crate) fn refuse_elsewhere(host: &Host) -> Result<(), Refusal> {
    match host.platform {
        Platform::Linux => {}
        Platform::MacOs(_) => {
            return Err(Refusal::new(
                "A clone can be proven on Linux only: no virtual machine boots a copy of macOS.",
            ));
        }
    }
    if std::env::consts::ARCH != "x86_64" {
        return Err(Refusal::new("A clone can be proven on x86-64 machines only."));
    }
    if host.is_root() { Ok(()) } else { Err(Refusal::new("prove must be run as root: it opens disks.")) }
}

/// Whether a clone could be proven here at all: QEMU is there, and may be used.
pub fn ensure_possible(host: &Host) -> Result<(), Refusal> {
    refuse_elsewhere(host)?;
    trial::find(&host.tools.usr, &host.search_path).map(drop)
}

fn unusable(error: &io::Error) -> Refusal {
    Refusal::new(format!("The proof cannot be prepared: {}.", display::reason(error)))
}

/// Boots the disk, on one bus after the other where it finds no root.
pub fn prove(how: &Setup, machine: Machine<'_>, disk: &Disk, say: &dyn Fn(&str)) -> Result<Proven, Refusal> {
    let program = trial::find(&machine.host.tools.usr, &machine.host.search_path)?;
    let firmware = firmware(how.firmware, disk, machine.host)?;
    let uid = account::free().map_err(|error| unusable(&error))?;
    let account = (uid, account::kvm_group().unwrap_or(uid));
    let work = Work::make(account.0, account.1).map_err(|error| unusable(&error))?;
    let qemu = Qemu { work: &work, program: &program, account };
    let wanted = match how.accelerator {
        AcceleratorName::Auto => None,
        AcceleratorName::Kvm => Some(Accelerator::Kvm),
        AcceleratorName::Tcg => Some(Accelerator::Tcg),
    };
    let (accelerator, is_sandboxed, no_kvm) = qemu.try_out(wanted, machine.interrupts)?;
    if let Some(why) = no_kvm {
        say(&format!("KVM is not used ({why}): the guest takes many times as long."));
    }
    let mut vm = VirtualMachine { accelerator, is_sandboxed, firmware, memory: how.memory, cpus: how.cpus };
    announce(&vm, disk, say);
    let limits = Limits { timeout: how.timeout, stall: how.stall };
    let expected = Expected { root: disk.filesystem.clone(), allowed: how.allow_failed.clone() };
    let mut left = buses(how.bus).into_iter().peekable();
    let mut bus = left.next().unwrap_or(Bus::Virtio);
    let mut without_timer = 0;
    loop {
        let boot = guest::boot(&qemu, &vm, disk, bus, &limits, machine.interrupts)?;
        let failure = failure(&boot, &expected);
        if let Some(reason) = &failure {
            if boot.evidence.lacks_timer() {
                without_timer += 1;
                if without_timer == BOOTS {
                    return Err(too_busy());
                }
                say(
                    "The guest's kernel found no timer that works, for this machine is too busy: it is booted again.",
                );
                continue;
            }
            if reason.got_nowhere() && vm.accelerator == Accelerator::Kvm && wanted.is_none() {
                say(&format!("With KVM {reason}: it may not work here, and TCG is tried."));
                vm.accelerator = Accelerator::Tcg;
                continue;
            }
            if let Some(next) = left.next_if(|_| reason.lacks_root()) {
                let (this, other) = (bus.name(), next.name());
                say(&format!("From a {this} disk {reason}. It may lack the driver; {other} is tried."));
                bus = next;
                continue;
            }
        }
        return conclude(how, machine.host, disk, &vm, &boot, failure);
    }
}

/// How often a guest is booted whose kernel finds no timer.
const BOOTS: u32 = 3;

fn too_busy() -> Refusal {
    Refusal::new(format!(
        "The guest's kernel found no timer that works, {BOOTS} times: this machine is too busy, and nothing is known of the \
         clone. Prove it again when less is going on here."
    ))
}

fn announce(vm: &VirtualMachine, disk: &Disk, say: &dyn Fn(&str)) {
    say(&format!(
        "Booting {} by {} in QEMU ({}, {} MiB, {} CPUs); nothing is written to it.",
        display::path(&disk.path),
        firmware_name(&vm.firmware),
        vm.accelerator.name(),
        vm.memory,
        vm.cpus
    ));
    if !vm.is_sandboxed {
        say("This QEMU has no sandbox.");
    }
    for point in &disk.mounted_at {
        say(&format!(
            "It is mounted at {}: the proof counts only if nothing is written there meanwhile.",
            display::path(point)
        ));
    }
}

fn buses(wanted: BusName) -> Vec<Bus> {
    match wanted {
        BusName::Virtio => vec![Bus::Virtio],
        BusName::Sata => vec![Bus::Sata],
        BusName::Nvme => vec![Bus::Nvme],
        BusName::Auto => match disk::bus_of_root() {
            None | Some(Bus::Virtio) => vec![Bus::Virtio, Bus::Sata],
            Some(other) => vec![other, Bus::Virtio],
        },
    }
}

fn firmware(wanted: FirmwareName, disk: &Disk, host: &Host) -> Result<Firmware, Refusal> {
    let is_uefi = match (wanted, disk.media.has_esp, disk.media.has_boot_code) {
        (FirmwareName::Uefi, _, _) | (FirmwareName::Auto, true, false) => true,
        (FirmwareName::Bios, _, _) | (FirmwareName::Auto, false, true) => false,
        // Made for both, or for nothing: what this machine has been started by.
        (FirmwareName::Auto, _, _) => Path::new("/sys/firmware/efi").exists(),
    };
    if is_uefi { trial::uefi(&host.tools.usr) } else { Ok(Firmware::Bios) }
}

fn firmware_name(firmware: &Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi(..) => "UEFI",
    }
}

/// Why the clone has not booted, if it has not.
fn failure(boot: &Boot, expected: &Expected) -> Option<Reason> {
    match &boot.ending {
        Ending::Reported => {
            let problems = verdict::problems(&boot.report, expected);
            (!problems.is_empty()).then_some(Reason::Problems(problems))
        }
        Ending::Login => None,
        Ending::Failed(reason) => Some(reason.clone()),
    }
}

fn conclude(
    how: &Setup,
    host: &Host,
    disk: &Disk,
    vm: &VirtualMachine,
    boot: &Boot,
    failure: Option<Reason>,
) -> Result<Proven, Refusal> {
    let path = display::path(&disk.path);
    if disk.has_changed() {
        let result = match &failure {
            Some(reason) => format!("it did not boot ({reason})"),
            None => "it booted".to_owned(),
        };
        let sentence = format!(
            "{path} was written to while it was proven, so nothing is known: {result}. Unmount it, or wait until nobody \
             writes to it, and prove it again."
        );
        return Err(Refusal(ExitCode::DESTINATION, sentence));
    }
    let proof = Proof {
        at: Local::now().into(),
        booted: failure.is_none(),
        reason: failure.as_ref().map(Reason::to_string),
        compared: boot.report.is_complete,
        firmware: firmware_name(&vm.firmware).to_owned(),
        kernel: boot.report.kernel.as_deref().map(|kernel| display::line(kernel.as_bytes()).to_string()),
        seconds: (boot.took.as_secs_f64() * 10.0).round() / 10.0,
    };
    let sentence = match failure {
        None => Ok(success(boot, &proof)),
        Some(reason) => {
            let public = reason.to_string();
            let reason = boot.evidence.explain(reason).to_string();
            let saved = save(&boot.evidence, how.log_dir.as_deref().unwrap_or(&host.log_dir));
            Err(Failure::NotBooted { path: disk.path.clone(), reason, public, saved })
        }
    };
    Ok(Proven { proof, sentence })
}

fn save(evidence: &Evidence, directory: &Path) -> String {
    match evidence.save(directory, Local::now()) {
        Ok(paths) => {
            let paths: Vec<String> =
                paths.iter().map(|path: &PathBuf| display::path(path).to_string()).collect();
            format!(" Its last screen: {}", paths.join(", "))
        }
        Err(error) => {
            complain(&format!(
                "The last screen could not be saved in {}: {}.",
                display::path(directory),
                display::reason(&error)
            ));
            String::new()
        }
    }
}

fn success(boot: &Boot, proof: &Proof) -> String {
    let kernel = proof.kernel.as_deref().map(|kernel| format!(" Linux {kernel},")).unwrap_or_default();
    let took = proof.seconds.round();
    if !proof.compared {
        return format!(
            "The clone boots: a login prompt after {took} s. It has no probe (systemd 252 or later), so its root and its \
             fstab were not compared."
        );
    }
    let report = &boot.report;
    let target = report.target.as_ref().map(|(target, _)| display::line(target.as_bytes()).to_string());
    let failed = match report.failed.len() {
        0 => "no failed units".to_owned(),
        count => format!("{count} failed units that may fail"),
    };
    let mut text = format!(
        "The clone boots:{kernel} {} after {took} s, {failed}. Its root and all of its fstab are on its own disk.\n",
        target.unwrap_or_else(|| "up".to_owned())
    );
    for line in verdict::absent(report) {
        let (spec, target) = (display::line(line.spec.as_bytes()), display::line(line.target.as_bytes()));
        let more =
            format!("fstab names {spec} for {target}, which is not on this disk and need not be (nofail).\n");
        text.push_str(&more);
    }
    text
}
