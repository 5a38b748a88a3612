//! What a clone prepares before it writes: exclusions, scripts, the password, and consent to the first clone.

use crate::display;
use crate::doctor::ends::Ends;
use crate::doctor::exam::Exam;
use crate::failure::Moment;
use crate::password_store;
use crate::phases::password;
use crate::phases::survey::adoption;
use crate::phases::survey::adoption::Standing;
use crate::phases::survey::found::Survey;
use crate::phases::survey::refuse_losses;
use crate::phases::{exclusions, script};
use crate::plan::BackupPassword;
use crate::rsync::filter::rules::Rules;

/// How many of the user's patterns are printed.
const MOST_PATTERNS: usize = 50;

/// Checks exclusions, scripts and password; returns the rules if there is a source to apply them to.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends) -> Option<Rules> {
    let rules = exclusions(exam, ends);
    for which in [Moment::PreClone, Moment::PostClone, Moment::OnError] {
        scripts(exam, which);
    }
    password(exam);
    rules
}

fn exclusions(exam: &mut Exam<'_>, ends: &Ends) -> Option<Rules> {
    const TOPIC: &str = "exclusions";
    let remedy = "Correct the file, unless that is what you want.";
    let source = ends.both.as_ref().map(|both| &both.source).or(ends.source.as_ref());
    let Some(source) = source else {
        if let Some(path) = &exam.run.plan.exclude_from
            && exam.ask(TOPIC, remedy, exclusions::check).is_some()
        {
            exam.ok(TOPIC, format!("{} can be read.", display::path(path)));
        }
        return None;
    };
    let rules = exam.ask(TOPIC, remedy, |run| exclusions::gather_for(run, source))?;
    let mut details: Vec<String> = rules.built_in.iter().map(|rule| format!("built-in: {rule}")).collect();
    let users = users(&rules);
    details.extend(users.iter().take(MOST_PATTERNS).map(|line| format!("yours: {}", display::line(line))));
    if users.len() > MOST_PATTERNS {
        details.push(format!("and {} more of yours", users.len() - MOST_PATTERNS));
    }
    let message =
        format!("{} built-in patterns and {} of yours are in force.", rules.built_in.len(), users.len());
    exam.ok_with(TOPIC, message, details);
    Some(rules)
}

/// The user's patterns, without comments and empty lines.
fn users(rules: &Rules) -> Vec<&[u8]> {
    let lines = rules.users.as_deref().unwrap_or_default().split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b";")).collect()
}

fn scripts(exam: &mut Exam<'_>, which: Moment) {
    let topic = match which {
        Moment::PreClone => "pre-clone script",
        Moment::PostClone => "post-clone script",
        Moment::OnError => "on-error script",
    };
    let Some(path) = script::named(exam.run, which) else { return };
    let remedy = "Make it, and every directory above it, owned by root and writable by root only.";
    if exam.ask(topic, remedy, |run| script::check_of(run, which)).is_some() {
        exam.ok(topic, format!("{} can be executed.", display::path(path)));
    }
}

fn password(exam: &mut Exam<'_>) {
    const TOPIC: &str = "password";
    let plan = exam.run.plan;
    if plan.backup.is_some() {
        let remedy = "Run counterpart setpass once, and use -B instead of -b.";
        let found = exam.ask(TOPIC, remedy, password::resolve).is_some();
        if found && matches!(plan.backup, Some(BackupPassword::Stored)) {
            exam.ok(TOPIC, "the password of the server backup is stored and can be read.");
        }
        return;
    }
    let message = match password_store::load(exam.run.machine, &plan.prefix) {
        Ok(_) => "one for a server backup is stored, but no server backup was requested.".to_owned(),
        Err(error) => format!("no server backup was requested, so none is needed ({error})."),
    };
    exam.ok(TOPIC, message);
}

/// Whether the first clone to this destination would be refused.
pub fn first_clone(exam: &mut Exam<'_>, ends: &Ends, survey: Option<&Survey>) {
    const TOPIC: &str = "first clone";
    let Some(both) = &ends.both else { return };
    let Some(standing) = exam.ask(TOPIC, "", |run| adoption::standing(run, &both.destination)) else {
        return;
    };
    match standing {
        Standing::Empty => exam.ok(TOPIC, "the destination holds nothing that could be lost."),
        Standing::Clone => {
            exam.ok(TOPIC, "the destination is known as a clone.");
            let Some(survey) = survey else { return };
            exam.ask("deletions", "", |run| refuse_losses(run, both, survey));
        }
        Standing::Stranger if exam.run.plan.adopt => exam.warn(
            TOPIC,
            "the destination has no Counterpart marker, and --adopt lets a clone delete what it holds.",
            "Make sure that it is the right disk. Give --adopt once, by hand, and never in a job.",
        ),
        Standing::Stranger => {
            let Some(survey) = survey else { return };
            let loses_nothing = exam.ask(TOPIC, "", |run| refuse_losses(run, both, survey)).is_some();
            if loses_nothing {
                exam.ok(
                    TOPIC,
                    "the destination has no Counterpart marker, and a clone would delete nothing there.",
                );
            }
        }
    }
}
