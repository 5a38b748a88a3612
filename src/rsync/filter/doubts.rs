//! What is probably wrong with an exclusion file: rsync accepts it, and the pattern matches nothing.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::rsync::filter::rules;

/// The most lines that are named for each kind of doubt.
const NAMED: usize = 5;

/// A sentence about each kind of doubt; `sources` are the paths of the source. It holds no text of the file, which may be
/// private.
#[must_use]
pub fn of(file: &[u8], sources: &[&Path]) -> Vec<String> {
    if file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") {
        return vec![
            "it is in UTF-16, so none of its patterns matches anything: save it as UTF-8".to_owned(),
        ];
    }
    let mut found = Vec::new();
    if file.starts_with(b"\xef\xbb\xbf") {
        found.push(
            "it begins with a byte order mark, which belongs to its first pattern: save it as UTF-8 without one"
                .to_owned(),
        );
    }
    let numbered = file.split(|byte| *byte == b'\n').zip(1..).flat_map(|(line, number)| {
        rules::lines(line).map(move |rule| (without_prefix(rule), number)).collect::<Vec<_>>()
    });
    let numbered: Vec<(&[u8], usize)> = numbered.collect();
    let lines_that = |doubtful: &dyn Fn(&[u8]) -> bool| {
        let doubtful = numbered.iter().filter(|(pattern, _)| doubtful(pattern)).map(|(_, number)| *number);
        named(&doubtful.collect::<Vec<_>>())
    };
    if let Some(lines) = lines_that(&|pattern| {
        let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        is_blank(pattern.first()) || is_blank(pattern.last())
    }) {
        found.push(format!("{lines}: the blanks around it belong to the pattern"));
    }
    let tops = sources.iter().map(|source| source.as_os_str().as_bytes()).filter(|top| *top != b"/");
    let tops: Vec<&[u8]> = tops.collect();
    if let Some(lines) = lines_that(&|pattern| {
        let is_below = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"/");
        tops.iter().any(|top| pattern.strip_prefix(*top).is_some_and(is_below))
    }) {
        found.push(format!(
            "{lines}: a pattern starts at the source's root, so leave out the source's own path"
        ));
    }
    found
}

fn without_prefix(rule: &[u8]) -> &[u8] {
    match rule {
        [b'+' | b'-', b' ', pattern @ ..] => pattern,
        _ => rule,
    }
}

/// `line 3` or `lines 3, 5 and 2 more`; `None` without any.
fn named(numbers: &[usize]) -> Option<String> {
    let shown: Vec<String> = numbers.iter().take(NAMED).map(ToString::to_string).collect();
    match numbers.len() {
        0 => None,
        1 => Some(format!("line {}", numbers[0])),
        count if count > NAMED => Some(format!("lines {} and {} more", shown.join(", "), count - NAMED)),
        _ => Some(format!("lines {}", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use std::path::Path;

    fn about(file: &[u8]) -> Vec<String> {
        of(file, &[Path::new("/srv/link"), Path::new("/srv/data")])
    }

    #[test]
    fn an_ordinary_file_raises_no_doubt() {
        for file in ["", "/a\r\n- /b c\n+ d\n# x \n ;\n", "/srv/database\n", "a b\n"] {
            let expected: &[&str] = if file.contains(" ;") {
                &["line 5: the blanks around it belong to the pattern"]
            } else {
                &[]
            };
            assert_eq!(about(file.as_bytes()), expected, "{file:?}");
        }
        assert!(of(b"/srv/data\n/\n", &[Path::new("/")]).is_empty());
    }

    #[test]
    fn what_matches_nothing_is_named_by_its_line() {
        assert_eq!(about(b"\xff\xfe/\0a\0\n\0").len(), 1);
        assert!(about(b"\xfe\xff\0/\0a\0\n")[0].contains("UTF-16"));
        assert!(about(b"\xef\xbb\xbf/a\n")[0].contains("byte order mark"));
        assert_eq!(
            about(b"a\n/b \n- /c\t\n+  d\n"),
            ["lines 2, 3, 4: the blanks around it belong to the pattern"]
        );
        assert_eq!(
            about(b"/srv/data\n/srv/link/x\n/srv/data2\n"),
            ["lines 1, 2: a pattern starts at the source's root, so leave out the source's own path"]
        );
        assert!(about(&b" \n".repeat(8))[0].starts_with("lines 1, 2, 3, 4, 5 and 3 more: "));
    }
}
