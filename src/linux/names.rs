//! File names for dumps: only letters, digits, '-', '_' and '.', and all distinct.

/// The longest part of a name taken from elsewhere, in bytes.
const LONGEST: usize = 100;

/// Replaces every other character with '_' and truncates the result if it is too long.
#[must_use]
pub fn sanitised(text: &str) -> String {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    text.chars().take(LONGEST).map(|letter| if is_fine(letter) { letter } else { '_' }).collect()
}

/// Makes names unique: duplicates get what distinguishes them appended, or else a number.
#[must_use]
pub fn told_apart(wanted: &[(String, String)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(wanted.len());
    for (name, apart) in wanted {
        let is_alone = wanted.iter().filter(|(other, _)| other == name).count() == 1;
        let longer = if is_alone { name.clone() } else { format!("{name}-{apart}") };
        let mut choice = longer.clone();
        let mut number = 2;
        while names.contains(&choice) {
            choice = format!("{longer}-{number}");
            number += 1;
        }
        names.push(choice);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{sanitised, told_apart};

    #[test]
    fn no_name_leads_elsewhere() {
        assert_eq!(sanitised("../a b/\n'ü"), ".._a_b____");
        assert_eq!(sanitised(&"x".repeat(300)).len(), 100);
    }

    #[test]
    fn no_two_names_are_the_same() {
        let of = |pairs: &[(&str, &str)]| {
            told_apart(&pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(of(&[("15-main", "5432"), ("13-main", "5433")]), ["15-main", "13-main"]);
        assert_eq!(of(&[("a", "1"), ("a", "2"), ("a", "2")]), ["a-1", "a-2", "a-2-2"]);
    }
}
