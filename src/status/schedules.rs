//! Which schedule makes which clone, and when it does so next.

use crate::check::subjects::Subject;
use crate::display;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::plan::Plan;
use crate::record::Moment;
use crate::schedule::made;
use crate::status::entry::{Entry, Scheduled};

/// Adds the schedules to the clones that they make; returns notes about what cannot be found out.
///
/// A clone is known by every spelling under which it was ever made, so nothing at a destination is looked at.
pub fn add(clones: &mut [Entry], subjects: &[Subject], machine: Machine<'_>) -> Vec<String> {
    let schedules = match made::all(machine) {
        Ok(schedules) => schedules,
        Err(Refusal(_, why)) => return vec![format!("The schedules are not known: {why}")],
    };
    let mut notes = Vec::new();
    let mut is_silent = false;
    for schedule in schedules {
        let plans = match &schedule.clones {
            Ok(plans) => plans,
            Err(why) => {
                let name = &schedule.name;
                notes.push(format!("Which clone the schedule {name} makes is not known: {why}."));
                continue;
            }
        };
        let makes = |subject: &Subject| plans.iter().any(|plan| is_same(subject, plan));
        let places: Vec<usize> =
            subjects.iter().enumerate().filter(|(_, subject)| makes(subject)).map(|(at, _)| at).collect();
        if places.is_empty() || is_silent {
            continue;
        }
        let state = match made::state(machine, &schedule.name) {
            Ok(state) => Some(state),
            Err(Refusal(_, why)) => {
                // One that does not answer is not asked for each schedule.
                is_silent = true;
                notes.push(format!("The next runs are not known: {why}"));
                None
            }
        };
        let next =
            state.as_ref().filter(|state| state.loaded).and_then(|state| state.next_at).and_then(Moment::at);
        for at in places {
            let Some(clone) = clones.get_mut(at) else { continue };
            let is_earlier = |known: &Moment| next.as_ref().is_some_and(|next| next.epoch < known.epoch);
            if clone.next_run.as_ref().is_none_or(is_earlier) {
                clone.next_run.clone_from(&next);
            }
            clone.schedules.push(Scheduled {
                name: schedule.name.to_string(),
                job: schedule.job.as_ref().map(ToString::to_string),
                loaded: state.as_ref().map(|state| state.loaded),
                next_run: next.clone(),
            });
        }
    }
    notes
}

/// Whether a plan makes this clone, by the names it is remembered by.
fn is_same(subject: &Subject, plan: &Plan) -> bool {
    let Some(target) = subject.target.as_ref().filter(|target| target.prefix == plan.prefix) else {
        return false;
    };
    if target.destination == plan.destination {
        return true;
    }
    let shown = display::path(&plan.destination).to_string();
    match &subject.state {
        Ok(Some(state)) => state.destination == shown || state.spellings.contains(&shown),
        Ok(None) | Err(_) => false,
    }
}
