//! `counterpart restore`: restores what a clone with `--safety-net` deleted or overwrote.

mod json;
mod listing;
mod nets;
mod output;
mod place;
mod wanted;

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::cli::restore::RestoreArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::host::machine::Machine;
use crate::logging::complain;
use crate::phases::preflight;
use crate::phases::preflight::Search;
use crate::phases::transfer::verdict;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, Stream, stream};
use crate::restore::nets::{Found, Nets};
use crate::restore::output::say;
use crate::restore::output::unreadable;
use crate::rsync::arguments;
use crate::rsync::diagnostics::Diagnostics;
use crate::rsync::exit_status;
use crate::volume::named;
use crate::volume::named::{Named, NotMounted, Purpose};
use place::Place;
use wanted::Wanted;

/// Runs the subcommand.
pub fn run(args: &RestoreArgs, machine: Machine<'_>) -> Result<(), Refusal> {
    let wanted = args.paths.iter().map(|path| Wanted::read(path)).collect::<Result<Vec<_>, Refusal>>()?;
    let mount = mount(args, machine)?;
    let nets = Nets::open(args, mount.as_ref().map(Named::point))?;
    if args.list && args.json {
        return json::list(&nets, &wanted, machine.interrupts);
    }
    if args.list {
        return listing::list(&nets, &wanted, machine.interrupts);
    }
    let found = nets.find(&wanted, args.at.as_deref())?;
    let target = target(args, &nets)?;
    refuse_overwriting(&found, &target)?;
    for lack in machine.host.rights.lacks().iter().filter(|lack| lack.is_silent) {
        complain(&format!("Warning: root lacks {} here: {}.", lack.what, lack.effect));
    }
    let rsync = preflight::find(&Search { machine, named: args.rsync.as_deref() })?;
    let Some(stock) = &nets.stock else { return Ok(()) };
    let place = Place::make(&target, machine.host.is_root())?;
    for name in nets.names.iter().filter(|name| found.iter().any(|found| found.net == **name)) {
        let of_net: Vec<&Found<'_>> = found.iter().filter(|found| found.net == *name).collect();
        let (from, to) = (place::reach(stock.dir())?, place::reach(place.dir())?);
        let sources: Vec<PathBuf> = of_net.iter().map(|found| found.below(&from.path)).collect();
        let arguments = arguments::restore(&rsync.capabilities, machine.host.rights, &sources, &to.path);
        let mut command = Command::tool(&rsync.path, arguments);
        command.inherit.push(from.descriptor);
        command.inherit.push(to.descriptor);
        let names = [(&from.path, stock.dir().shown()), (&to.path, target.path())];
        let copied = copy(&command, machine.interrupts, &target, &names);
        // Files that were copied are renamed into place even if others failed.
        for found in of_net {
            let (path, name) = (found.wanted, found.name());
            let is_there = place.put(&name)?;
            if copied.is_ok() && is_there {
                let to = target.path().join(&name);
                say(format_args!("{path} of the safety net {} is now {}.", found.net, display::path(&to)));
            }
        }
        copied?;
    }
    Ok(())
}

/// Mounts the clone, if it is named by a tag.
fn mount<'a>(args: &RestoreArgs, machine: Machine<'a>) -> Result<Option<Named<'a>>, Refusal> {
    let Some(tag) = &args.named else { return Ok(None) };
    let wanted = named::Wanted {
        tag,
        key_file: args.key_file.as_deref(),
        prefix: &args.organisation_prefix,
        purpose: Purpose::Read,
    };
    let refuse = |why: &str| {
        let sentence = format!("{} cannot be read: {why}.", display::path(&args.destination));
        Err(Refusal(ExitCode::DESTINATION, sentence))
    };
    match named::mount(machine, &wanted) {
        Ok(named) => {
            named.warnings.iter().for_each(|warning| complain(&format!("Warning: {warning}")));
            Ok(Some(named))
        }
        Err(NotMounted::Missing) => refuse("no such filesystem is there"),
        Err(NotMounted::Unusable(why)) => refuse(&why),
        Err(NotMounted::Interrupted) => {
            let code =
                machine.interrupts.received().map_or(ExitCode::INTERRUPTED, ExitCode::from_interruption);
            Err(Refusal(code, "Interrupted: nothing was restored.".to_owned()))
        }
    }
}

/// The directory to restore to.
fn target(args: &RestoreArgs, nets: &Nets) -> Result<Dir, Refusal> {
    let path = args.to.clone().unwrap_or_default();
    let unusable = |why: &str| {
        let shown = display::path(&path);
        Refusal(ExitCode::DESTINATION, format!("Nothing can be restored to {shown}: {why}."))
    };
    let dir = Dir::reach(&path).map_err(|error| unusable(&display::reason(&error)))?;
    if nets.stock.as_ref().is_some_and(|stock| dir.path().starts_with(stock.dir().path())) {
        return Err(unusable("it lies inside the safety nets"));
    }
    Ok(dir)
}

/// Ensures that nothing existing is overwritten, and that no two files get the same name.
fn refuse_overwriting(found: &[Found<'_>], target: &Dir) -> Result<(), Refusal> {
    for (at, each) in found.iter().enumerate() {
        let name = each.name();
        let to = target.path().join(&name);
        let to = display::path(&to);
        let kind = target.kind(&name).map_err(|error| unreadable(target.path(), &error))?;
        if kind.is_some() {
            let sentence = format!(
                "{to} exists, and restore overwrites nothing: move it away or name another directory with --to. \
                 Nothing was restored."
            );
            return Err(Refusal(ExitCode::DESTINATION, sentence));
        }
        if found[..at].iter().any(|other| other.name() == name) {
            let sentence =
                format!("Two of the paths would become {to}: restore them one by one. Nothing was restored.");
            return Err(Refusal(ExitCode::USAGE, sentence));
        }
    }
    Ok(())
}

/// Runs rsync; in its output each of these paths is replaced by the other, which the user knows.
fn copy(
    command: &Command,
    interrupts: &Interrupts,
    target: &Dir,
    paths: &[(&PathBuf, &Path)],
) -> Result<(), Refusal> {
    let mut diagnostics = Diagnostics::default();
    let end = stream(command, interrupts, &mut |line| {
        let bytes = paths.iter().fold(line.bytes.to_vec(), |bytes, (from, to)| replace(&bytes, from, to));
        let text = display::line(&bytes);
        match line.stream {
            Stream::Out => say(text),
            Stream::Err => {
                diagnostics.read_line(&bytes);
                let _ = writeln!(io::stderr(), "{text}");
            }
        }
    });
    let end = end.map_err(|source| Failure::RsyncNotRun { path: command.program.clone(), source })?;
    if let Some(signal) = interrupts.received() {
        let sentence = format!("Interrupted ({signal}): not everything is restored.");
        return Err(Refusal(ExitCode::from_interruption(signal), sentence));
    }
    diagnostics.name_temporaries(|path| std::fs::symlink_metadata(OsStr::from_bytes(path)).is_ok());
    match (end, diagnostics.no_room, diagnostics.limited) {
        (End::Exited(0), _, _) => Ok(()),
        (_, Some(what), _) => Err(Failure::DestinationFull { path: target.path().to_owned(), what }.into()),
        (_, None, Some(limited)) => Err(verdict::cannot_hold(target.path(), target, &limited).into()),
        (_, None, None) => {
            let code = exit_status::of_rsync(end).exit_code();
            let sentence = format!("rsync ended with {}: not everything is restored.", code.number());
            Err(Refusal(code, sentence))
        }
    }
}

/// Replaces a path in a line where it is complete or followed by further components.
fn replace(line: &[u8], from: &Path, to: &Path) -> Vec<u8> {
    let (from, to) = (from.as_os_str().as_bytes(), to.as_os_str().as_bytes());
    let (mut replaced, mut rest) = (Vec::with_capacity(line.len()), line);
    while let Some((first, more)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(after) if !after.first().is_some_and(u8::is_ascii_digit) => {
                replaced.extend_from_slice(to);
                rest = after;
            }
            _ => {
                replaced.push(*first);
                rest = more;
            }
        }
    }
    replaced
}
