//! What is looked at of a clone besides its age: whether it boots (`--prove`), and whether it is still what was written
//! (`--verify-daily`, `--hashes`).

use crate::display::words::{count, moment};
use crate::doctor::exam::Exam;
use crate::failure::refusal::Refusal;
use crate::prove;
use crate::record::Hashing;
use crate::state::State;

/// Reports what a run would do, and what is known from earlier ones.
pub fn examine(exam: &mut Exam<'_>) {
    // What cannot be read is reported with the last run.
    let known = exam.run.remembered();
    reading(exam, known.as_ref());
    hashes(exam, known.as_ref());
    proof(exam, known.as_ref());
}

fn reading(exam: &mut Exam<'_>, known: Option<&State>) {
    const TOPIC: &str = "reading again";
    let Some(share) = exam.run.plan.verify_daily else { return };
    let reading = known.and_then(|state| state.disks.last()?.reading.as_ref()).map(|reading| &reading.known);
    if let Some(found) = reading.and_then(|known| known.damage_found.as_ref()) {
        exam.warn(
            TOPIC,
            format!(
                "damage was found in the clone on {}, and not every file has been read since without any.",
                moment(found.epoch)
            ),
            "Run counterpart verify --repair, and find out whether the disk is failing.",
        );
        return;
    }
    let so_far = match reading.map(|known| known.oldest.as_ref()) {
        None => "nothing of it has been read so far".to_owned(),
        Some(None) => "not every file has been read so far".to_owned(),
        Some(Some(oldest)) => format!("every file has been read since {}", moment(oldest.epoch)),
    };
    let turns = share.turns();
    let days = if turns == 1 { "day" } else { "days" };
    exam.ok(TOPIC, format!("all of the clone will be read in {turns} {days}; {so_far}."));
}

fn hashes(exam: &mut Exam<'_>, known: Option<&State>) {
    const TOPIC: &str = "hashes";
    if exam.run.plan.hashes.is_none() {
        return;
    }
    let kept = known.and_then(|state| state.last_success.as_ref()).and_then(|success| success.hashes);
    exam.ok(
        TOPIC,
        match kept {
            Some(Hashing { entries, on_clone, .. }) => format!(
                "the last run kept those of {} files and links on this machine{}.",
                count(entries),
                if on_clone { " and on the clone" } else { "" }
            ),
            None => "the next run will read every file of the clone once for them.".to_owned(),
        },
    );
}

fn proof(exam: &mut Exam<'_>, known: Option<&State>) {
    const TOPIC: &str = "proof";
    if exam.run.plan.prove.is_none() {
        return;
    }
    if let Err(Refusal(_, why)) = prove::ensure_possible(exam.run.machine.host) {
        let remedy = "Without that a run makes its clone and warns that it was not proven.";
        exam.warn(TOPIC, why, remedy);
        return;
    }
    let disk = known.and_then(|state| state.disks.last());
    let booted = disk.and_then(|disk| disk.proven.as_ref());
    match (booted, known.and_then(|state| state.proof.as_ref())) {
        (Some(booted), _) => {
            exam.ok(TOPIC, format!("the clone on this disk was proven to boot on {}.", moment(booted.epoch)));
        }
        (None, Some(proof)) if !proof.booted => exam.warn(
            TOPIC,
            format!("the clone did not boot on {}; it will be booted again.", moment(proof.at.epoch)),
            "Run counterpart prove, and look at the screen that it saves.",
        ),
        (None, _) => exam.ok(TOPIC, "the clone on this disk will be booted after the next run."),
    }
}
