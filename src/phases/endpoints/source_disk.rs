//! Checks whether the source is still on the same filesystem: an unmounted disk may have left a file at its mount
//! point, and a clone of that would delete everything.

use crate::display;
use crate::failure::Failure;
use crate::fs::dir::Dir;
use crate::logging::warning;
use crate::marker::identity::Part;
use crate::phases::endpoints::filesystems::Mounted;
use crate::phases::endpoints::identity::Acceptance;
use crate::run::Run;
use crate::volume;
use crate::volume::Filesystem;

/// Refuses a source on a different filesystem than at the last clone to this destination, or one without a filesystem
/// below it that is part of the clone: its files would be deleted. Writes nothing.
///
/// A snapshot created each night has the UUID of its origin, and a filesystem without a UUID is known only by its mount
/// point: neither is refused.
pub fn check(
    run: &Run<'_>,
    source: &Dir,
    filesystems: &[Mounted],
    acceptance: &mut Acceptance,
) -> Result<(), Failure> {
    let now = volume::of(run, source);
    let parts: Vec<Part> = filesystems.iter().map(Mounted::part).collect();
    let objection = acceptance.source_before().and_then(|before| objection(run, before, &now));
    let objection = objection.or_else(|| missing(run, acceptance.parts_before(), &parts));
    acceptance.keep_source(now, parts);
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
        (Some(uuid), None) if run.machine.host.is_root() => Some(format!(
            "it lay on the filesystem {uuid} at the last clone, and on which one it lies now cannot be determined."
        )),
        (Some(_) | None, None) | (None, Some(_)) => None,
    }
}

/// Objects to a filesystem that was part of the last clone and is not part of this one.
fn missing(run: &Run<'_>, before: &[Part], now: &[Part]) -> Option<String> {
    before.iter().find_map(|part| {
        let source = display::path(&run.plan.source).to_string();
        let path = format!("{}/{}", source.trim_end_matches('/'), part.path);
        let name = name_of(part.uuid.as_deref());
        let Some(now) = now.iter().find(|now| now.path == part.path) else {
            return Some(format!(
                "{name}, mounted at {path}, was part of the last clone and is not part of this one, which would delete \
                 what it held. Is it mounted, and named by --filesystems?"
            ));
        };
        match (&part.uuid, &now.uuid) {
            (Some(_), None) if run.machine.host.is_root() => Some(format!(
                "{name} was mounted at {path} at the last clone, and which one is there now cannot be determined."
            )),
            (Some(before), Some(uuid)) if before != uuid => Some(format!(
                "{name} was mounted at {path} at the last clone, and now the filesystem {uuid} is. Is the right disk \
                 mounted there?"
            )),
            (Some(_) | None, Some(_) | None) => None,
        }
    })
}

fn name_of(uuid: Option<&str>) -> String {
    uuid.map_or_else(|| "another filesystem".to_owned(), |uuid| format!("the filesystem {uuid}"))
}
