//! `--list --json`: the nets, and which of them hold a path; `examples/restore.schema.json` describes it.

use nix::sys::stat::{FileStat, SFlag};
use serde::Serialize;

use crate::display;
use crate::failure::refusal::Refusal;
use crate::phases::safety_net::changes;
use crate::phases::safety_net::name::NetName;
use crate::process::interrupts::Interrupts;
use crate::record::Moment;
use crate::restore::listing::{in_no_net, measure};
use crate::restore::nets::Nets;
use crate::restore::output::say;
use crate::restore::wanted::Wanted;

/// The version of the form.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    counterpart: &'static str,
    destination: String,
    nets: Vec<Net>,
    paths: Vec<Held>,
}

/// A net; it is measured only if no path was given.
#[derive(Debug, Serialize)]
struct Net {
    name: String,
    number: Option<u64>,
    made: Option<Moment>,
    entries: Option<u64>,
    bytes: Option<u64>,
    changes: Option<String>,
}

/// A path that was given, and what is there.
#[derive(Debug, Serialize)]
struct Held {
    path: String,
    clone: Option<Found>,
    nets: Vec<InNet>,
}

#[derive(Debug, Serialize)]
struct InNet {
    net: String,
    #[serde(flatten)]
    found: Found,
}

#[derive(Debug, Serialize)]
struct Found {
    kind: &'static str,
    size: u64,
    modified: Option<Moment>,
}

/// Prints all of it in one document; a path that is in no net is a refusal after that.
pub fn list(nets: &Nets, wanted: &[Wanted], interrupts: &Interrupts) -> Result<(), Refusal> {
    let mut document = Document {
        schema: SCHEMA,
        counterpart: env!("CARGO_PKG_VERSION"),
        destination: display::path(nets.destination.shown()).to_string(),
        nets: Vec::new(),
        paths: Vec::new(),
    };
    for name in &nets.names {
        let dir = nets.enter(*name)?;
        let size = if wanted.is_empty() { Some(measure(&dir, interrupts)?) } else { None };
        document.nets.push(Net {
            name: name.to_string(),
            number: name.number(),
            made: Moment::at(name.made().timestamp()),
            entries: size.as_ref().map(|size| size.entries),
            bytes: size.as_ref().map(|size| size.bytes),
            changes: changes::noted(&dir).map(|list| display::path(&list).to_string()),
        });
    }
    let mut nowhere = None;
    for path in wanted {
        let held = held(nets, path)?;
        if held.nets.is_empty() {
            nowhere.get_or_insert(path);
        }
        document.paths.push(held);
    }
    // Plain data with text keys: this cannot fail.
    say(serde_json::to_string_pretty(&document).unwrap_or_default());
    nowhere.map_or(Ok(()), |path| Err(in_no_net(path)))
}

/// The nets that hold a path, newest first.
fn held(nets: &Nets, path: &Wanted) -> Result<Held, Refusal> {
    let mut holders = Vec::new();
    for name in nets.names.iter().rev() {
        if let Some(stat) = path.look(&nets.enter(*name)?)? {
            holders.push(in_net(*name, &stat));
        }
    }
    let clone = path.look(&nets.destination)?;
    Ok(Held { path: path.to_string(), clone: clone.as_ref().map(found), nets: holders })
}

fn in_net(name: NetName, stat: &FileStat) -> InNet {
    InNet { net: name.to_string(), found: found(stat) }
}

fn found(stat: &FileStat) -> Found {
    let kind = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => "file",
        SFlag::S_IFDIR => "directory",
        SFlag::S_IFLNK => "symlink",
        SFlag::S_IFIFO => "fifo",
        SFlag::S_IFSOCK => "socket",
        _ => "device",
    };
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Found { kind, size, modified: Moment::at(stat.st_mtime) }
}
