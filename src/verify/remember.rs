//! Records a verification in this machine's state of the clone.

use std::io;

use chrono::Local;

use crate::display;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::phases::endpoints::identity;
use crate::run::Run;
use crate::state::Store;
use crate::state::reading::{Counts, Extent, Reading};

/// Records what was read, if this machine knows the clone. A failure is a warning: it does not change what was found.
pub fn save(run: &Run<'_>, clone: &Dir, extent: Extent, counts: Counts) {
    if let Err(error) = try_save(run, clone, extent, counts) {
        warning(format_args!(
            "that the clone was verified could not be saved in {}: {}.",
            display::path(&run.machine.host.state_dir),
            display::reason(&error)
        ));
    }
}

fn try_save(run: &Run<'_>, clone: &Dir, extent: Extent, counts: Counts) -> io::Result<()> {
    let store = Store::new(&run.machine.host.state_dir);
    let (location, prefix) = (run.location(), &run.plan.prefix);
    let Some(mut state) = store.load(location, prefix)? else { return Ok(()) };
    let id = identity::id(run, clone)?;
    let reading = Reading::after(state.reading(&id), extent, &Local::now().into(), counts);
    state.read(&id, reading);
    store.save(location, prefix, &state)
}
