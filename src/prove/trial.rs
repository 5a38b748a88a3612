//! QEMU itself: where it is, as whom it runs, and what of it works here.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::process::interrupts::Interrupts;
use crate::process::{Captured, Command, End, capture};
use crate::prove::qemu::{Accelerator, Firmware, TRIAL_SIZE, TRIED, VirtualMachine, trial, trial_sector};
use crate::prove::work::Work;

/// How long a boot sector may take: `/dev/kvm` may open and the guest hang all the same.
const KVM_LIMIT: Duration = Duration::from_secs(10);
const TCG_LIMIT: Duration = Duration::from_secs(60);

/// The least that may be written for the guest, in bytes.
const LEAST_ROOM: u64 = 256 << 20;

/// A QEMU that may be started.
#[derive(Debug)]
pub struct Qemu<'a> {
    /// Its private directory.
    pub work: &'a Work,
    /// The program.
    pub program: &'a Path,
    /// The user and group that it runs as.
    pub account: (u32, u32),
}

/// A trial's result.
enum Tried {
    /// It works.
    Works,
    /// It does not, for this reason.
    Fails(String),
}

impl Qemu<'_> {
    /// The command that starts it with these arguments.
    #[must_use]
    pub fn command(&self, arguments: Vec<OsString>) -> Command {
        let mut command = Command::tool(self.program, arguments);
        command.user = Some(self.account);
        command.environment.push(("TMPDIR".into(), self.work.path().into()));
        command
    }

    /// Bounds what this process may write and dump.
    pub fn limit(&self, process: u32) {
        crate::sys::limit_writes(process, self.work.room().unwrap_or(LEAST_ROOM));
    }

    /// Finds out what works: KVM or else TCG, with a sandbox or else without. Says in words why KVM is not used.
    pub fn try_out(
        &self,
        wanted: Option<Accelerator>,
        interrupts: &Interrupts,
    ) -> Result<(Accelerator, bool, Option<String>), Refusal> {
        if self.work.room().is_some_and(|room| room < LEAST_ROOM) {
            let why = "less than 512 MiB are free in /var/tmp, where the guest's writes go";
            return Err(unusable(why));
        }
        let mut no_kvm = None;
        if wanted != Some(Accelerator::Tcg) {
            if Path::new(crate::prove::account::KVM).exists() {
                for is_sandboxed in [true, false] {
                    match self.run_trial(Accelerator::Kvm, is_sandboxed, KVM_LIMIT, interrupts)? {
                        Tried::Works => return Ok((Accelerator::Kvm, is_sandboxed, None)),
                        Tried::Fails(why) => no_kvm = Some(why),
                    }
                    if !no_kvm.as_deref().is_some_and(is_about_sandbox) {
                        break;
                    }
                }
            } else {
                no_kvm = Some("there is no /dev/kvm".to_owned());
            }
            if wanted == Some(Accelerator::Kvm) {
                return Err(unusable(&format!("KVM does not work: {}", no_kvm.unwrap_or_default())));
            }
        }
        let mut why = String::new();
        for is_sandboxed in [true, false] {
            match self.run_trial(Accelerator::Tcg, is_sandboxed, TCG_LIMIT, interrupts)? {
                Tried::Works => return Ok((Accelerator::Tcg, is_sandboxed, no_kvm)),
                Tried::Fails(reason) => why = reason,
            }
            if !is_about_sandbox(&why) {
                break;
            }
        }
        Err(unusable(&why))
    }

    fn run_trial(
        &self,
        accelerator: Accelerator,
        is_sandboxed: bool,
        limit: Duration,
        interrupts: &Interrupts,
    ) -> Result<Tried, Refusal> {
        let failed = |error: std::io::Error| unusable(&display::reason(&error));
        let name = OsString::from("sector");
        let written = self.work.dir().create_new(&name, 0o600).and_then(|mut file| {
            file.write_all(&trial_sector())?;
            file.set_len(TRIAL_SIZE)
        });
        written.map_err(failed)?;
        let sector = self.work.dir().open_regular(&name).map_err(failed)?;
        self.work.dir().remove_file(&name).map_err(failed)?;
        let Some(sector) = sector else { return Err(unusable("its private directory is not private")) };
        let vm = VirtualMachine { accelerator, is_sandboxed, firmware: Firmware::Bios, memory: 64, cpus: 1 };
        let mut command = self.command(trial(&vm, sector.as_raw_fd()));
        command.inherit.push(sector.into());
        let tried = capture(&command, interrupts, limit);
        if let Some(signal) = interrupts.received() {
            let sentence = format!("Interrupted ({signal}): nothing is proven.");
            return Err(Refusal(ExitCode::from_interruption(signal), sentence));
        }
        Ok(match tried {
            Ok(Captured { end: End::Exited(TRIED), .. }) => Tried::Works,
            Ok(captured) => Tried::Fails(complaint(&captured)),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                let seconds = limit.as_secs();
                Tried::Fails(format!("a guest that only counts was not done within {seconds} s"))
            }
            Err(error) => Tried::Fails(display::reason(&error)),
        })
    }
}

fn is_about_sandbox(why: &str) -> bool {
    why.contains("sandbox") || why.contains("seccomp")
}

fn complaint(captured: &Captured) -> String {
    let said = captured.err.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    match (said, captured.end) {
        (Some(line), _) => display::line(line).to_string(),
        (None, End::Exited(code)) => format!("it ended with code {code}"),
        (None, End::Killed(signal)) => format!("it was killed by signal {signal}"),
    }
}

fn unusable(why: &str) -> Refusal {
    Refusal::new(format!("QEMU cannot be used: {why}."))
}

/// What is missing, and the package that has it.
fn missing(what: &str, packages: &str) -> Refusal {
    Refusal::new(format!("{what} was not found. Install it: {packages}."))
}

/// The program below `usr`, which is `/usr`, or else on the path.
pub fn find(usr: &Path, search_path: &std::ffi::OsStr) -> Result<PathBuf, Refusal> {
    const NAME: &str = "qemu-system-x86_64";
    let on_path =
        std::env::split_paths(search_path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(NAME));
    // The second is where only KVM is supported.
    let places = ["bin/qemu-system-x86_64", "libexec/qemu-kvm"]
        .map(|place| usr.join(place))
        .into_iter()
        .chain(on_path);
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        missing(
            "QEMU (qemu-system-x86_64)",
            "qemu-system-x86 on Debian, Ubuntu and Arch, qemu-system-x86-core on Fedora, qemu-x86 on openSUSE",
        )
    })
}

/// Where distributions put OVMF below `/usr/share`: code and variables.
const OVMF: [[&str; 2]; 8] = [
    ["OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"],
    ["OVMF/OVMF_CODE.fd", "OVMF/OVMF_VARS.fd"],
    ["edk2/ovmf/OVMF_CODE.fd", "edk2/ovmf/OVMF_VARS.fd"],
    ["edk2/x64/OVMF_CODE.4m.fd", "edk2/x64/OVMF_VARS.4m.fd"],
    ["edk2-ovmf/x64/OVMF_CODE.fd", "edk2-ovmf/x64/OVMF_VARS.fd"],
    ["qemu/ovmf-x86_64-4m-code.bin", "qemu/ovmf-x86_64-4m-vars.bin"],
    ["qemu/ovmf-x86_64-code.bin", "qemu/ovmf-x86_64-vars.bin"],
    ["qemu/edk2-x86_64-code.fd", "qemu/edk2-i386-vars.fd"],
];

/// OVMF's two files.
pub fn uefi(usr: &Path) -> Result<Firmware, Refusal> {
    let places = OVMF.iter().map(|both| both.map(|file| usr.join("share").join(file)));
    let found = places.into_iter().find(|both| both.iter().all(|file| file.is_file()));
    found.map(|[code, variables]| Firmware::Uefi(code, variables)).ok_or_else(|| {
        missing(
            "UEFI firmware for QEMU (OVMF)",
            "ovmf on Debian and Ubuntu, edk2-ovmf on Fedora and Arch, qemu-ovmf-x86_64 on openSUSE",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{find, uefi};

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let qemu = find(dir.path(), "relative".as_ref()).unwrap_err();
        assert!(qemu.1.contains("qemu-system-x86 on Debian"), "{}", qemu.1);
        let ovmf = uefi(dir.path()).unwrap_err();
        assert!(ovmf.1.contains("ovmf on Debian"), "{}", ovmf.1);
        std::fs::create_dir_all(dir.path().join("bin")).unwrap();
        std::fs::write(dir.path().join("bin/qemu-system-x86_64"), "").unwrap();
        assert!(find(dir.path(), "".as_ref()).is_ok());
    }
}
