//! Disks that take turns: the one with the best clone answers for all.

use crate::check::status::Finding;

/// A result with its name.
type Named = (String, Finding);

/// The results, of which those of one rotation become one: its best, or of several the youngest.
pub fn best_of_rotations<'a>(found: impl Iterator<Item = (Option<&'a str>, Named)>) -> Vec<Named> {
    let mut all: Vec<(Option<&str>, Named, Vec<String>)> = Vec::new();
    for (rotation, named) in found {
        let same = all.iter_mut().find(|(other, ..)| rotation.is_some() && *other == rotation);
        match same {
            None => all.push((rotation, named, Vec::new())),
            Some((_, best, others)) => {
                let other = if is_better(&named.1, &best.1) { std::mem::replace(best, named) } else { named };
                others.push(other.0);
            }
        }
    }
    let with_note = |(rotation, (name, mut finding), others): (Option<&str>, Named, Vec<String>)| {
        if let Some(rotation) = rotation.filter(|_| !others.is_empty()) {
            finding
                .details
                .push(format!("It is the best of the rotation {rotation}, beside {}", others.join(", ")));
        }
        (name, finding)
    };
    all.into_iter().map(with_note).collect()
}

fn is_better(one: &Finding, other: &Finding) -> bool {
    let is_worse = one.status != other.status && one.status.worse(other.status) == one.status;
    let age = |finding: &Finding| finding.figures.age.unwrap_or(i64::MAX);
    one.status != other.status && !is_worse || one.status == other.status && age(one) < age(other)
}

#[cfg(test)]
mod tests {
    use super::best_of_rotations;
    use crate::check::status::{Figures, Finding, Status};

    #[test]
    fn the_best_answers_and_the_youngest_of_several() {
        let of = |rotation, name: &str, status, age| {
            let figures = Figures { age: Some(age), ..Figures::default() };
            let finding = Finding { status, sentence: String::new(), details: Vec::new(), figures };
            (rotation, (name.to_owned(), finding))
        };
        let found = [
            of(None, "alone", Status::Critical, 1),
            of(Some("usb"), "a", Status::Critical, 9),
            of(Some("usb"), "b", Status::Ok, 8),
            of(Some("usb"), "c", Status::Ok, 7),
            of(Some("usb"), "d", Status::Warning, 1),
            of(Some("other"), "e", Status::Unknown, 1),
            of(None, "alone too", Status::Ok, 1),
        ];
        let best = best_of_rotations(found.into_iter());
        let names: Vec<&str> = best.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["alone", "c", "e", "alone too"]);
        assert_eq!(best[1].1.details, ["It is the best of the rotation usb, beside a, b, d"]);
        assert!(best[2].1.details.is_empty());
    }
}
