//! GRUB, by the clone's own `grub-install` and `grub-mkconfig`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use log::info;

use crate::display;
use crate::failure::{Failure, Obstacle};
use crate::fs::dir::Dir;
use crate::linux::bootable::layout::Names;
use crate::phases::bootable::detect::Grub;
use crate::phases::bootable::tools::{self, Tools};
use crate::phases::bootable::trees::Trees;
use crate::phases::bootable::way::Way;
use crate::phases::bootable::{initramfs, stamp};
use crate::run::Run;

const PACKAGES: &str =
    "grub2-common (Debian, Ubuntu), grub2-tools (Fedora), grub2 (openSUSE) or grub (Arch Linux)";

/// Installs GRUB into the clone, if anything that it depends on has changed.
pub fn install(run: &Run<'_>, trees: &Trees<'_>, way: &Way, grub: &Grub) -> Result<(), Failure> {
    let failed = |why: String| Failure::not_bootable(Obstacle::Loader, why);
    let io = |error: io::Error| failed(display::reason(&error));
    initramfs::refuse_without_kernel(trees)?;
    let targets = grub.possible(&way.disks)?;
    let (inputs, outputs) = (inputs(&targets), outputs(grub, &targets));
    let now = || stamp::of(trees, way, &inputs, &outputs).map_err(io);
    if stamp::is_current(run, trees, &now()?) {
        info!("The clone's boot loader is up to date.");
        return Ok(());
    }
    let [program, mkconfig] = programs(trees.root().destination)?;
    stamp::forget(run, trees).map_err(io)?;
    let tools = Tools::open(run, trees, &way.layout, &way.disks)?;
    if initramfs::is_needed(&way.layout) {
        initramfs::rebuild(trees, &tools)?;
    }
    for target in &targets {
        install_for(&tools, way, target, &program)?;
    }
    let configuration = grub.dir.join("grub.cfg");
    let path = configuration.to_string_lossy();
    tools.run(&mkconfig, &["-o", &path])?;
    drop(tools);
    check(run, trees, way, &configuration)?;
    File::open(&way.disks.disk).and_then(|disk| disk.sync_all()).map_err(io)?;
    stamp::keep(run, trees, &now()?).map_err(io)
}

/// Its programs in a system.
fn programs(root: &Dir) -> Result<[String; 2], Failure> {
    let program = tools::find(root, &["grub-install", "grub2-install"], PACKAGES)?;
    Ok([program, tools::find(root, &["grub-mkconfig", "grub2-mkconfig"], PACKAGES)?])
}

/// Whether the source has what a clone will need.
pub fn look(trees: &Trees<'_>) -> Result<(), Failure> {
    initramfs::refuse_without_kernel(trees)?;
    programs(trees.root().source).map(|_| ())
}

fn install_for(tools: &Tools<'_>, way: &Way, target: &str, program: &str) -> Result<(), Failure> {
    let named = format!("--target={target}");
    if !target.ends_with("-efi") {
        let disk = way.disks.disk.to_string_lossy();
        return tools.run(program, &[&named, "--boot-directory=/boot", &disk]);
    }
    let efi = way.disks.efi.as_ref().map(|efi| &efi.path);
    let point =
        way.layout.filesystems().find(|(_, names)| Some(&names.device) == efi).map(|(part, _)| &part.point);
    let point = point.ok_or_else(|| {
        Failure::not_bootable(
            Obstacle::Loader,
            "the source's fstab does not say where the EFI system partition is mounted",
        )
    })?;
    let efi = format!("--efi-directory={}", point.to_string_lossy());
    // Found by every firmware without an entry of its own, which would be this machine's.
    tools.run(program, &[&named, &efi, "--boot-directory=/boot", "--removable", "--no-nvram"])
}

/// What GRUB is made from, in the source.
fn inputs(targets: &[&str]) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = [
        "/boot",
        "/etc/grub.d",
        "/etc/default/grub",
        "/etc/default/grub.d",
        "/etc/fstab",
        "/etc/crypttab",
        "/etc/initramfs-tools/conf.d/resume",
        "/usr/share/grub",
    ]
    .map(PathBuf::from)
    .into();
    inputs.extend(targets.iter().map(|target| Path::new("/usr/lib/grub").join(target)));
    inputs
}

/// What comes of it, in the clone.
fn outputs(grub: &Grub, targets: &[&str]) -> Vec<PathBuf> {
    let targets = targets.iter().map(|target| grub.dir.join(target));
    [PathBuf::from("/boot"), grub.dir.join("grub.cfg")].into_iter().chain(targets).collect()
}

/// The configuration has to name the clone's root, and must not name the source's.
fn check(run: &Run<'_>, trees: &Trees<'_>, way: &Way, path: &Path) -> Result<(), Failure> {
    let failed =
        |why: String| Failure::not_bootable(Obstacle::Loader, format!("{} {why}", display::path(path)));
    let text = trees
        .read_clone(path)
        .map_err(|error| failed(format!("cannot be read: {}", display::reason(&error))))?;
    let text = text.ok_or_else(|| failed("was not made".to_owned()))?;
    let text = String::from_utf8_lossy(&text);
    let (source, clone) = way.layout.root().map_err(|why| failed(why.to_string()))?;
    if !starts(&text, clone) {
        return Err(failed("has no entry that starts the clone's own root".to_owned()));
    }
    if source.uuid != clone.uuid && source.uuid.as_deref().is_some_and(|uuid| text.contains(uuid)) {
        run.warn_publicly(format_args!(
            "{} of the clone names the source's filesystem too; look into /etc/grub.d.",
            display::path(path)
        ));
    }
    Ok(())
}

/// Whether an entry gives the kernel this root.
fn starts(configuration: &str, root: &Names) -> bool {
    let named: Vec<String> = [root.by_uuid(), root.by_part_uuid()].into_iter().flatten().collect();
    let volume = root.logical_volume().map(|volume| {
        let escaped: Vec<String> = volume.split('/').map(|name| name.replace('-', "--")).collect();
        format!("/dev/mapper/{}", escaped.join("-"))
    });
    let mapped = root.volumes().next().map(|_| "/dev/mapper/".to_owned());
    let named: Vec<String> = named.into_iter().chain(volume).chain(mapped).collect();
    let lines = configuration.lines().map(str::trim_start).filter(|line| line.starts_with("linux"));
    let words = lines.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("root="));
    words.into_iter().any(|word| named.iter().any(|name| word.starts_with(name.as_str())))
        // Entries of the Boot Loader Specification are files of their own, which were rewritten.
        || configuration.contains("blscfg")
}
