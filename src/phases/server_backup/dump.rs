//! A dump being written to the backup directory: compressed or encrypted on the fly, put into place only once complete.

pub mod parallel_bzip2;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use log::info;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::printed::Printed;
use crate::phases::server_backup::dump::parallel_bzip2::ParallelBzip2;
use crate::phases::server_backup::silence::Silence;
use crate::process::{Command, End, Stream, stream};
use crate::run::Run;
use crate::secret::Secret;

/// Only root may read a dump.
const MODE: u32 = 0o600;

/// How the bytes are stored.
#[derive(Debug, Clone, Copy)]
pub enum Encoding<'a> {
    /// Compressed by bzip2.
    Bzip2,
    /// Encrypted with a passphrase in the age format.
    Age(&'a Secret),
}

enum Encoder {
    Bzip2(Box<ParallelBzip2<File>>),
    Age(Box<age::stream::StreamWriter<File>>),
}

/// A dump being written. If dropped before [`DumpFile::commit`], it leaves nothing behind.
pub struct DumpFile<'a> {
    dir: &'a Dir,
    name: OsString,
    temporary: OsString,
    encoder: Option<Encoder>,
    _lock: Flock<File>,
}

impl<'a> DumpFile<'a> {
    /// Starts the dump `name` in `directory`.
    pub fn create(dir: &'a Dir, name: &str, encoding: Encoding<'_>) -> io::Result<Self> {
        let name = OsString::from(name);
        // A leftover that cannot be removed takes space; that is reported if there is none.
        let _ = remove_leftovers(dir, &name);
        let (file, temporary) = dir.temporary(&name, MODE)?;
        let lock = Flock::lock(file.try_clone()?, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| io::Error::from(error))?;
        let mut dump = Self { dir, name, temporary, encoder: None, _lock: lock };
        dump.encoder = Some(match encoding {
            Encoding::Bzip2 => Encoder::Bzip2(Box::new(ParallelBzip2::new(file))),
            Encoding::Age(secret) => {
                let text =
                    secret.expose_text().ok_or_else(|| io::Error::other("the password is not UTF-8"))?;
                let encryptor = age::Encryptor::with_user_passphrase(age::secrecy::SecretString::from(text));
                Encoder::Age(Box::new(encryptor.wrap_output(file)?))
            }
        });
        Ok(dump)
    }

    /// Writes the rest, flushes it and puts the dump into place.
    pub fn commit(mut self) -> io::Result<()> {
        let file = match self.encoder.take() {
            Some(Encoder::Bzip2(encoder)) => encoder.finish()?,
            Some(Encoder::Age(encoder)) => encoder.finish()?,
            None => return Err(io::Error::other("the dump was not started")),
        };
        self.dir.commit(&file, &self.temporary, &self.name)
    }
}

impl DumpFile<'_> {
    /// Commits the dump and logs that; returns why not, in words, if it fails.
    pub fn put_into_place(self) -> Result<(), String> {
        let path = self.dir.path().join(&self.name);
        self.commit().map_err(|error| not_written(&path, &error))?;
        info!("Dumped to {}.", display::path(&path));
        Ok(())
    }
}

/// Removes what a killed run left of a dump with this name. A dump still being written is locked.
fn remove_leftovers(dir: &Dir, target: &OsStr) -> io::Result<()> {
    for name in dir.names()?.iter().filter(|name| Dir::is_temporary(name, target)) {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::options().read(true).custom_flags(flags.bits()).open(dir.path().join(name))?;
        if Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok() {
            dir.remove(name)?;
        }
    }
    Ok(())
}

impl Write for DumpFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Some(Encoder::Bzip2(encoder)) => encoder.write(bytes),
            Some(Encoder::Age(encoder)) => encoder.write(bytes),
            None => Err(io::Error::other("the dump has ended")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for DumpFile<'_> {
    fn drop(&mut self) {
        // After a commit nothing has that name; after a failure, the failure is what matters.
        let _ = self.dir.remove(&self.temporary);
    }
}

/// The maximum number of lines kept of a dumper's own messages.
const KEPT_LINES: usize = 5;

/// The most that is kept of each, in bytes.
const LONGEST_COMPLAINT: usize = 1000;

/// Runs a dumper and passes its standard output on as it comes. Returns the last bytes of it.
///
/// The error describes what went wrong: it could not be started, it failed, it complained, or the disk was full.
/// `is_harmless` decides which lines of its standard error are not complaints.
pub fn run_dumper(
    run: &Run<'_>,
    mut command: Command,
    is_harmless: fn(&[u8]) -> bool,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Vec<u8>, String> {
    command.raw_output = true;
    let name = display::path(&command.program).to_string();
    let (mut tail, mut complaints, mut failed) = (Vec::new(), Vec::new(), None);
    let mut printed = Printed::new(format!("{name}: "));
    let silence = Silence::new(run.machine.host.dumper_silence);
    let end = silence.watch(run.machine.interrupts, || {
        stream(&command, run.machine.interrupts, &mut |line| {
            match line.stream {
                Stream::Out if failed.is_none() => {
                    keep_tail(&mut tail, line.bytes);
                    if let Err(error) = sink(line.bytes) {
                        failed = Some(error);
                        run.machine.interrupts.stop_child();
                    }
                }
                Stream::Out => {}
                Stream::Err => {
                    printed.log(line);
                    if line.piece.begins && !is_harmless(line.bytes) && complaints.len() < KEPT_LINES {
                        let start = &line.bytes[..line.bytes.len().min(LONGEST_COMPLAINT)];
                        complaints.push(display::line(start).to_string().trim_end_matches('.').to_owned());
                    }
                }
            }
            silence.breaks();
        })
    });
    printed.finish();
    let end = end.map_err(|error| format!("{name} could not be run: {}", display::reason(&error)))?;
    if silence.was_too_long() {
        let minutes = run.machine.host.dumper_silence.as_secs().div_ceil(60);
        return Err(format!("{name} was stopped: it has printed nothing for {minutes} min"));
    }
    if let Some(error) = failed {
        return Err(format!("the dump could not be written: {}", display::reason(&error)));
    }
    let words = if complaints.is_empty() { String::new() } else { format!(": {}", complaints.join("; ")) };
    match end {
        End::Exited(0) if complaints.is_empty() => Ok(tail),
        End::Exited(code) => Err(format!("{name} ended with code {code}{words}")),
        End::Killed(signal) => Err(format!("{name} was killed by signal {signal}{words}")),
    }
}

/// How much of the end of a dump is kept, in bytes: its last lines show that it is complete.
const TAIL: usize = 512;

fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
    let surplus = tail.len().saturating_sub(TAIL);
    tail.drain(..surplus);
}

/// Writes a dumper's whole output to one compressed file; `ending` must be among its last words.
pub fn dump_compressed(
    run: &Run<'_>,
    dir: &Dir,
    name: &str,
    command: Command,
    is_harmless: fn(&[u8]) -> bool,
    ending: &str,
) -> Result<(), String> {
    write_compressed(run, dir, name, command, is_harmless, ending, &mut |_| {})?.put_into_place()
}

/// Does the same, but `watch` sees every chunk, and the caller decides whether the dump is put into place.
pub fn write_compressed<'a>(
    run: &Run<'_>,
    dir: &'a Dir,
    name: &str,
    command: Command,
    is_harmless: fn(&[u8]) -> bool,
    ending: &str,
    watch: &mut dyn FnMut(&[u8]),
) -> Result<DumpFile<'a>, String> {
    let mut dump = DumpFile::create(dir, name, Encoding::Bzip2)
        .map_err(|error| not_written(&dir.path().join(name), &error))?;
    let tail = run_dumper(run, command, is_harmless, &mut |bytes| {
        watch(bytes);
        dump.write_all(bytes)
    })?;
    if !String::from_utf8_lossy(&tail).contains(ending) {
        return Err(format!("the dump does not end with \"{ending}\", so it is incomplete"));
    }
    Ok(dump)
}

fn not_written(path: &std::path::Path, error: &io::Error) -> String {
    format!("{} could not be written: {}", display::path(path), display::reason(error))
}
