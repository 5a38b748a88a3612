//! `PostgreSQL`: every running cluster of the system's users.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use log::info;

use super::{SMALL, system_owner, unless_interrupted};
use crate::failure::Failure;
use crate::host::TOOL_LIMIT;
use crate::host::folder::Folder;
use crate::host::small_file;
use crate::linux::names::{sanitised, told_apart};
use crate::linux::postgres::{self as known, Databases, Socket, Version};
use crate::phases::Run;
use crate::phases::server_backup::dump::write_compressed;
use crate::process::{Command, capture};
use crate::shown;

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    socket: Socket,
    owner: (u32, u32),
    data: PathBuf,
    version: Version,
}

impl Cluster {
    fn look(socket: Socket, owner: (u32, u32)) -> Result<Self, Failure> {
        let lock = socket.lock();
        let data = small_file::read(&lock, SMALL)
            .map_err(|error| unknown(&socket, &lock, &shown::reason(&error)))
            .map(|text| known::data_folder(&text))?
            .ok_or_else(|| unknown(&socket, &lock, "it names no data folder"))?;
        let file = data.join("PG_VERSION");
        let text = small_file::read(&file, SMALL)
            .map_err(|error| unknown(&socket, &file, &shown::reason(&error)))?;
        let version = Version::read(&String::from_utf8_lossy(&text))
            .ok_or_else(|| unknown(&socket, &file, "it names no version"))?;
        Ok(Self { socket, owner, data, version })
    }

    /// What it is, as shown.
    pub fn name(&self) -> String {
        format!("PostgreSQL {} at {}", self.version, shown::path(&self.socket.path()))
    }

    /// The name of its dump, and what is appended to it where two clusters would get one name.
    fn wanted_name(&self) -> (String, String) {
        let name = self.data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (format!("Postgres-{}-{}", self.version, sanitised(&name)), self.socket.port.to_string())
    }
}

fn unknown(socket: &Socket, path: &Path, why: &str) -> Failure {
    failure(&socket.path(), format!("{} does not tell which cluster it is: {why}", shown::path(path)))
}

fn failure(socket: &Path, why: String) -> Failure {
    Failure::DatabaseNotDumped { server: format!("PostgreSQL at {}", shown::path(socket)), why }
}

/// The clusters that listen on one of these sockets. One that has several is found once.
pub fn find(sockets: &[PathBuf]) -> Result<Vec<Cluster>, Failure> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for socket in sockets.iter().filter_map(|path| Socket::read(path)) {
        let Some(owner) = system_owner("PostgreSQL", &socket.path()) else { continue };
        let cluster = Cluster::look(socket, owner)?;
        if clusters.iter().all(|other| other.data != cluster.data) {
            clusters.push(cluster);
        }
    }
    if clusters.is_empty() {
        info!("No PostgreSQL server runs here.");
    }
    Ok(clusters)
}

/// Dumps each of them.
pub fn dump(run: &Run<'_>, folder: &Folder, clusters: &[Cluster]) -> Result<(), Failure> {
    let wanted: Vec<_> = clusters.iter().map(Cluster::wanted_name).collect();
    for (cluster, name) in clusters.iter().zip(told_apart(&wanted)) {
        run.go_on()?;
        let program = dumper(run, cluster)?;
        let socket = cluster.socket.path();
        info!("Dumping PostgreSQL {} at {}.", cluster.version, shown::path(&socket));
        let dumped = dump_one(run, folder, &format!("{name}.bz2"), cluster, &program);
        unless_interrupted(run, dumped, |why| failure(&socket, why))?;
    }
    Ok(())
}

fn dump_one(
    run: &Run<'_>,
    folder: &Folder,
    name: &str,
    cluster: &Cluster,
    program: &Path,
) -> Result<(), String> {
    let mut databases = Databases::default();
    let mut watch = |bytes: &[u8]| {
        let tell = &mut |name: String| info!("Dumping the database {}.", shown::line(name.as_bytes()));
        databases.read(bytes, tell);
    };
    let mut command = Command::tool(program, cluster.socket.arguments());
    command.user = Some(cluster.owner);
    write_compressed(run, folder, name, command, known::is_harmless, known::ENDING, &mut watch)?
        .put_into_place()
}

/// The first `pg_dumpall` that can dump this cluster: an older one than the server refuses to.
pub fn dumper(run: &Run<'_>, cluster: &Cluster) -> Result<PathBuf, Failure> {
    let usr = &run.host.tools.usr;
    let places = known::dumpers(usr, cluster.version, &names(&usr.join("lib/postgresql")), &names(usr));
    let fits = |program: &PathBuf| {
        let printed = capture(&Command::tool(program, ["--version"]), run.interrupts, TOOL_LIMIT).ok()?;
        Version::of_program(&String::from_utf8_lossy(&printed.out))
            .filter(|version| *version >= cluster.version)
    };
    let found = places.iter().find(|program| program.is_file() && fits(program).is_some());
    found.cloned().ok_or_else(|| {
        let searched: Vec<String> = places.iter().map(|place| shown::path(place).to_string()).collect();
        Failure::PgDumpallNotFound { searched: searched.join(", ") }
    })
}

fn names(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name())).collect()
}
