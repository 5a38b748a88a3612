//! Records a proof in this machine's state of the clone.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::display;
use crate::fs::location::Location;
use crate::host::Host;
use crate::logging::complain;
use crate::marker::Prefix;
use crate::prove::disk::Disk;
use crate::record::Proof;
use crate::state::{State, Store};

/// Records the proof for every clone to this disk; returns whether there is one.
///
/// A state that cannot be read or written is complained about, and does not change how the proof went.
#[must_use]
pub fn save(host: &Host, disk: &Disk, proof: &Proof) -> bool {
    let Some(filesystem) = &disk.filesystem else { return false };
    let store = Store::new(&host.state_dir);
    let states = store.all().unwrap_or_else(|error| {
        let dir = display::path(&host.state_dir);
        complain(&format!("The records in {dir} cannot be read: {}.", display::reason(&error)));
        Vec::new()
    });
    let mut is_known = false;
    for (_, state) in states {
        // A damaged state is reported by the plugin.
        let Ok(mut state) = state else { continue };
        let last = state.disks.last().and_then(|disk| disk.filesystem.as_deref());
        if !last.is_some_and(|last| last.eq_ignore_ascii_case(filesystem)) {
            continue;
        }
        is_known = true;
        state.prove(proof.clone());
        if let Err(error) = write(&store, &state) {
            complain(&format!(
                "The proof could not be recorded in {}: {}.",
                display::path(&host.state_dir),
                display::reason(&error)
            ));
        }
    }
    is_known
}

fn write(store: &Store, state: &State) -> io::Result<()> {
    let path = PathBuf::from(OsString::from_vec(display::unescape(state.destination.as_bytes())));
    let prefix: Prefix = state.prefix.parse().map_err(io::Error::other)?;
    store.save(&Location { given: path.clone(), resolved: path, filesystem: None }, &prefix, state)
}
