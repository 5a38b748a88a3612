//! Free space at the destination against what the source's filesystem holds.

use indicatif::HumanBytes;

use super::Exam;
use super::ends::Ends;
use crate::host::folder::Folder;
use crate::host::space::Space;
use crate::phases::endpoints::mount_point;

const TOPIC: &str = "free space";

/// Compares what can be compared without counting files.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends) {
    let Some(destination) = &ends.destination else { return };
    let Some(space) = Space::of(destination).ok().filter(|space| space.total > 0) else {
        exam.ok(TOPIC, "the destination's filesystem does not tell how much room it has.");
        return;
    };
    let free = space.free_for(exam.run.host.is_root());
    let Some(source) = &ends.source else {
        exam.ok(TOPIC, format!("{} at the destination.", HumanBytes(free)));
        return;
    };
    let held = if is_root_of_filesystem(&source.folder) { Space::of(&source.folder).ok() } else { None };
    let Some(held) = held.filter(|held| held.total > 0) else {
        let message = format!(
            "{} at the destination. The source is a part of its filesystem, so what it holds is not counted.",
            HumanBytes(free)
        );
        exam.ok(TOPIC, message);
        return;
    };
    // What a disk of its own holds now is last night's clone, or will be deleted.
    let is_own_disk = is_root_of_filesystem(destination);
    let room = if is_own_disk { space.used().saturating_add(free) } else { free };
    let included = if is_own_disk { ", what it holds now included" } else { "" };
    let message = format!(
        "the source's filesystem holds {}, and the destination has room for {}{included}.",
        HumanBytes(held.used()),
        HumanBytes(room)
    );
    if held.used() <= room {
        exam.ok(TOPIC, message);
    } else {
        exam.warn(
            TOPIC,
            message,
            "Use a larger disk, or exclude more with -e: a full destination ends a clone with 74.",
        );
    }
}

fn is_root_of_filesystem(folder: &Folder) -> bool {
    mount_point(folder.path()) == folder.path()
}
