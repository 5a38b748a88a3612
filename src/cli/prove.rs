//! The command line of `counterpart prove`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::paths::absolute;
use crate::plan::tag::Tag;

/// A day: no boot takes longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// `counterpart prove`: which disk is started, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct ProveArgs {
    /// Boot the disk of this clone: UUID=, LABEL=, PARTUUID=, a device, where it is mounted, or a disk image
    #[arg(short, long, value_name = "CLONE")]
    pub destination: OsString,
    /// How it is started.
    #[command(flatten)]
    pub how: Setup,
}

/// How a clone is started.
#[derive(Debug, Clone, clap::Args)]
pub struct Setup {
    /// Start it with this firmware: bios, uefi or auto (what the disk is made for)
    #[arg(
        long,
        value_name = "FIRMWARE",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub firmware: FirmwareName,
    /// Attach the disk to this bus: virtio, sata, nvme or auto (this machine's own, then others)
    #[arg(
        long,
        value_name = "BUS",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub bus: BusName,
    /// Run the guest by kvm, tcg or auto (KVM where it works)
    #[arg(
        long,
        value_name = "NAME",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub accelerator: AcceleratorName,
    /// Give the guest this much memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY, value_parser = clap::value_parser!(u32).range(128..=1 << 20))]
    pub memory: u32,
    /// Give the guest this many processors
    #[arg(long, value_name = "N", default_value_t = CPUS, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// Give up if it is not up after this long
    #[arg(long, value_name = "TIME", default_value = TIMEOUT, value_parser = parse_time)]
    pub timeout: Duration,
    /// Give up if nothing has moved for this long
    #[arg(long, value_name = "TIME", default_value = STALL, value_parser = parse_time)]
    pub stall: Duration,
    /// Let this unit fail, as one that needs the network or hardware; may be repeated
    #[arg(long, value_name = "UNIT")]
    pub allow_failed: Vec<String>,
    /// Save the last screen of a clone that did not boot in this directory
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
}

/// How much memory a guest has, in MiB, and how many processors.
const MEMORY: u32 = 1024;
const CPUS: u32 = 2;

/// The limits, as they would be typed.
const TIMEOUT: &str = "15min";
const STALL: &str = "2min";

impl Default for Setup {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            firmware: FirmwareName::Auto,
            bus: BusName::Auto,
            accelerator: AcceleratorName::Auto,
            memory: MEMORY,
            cpus: CPUS,
            timeout: minutes(15),
            stall: minutes(2),
            allow_failed: Vec::new(),
            log_dir: None,
        }
    }
}

/// A firmware, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FirmwareName {
    /// What the disk is made for.
    Auto,
    /// `SeaBIOS`.
    Bios,
    /// OVMF.
    Uefi,
}

/// A bus, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BusName {
    /// What this machine's own disk has, and then others.
    Auto,
    /// virtio.
    Virtio,
    /// AHCI.
    Sata,
    /// `NVMe`.
    Nvme,
}

/// An accelerator, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AcceleratorName {
    /// KVM where it works, or else TCG.
    Auto,
    /// KVM.
    Kvm,
    /// TCG.
    Tcg,
}

/// With absolute paths.
pub(super) fn resolve(mut args: ProveArgs) -> Result<ProveArgs, String> {
    match Tag::read_or_device(&args.destination) {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(format!("--destination: {error}")),
        None => args.destination = absolute(Path::new(&args.destination), "--destination")?.into(),
    }
    args.how.log_dir = args.how.log_dir.map(|path| absolute(&path, "--log-dir")).transpose()?;
    Ok(args)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 10min"))?;
    if time.is_zero() || time > LONGEST {
        Err("it must be more than nothing and at most a day".to_owned())
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::{STALL, Setup, TIMEOUT, parse_time};

    #[test]
    fn a_proof_after_a_clone_has_the_limits_of_the_command() {
        let setup = Setup::default();
        assert_eq!((parse_time(TIMEOUT), parse_time(STALL)), (Ok(setup.timeout), Ok(setup.stall)));
        assert!(parse_time("0s").is_err() && parse_time("25h").is_err() && parse_time("5").is_err());
    }
}
