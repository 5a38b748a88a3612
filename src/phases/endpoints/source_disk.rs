//! Checks whether the source is still on the same filesystem: an unmounted disk may have left a file at its mount
//! point, and a clone of that would delete everything.

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::phases::endpoints::identity::Acceptance;
use crate::run::Run;
use crate::volume;
use crate::volume::Filesystem;

/// Refuses a source on a different filesystem than at the last clone to this destination. Writes nothing.
///
/// A snapshot created each night has the UUID of its origin, and a filesystem without a UUID is known only by its mount
/// point: neither is refused.
pub fn check(run: &Run<'_>, source: &Dir, acceptance: &mut Acceptance) -> Result<(), Failure> {
    let now = volume::of(run, source);
    let objection = acceptance.source_before().and_then(|before| objection(run, before, &now));
    acceptance.keep_source(now);
    let Some(why) = objection.filter(|_| !run.plan.allow_shrink) else { return Ok(()) };
    let refusal = Failure::SourceChanged { path: run.plan.source.clone(), why: why.into() };
    if run.mode.only_warns() {
        warning(format_args!("a real run would be refused with code 76. {refusal}"));
        return Ok(());
    }
    Err(refusal)
}

fn objection(run: &Run<'_>, before: &Filesystem, now: &Filesystem) -> Option<String> {
    let (point, here) = (display::path(&before.mount_point), display::path(&now.mount_point));
    match (&before.uuid, &now.uuid) {
        // A service may see its directories as mounts private to it.
        (Some(before), Some(now)) if before == now => return None,
        _ => {}
    }
    let is_above = before.mount_point != now.mount_point && before.mount_point.starts_with(&now.mount_point);
    if is_above {
        return Some(format!(
            "{} was mounted at {point} at the last clone, and now the source lies on the filesystem of {here}. Mount \
             its disk.",
            name_of(before.uuid.as_deref())
        ));
    }
    match (&before.uuid, &now.uuid) {
        (Some(uuid), Some(now)) => Some(format!(
            "it lay on the filesystem {uuid} at the last clone, and now it lies on the filesystem {now}. Is the right \
             disk mounted at {here}?"
        )),
        // Only root may read a device; without that right, the mount point has to suffice.
        (Some(uuid), None) if run.host.is_root() => Some(format!(
            "it lay on the filesystem {uuid} at the last clone, and on which one it lies now cannot be determined."
        )),
        (Some(_) | None, None) | (None, Some(_)) => None,
    }
}

fn name_of(uuid: Option<&str>) -> String {
    uuid.map_or_else(|| "another filesystem".to_owned(), |uuid| format!("the filesystem {uuid}"))
}
