//! Whether the clone fits, and whether the source has shrunk: the survey.

use indicatif::HumanBytes;

use crate::doctor::ends::Ends;
use crate::doctor::exam::Exam;
use crate::fs::space::Space;
use crate::phases::capacity;
use crate::phases::endpoints::Endpoints;
use crate::phases::survey;
use crate::phases::survey::found::Survey;
use crate::phases::survey::locked;
use crate::rsync::filter::rules::Rules;

const TOPIC: &str = "free space";

/// Surveys both ends as a clone does if they are given, and returns the result; otherwise reports the free space.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends, rules: Option<&mut Rules>) -> Option<Survey> {
    let remedy = "Make room there, or exclude more with -e.";
    let free = ends.destination.as_ref().and_then(|dir| Space::of(dir).ok());
    let free =
        free.filter(|space| space.total > 0).map(|space| space.free_for(exam.run.machine.host.is_root()));
    let free = free.map_or("an unknown number of bytes".to_owned(), |bytes| HumanBytes(bytes).to_string());
    survey::warn_of_short_disks(exam.run);
    if let (Some(both), Some(rules)) = (&ends.both, rules) {
        let found = exam.ask(TOPIC, remedy, |run| survey::look(run, both, rules, None))?;
        if exam.ask(TOPIC, remedy, |run| survey::compare_sizes(run, both, &found)).is_some() {
            exam.ok(
                TOPIC,
                format!(
                    "the source holds {} entries, {} in use; {free} are free at the destination.",
                    found.census.entries,
                    HumanBytes(found.census.bytes)
                ),
            );
            if !rules.kept.is_empty() {
                let sentence = locked::sentence(exam.run, &rules.kept);
                exam.warn(
                    "encrypted directories",
                    sentence,
                    "Unlock them before the clone, for example by letting their owner log in; without them it exits \
                     with 23.",
                );
            }
            capacity(exam, both, rules, &found);
        }
        return Some(found);
    }
    exam.warnings(TOPIC, remedy);
    if ends.destination.is_some() {
        exam.ok(TOPIC, format!("{free} are free at the destination."));
    }
    None
}

/// Whether the destination's filesystem has a known limit that is exceeded; a clone probes it with files of its own.
fn capacity(exam: &mut Exam<'_>, both: &Endpoints, rules: &Rules, survey: &Survey) {
    exam.ask("what the destination can hold", "", |run| capacity::check(run, both, rules, survey));
}
