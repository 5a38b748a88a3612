//! The plan, and what can be done with the disk afterwards.

use std::path::Path;

use crate::cli::prepare::{PrepareArgs, Table};
use crate::display;
use crate::prepare::contents::Contents;
use crate::prepare::disk::Disk;
use crate::prepare::make::Part;
use crate::prepare::output::{quoted, say, size};
use crate::prepare::source::Source;
use crate::prepare::wanted::{MIB, Role, Wanted};

/// Prints what the disk is, what it holds, and what it shall hold.
pub fn plan(
    args: &PrepareArgs,
    disk: &Disk,
    contents: &Contents,
    identifiers: &[String],
    source: &Source,
    parts: &[Part],
) {
    let facts = &disk.facts;
    let model = facts.serial.model.iter().map(|model| format!(", {}", display::line(model.as_bytes())));
    say(format_args!("{}: {}{}", display::path(&disk.path), size(facts.size), model.collect::<String>()));
    say(format_args!("Its identity, to be typed in full: {}", identifiers.join(" or ")));
    if contents.is_empty() {
        say("Now on it: nothing");
    } else {
        say("Now on it, and lost then:");
        contents.lines.iter().for_each(|line| say(format_args!("  {line}")));
    }
    let table = match args.table {
        Table::Gpt => "GPT",
        Table::Mbr => "MBR",
    };
    say(format_args!("To be made, like {}: {table} and", display::path(&args.like)));
    for part in parts {
        say(line(part));
    }
    for note in &source.notes {
        say(format_args!("Note: {note}."));
    }
}

fn line(part: &Part) -> String {
    let wanted = &part.placed.wanted;
    let kind = wanted.kind.map_or("-", |kind| kind.name());
    let size_of = size(part.placed.size * MIB);
    let mut line = format!("  {}  {size_of:>10}  {kind:<5}  {}", part.placed.number, purpose(wanted));
    if wanted.is_encrypted {
        line.push_str(", in LUKS");
    }
    if let Some(label) = &part.label {
        line = format!("{line}, label {}", display::line(label.as_bytes()));
    }
    if !wanted.subvolumes.is_empty() {
        let names: Vec<String> =
            wanted.subvolumes.iter().map(|path| display::path(path).to_string()).collect();
        line = format!("{line}, subvolumes {}", names.join(" "));
    }
    if wanted.used > 0 {
        line = format!("{line}; {} used of {}", size(wanted.used), size(wanted.size));
    }
    line
}

fn purpose(wanted: &Wanted) -> String {
    match (wanted.role, &wanted.point) {
        (Role::BiosBoot, _) => "BIOS boot".to_owned(),
        (Role::Swap, _) => "swap".to_owned(),
        (_, Some(point)) => display::path(point).to_string(),
        (_, None) => String::new(),
    }
}

/// Prints what was made, and the commands that use it.
pub fn end(args: &PrepareArgs, disk: &Disk, parts: &[Part]) {
    say(format_args!("{} is prepared:", display::path(&disk.path)));
    for part in parts.iter().filter(|part| !part.uuid.is_empty()) {
        say(format_args!("  {}  UUID={}  {}", part.placed.number, uuid(part), purpose(&part.placed.wanted)));
    }
    let is_root = |part: &&Part| part.placed.wanted.point.as_deref() == Some(Path::new("/"));
    let Some(root) = parts.iter().find(is_root).map(uuid) else { return };
    let like = quoted(&display::path(&args.like).to_string());
    say("Clone to it, do so every night, and prove that the clone boots:");
    say(format_args!("  counterpart -s {like} -d UUID={root} --bootable"));
    say(format_args!("  counterpart schedule install -- -s {like} -d UUID={root} --bootable"));
    say(format_args!("  counterpart prove -d UUID={root}"));
}

/// By what the partition is found: the container where there is one.
fn uuid(part: &Part) -> &str {
    part.luks.as_deref().unwrap_or(&part.uuid)
}
