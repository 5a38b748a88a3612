//! `counterpart restore`: brings back what a clone with `--safety-net` has deleted or overwritten.

mod listing;
mod place;
mod wanted;

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::cli::restore::RestoreArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::fs::dir::Folder;
use crate::host::Host;
use crate::logging::complain;
use crate::phases::preflight;
use crate::phases::preflight::Search;
use crate::phases::safety_net::name::NetName;
use crate::phases::safety_net::stock::Stock;
use crate::phases::transfer::verdict;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, Stream, stream};
use crate::rsync::arguments;
use crate::rsync::diagnostics::Diagnostics;
use place::Place;
use wanted::Wanted;

/// Why not everything was done: the exit code and the sentence.
struct Refusal(ExitCode, String);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure.exit_code(), failure.to_string())
    }
}

/// The nets of one destination.
struct Nets {
    destination: Folder,
    stock: Option<Stock>,
    /// The oldest first.
    names: Vec<NetName>,
}

/// A path that was found in a net.
struct Found<'a> {
    wanted: &'a Wanted,
    net: NetName,
}

/// Does what was asked for and returns the exit code.
#[must_use]
pub fn run(args: &RestoreArgs, host: &Host, interrupts: &Interrupts) -> ExitCode {
    match act(args, host, interrupts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal(code, sentence)) => {
            complain(&sentence);
            code
        }
    }
}

fn act(args: &RestoreArgs, host: &Host, interrupts: &Interrupts) -> Result<(), Refusal> {
    let wanted = args.paths.iter().map(|path| Wanted::read(path)).collect::<Result<Vec<_>, Refusal>>()?;
    let nets = Nets::open(args)?;
    if args.list {
        return listing::list(&nets, &wanted, interrupts);
    }
    let found = nets.find(&wanted, args.at.as_deref())?;
    let target = target(args, &nets)?;
    refuse_overwriting(&found, &target)?;
    for lack in host.rights.lacks().iter().filter(|lack| lack.is_silent) {
        complain(&format!("Warning: root lacks {} here: {}.", lack.what, lack.effect));
    }
    let rsync = preflight::find(&Search { host, interrupts, named: args.rsync.as_deref() })?;
    let Some(stock) = &nets.stock else { return Ok(()) };
    let place = Place::make(&target, host.is_root())?;
    for name in nets.names.iter().filter(|name| found.iter().any(|found| found.net == **name)) {
        let of_net: Vec<&Found<'_>> = found.iter().filter(|found| found.net == *name).collect();
        let (from, to) = (place::reach(stock.folder())?, place::reach(place.folder())?);
        let sources: Vec<PathBuf> = of_net.iter().map(|found| found.below(&from.path)).collect();
        let arguments = arguments::restore(&rsync.capabilities, host.rights, &sources, &to.path);
        let mut command = Command::tool(&rsync.path, arguments);
        command.inherit.push(from.descriptor);
        command.inherit.push(to.descriptor);
        let names = [(&from.path, stock.folder().path()), (&to.path, target.path())];
        let copied = copy(&command, interrupts, &target, &names);
        // What was copied is given its name even if the rest could not be.
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

/// A closed output must not make what was restored look like a failure.
fn say(sentence: impl Display) {
    let _ = writeln!(io::stdout(), "{sentence}");
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal(
        ExitCode::DESTINATION,
        format!("{} cannot be read: {}.", display::path(path), display::reason(error)),
    )
}

impl Nets {
    fn open(args: &RestoreArgs) -> Result<Self, Refusal> {
        let path = &args.destination;
        let destination = Folder::reach(path).map_err(|error| unreadable(path, &error))?;
        let opened = || -> io::Result<(Option<Stock>, Vec<NetName>)> {
            let stock = Stock::open(&destination, &args.organisation_prefix)?;
            let names = stock.as_ref().map(Stock::names).transpose()?.unwrap_or_default();
            Ok((stock, names))
        };
        let folder = path.join(args.organisation_prefix.safety_net());
        let (stock, names) = opened().map_err(|error| unreadable(&folder, &error))?;
        Ok(Self { destination, stock, names })
    }

    fn enter(&self, name: NetName) -> Result<Folder, Refusal> {
        let name = name.to_os_string();
        let entered = match &self.stock {
            Some(stock) => stock.folder().enter(&name),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        entered.map_err(|error| unreadable(&self.destination.path().join(name), &error))
    }

    /// For each path the net that `at` names, or else the newest that holds it. Any that is in none is a refusal.
    fn find<'a>(&self, wanted: &'a [Wanted], at: Option<&str>) -> Result<Vec<Found<'a>>, Refusal> {
        let among = match at {
            Some(at) => vec![self.choose(at)?],
            None => self.names.iter().rev().copied().collect(),
        };
        let mut all = Vec::new();
        for path in wanted {
            let mut found = None;
            for net in &among {
                if path.look(&self.enter(*net)?)?.is_some() {
                    found = Some(Found { wanted: path, net: *net });
                    break;
                }
            }
            all.push(found.ok_or_else(|| self.not_found(path, at))?);
        }
        Ok(all)
    }

    fn not_found(&self, path: &Wanted, at: Option<&str>) -> Refusal {
        let destination = display::path(self.destination.path());
        let sentence = match at {
            _ if self.names.is_empty() => format!("There is no safety net at {destination}."),
            Some(_) => format!("{path} is not in that safety net; --list {path} names those that hold it."),
            None => format!("{path} is in no safety net at {destination}; perhaps the clone itself has it."),
        };
        Refusal(ExitCode::SOURCE, format!("{sentence} Nothing was restored."))
    }

    fn choose(&self, at: &str) -> Result<NetName, Refusal> {
        let exact = self.names.iter().find(|name| name.to_string() == at);
        let fitting: Vec<NetName> = match (at, exact) {
            ("latest", _) => self.names.last().copied().into_iter().collect(),
            (_, Some(name)) => vec![*name],
            (_, None) => self.names.iter().filter(|name| name.fits(at)).copied().collect(),
        };
        let at = display::name(OsStr::new(at));
        match fitting[..] {
            [name] => Ok(name),
            [] => {
                let sentence = format!("There is no safety net of {at}; --list shows those that there are.");
                Err(Refusal(ExitCode::SOURCE, sentence))
            }
            _ => {
                let names = fitting.iter().map(NetName::to_string).collect::<Vec<_>>().join(", ");
                Err(Refusal(ExitCode::USAGE, format!("--at {at} may mean any of {names}; give more of it.")))
            }
        }
    }
}

impl Found<'_> {
    /// What it is called where it is brought to: a whole net has its time for a name.
    fn name(&self) -> OsString {
        self.wanted.relative.file_name().map_or_else(|| self.net.to_os_string(), OsStr::to_owned)
    }

    /// Its path below the folder of the nets.
    fn below(&self, nets: &Path) -> PathBuf {
        let net = nets.join(self.net.to_os_string());
        // A slash at the end would mean the contents.
        if self.wanted.relative.as_os_str().is_empty() { net } else { net.join(&self.wanted.relative) }
    }
}

/// The folder that is copied to.
fn target(args: &RestoreArgs, nets: &Nets) -> Result<Folder, Refusal> {
    let path = args.to.clone().unwrap_or_default();
    let unusable = |why: &str| {
        let shown = display::path(&path);
        Refusal(ExitCode::DESTINATION, format!("Nothing can be restored to {shown}: {why}."))
    };
    let folder = Folder::reach(&path).map_err(|error| unusable(&display::reason(&error)))?;
    if nets.stock.as_ref().is_some_and(|stock| folder.path().starts_with(stock.folder().path())) {
        return Err(unusable("it lies in the safety nets"));
    }
    Ok(folder)
}

/// Nothing that exists is overwritten, and no two things go to one name.
fn refuse_overwriting(found: &[Found<'_>], target: &Folder) -> Result<(), Refusal> {
    for (at, each) in found.iter().enumerate() {
        let name = each.name();
        let to = target.path().join(&name);
        let to = display::path(&to);
        let kind = target.kind(&name).map_err(|error| unreadable(target.path(), &error))?;
        if kind.is_some() {
            let sentence = format!(
                "{to} exists, and restore overwrites nothing: move it away or name another folder with --to. \
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

/// Runs rsync; in what it prints each of these paths is shown as the other one, by which people know it.
fn copy(
    command: &Command,
    interrupts: &Interrupts,
    target: &Folder,
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
            let code = verdict::of_rsync(end).exit_code();
            let sentence = format!("rsync ended with {}: not everything is restored.", code.number());
            Err(Refusal(code, sentence))
        }
    }
}

/// A line with one path in it instead of another, wherever that ends as a part of a path does.
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
