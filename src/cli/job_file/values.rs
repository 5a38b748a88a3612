//! A value of a job file, as the word that could have been typed.

use std::ffi::{OsStr, OsString};

use toml::de::DeValue;

use crate::cli::job_file::keys::{Key, Kind};
use crate::plan::tag::Tag;

/// The words of an entry; none for an option that is left out. Errors with a sentence.
pub fn word(key: Option<&Key>, name: &str, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let key = key.ok_or_else(|| format!("there is no option {name}"))?;
    match value {
        DeValue::Boolean(is_on) if key.is_yes_or_no() => {
            Ok(vec![word_of(name, if *is_on { "yes" } else { "no" })])
        }
        // Whatever it takes: a section takes back what the top of the file says.
        DeValue::Boolean(false) => Ok(Vec::new()),
        DeValue::Boolean(true) if key.kind == Kind::Switch || key.may_lack_value => {
            Ok(vec![format!("--{name}").into()])
        }
        DeValue::Array(values) if key.is_list => {
            let texts = values.iter().map(|value| text(key, value.get_ref()));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            Ok(match key.separator {
                Some(separator) => vec![word_of(name, &texts.join(&separator.to_string()))],
                None => texts.iter().map(|text| word_of(name, text)).collect(),
            })
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Ok(vec![word_of(name, &text(key, value)?)]),
    }
}

fn word_of(name: &str, text: &str) -> OsString {
    format!("--{name}={text}").into()
}

fn text(key: &Key, value: &DeValue<'_>) -> Result<String, String> {
    let Key { name, kind, .. } = key;
    let wanted = match kind {
        Kind::Switch => "true or false",
        Kind::Number if key.may_lack_value => "a whole number, true or false",
        Kind::Number => "a whole number",
        Kind::Text => "a text in quotes",
        Kind::Path => "a path in quotes",
        Kind::Destination => "a path or a tag in quotes",
    };
    let text = match value {
        DeValue::String(text) if !matches!(kind, Kind::Switch | Kind::Number) => text.to_string(),
        DeValue::Integer(number) if matches!(kind, Kind::Number | Kind::Text) && number.radix() == 10 => {
            number.as_str().to_owned()
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(format!("{name} takes {wanted}, not {}", what(value))),
    };
    if text.chars().any(char::is_control) {
        return Err(format!("{name} holds a control character"));
    }
    let is_whole = match kind {
        Kind::Path => text.starts_with('/'),
        Kind::Destination => text.starts_with('/') || Tag::read(OsStr::new(&text)).is_some(),
        Kind::Switch | Kind::Number | Kind::Text => true,
    };
    if is_whole {
        Ok(text)
    } else {
        Err(format!("{name} must be an absolute path: a job starts in another directory"))
    }
}

fn what(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
