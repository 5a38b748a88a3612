//! The nets of one destination.

use std::ffi::{OsStr, OsString};
use std::io::{self};
use std::path::{Path, PathBuf};

use crate::cli::restore::RestoreArgs;
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::phases::safety_net::name::NetName;
use crate::phases::safety_net::stock::Stock;
use crate::restore::output::unreadable;
use crate::restore::wanted::Wanted;

/// The nets of one destination.
pub struct Nets {
    pub destination: Dir,
    pub stock: Option<Stock>,
    /// The names of the nets, oldest first.
    pub names: Vec<NetName>,
}

/// A path that was found in a net.
pub struct Found<'a> {
    pub wanted: &'a Wanted,
    pub net: NetName,
}

impl Nets {
    /// Opens them in the clone's directory, which is `mounted` if it is named by a tag.
    pub fn open(args: &RestoreArgs, mounted: Option<&Path>) -> Result<Self, Refusal> {
        let path = &args.destination;
        let destination = Dir::reach(mounted.unwrap_or(path)).map_err(|error| unreadable(path, &error))?;
        let destination = if mounted.is_some() { destination.called(path) } else { destination };
        let opened = || -> io::Result<(Option<Stock>, Vec<NetName>)> {
            let stock = Stock::open(&destination, &args.organisation_prefix)?;
            let names = stock.as_ref().map(Stock::names).transpose()?.unwrap_or_default();
            Ok((stock, names))
        };
        let dir = path.join(args.organisation_prefix.safety_net());
        let (stock, names) = opened().map_err(|error| unreadable(&dir, &error))?;
        Ok(Self { destination, stock, names })
    }

    pub fn enter(&self, name: NetName) -> Result<Dir, Refusal> {
        let name = name.to_os_string();
        let entered = match &self.stock {
            Some(stock) => stock.dir().enter(&name),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        entered.map_err(|error| unreadable(&self.destination.shown().join(name), &error))
    }

    /// Finds each path in the net given by `at`, or else in the newest that holds it. A path in no net is a refusal.
    pub fn find<'a>(&self, wanted: &'a [Wanted], at: Option<&str>) -> Result<Vec<Found<'a>>, Refusal> {
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

    pub fn not_found(&self, path: &Wanted, at: Option<&str>) -> Refusal {
        let destination = display::path(self.destination.shown());
        let sentence = match at {
            _ if self.names.is_empty() => format!("There is no safety net at {destination}."),
            Some(_) => format!("{path} is not in that safety net; --list {path} names those that hold it."),
            None => format!("{path} is in no safety net at {destination}; perhaps the clone itself has it."),
        };
        Refusal(ExitCode::SOURCE, format!("{sentence} Nothing was restored."))
    }

    pub fn choose(&self, at: &str) -> Result<NetName, Refusal> {
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
                let sentence = format!("There is no safety net of {at}; --list shows those that exist.");
                Err(Refusal(ExitCode::SOURCE, sentence))
            }
            _ => {
                let names = fitting.iter().map(NetName::to_string).collect::<Vec<_>>().join(", ");
                Err(Refusal(ExitCode::USAGE, format!("--at {at} matches each of {names}; be more specific.")))
            }
        }
    }
}

impl Found<'_> {
    /// Its name at the target: a whole net is named by its time.
    pub fn name(&self) -> OsString {
        self.wanted.relative.file_name().map_or_else(|| self.net.to_os_string(), OsStr::to_owned)
    }

    /// Its path below the directory with the nets.
    pub fn below(&self, nets: &Path) -> PathBuf {
        let net = nets.join(self.net.to_os_string());
        // A trailing slash would mean the contents.
        if self.wanted.relative.as_os_str().is_empty() { net } else { net.join(&self.wanted.relative) }
    }
}
