//! `counterpart prepare`: partitions and filesystems like a system's, on a disk that nothing else uses.
//!
//! Everything is found out and shown first. The disk is opened once and held; directly before the first write it is
//! compared with what it was. What cannot be found out refuses.

mod confirm;
mod contents;
mod disk;
mod format;
mod guard;
mod labels;
mod layout;
mod make;
mod output;
mod passphrase;
mod serial;
mod shown;
mod source;
mod subvolumes;
mod table;
mod tools;
mod wanted;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use crate::cli::prepare::{PrepareArgs, Table};
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::dir::random_hex;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::process::interrupts::Interrupts;
use crate::volume::block;
use confirm::Question;
use disk::Disk;
use labels::Taken;
use layout::{NoLayout, Placed};
use make::{Maker, Part, Progress};
use output::{failed, size};
use source::Source;
use table::Identifiers;
use tools::Tools;
use wanted::Kind;

/// Runs the subcommand.
pub fn run(args: &PrepareArgs, machine: Machine<'_>) -> Result<(), Refusal> {
    if machine.host.platform != Platform::Linux {
        return Err(failed("prepare works on Linux only; on macOS use Disk Utility or diskutil."));
    }
    if !machine.host.is_root() {
        return Err(failed("prepare must be run as root: it opens disks."));
    }
    let tools = Tools { machine };
    tools.require(["sfdisk", "partx", "wipefs"])?;
    let refused = |why: String| {
        interrupted(args, machine.interrupts)
            .unwrap_or_else(|| Failure::DiskRefused { path: args.disk.clone(), why: why.into() }.into())
    };
    let mut disk = Disk::open(&args.disk).map_err(refused)?;
    let contents = contents::read(&disk, tools).map_err(refused)?;
    let source = source::survey(args, tools)
        .map_err(|failure| interrupted(args, machine.interrupts).unwrap_or_else(|| failure.into()))?;
    let layout = place(&source, &disk, args).map_err(refused)?;
    tools.require(needed(&layout))?;
    let parts = parts(&layout, &disk, tools).map_err(refused)?;
    let identifiers = disk.identifiers(&contents.identifier).map_err(refused)?;
    shown::plan(args, &disk, &contents, &identifiers, &source, &parts);
    let erase = args.erase.as_deref();
    let question = Question { disk: &disk, contents: &contents, identifiers: &identifiers, erase };
    confirm::ask(&question, machine.interrupts)?;
    let key = args.key_file.as_deref();
    let passphrase = if args.encrypt { Some(passphrase::get(key, machine.interrupts)?) } else { None };
    disk.check().map_err(refused)?;
    let ids = identifiers_of(args.table, &parts).map_err(|error| failed(format!("{error}.")))?;
    let maker = Maker { tools, table: args.table, ids: &ids, parts: &parts, passphrase: passphrase.as_ref() };
    let mut progress = Progress::default();
    let made = maker.make(&mut disk, &mut progress);
    if let Err(why) = made {
        return Err(stopped(args, &progress, why, machine.interrupts));
    }
    shown::end(args, &disk, &parts);
    Ok(())
}

/// The refusal of a run that a signal has ended before anything was written.
fn interrupted(args: &PrepareArgs, interrupts: &Interrupts) -> Option<Refusal> {
    let signal = interrupts.received()?;
    let sentence = format!("Interrupted ({signal}). Nothing was written to {}.", display::path(&args.disk));
    Some(Refusal(ExitCode::from_interruption(signal), sentence))
}

/// Why it was not finished, and what state the disk is in.
fn stopped(args: &PrepareArgs, progress: &Progress, why: String, interrupts: &Interrupts) -> Refusal {
    let disk = display::path(&args.disk);
    if let Some(signal) = interrupts.received() {
        let sentence = format!("Interrupted ({signal}) while {disk} was prepared. {}", progress.state());
        return Refusal(ExitCode::from_interruption(signal), sentence);
    }
    if !progress.has_begun {
        return Failure::DiskRefused { path: args.disk.clone(), why: why.into() }.into();
    }
    failed(format!("{disk} could not be prepared: {why}. {}", progress.state()))
}

fn place(source: &Source, disk: &Disk, args: &PrepareArgs) -> Result<Vec<Placed>, String> {
    let facts = &disk.facts;
    let placed = layout::place(source.wanted.clone(), facts.size, facts.sector, args.table == Table::Mbr);
    placed.map_err(|none| match none {
        NoLayout::Small { needed } => format!(
            "it is too small: it has {}, and what {} uses and a tenth more needs {}",
            size(facts.size),
            display::path(&args.like),
            size(needed)
        ),
        NoLayout::Many(count) => {
            format!("{count} partitions are needed, and an MBR has four; use --table gpt")
        }
        NoLayout::Large => "it is larger than an MBR reaches; use --table gpt".to_owned(),
    })
}

/// The tools that make these filesystems.
fn needed(layout: &[Placed]) -> BTreeSet<&'static str> {
    let mut tools: BTreeSet<&str> =
        layout.iter().filter_map(|placed| placed.wanted.kind).map(Kind::maker).collect();
    tools.extend(layout.iter().any(|placed| placed.wanted.is_encrypted).then_some("cryptsetup"));
    tools.extend(layout.iter().any(|placed| !placed.wanted.subvolumes.is_empty()).then_some("btrfs"));
    tools
}

/// Gives every filesystem a label that is not taken, and a new UUID.
fn parts(layout: &[Placed], disk: &Disk, tools: Tools<'_>) -> Result<Vec<Part>, String> {
    let mut taken = if layout.iter().any(|placed| placed.wanted.label.is_some()) {
        taken(disk, tools)?
    } else {
        Taken::default()
    };
    let part = |placed: &Placed| {
        let kind = placed.wanted.kind;
        let uuid = kind.map(format::identifier).transpose().map(Option::unwrap_or_default);
        let luks = placed.wanted.is_encrypted.then(format::uuid).transpose();
        let label = placed.wanted.label.as_deref().zip(kind).map(|(label, kind)| taken.unique(label, kind));
        let random = |error: io::Error| display::reason(&error);
        Ok(Part { placed: placed.clone(), label, uuid: uuid.map_err(random)?, luks: luks.map_err(random)? })
    };
    layout.iter().map(part).collect()
}

/// The labels of this machine, but for those of the disk, which go.
fn taken(disk: &Disk, tools: Tools<'_>) -> Result<Taken, String> {
    let mut taken = Taken::default();
    let unknown =
        |error: io::Error| format!("the labels in use cannot be found out: {}", display::reason(&error));
    for path in block::all().map_err(unknown)? {
        let Ok(found) = fs::metadata(&path) else { continue };
        if block::disk_of(found.rdev()).is_ok_and(|of| of == disk.path) {
            continue;
        }
        match block::probe(tools.machine, &path) {
            Ok(device) => device.found.label.iter().for_each(|label| taken.add(label)),
            // It has just gone.
            Err(_) if !path.exists() => {}
            Err(_) if block::size(found.rdev()).is_ok_and(|size| size == 0) => {}
            Err(error) => return Err(unknown(error)),
        }
    }
    Ok(taken)
}

fn identifiers_of(table: Table, parts: &[Part]) -> io::Result<Identifiers> {
    let id = match table {
        Table::Gpt => format::uuid()?,
        Table::Mbr => random_hex(4)?,
    };
    let partitions = parts.iter().map(|_| format::uuid()).collect::<io::Result<_>>()?;
    Ok(Identifiers { table: id, partitions })
}
