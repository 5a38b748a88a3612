//! The schedules as JSON, for programs; `examples/schedule.schema.json` describes it.

use serde::Serialize;

use crate::display;
use crate::plan::schedule::State;
use crate::record::Moment;
use crate::schedule::made::Made;

/// The version of the form.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    counterpart: &'static str,
    schedules: Vec<Row>,
}

/// A schedule.
#[derive(Debug, Serialize)]
pub struct Row {
    name: String,
    loaded: bool,
    running: bool,
    next_run: Option<Moment>,
    last_result: String,
    job: Option<String>,
    clones: Option<Vec<Makes>>,
    reason: Option<String>,
}

/// A clone that a schedule makes.
#[derive(Debug, Serialize)]
struct Makes {
    source: String,
    destination: String,
    prefix: String,
}

/// What is said of one.
pub fn row(made: &Made, state: &State) -> Row {
    let clones = made.clones.as_ref().ok().map(|plans| {
        let clone = |plan: &crate::plan::Plan| Makes {
            source: display::path(&plan.source).to_string(),
            destination: display::path(&plan.destination).to_string(),
            prefix: plan.prefix.to_string(),
        };
        plans.iter().map(clone).collect()
    });
    Row {
        name: made.name.to_string(),
        loaded: state.loaded,
        running: state.running,
        next_run: state.next_at.filter(|_| state.loaded).and_then(Moment::at),
        last_result: state.last.clone(),
        job: made.job.as_ref().map(ToString::to_string),
        clones,
        reason: made.clones.as_ref().err().cloned(),
    }
}

/// All of it.
pub fn document(schedules: Vec<Row>) -> String {
    let document = Document { schema: SCHEMA, counterpart: env!("CARGO_PKG_VERSION"), schedules };
    // Plain data with text keys: this cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
