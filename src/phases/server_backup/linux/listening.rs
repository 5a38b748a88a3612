//! The sockets that the servers listen on: each is reached by a directory that is held open, and whoever answers is
//! who it should be.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::display;
use crate::fs::peer;
use crate::fs::trusted;
use crate::fs::trusted::Entry;
use crate::linux::sockets::read_line;
use crate::phases::server_backup::linux::processes::{Server, Skipped};

/// How many sockets of one server are kept: who names others like them gains nothing by thousands.
const MOST_KEPT: usize = 16;

/// How long a server with a full queue is waited for.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);

/// The longest line of the table that is read whole, in bytes: a path has 108 at most.
const LONGEST: u64 = 1024;

/// The sockets of one server.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those that can be trusted.
    pub trusted: Vec<Entry>,
    /// What is wrong with one that cannot.
    pub refusal: Option<String>,
}

impl Sockets {
    /// Whether the server listens on none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty() && self.refusal.is_none()
    }

    /// One of them to be shown.
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        self.trusted.first()
    }

    /// Why none of them can be trusted, if it is so.
    #[must_use]
    pub fn objection(&self) -> Option<&str> {
        self.refusal.as_deref().filter(|_| self.trusted.is_empty())
    }

    /// The first at which the server itself answers.
    pub fn reach(&self, server: &Server) -> Result<&Entry, String> {
        let mut last = self.refusal.clone().unwrap_or_else(|| "it listens on no socket".to_owned());
        for socket in &self.trusted {
            let path = display::path(socket.path());
            match peer::listener(socket, QUEUE_LIMIT) {
                // A service manager may have begun to listen in the server's place.
                Ok(peer) if peer.process == server.number || peer.user == 0 => return Ok(socket),
                Ok(peer) => last = format!("process {} listens at {path} in its place", peer.process),
                Err(error) => last = format!("nobody answers at {path}: {}", display::reason(&error)),
            }
        }
        Err(last)
    }
}

/// Finds the sockets of these servers whose names are meant. What others listen on under such names is skipped.
pub fn find(servers: &[Server], kind: &str, is_meant: fn(&OsStr) -> bool) -> io::Result<Vec<Sockets>> {
    let numbers = servers.iter().map(Server::sockets).collect::<io::Result<Vec<_>>>()?;
    let mut found: Vec<Sockets> = servers.iter().map(|_| Sockets::default()).collect();
    let mut skipped = Skipped::default();
    each_socket(|path, inode| {
        if !path.file_name().is_some_and(is_meant) {
            return Ok(());
        }
        let Some(at) = numbers.iter().position(|numbers| numbers.contains(&inode)) else {
            let why = format!("no {kind} of this system listens there");
            skipped.add(format_args!("{kind} at {}", display::path(path)), why);
            return Ok(());
        };
        let sockets = &mut found[at];
        match look(&servers[at], path) {
            Ok(entry) if sockets.trusted.len() < MOST_KEPT => sockets.trusted.push(entry),
            Ok(_) => {}
            Err(error) => {
                sockets.refusal =
                    Some(format!("its socket {}: {}", display::path(path), display::reason(&error)));
            }
        }
        Ok(())
    })?;
    skipped.finish(kind);
    for sockets in &mut found {
        sockets.trusted.sort_by(|one, other| one.path().cmp(other.path()));
        sockets.trusted.dedup_by(|one, other| one.path() == other.path());
    }
    Ok(found)
}

fn look(server: &Server, path: &Path) -> io::Result<Entry> {
    let entry = trusted::find(&server.path(path)?, server.account.numbers.0)?;
    if entry.is_socket() { Ok(entry) } else { Err(io::Error::other("it is no socket")) }
}

/// Reads the table line by line: how long it is, every user decides.
fn each_socket(mut see: impl FnMut(&PathBuf, u64) -> io::Result<()>) -> io::Result<()> {
    let mut table = BufReader::new(File::open("/proc/net/unix")?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if table.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if let Some(socket) = read_line(line) {
            see(&socket.path, socket.inode)?;
        }
    }
}
