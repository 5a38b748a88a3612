//! Every option of a clone is a key of a job file, and of the schema for editors.

use std::fs;
use std::process::Command;

use serde_json::{Map, Value};

use crate::jobs::scene::{ENDS, Scene};
use crate::support::sandbox::PRODUCT;

/// The long options in the help of a clone, each with whether it takes a value.
fn options() -> Vec<(String, bool)> {
    let output = Command::new(PRODUCT).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help.split_once("\nOptions:\n").unwrap().1.split("\nExit codes:").next().unwrap().lines();
    let option = |line: &str| {
        let line = line.trim_start().strip_prefix('-')?;
        let long = line.split_once("--").map(|(_, long)| long).or_else(|| line.strip_prefix('-'))?;
        let end = long.find([' ', '[', '=']).unwrap_or(long.len());
        Some((long[..end].to_owned(), long[end..].contains('<')))
    };
    let all: Vec<_> = lines.filter_map(option).collect();
    assert!(all.len() > 30, "{all:?}");
    all
}

fn schema() -> Value {
    let output = Command::new(PRODUCT).args(["generate", "job-schema"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A value that the schema allows for this key.
fn value(key: &str, schema: &Value) -> String {
    match key {
        "bwlimit" => return "\"20M\"".to_owned(),
        "filesystems" => return "\"none\"".to_owned(),
        "metrics-file" => return "\"/x.prom\"".to_owned(),
        "ping" => return "\"https://example.org/x\"".to_owned(),
        "retry-wait" | "stall-timeout" => return "\"90s\"".to_owned(),
        "organisation-prefix" => return "\"org.example\"".to_owned(),
        _ => {}
    }
    let first = schema["anyOf"].get(0).unwrap_or(schema);
    if let Some(choice) = first["enum"].get(0) {
        return choice.to_string();
    }
    let text = match first["type"].as_str() {
        Some("boolean") => "true",
        Some("integer") => "3",
        Some(_) if first["pattern"] == "^/" => "\"/x\"",
        Some(_) | None => "\"5%\"",
    };
    text.to_owned()
}

#[test]
fn every_option_of_a_clone_is_accepted() {
    let schema = schema();
    let top: &Map<String, Value> = schema["properties"].as_object().unwrap();
    let scene = Scene::new();
    let mut seen = 0;
    for (option, takes_value) in options() {
        if ["help", "version", "json", "backup-password"].contains(&option.as_str()) {
            assert!(!top.contains_key(&option), "{option}");
            continue;
        }
        let property = top.get(&option).unwrap_or_else(|| panic!("{option} is not in the schema"));
        assert_eq!(property["type"] != "boolean", takes_value, "{option}: {property}");
        seen += 1;
        if ["source", "destination"].contains(&option.as_str()) {
            continue;
        }
        scene.job("clone", &format!("{ENDS}{option} = {}\n", value(&option, property)));
        // The doctor of a monitored clone reads the file and changes nothing.
        let finished = scene.sandbox.run(["check", "--job", "clone"]);
        assert!(!finished.out.contains("clone.toml"), "{option}: {finished}");
    }
    assert_eq!(top.len(), seen + 1, "the schema has a key that is no option");
    assert!(top.contains_key("destinations"));
}

const VALIDATE: &str = "
import json, sys, tomllib
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
errors = list(Draft202012Validator(schema).iter_errors(tomllib.load(open(sys.argv[2], 'rb'))))
sys.exit(1 if errors else 0)
";

#[test]
fn the_schema_and_the_program_agree() {
    let scene = Scene::new();
    let file = scene.sandbox.path().join("schema.json");
    fs::write(&file, schema().to_string()).unwrap();
    let section = "source = \"SOURCE\"\n[destinations.a]\ndestination = \"LABEL=x\"\n";
    for (text, is_right) in [
        (ENDS.to_owned(), true),
        (format!("{ENDS}safety-net = true\nkeep-logs = 0\nmax-delete = 500\nexclude-from = false\n"), true),
        (format!("{section}rotation = \"usb\"\nfull = true\n"), true),
        (format!("{section}rotation = \"u/s\"\n"), false),
        (format!("{ENDS}rotation = \"usb\"\n"), false),
        (format!("{ENDS}no-such = true\n"), false),
        (format!("{section}no-such = true\n"), false),
        (format!("{ENDS}keep-logs = \"7\"\n"), false),
        (format!("{ENDS}full = 1\n"), false),
        (format!("{ENDS}exclude-from = \"x\"\n"), false),
        (format!("{ENDS}[destinations.a]\ndestination = \"/x\"\n"), false),
        ("source = \"SOURCE\"\n".to_owned(), false),
        ("source = \"SOURCE\"\n[destinations]\n".to_owned(), false),
        ("source = \"SOURCE\"\n[destinations.a]\nfull = true\n".to_owned(), false),
    ] {
        scene.job("clone", &text);
        let mut command = Command::new("python3");
        let output = command.args(["-c", VALIDATE]).arg(&file).arg(scene.file("clone")).output().unwrap();
        assert_eq!(output.status.success(), is_right, "{text}: {output:?}");
        let finished = scene.sandbox.run(["check", "--job", "clone"]);
        assert_eq!(!finished.out.contains("clone.toml"), is_right, "{text}: {finished}");
    }
}
