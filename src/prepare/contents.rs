//! What is on the disk now: signatures, partitions, or bytes of an unknown kind.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use serde::Deserialize;

use crate::display;
use crate::linux::blkid;
use crate::prepare::disk::Disk;
use crate::prepare::output::size;
use crate::prepare::tools::Tools;
use crate::process::{Command, End};

/// How much at either end of the disk is looked at for bytes that are not zero.
const EDGE: u64 = 1 << 20;

/// How many partitions are listed.
const MOST: usize = 64;

/// What is there.
#[derive(Debug, Default)]
pub struct Contents {
    /// A line for each thing found; none if the disk is empty.
    pub lines: Vec<String>,
    /// An identifier of it: that of the partition table or of the first filesystem.
    pub identifier: String,
}

impl Contents {
    /// Whether nothing is there that could be lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[derive(Debug, Deserialize)]
struct Signatures {
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    r#type: Option<String>,
    uuid: Option<String>,
    label: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tables {
    partitiontable: Table,
}

#[derive(Debug, Deserialize)]
struct Table {
    id: Option<String>,
    sectorsize: Option<u64>,
    #[serde(default)]
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    start: u64,
    size: u64,
}

/// Looks at the disk.
pub fn read(disk: &Disk, tools: Tools<'_>) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let signatures = signatures(disk, tools)?;
    let is_gpt = signatures.iter().any(|signature| signature.r#type.as_deref() == Some("gpt"));
    for signature in &signatures {
        let kind = match signature.r#type.as_deref().unwrap_or("unknown") {
            "gpt" => "a GPT",
            // It only protects the GPT.
            "PMBR" if is_gpt => continue,
            "dos" | "PMBR" => "an MBR",
            kind => kind,
        };
        let line = described(kind, signature.label.as_deref());
        if !contents.lines.contains(&line) {
            contents.lines.push(line);
        }
    }
    let table = table(disk, tools)?;
    if let Some(table) = &table {
        list(disk, tools, table, &mut contents.lines)?;
    }
    let uuid = signatures.iter().find_map(|signature| signature.uuid.clone());
    let id = table.and_then(|table| table.id).or(uuid);
    if contents.lines.is_empty() && !is_blank(disk.file()).map_err(|error| display::reason(&error))? {
        contents.lines.push("data of an unknown kind".to_owned());
    }
    let without = if contents.is_empty() { "empty" } else { "unknown" };
    contents.identifier = id.filter(|id| !id.is_empty()).unwrap_or_else(|| without.to_owned());
    Ok(contents)
}

fn described(kind: &str, label: Option<&str>) -> String {
    let shown = |text: &str| display::line(text.as_bytes()).to_string();
    match label.filter(|label| !label.is_empty()) {
        Some(label) => format!("{} \"{}\"", shown(kind), shown(label)),
        None => shown(kind),
    }
}

fn on_disk(disk: &Disk, tools: Tools<'_>, tool: &str, arguments: &[&str]) -> Result<Command, String> {
    let mut command = tools.command(tool, arguments.iter().map(OsString::from))?;
    let file = disk.file().try_clone().map_err(|error| display::reason(&error))?;
    let path = command.hand_over(file);
    command.arguments.push(path.into());
    Ok(command)
}

fn signatures(disk: &Disk, tools: Tools<'_>) -> Result<Vec<Signature>, String> {
    let printed = tools.run(&on_disk(disk, tools, "wipefs", &["--no-act", "--json"])?)?;
    // Some versions print nothing at all for nothing.
    if printed.out.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let read: Signatures = serde_json::from_slice(&printed.out)
        .map_err(|error| format!("wipefs cannot be understood: {error}"))?;
    Ok(read.signatures)
}

/// The partition table, if it is one that sfdisk knows.
fn table(disk: &Disk, tools: Tools<'_>) -> Result<Option<Table>, String> {
    let printed = tools.ask(&on_disk(disk, tools, "sfdisk", &["--json"])?)?;
    match printed.end {
        End::Exited(0) => {
            let read: Tables = serde_json::from_slice(&printed.out)
                .map_err(|error| format!("sfdisk cannot be understood: {error}"))?;
            Ok(Some(read.partitiontable))
        }
        End::Exited(1) => Ok(None),
        End::Exited(_) | End::Killed(_) => Err("sfdisk cannot read the disk".to_owned()),
    }
}

/// The partitions, whether or not the kernel has read them.
fn list(disk: &Disk, tools: Tools<'_>, table: &Table, lines: &mut Vec<String>) -> Result<(), String> {
    let sector = table.sectorsize.unwrap_or(disk.facts.sector);
    for (number, partition) in (1..).zip(&table.partitions).take(MOST) {
        let start = partition.start.saturating_mul(sector);
        let length = partition.size.saturating_mul(sector);
        let what = holds(disk, tools, start, length)?;
        lines.push(format!("partition {number}, {}: {what}", size(length)));
    }
    if table.partitions.len() > MOST {
        lines.push(format!("and {} more partitions", table.partitions.len() - MOST));
    }
    Ok(())
}

fn holds(disk: &Disk, tools: Tools<'_>, start: u64, length: u64) -> Result<String, String> {
    let options =
        ["-c", "/dev/null", "-p", "-o", "udev", "-O", &start.to_string(), "-S", &length.to_string()]
            .map(OsString::from);
    let mut command = Command::tool(&tools.machine.host.tools.blkid, options);
    let path = command.hand_over(disk.file().try_clone().map_err(|error| display::reason(&error))?);
    command.arguments.push(path.into());
    let printed = tools.ask(&command)?;
    Ok(match printed.end {
        End::Exited(0) => {
            let found = blkid::read(&printed.out);
            described(found.kind.as_deref().unwrap_or("nothing known"), found.label.as_deref())
        }
        End::Exited(8) => "several signatures".to_owned(),
        End::Exited(_) | End::Killed(_) => "nothing known".to_owned(),
    })
}

/// Whether both ends of the disk are zeros only.
fn is_blank(disk: &File) -> io::Result<bool> {
    let size = io::Seek::seek(&mut &*disk, io::SeekFrom::End(0))?;
    let length = EDGE.min(size);
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(0)];
    for start in [0, size - length] {
        disk.read_exact_at(&mut buffer, start)?;
        if buffer.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
