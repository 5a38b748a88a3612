//! Whether the clone fits, and whether the source is what it was: the census.

use indicatif::HumanBytes;

use super::Exam;
use super::ends::Ends;
use crate::host::space::Space;
use crate::phases::census;
use crate::rsync::rules::Rules;

const TOPIC: &str = "free space";

/// Has the source counted as a clone does where there are both ends; else tells what is free.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends, rules: Option<&Rules>) {
    let remedy = "Make room there, or exclude more with -e.";
    let free = ends.destination.as_ref().and_then(|folder| Space::of(folder).ok());
    let free = free.filter(|space| space.total > 0).map(|space| space.free_for(exam.run.host.is_root()));
    let free = free.map_or("an unknown number of bytes".to_owned(), |bytes| HumanBytes(bytes).to_string());
    if let (Some(both), Some(rules)) = (&ends.both, rules) {
        if let Some((found, _)) = exam.ask(TOPIC, remedy, |run| census::judge(run, both, rules)) {
            exam.ok(
                TOPIC,
                format!(
                    "the source holds {} entries, {} in use; {free} are free at the destination.",
                    found.entries,
                    HumanBytes(found.bytes)
                ),
            );
        }
        return;
    }
    census::warn_of_short_disks(exam.run);
    exam.warnings(TOPIC, remedy);
    if ends.destination.is_some() {
        exam.ok(TOPIC, format!("{free} are free at the destination."));
    }
}
