//! `counterpart status`: the clones that this machine remembers, for people and, as JSON, for programs.
//!
//! It judges nothing: `check` does, from the same sources. Like that, it touches a destination only in a process of its own,
//! which is left behind if the destination hangs.

mod entry;
mod schedules;
mod table;

use std::time::Instant;

use serde::Serialize;

use crate::check::looking::examine;
use crate::check::now;
use crate::check::rules::{AHEAD, unheard_of};
use crate::check::subjects::gather;
use crate::cli::status::StatusArgs;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::record::Moment;
use entry::{Entry, Word};

/// The version of the JSON form.
const SCHEMA: u32 = 1;

/// All that is shown.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    counterpart: &'static str,
    host: String,
    system: String,
    now: Option<Moment>,
    clones: Vec<Entry>,
    notes: Vec<String>,
}

/// Runs the subcommand, and returns what to print.
pub fn run(args: &StatusArgs, machine: Machine<'_>) -> Result<String, Refusal> {
    let (host, now) = (machine.host, now());
    let latest = now.saturating_add(AHEAD);
    let given = args.destination.as_deref();
    let mut subjects = gather(given, args.organisation_prefix.as_ref(), host, latest);
    let looked = examine(&mut subjects, host, args.timeout, Instant::now() + args.timeout, latest);
    machine.go_on()?;
    let mut clones: Vec<Entry> = Vec::new();
    for (subject, looked) in subjects.iter().zip(&looked) {
        clones.push(entry::entry(subject, looked.as_ref(), host, now));
    }
    if let (Some(_), [only], [looked]) = (given, &clones[..], &looked[..])
        && only.state == Word::Unknown
        && only.notes.is_empty()
    {
        let place = looked.as_ref().and_then(|looked| looked.place.as_ref().ok());
        let why = place.map_or_else(|| "nothing is known of it".to_owned(), unheard_of);
        return Err(Refusal::new(format!("{}: {why}.", only.name)));
    }
    let notes = schedules::add(&mut clones, &subjects, machine);
    machine.go_on()?;
    let report = Report {
        schema: SCHEMA,
        counterpart: env!("CARGO_PKG_VERSION"),
        host: host.name.clone(),
        system: host.platform.to_string(),
        now: Moment::at(now),
        clones,
        notes,
    };
    if args.json {
        // Plain data with text keys: this cannot fail.
        return Ok(serde_json::to_string_pretty(&report).unwrap_or_default() + "\n");
    }
    Ok(table::text(&report.clones, &report.notes, &report.host))
}
