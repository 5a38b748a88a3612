//! `--list`: the nets with what they hold, and who has a path.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Local};
use indicatif::HumanBytes;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};

use super::{Nets, Refusal, Wanted, say, unreadable};
use crate::exit_code::ExitCode;
use crate::host::folder::Folder;
use crate::host::walk::{Visitor, walk};
use crate::process::interrupts::Interrupts;
use crate::shown;

/// Prints the nets, or those that hold the given paths.
pub fn list(nets: &Nets, wanted: &[Wanted], interrupts: &Interrupts) -> Result<(), Refusal> {
    if nets.names.is_empty() && wanted.is_empty() {
        say(format_args!("There is no safety net at {}.", shown::path(nets.destination.path())));
        return Ok(());
    }
    if wanted.is_empty() {
        return nets.names.iter().try_for_each(|name| {
            let folder = nets.enter(*name)?;
            let size = measure(&folder, interrupts)?;
            say(format_args!("{name}  {} entries  {}", size.entries, HumanBytes(size.bytes)));
            Ok(())
        });
    }
    let mut nowhere = None;
    for path in wanted {
        if !list_holders(nets, path)? {
            nowhere.get_or_insert(path);
        }
    }
    match nowhere {
        None => Ok(()),
        Some(path) => Err(Refusal(ExitCode::SOURCE, format!("{path} is in no safety net."))),
    }
}

/// Prints which nets hold a path, the newest first, and whether the clone has it; says whether any net does.
fn list_holders(nets: &Nets, path: &Wanted) -> Result<bool, Refusal> {
    say(format_args!("{path}"));
    if let Some(stat) = path.look(&nets.destination)? {
        say(format_args!("  the clone itself  {}", describe(&stat)));
    }
    let mut any = false;
    for name in nets.names.iter().rev() {
        if let Some(stat) = path.look(&nets.enter(*name)?)? {
            say(format_args!("  {name}  {}", describe(&stat)));
            any = true;
        }
    }
    Ok(any)
}

fn describe(stat: &FileStat) -> String {
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let size = HumanBytes(u64::try_from(stat.st_size).unwrap_or(0));
    let what = match kind {
        SFlag::S_IFREG => format!("file of {size}"),
        SFlag::S_IFDIR => "folder".to_owned(),
        SFlag::S_IFLNK => "symbolic link".to_owned(),
        SFlag::S_IFIFO => "FIFO".to_owned(),
        SFlag::S_IFSOCK => "socket".to_owned(),
        _ => "device".to_owned(),
    };
    let changed = DateTime::from_timestamp(stat.st_mtime, 0)
        .map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string());
    format!("{what}, changed {}", changed.as_deref().unwrap_or("at an unknown time"))
}

#[derive(Default)]
struct Size {
    entries: u64,
    bytes: u64,
    linked: HashSet<u64>,
    problem: Option<io::Error>,
}

struct Measure<'a> {
    size: Size,
    interrupts: &'a Interrupts,
}

impl Visitor for Measure<'_> {
    fn entry(&mut self, folder: &File, name: &OsStr) -> io::Result<()> {
        let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        self.size.entries += 1;
        if stat.st_nlink == 1 || self.size.linked.insert(stat.st_ino) {
            self.size.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        Ok(())
    }

    fn leave(&mut self, _above: &File, _name: &OsStr) -> io::Result<()> {
        self.size.entries += 1;
        Ok(())
    }

    fn stops(&self) -> bool {
        self.interrupts.received().is_some()
    }

    fn problem(&mut self, _path: &Path, error: io::Error) {
        self.size.problem.get_or_insert(error);
    }
}

/// Everything below a net, and the room that its files take on the disk.
fn measure(net: &Folder, interrupts: &Interrupts) -> Result<Size, Refusal> {
    let mut measure = Measure { size: Size::default(), interrupts };
    let walked = walk(net, &mut measure);
    if let Some(signal) = interrupts.received() {
        return Err(Refusal(ExitCode::from_interruption(signal), "Interrupted.".to_owned()));
    }
    walked.map_err(|error| unreadable(net.path(), &error))?;
    match measure.size.problem.take() {
        Some(error) => Err(unreadable(net.path(), &error)),
        None => Ok(measure.size),
    }
}
