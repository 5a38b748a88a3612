//! The table for people: for each clone a row of figures, and below it what the row cannot hold.

use indicatif::HumanBytes;

use crate::display::words::{count, moment};
use crate::record::Moment;
use crate::status::entry::{Completed, Entry};

/// The width that lines are wrapped to; names are never broken.
const WIDTH: usize = 80;

/// What stands where nothing is known, or there is nothing.
const NONE: &str = "-";

const HEADING: [&str; 7] = ["STATE", "LAST SUCCESS", "AGE", "TOOK", "SIZE", "NEXT RUN", "PROVEN"];

/// All of it.
pub fn text(clones: &[Entry], notes: &[String], host: &str) -> String {
    if clones.is_empty() {
        let none = "This machine remembers no clone.\n".to_owned();
        return notes.iter().fold(none, |text, note| text + &wrapped(note, 0));
    }
    let rows: Vec<[String; 7]> = clones.iter().map(row).collect();
    let heading = HEADING.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADING.len()).map(width).collect();
    let indent = widths.first().copied().unwrap_or(0) + 2;
    let mut text = line(&heading, &widths);
    for (clone, row) in clones.iter().zip(&rows) {
        text += &line(row, &widths);
        text = text + &" ".repeat(indent) + &ends(clone, host) + "\n";
        for more in more(clone) {
            text += &wrapped(&more, indent);
        }
    }
    for note in notes {
        text += &wrapped(note, 0);
    }
    text
}

fn line(row: &[String; 7], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
}

fn row(clone: &Entry) -> [String; 7] {
    let success = clone.last_success.as_ref();
    let of = |show: &dyn Fn(&Completed) -> Option<String>| success.and_then(show).unwrap_or(NONE.to_owned());
    let proven = match &clone.proof {
        Some(proof) if !proof.booted => "failed".to_owned(),
        Some(_) | None => clone.proven.as_ref().map_or(NONE.to_owned(), day),
    };
    [
        clone.state.text().to_owned(),
        of(&|success| success.at.as_ref().map(minute)),
        of(&|success| Some(brief(success.age_seconds))),
        of(&|success| success.seconds.map(took)),
        of(&|success| success.size.map(|size| HumanBytes(size).to_string())),
        clone.next_run.as_ref().map_or(NONE.to_owned(), minute),
        proven,
    ]
}

/// `/ → /mnt/clone (org.example)`
fn ends(clone: &Entry, host: &str) -> String {
    let Some(source) = &clone.source else { return clone.name.clone() };
    match clone.source_host.as_deref().filter(|other| *other != host) {
        Some(other) => format!("{source} on {other} \u{2192} {}", clone.name),
        None => format!("{source} \u{2192} {}", clone.name),
    }
}

/// Sentences below the row.
fn more(clone: &Entry) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(failure) = &clone.failure {
        let code = failure.exit_code.map(|code| format!(" with {code}")).unwrap_or_default();
        let at = failure.at.as_ref().map(|at| format!(" on {}", minute(at))).unwrap_or_default();
        let reason = failure.reason.as_deref().unwrap_or("No reason is given.");
        lines.push(format!("Failed{code}{at}: {}", stopped(reason)));
        lines.extend(failure.log.as_ref().map(|log| format!("Log: {log}")));
    } else if let Some(success) = &clone.last_success {
        if !success.snapshots.is_empty() {
            lines.push(format!("Made from snapshots of {}.", success.snapshots.join(", ")));
        }
        if let Some(hashes) = &success.hashes {
            let place = if hashes.on_clone { "this machine and on the clone" } else { "this machine" };
            lines.push(format!("Hashes of {} of its files are kept on {place}.", count(hashes.entries)));
        }
        lines.extend(success.warnings.iter().map(|warning| format!("Warning: {}", stopped(warning))));
        if success.age_seconds < -crate::check::rules::AHEAD {
            lines.push("That time is in the future: a clock is or was wrong.".to_owned());
        }
    }
    if let Some(proof) = clone.proof.as_ref().filter(|proof| !proof.booted) {
        let reason = proof.reason.as_deref().unwrap_or("no reason is given");
        let at = Moment::at(proof.at.epoch).as_ref().map(|at| format!(" on {}", minute(at)));
        lines.push(format!("It did not boot{}: {}", at.unwrap_or_default(), stopped(reason)));
    }
    if let Some(read) = &clone.verification {
        lines.push(match (&read.damage_found, &read.oldest) {
            (Some(found), _) => {
                format!("Damage was found on {}: run counterpart verify --repair.", minute(found))
            }
            (None, Some(oldest)) => format!("Every part of it was read again since {}.", minute(oldest)),
            (None, None) => format!("Read again in part, the last time on {}.", minute(&read.at)),
        });
    }
    for schedule in clone.schedules.iter().filter(|schedule| schedule.loaded == Some(false)) {
        lines.push(format!("The schedule {} is not loaded by the system.", schedule.name));
    }
    lines.extend(clone.notes.iter().map(|note| stopped(&capital(note))));
    lines
}

/// `2026-11-22 01:14`: the form of every date here, without its seconds.
fn minute(at: &Moment) -> String {
    let text = moment(at.epoch);
    text.get(..16).unwrap_or(&text).to_owned()
}

fn day(at: &Moment) -> String {
    minute(at).split(' ').next().unwrap_or_default().to_owned()
}

#[allow(clippy::cast_possible_truncation, reason = "a cast from floating point saturates")]
fn took(seconds: f64) -> String {
    brief(seconds.round() as i64)
}

/// A duration in one unit: the largest of which there are at least two.
fn brief(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let (length, unit) = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min")]
        .into_iter()
        .find(|(length, _)| seconds >= 2 * length)
        .unwrap_or((1, "s"));
    format!("{} {unit}", seconds.max(0) / length)
}

fn stopped(sentence: &str) -> String {
    if sentence.ends_with(['.', '?', '!']) { sentence.to_owned() } else { format!("{sentence}.") }
}

fn capital(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A sentence in lines of that width, each with this indent; a longer word stands alone.
fn wrapped(sentence: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut text = String::new();
    let mut line = String::new();
    for word in sentence.split(' ') {
        let is_full = indent + line.chars().count() + 1 + word.chars().count() > WIDTH;
        if !line.is_empty() && is_full {
            text = text + &margin + &line + "\n";
            line.clear();
        } else if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    text + &margin + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::{brief, wrapped};

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, expected) in [
            (-7, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
            (90 * 86_400 + 5, "90 d"),
        ] {
            assert_eq!(brief(seconds), expected);
        }
    }

    #[test]
    fn lines_are_wrapped_and_words_are_not() {
        let long = "x".repeat(100);
        let text = wrapped(&format!("{} {long} a b", "word ".repeat(20).trim_end()), 4);
        assert!(
            text.lines().all(|line| line.starts_with("    ") && (line.len() <= 80 || line.trim() == long))
        );
        assert_eq!(text.lines().last(), Some("    a b"));
    }
}
