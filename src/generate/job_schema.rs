//! The JSON Schema of job files, for editors.

use serde_json::{Map, Value, json};

use crate::cli;
use crate::cli::job_file::keys::{DESTINATIONS, Key, Kind, ROTATION, in_order};

/// What a name of a job, a section or a group looks like.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";

/// The schema.
pub fn schema() -> serde_json::Result<String> {
    let definition = cli::definition();
    let options: Map<String, Value> =
        in_order(&definition).map(|key| (key.name.clone(), property(&key))).collect();
    let mut section = options.clone();
    let group = "Of the destinations with the same name here, one has to be there; the others are skipped";
    section.insert(ROTATION.to_owned(), json!({ "description": group, "type": "string", "pattern": NAME }));
    let mut top = options;
    top.insert(
        DESTINATIONS.to_owned(),
        json!({
            "description": "Several destinations, each with options that hold for it alone",
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": {
                "type": "object",
                "properties": section,
                "required": ["destination"],
                "additionalProperties": false
            }
        }),
    );
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A job of Counterpart",
        "type": "object",
        "properties": top,
        "oneOf": [{ "required": ["source", "destination"] }, { "required": [DESTINATIONS] }],
        "additionalProperties": false
    });
    serde_json::to_string_pretty(&schema).map(|text| text + "\n")
}

fn property(key: &Key) -> Value {
    let value = match key.kind {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Text if !key.choices.is_empty() => json!({ "type": "string", "enum": key.choices }),
        Kind::Text => json!({ "type": ["string", "integer"] }),
        Kind::Path => json!({ "type": "string", "pattern": "^/" }),
        Kind::Destination => json!({ "type": "string", "pattern": "^(/|UUID=|LABEL=|PARTUUID=|PARTLABEL=)" }),
    };
    let mut ways = vec![value.clone()];
    if key.is_list {
        ways.push(json!({ "type": "array", "items": value }));
    }
    match (key.kind, key.may_lack_value) {
        (Kind::Switch, _) => {}
        (_, true) => ways.push(json!({ "type": "boolean" })),
        (_, false) => ways.push(json!({ "const": false })),
    }
    let help = match &key.more {
        Some(more) => format!("{}. {more}", key.help),
        None => key.help.clone(),
    };
    let mut property = match &ways[..] {
        [only] => only.clone(),
        _ => json!({ "anyOf": ways }),
    };
    property["description"] = help.into();
    if let Some(default) = &key.default {
        property["default"] = match (key.kind, default.parse::<u64>()) {
            (Kind::Number, Ok(number)) => number.into(),
            _ => default.clone().into(),
        };
    }
    property
}
