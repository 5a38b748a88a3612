//! The servers' sockets: each is reached by a directory held open, and the peer is verified to be the server.

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

/// The maximum number of sockets kept for one server: creating thousands of similar names gains nothing.
const MOST_KEPT: usize = 16;

/// How long to wait for a server whose queue is full.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);

/// The longest line of the table that is read as a whole, in bytes: a path has at most 108.
const LONGEST: u64 = 1024;

/// The sockets of one server.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those that can be trusted.
    pub trusted: Vec<Entry>,
    /// The problem with one that cannot.
    pub refusal: Option<String>,
}

impl Sockets {
    /// Whether the server listens on no sockets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty() && self.refusal.is_none()
    }

    /// One of them, to show.
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        self.trusted.first()
    }

    /// Why none of them can be trusted, if so.
    #[must_use]
    pub fn objection(&self) -> Option<&str> {
        self.refusal.as_deref().filter(|_| self.trusted.is_empty())
    }

    /// Returns the first socket on which the server itself answers.
    pub fn reach(&self, server: &Server) -> Result<&Entry, String> {
        let mut last = self.refusal.clone().unwrap_or_else(|| "it listens on no socket".to_owned());
        for socket in &self.trusted {
            let path = display::path(socket.path());
            match peer::listener(socket, QUEUE_LIMIT) {
                // A service manager may have started listening on the server's behalf.
                Ok(peer) if peer.process == server.number || peer.user == 0 => return Ok(socket),
                Ok(peer) => last = format!("process {} listens at {path} in its place", peer.process),
                Err(error) => last = format!("nothing answers at {path}: {}", display::reason(&error)),
            }
        }
        Err(last)
    }
}

/// Finds these servers' sockets with matching names. Skips sockets with such names that others listen on.
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
    if entry.is_socket() { Ok(entry) } else { Err(io::Error::other("it is not a socket")) }
}

/// Reads the table line by line: any user can make it arbitrarily long.
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
