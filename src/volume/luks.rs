//! Encrypted devices (LUKS), opened for a run by `cryptsetup`. The key travels by its standard input.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::display;
use crate::fs::private_file;
use crate::host::Host;
use crate::host::machine::Machine;
use crate::process::interrupts::Interrupts;
use crate::process::{Command, End, capture};

/// The type that `blkid` reports.
pub const KIND: &str = "crypto_LUKS";

/// The longest that `cryptsetup` may take: a key derivation that was made for a faster machine is slow.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The largest key, in bytes; the same as `cryptsetup`'s.
const LARGEST_KEY: u64 = 8 << 20;

/// The start of the names of what we open.
const OURS: &str = "counterpart-";

/// An opened device. It is closed when this is dropped, or else by the kernel, with its last user.
#[derive(Debug)]
pub struct Opened<'a> {
    host: &'a Host,
    name: String,
}

/// The key in a file that only root may read. Errors with a sentence about the file.
pub fn key(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    private_file::read(file, 0, LARGEST_KEY)
        .map_err(|why| format!("its key file {} {why}", display::path(file)))
}

/// The name of what a device is opened as: the same at every run, so that what a killed one has left is found.
#[must_use]
pub fn name_of(uuid: &str) -> String {
    format!("{OURS}{uuid}")
}

/// Opens a device; returns what to close, and the path of what is in it. Errors with a sentence.
pub fn open<'a>(
    machine: Machine<'a>,
    device: &Path,
    uuid: &str,
    key: Zeroizing<Vec<u8>>,
) -> Result<(Opened<'a>, PathBuf), String> {
    let name = name_of(uuid);
    let arguments = ["open", "--type", "luks", "--key-file", "-", "--"].map(Into::into);
    let device_and_name = [device.as_os_str().to_owned(), name.clone().into()];
    let mut command =
        Command::tool(&machine.host.tools.cryptsetup, arguments.into_iter().chain(device_and_name));
    command.input = key;
    let tool = display::path(&machine.host.tools.cryptsetup);
    let printed = capture(&command, machine.interrupts, LIMIT)
        .map_err(|error| format!("{tool} cannot be run: {}; install cryptsetup", display::reason(&error)))?;
    let opened = Opened { host: machine.host, name };
    match printed.end {
        End::Exited(0) => {}
        End::Exited(2) => return Err("the key does not open it".to_owned()),
        End::Exited(_) | End::Killed(_) => {
            let first = printed.err.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Err(format!("{tool} cannot open it: {}", display::line(first)));
        }
    }
    let path = Path::new("/dev/mapper").join(&opened.name);
    Ok((opened, path))
}

impl<'a> Opened<'a> {
    /// What a run that was killed has left open.
    #[must_use]
    pub fn left_behind(host: &'a Host, uuid: &str) -> Self {
        Self { host, name: name_of(uuid) }
    }

    /// Has the kernel close it with its last user, whatever ends this process; to be called once it is mounted.
    pub fn close_with_last_user(&self) {
        // If that is not supported, it is closed at the end.
        let _ = self.close(&["close", "--deferred", "--"]);
    }

    fn close(&self, arguments: &[&str]) -> io::Result<()> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).chain([self.name.clone()]);
        let command = Command::tool(&self.host.tools.cryptsetup, arguments);
        // The signal that ends the run must not leave it open.
        capture(&command, &Interrupts::default(), LIMIT).map(|_| ())
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        // It fails if the kernel has closed it already.
        let _ = self.close(&["close", "--"]);
    }
}
