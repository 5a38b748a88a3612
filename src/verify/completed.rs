//! The complete clone that is verified: when it was begun, and whether it is still the same one at the end.

use nix::sys::stat::{FileStat, SFlag};

use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::fs::dir::Dir;
use crate::marker::stats::{LARGEST, StatsFile};
use crate::marker::{Marker, Prefix};
use crate::plan::Plan;
use crate::run::Run;
use crate::tree::pair::kind;

/// A complete clone.
#[derive(Debug)]
pub struct Completed {
    /// When it was begun, in seconds since 1970: what has changed at the source since may not be in it.
    pub started: i64,
    /// Which one it is.
    pub mark: Mark,
}

/// What tells one marker from the next: its inode, and when it was last changed.
pub type Mark = (u64, i64, i64);

impl Completed {
    /// Reads the markers of a clone. Refuses one that is not complete.
    pub fn read(run: &Run<'_>, dir: &Dir) -> Result<Self, Refusal> {
        let refusal = |why: String| {
            let path = display::path(&run.plan.destination);
            let sentence = format!("The clone in {path} cannot be verified: {why}.");
            Refusal(ExitCode::DESTINATION, sentence)
        };
        let reason = |error: std::io::Error| refusal(display::reason(&error));
        let prefix = &run.plan.prefix;
        let Some(mark) = mark(dir, prefix).map_err(reason)? else {
            let marker = prefix.marker(Marker::Completed);
            return Err(refusal(format!(
                "it is not complete, since it has no {}. Make the clone first",
                display::name(&marker)
            )));
        };
        let file = dir.read(&prefix.marker(Marker::Statistics), LARGEST).map_err(reason)?;
        let stats = StatsFile::read(&file.unwrap_or_default());
        let started = stats.started.filter(|_| stats.completed.is_some());
        let started = started.and_then(|started| i64::try_from(started).ok()).ok_or_else(|| {
            let marker = prefix.marker(Marker::Statistics);
            refusal(format!("{} does not say when it was made", display::name(&marker)))
        })?;
        Ok(Self { started, mark })
    }

    /// Whether no other clone was begun since: one removes this marker before its first change.
    #[must_use]
    pub fn stands(&self, dir: &Dir, prefix: &Prefix) -> bool {
        mark(dir, prefix).is_ok_and(|now| now == Some(self.mark))
    }
}

/// Which complete clone is in a directory; `None` if there is none.
pub fn mark(dir: &Dir, prefix: &Prefix) -> std::io::Result<Option<Mark>> {
    let found = dir.stat(&prefix.marker(Marker::Completed))?;
    let is_marker = |stat: &FileStat| kind(stat) == SFlag::S_IFREG;
    Ok(found.filter(is_marker).map(|stat| (stat.st_ino, stat.st_ctime, stat.st_ctime_nsec)))
}

/// Refuses to say anything of a clone that was begun meanwhile.
#[must_use]
pub fn begun_meanwhile(plan: &Plan) -> Refusal {
    Refusal(
        ExitCode::LOCKED,
        format!(
            "A clone to {} was begun meanwhile, so that nothing is known of what was read. Verify it afterwards.",
            display::path(&plan.destination)
        ),
    )
}
