//! A job's file for the arguments of a clone: what was given, and every other option as a comment.

use std::fmt::Write as _;

use clap::{ArgMatches, Command};

use crate::cli::given::given;
use crate::cli::job_file::keys::{Key, Kind, in_order};
use crate::plan::schedule::Name;

/// How wide a comment may be.
const WIDTH: usize = 100;

/// The file. Errors with a sentence if an argument cannot stand in it.
pub fn of(name: &Name, definition: &Command, matches: &ArgMatches) -> Result<String, String> {
    let given = given(definition, matches)?;
    let values = |long: &str| given.iter().find(|given| given.long == long).map(|given| &given.values);
    if values("backup-password").is_some() {
        return Err("-b cannot stand in a file, where the password would be read. Store it with counterpart setpass and \
                    use -B"
            .to_owned());
    }
    if values("test-run").is_some() {
        return Err(format!("-t belongs to a single run: counterpart run {name} -t"));
    }
    let mut text = format!(
        "\
# The job {name}. Make its clone with: counterpart run {name}
# Each option of a clone has its long name here; counterpart(8) explains them all. A line that begins with # is a
# comment. Only root may write to this file; let only root read it if it holds the address of a ping, which is a secret.
"
    );
    for key in in_order(definition) {
        text += "\n";
        let more = key.more.as_deref().unwrap_or_default();
        for paragraph in [key.help.as_str(), more].into_iter().filter(|paragraph| !paragraph.is_empty()) {
            comment(&mut text, paragraph);
        }
        let entry = match values(&key.name) {
            Some(values) => entry(&key, values),
            None => format!("# {}", example(&key)),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{entry}");
    }
    text += SECTIONS;
    Ok(text)
}

/// What is said about several destinations.
const SECTIONS: &str = "
# Several destinations: take out the destination above, and give each a section. What a section says holds for it alone;
# false takes back what stands above. Of a rotation one disk has to be there; the others are skipped.
# [destinations.usb-a]
# destination = \"LABEL=usb-a\"
# rotation = \"usb\"
# [destinations.usb-b]
# destination = \"LABEL=usb-b\"
# rotation = \"usb\"
";

fn comment(text: &mut String, paragraph: &str) {
    let mut line = String::from("#");
    for word in paragraph.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            *text += &line;
            *text += "\n";
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    *text += &line;
    *text += "\n";
}

fn entry(key: &Key, values: &[String]) -> String {
    let one = |value: &String| match key.kind {
        Kind::Number => value.clone(),
        Kind::Switch | Kind::Text | Kind::Path | Kind::Destination => quoted(value),
    };
    let value = match values {
        [] => "true".to_owned(),
        [value] => one(value),
        values => format!("[{}]", values.iter().map(one).collect::<Vec<_>>().join(", ")),
    };
    format!("{} = {value}", key.name)
}

/// What could stand there.
fn example(key: &Key) -> String {
    let value = match (&key.default, key.kind) {
        (Some(default), Kind::Number) => default.clone(),
        (Some(default), _) => quoted(default),
        (None, Kind::Switch) => "true".to_owned(),
        (None, Kind::Number) => "30".to_owned(),
        (None, Kind::Text | Kind::Path | Kind::Destination) => "\"\u{2026}\"".to_owned(),
    };
    format!("{} = {value}", key.name)
}

/// A basic string; the text has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
