//! Runs the clone's own programs in the clone.

use std::path::Path;
use std::time::{Duration, Instant};

use log::info;

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::fs::dir::Dir;
use crate::fs::inside;
use crate::linux::bootable::layout::Layout;
use crate::logging::printed::Printed;
use crate::phases::bootable::layout::Disks;
use crate::phases::bootable::trees::Trees;
use crate::process::{End, Guard, Guarded, stream_guarded};
use crate::run::Run;
use crate::volume::chroot::{Attached, Chroot, DeviceLink};

/// How long a program may print nothing.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Where programs are.
const DIRS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The clone as the root of its programs.
pub struct Tools<'a> {
    run: &'a Run<'a>,
    chroot: Chroot,
}

/// The first of these programs that the clone has, by its path there; `package` says where it comes from.
pub fn find(root: &Dir, names: &[&str], package: &str) -> Result<String, Failure> {
    for name in names {
        for dir in DIRS {
            let path = format!("{dir}/{name}");
            let found = inside::has_program(root, Path::new(&path));
            let failed = |error| {
                Failure::not_bootable(Obstacle::Loader, format!("{path}: {}", display::reason(&error)))
            };
            if found.map_err(failed)? {
                return Ok(path);
            }
        }
    }
    let name = names.first().copied().unwrap_or_default();
    Err(Failure::not_bootable(
        Obstacle::Loader,
        format!("{name} is missing in the clone; install {package} in the source"),
    ))
}

impl<'a> Tools<'a> {
    /// Makes the clone ready for them.
    pub fn open(
        run: &'a Run<'a>,
        trees: &Trees<'_>,
        layout: &Layout,
        disks: &Disks,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            let why = display::reason(&error);
            Failure::not_bootable(
                Obstacle::Loader,
                format!("the clone's programs cannot be run in it: {why}"),
            )
        };
        let mut attached = Vec::new();
        for pair in trees.0.iter().filter(|pair| !pair.is_root()) {
            let at = pair.point.strip_prefix("/").unwrap_or(&pair.point).to_owned();
            attached.push(Attached::of(pair.destination, at).map_err(failed)?);
        }
        if let Some(efi) = &disks.efi {
            let part = layout.filesystems().find(|(_, names)| names.device == efi.path);
            if let Some((part, _)) =
                part.filter(|(part, _)| trees.0.iter().all(|pair| pair.point != part.point))
            {
                let at = part.point.strip_prefix("/").unwrap_or(&part.point).to_owned();
                let tree = Attached::device("vfat", &efi.path, at).map_err(|error| {
                    let device = display::path(&efi.path);
                    let why = display::reason(&error);
                    let why = format!("the EFI system partition {device} cannot be mounted: {why}");
                    Failure::not_bootable(Obstacle::Loader, why)
                })?;
                attached.push(tree);
            }
        }
        let links = disks.filesystems.iter().flat_map(|device| {
            let link = |dir: &str, name: &Option<String>| {
                name.as_ref().map(|name| DeviceLink {
                    path: Path::new("disk").join(dir).join(name),
                    device: device.path.clone(),
                })
            };
            [link("by-uuid", &device.found.uuid), link("by-partuuid", &device.found.part_uuid)]
        });
        let links: Vec<DeviceLink> = links.flatten().collect();
        let chroot = Chroot::open(&run.machine.host.lock_dir, trees.root().destination, &attached, &links)
            .map_err(failed)?;
        Ok(Self { run, chroot })
    }

    /// Runs a program of the clone; its output goes to the log.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let failed = |why: String| Failure::not_bootable(Obstacle::Loader, format!("{program} {why}"));
        info!("Running in the clone: {program} {}", arguments.join(" "));
        let cannot = |error: std::io::Error| failed(format!("cannot be run: {}", display::reason(&error)));
        let mut command = self.chroot.command(program, arguments).map_err(cannot)?;
        // Other systems on this machine's disks are not the clone's.
        command.environment.push(("GRUB_DISABLE_OS_PROBER".into(), "true".into()));
        let name = program.rsplit('/').next().unwrap_or(program);
        let mut printed = Printed::new(format!("{name}: "));
        let mut patience = Patience(Instant::now());
        let ended = stream_guarded(&command, self.run.machine.interrupts, &mut patience, &mut |line| {
            printed.log(line);
        });
        printed.finish();
        self.run.go_on()?;
        match ended.map_err(cannot)? {
            Guarded::Ended(End::Exited(0)) => Ok(()),
            Guarded::Ended(End::Exited(code)) => {
                Err(failed(format!("ended with exit code {code}; the log has what it printed")))
            }
            Guarded::Ended(End::Killed(signal)) => Err(failed(format!("was killed by signal {signal}"))),
            Guarded::GivenUp { .. } => {
                Err(failed(format!("printed nothing for {} minutes", SILENCE.as_secs() / 60)))
            }
        }
    }
}

/// Gives up on a program that has printed nothing for too long.
struct Patience(Instant);

impl Guard for Patience {
    fn gives_up(&mut self, _group: i32, has_printed: bool) -> bool {
        if has_printed {
            self.0 = Instant::now();
        }
        self.0.elapsed() > SILENCE
    }

    fn is_alive(&self, _group: i32) -> bool {
        false
    }
}
