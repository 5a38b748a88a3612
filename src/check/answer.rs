//! The output for a monitoring system, by the monitoring-plugins guidelines: a status, a summary with performance data,
//! and further lines.

use std::fmt::Write as _;

use crate::check::limits::Limits;
use crate::check::status::{Figures, Finding, Status};
use crate::display;

/// The longest summary on the first line, in characters: a monitoring system may truncate the line, and the performance
/// data come after the summary. The full text then follows below.
const LONGEST: usize = 400;

/// The complete output for one or more clones, each with its name; the status is the worst of them.
#[must_use]
pub fn answer(finding: &[(String, Finding)], limits: Limits) -> (Status, String) {
    let status = finding.iter().fold(Status::Ok, |worst, (_, ending)| worst.worse(ending.status));
    let text = match finding {
        [(name, ending)] => {
            let lines = ending.details.iter().cloned();
            compose(status, &format!("{name}: {}", ending.sentence), &performance(finding, limits), lines)
        }
        _ => compose(status, &summary(status, finding), &performance(finding, limits), long_lines(finding)),
    };
    (status, text)
}

/// Output without performance data.
#[must_use]
pub fn plain(status: Status, sentence: &str) -> String {
    compose(status, sentence, "", std::iter::empty())
}

fn compose(status: Status, sentence: &str, performance: &str, lines: impl Iterator<Item = String>) -> String {
    let sentence = harmless(sentence);
    let mut first: String = sentence.chars().take(LONGEST).collect();
    let is_cut = first.len() < sentence.len();
    if is_cut {
        first.push('…');
    }
    let mut text = format!("CLONE {} - {first}", status.word());
    if !performance.is_empty() {
        text = text + " | " + performance;
    }
    text.push('\n');
    for line in is_cut.then_some(sentence).into_iter().chain(lines.map(|line| harmless(&line))) {
        text = text + &line + "\n";
    }
    text
}

/// Text from a file must not start another line or the performance data.
fn harmless(text: &str) -> String {
    display::line(text.as_bytes()).to_string().replace('|', "\\#174")
}

fn summary(status: Status, finding: &[(String, Finding)]) -> String {
    let of = |status: Status| finding.iter().filter(move |(_, ending)| ending.status == status).count();
    let counts: Vec<String> = [Status::Critical, Status::Warning, Status::Unknown, Status::Ok]
        .into_iter()
        .filter(|status| of(*status) > 0)
        .map(|status| format!("{} {}", of(status), status.word()))
        .collect();
    let mut text = format!("{} clones: {}", finding.len(), counts.join(", "));
    let worst = finding.iter().find(|(_, ending)| ending.status == status);
    if let Some((name, ending)) = worst.filter(|_| status != Status::Ok) {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {name}: {}", ending.sentence);
    }
    text
}

fn long_lines(finding: &[(String, Finding)]) -> impl Iterator<Item = String> {
    finding.iter().flat_map(|(name, ending)| {
        let first = format!("[{}] {name}: {}", ending.status.word(), ending.sentence);
        let details = ending.details.iter().map(|line| format!("    {line}"));
        std::iter::once(first).chain(details).collect::<Vec<_>>()
    })
}

fn performance(finding: &[(String, Finding)], limits: Limits) -> String {
    let mut stems: Vec<String> = Vec::new();
    let mut data = Vec::new();
    for (name, ending) in finding {
        let stem = if finding.len() > 1 { unique(label(name), &stems) + "_" } else { String::new() };
        data.extend(of_one(&ending.figures, &stem, limits));
        stems.push(stem);
    }
    data.join(" ")
}

/// `label=value[unit];warning;critical;minimum` for each known number.
fn of_one(figures: &Figures, stem: &str, limits: Limits) -> Vec<String> {
    let age = figures.age.map(|age| format!("age={age}s;{};{};0", limits.warning, limits.critical));
    let duration = figures.duration.map(|seconds| format!("duration={:.3}s;;;0", seconds.max(0.0)));
    let number =
        |label: &str, value: Option<u64>, unit: &str| value.map(|value| format!("{label}={value}{unit};;;0"));
    [
        age,
        duration,
        number("files", figures.files, ""),
        number("transferred", figures.transferred, ""),
        number("size", figures.size, "B"),
        number("transferred_size", figures.transferred_size, "B"),
        number("deleted", figures.deleted, ""),
    ]
    .into_iter()
    .flatten()
    .map(|datum| format!("{stem}{datum}"))
    .collect()
}

/// A name as a label that needs no quoting and has no special meaning to graphing tools.
fn label(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/.-_".contains(character);
    name.chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

fn unique(label: String, taken: &[String]) -> String {
    let is_free = |label: &String| !taken.contains(&format!("{label}_"));
    // One number more than there are other labels is enough.
    let numbered = (2..=taken.len() + 1).map(|number| format!("{label}_{number}"));
    std::iter::once(label.clone()).chain(numbered).find(is_free).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::{Figures, Finding, Status, answer, plain};
    use crate::check::limits::Limits;

    const LIMITS: Limits = Limits { warning: 93_600, critical: 180_000 };

    fn finding(status: Status, sentence: &str) -> Finding {
        let figures = Figures { age: Some(5), ..Figures::default() };
        Finding { status, sentence: sentence.to_owned(), details: vec!["Log: /l|og".to_owned()], figures }
    }

    #[test]
    fn the_performance_data_have_units_limits_and_minima() {
        let figures = Figures {
            age: Some(11_520),
            duration: Some(240.5),
            files: Some(133_002),
            transferred: Some(1204),
            size: Some(9),
            transferred_size: Some(8),
            deleted: Some(7),
        };
        let ending = Finding { figures, details: Vec::new(), ..finding(Status::Ok, "completed") };
        let (status, text) = answer(&[("/mnt/clone".to_owned(), ending)], LIMITS);
        assert_eq!(status, Status::Ok);
        assert_eq!(
            text,
            "CLONE OK - /mnt/clone: completed | age=11520s;93600;180000;0 duration=240.500s;;;0 \
             files=133002;;;0 transferred=1204;;;0 size=9B;;;0 transferred_size=8B;;;0 deleted=7;;;0\n"
        );
    }

    #[test]
    fn nothing_from_a_file_begins_performance_data_or_a_line() {
        let ending = finding(Status::Critical, "failed: a|b\nc\x1b");
        let (_, text) = answer(&[("/mnt/x|y=1;'".to_owned(), ending)], LIMITS);
        assert_eq!(
            text,
            "CLONE CRITICAL - /mnt/x\\#174y=1;': failed: a\\#174b\\#012c\\#033 | age=5s;93600;180000;0\n\
             Log: /l\\#174og\n"
        );
        assert_eq!(plain(Status::Unknown, "a|b"), "CLONE UNKNOWN - a\\#174b\n");
    }

    #[test]
    fn a_long_sentence_is_cut_on_the_first_line_and_whole_below() {
        let long = "ü".repeat(2000);
        let (_, text) = answer(&[("/d".to_owned(), finding(Status::Critical, &long))], LIMITS);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("… | age=5s;93600;180000;0") && lines[0].chars().count() < 500, "{text}");
        assert_eq!(lines[1], format!("/d: {long}"));
    }

    #[test]
    fn several_clones_have_a_line_and_labels_each_and_the_worst_decides() {
        let all = [
            ("/mnt/a b".to_owned(), finding(Status::Ok, "good")),
            ("/mnt/a=b".to_owned(), finding(Status::Unknown, "odd")),
            ("/mnt/c".to_owned(), finding(Status::Warning, "old")),
        ];
        let (status, text) = answer(&all, LIMITS);
        assert_eq!(status, Status::Warning);
        assert_eq!(
            text,
            "CLONE WARNING - 3 clones: 1 WARNING, 1 UNKNOWN, 1 OK; /mnt/c: old | \
             /mnt/a_b_age=5s;93600;180000;0 /mnt/a_b_2_age=5s;93600;180000;0 /mnt/c_age=5s;93600;180000;0\n\
             [OK] /mnt/a b: good\n    Log: /l\\#174og\n[UNKNOWN] /mnt/a=b: odd\n    Log: /l\\#174og\n\
             [WARNING] /mnt/c: old\n    Log: /l\\#174og\n"
        );
    }

    #[test]
    fn known_wrong_is_worse_than_unknown_and_unknown_worse_than_well() {
        let order = [Status::Ok, Status::Unknown, Status::Warning, Status::Critical];
        for (at, worse) in order.iter().enumerate() {
            for other in &order[..=at] {
                assert_eq!(worse.worse(*other), *worse);
                assert_eq!(other.worse(*worse), *worse);
            }
        }
        assert_eq!(order.map(Status::number), [0, 3, 1, 2]);
    }
}
