//! `--list`: the nets and their sizes, and which of them hold a path.

use chrono::{DateTime, Local};
use indicatif::HumanBytes;
use nix::sys::stat::{FileStat, SFlag};

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::phases::safety_net::changes;
use crate::phases::safety_net::name::NetName;
use crate::phases::safety_net::size;
use crate::phases::safety_net::size::Size;
use crate::process::interrupts::Interrupts;
use crate::restore::nets::Nets;
use crate::restore::output::say;
use crate::restore::output::unreadable;
use crate::restore::wanted::Wanted;

/// Prints the nets, or those that hold the given paths.
pub fn list(nets: &Nets, wanted: &[Wanted], interrupts: &Interrupts) -> Result<(), Refusal> {
    if nets.names.is_empty() && wanted.is_empty() {
        say(format_args!("There is no safety net at {}.", display::path(nets.destination.shown())));
        return Ok(());
    }
    if wanted.is_empty() {
        return nets.names.iter().try_for_each(|name| {
            let dir = nets.enter(*name)?;
            let size = measure(&dir, interrupts)?;
            let plural = if size.entries == 1 { "entry" } else { "entries" };
            let size = format!("{} {plural}  {}", size.entries, HumanBytes(size.bytes));
            let list = changes::noted(&dir);
            let list = list.map(|list| format!("  {}", display::path(&list))).unwrap_or_default();
            say(format_args!("{}  {size}{list}", shown_net(*name)));
            Ok(())
        });
    }
    let mut nowhere = None;
    for path in wanted {
        if !list_holders(nets, path)? {
            nowhere.get_or_insert(path);
        }
    }
    nowhere.map_or(Ok(()), |path| Err(in_no_net(path)))
}

/// A path that was asked for is in no net.
pub fn in_no_net(path: &Wanted) -> Refusal {
    Refusal(ExitCode::SOURCE, format!("{path} is in no safety net."))
}

/// Prints which nets hold a path, newest first, and whether the clone has it; returns whether any net does.
fn list_holders(nets: &Nets, path: &Wanted) -> Result<bool, Refusal> {
    say(format_args!("{path}"));
    if let Some(stat) = path.look(&nets.destination)? {
        say(format_args!("  the clone itself  {}", describe(&stat)));
    }
    let mut any = false;
    for name in nets.names.iter().rev() {
        if let Some(stat) = path.look(&nets.enter(*name)?)? {
            say(format_args!("  {}  {}", shown_net(*name), describe(&stat)));
            any = true;
        }
    }
    Ok(any)
}

/// A net's name, and its local time if it is not named after that.
fn shown_net(name: NetName) -> String {
    name.local_time().map_or_else(|| name.to_string(), |time| format!("{name}  {time}"))
}

fn describe(stat: &FileStat) -> String {
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let size = HumanBytes(u64::try_from(stat.st_size).unwrap_or(0));
    let what = match kind {
        SFlag::S_IFREG => format!("file of {size}"),
        SFlag::S_IFDIR => "directory".to_owned(),
        SFlag::S_IFLNK => "symbolic link".to_owned(),
        SFlag::S_IFIFO => "FIFO".to_owned(),
        SFlag::S_IFSOCK => "socket".to_owned(),
        _ => "device".to_owned(),
    };
    let changed = DateTime::from_timestamp(stat.st_mtime, 0)
        .map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string());
    format!("{what}, changed {}", changed.as_deref().unwrap_or("at an unknown time"))
}

/// Counts everything below a net, and the disk space its files use.
pub fn measure(net: &Dir, interrupts: &Interrupts) -> Result<Size, Refusal> {
    let measured = size::measure(net, &|| interrupts.received().is_some());
    if let Some(signal) = interrupts.received() {
        return Err(Refusal(ExitCode::from_interruption(signal), "Interrupted.".to_owned()));
    }
    measured.map_err(|error| unreadable(net.shown(), &error))
}
