//! Converts text to roff: the sections below a command's help, and documents in the Markdown subset that ours use.

use std::fmt::Write as _;

/// The first lines of a page.
pub fn title(name: &str, section: &str, source: &str) -> String {
    // Defines the quote that clap_mangen writes as `\*(Aq`.
    format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH {} {section} \"\" \"{}\" Counterpart\n",
        text(name),
        text(source)
    )
}

/// Escapes plain text for roff.
pub fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-").replace('\u{2013}', "\\(en");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// A line with `code`, **bold** and [links](elsewhere), of which only the text is kept.
pub fn inline(line: &str) -> String {
    let mut roff = String::new();
    for (at, part) in line.split('`').enumerate() {
        if at % 2 == 1 {
            let _ = write!(roff, "\\fB{}\\fR", text(part));
        } else {
            for (at, part) in unlinked(part).split("**").enumerate() {
                let escaped =
                    if roff.is_empty() { text(part) } else { text(&format!("x{part}"))[1..].to_owned() };
                let (before, after) = if at % 2 == 1 { ("\\fB", "\\fR") } else { ("", "") };
                roff = roff + before + &escaped + after;
            }
        }
    }
    roff
}

fn unlinked(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, link)) = rest.split_once('[') {
        let words_and_after =
            link.split_once("](").and_then(|(words, after)| Some((words, after.split_once(')')?.1)));
        if let Some((words, after)) = words_and_after {
            plain = plain + before + words;
            rest = after;
        } else {
            plain = plain + before + "[";
            rest = link;
        }
    }
    plain + rest
}

/// The sections of a help text. `Title:` starts a section; two spaces start an entry, and two more separate it from its
/// description; further lines are indented more; anything else is a paragraph.
pub fn sections(help: &str) -> String {
    let mut roff = String::new();
    for line in help.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim();
        match indent {
            _ if words.is_empty() => roff += ".PP\n",
            0 if words == "Exit codes:" => roff += ".SH EXIT STATUS\n",
            0 if words.ends_with(':') && words.starts_with(char::is_uppercase) => {
                let title = words.trim_end_matches(':').to_uppercase();
                let _ = writeln!(roff, ".SH {}", text(&title));
            }
            2 => {
                let (term, meaning) = words.split_once("  ").unwrap_or((words, ""));
                let _ = writeln!(roff, ".TP\n\\fB{}\\fR", text(term));
                if !meaning.is_empty() {
                    let _ = writeln!(roff, "{}", inline(meaning.trim()));
                }
            }
            _ => {
                let _ = writeln!(roff, "{}", inline(words));
            }
        }
    }
    // Remove an empty paragraph at the end of a section.
    let tidy = roff.replace(".PP\n.SH", ".SH");
    tidy.strip_suffix(".PP\n").unwrap_or(&tidy).to_owned()
}

/// A document: its title becomes the name of the page, and its first paragraph the description.
pub fn document(markdown: &str, name: &str) -> String {
    let mut roff = String::new();
    let mut lines = markdown.lines().peekable();
    let mut is_new = false;
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("# ") {
            let _ = writeln!(roff, ".SH NAME\n{} \\- {}\n.SH DESCRIPTION", text(name), inline(heading));
        } else if let Some(heading) = line.strip_prefix("### ") {
            let _ = writeln!(roff, ".SS {}", inline(heading));
        } else if let Some(heading) = line.strip_prefix("## ") {
            let _ = writeln!(roff, ".SH {}", inline(&heading.to_uppercase()));
        } else if line.starts_with("    ") {
            roff += ".PP\n.RS 4\n.nf\n";
            let mut code = Some(line);
            while let Some(line) = code {
                let _ = writeln!(roff, "{}", text(line.strip_prefix("    ").unwrap_or(line)));
                code = lines.next_if(|next| next.starts_with("    "));
            }
            roff += ".fi\n.RE\n";
        } else if line.starts_with('|') {
            let headings = cells(line);
            for row in std::iter::from_fn(|| lines.next_if(|next| next.starts_with('|'))).skip(1) {
                roff += &entry(&headings, &cells(row));
            }
        } else if let Some(item) = line.strip_prefix("- ") {
            let _ = writeln!(roff, ".IP \\(bu 2\n{}", inline(item));
        } else if line.is_empty() {
            is_new = true;
            continue;
        } else {
            let follows = is_new && !roff.lines().last().is_some_and(|last| last.starts_with(".S"));
            let _ = writeln!(roff, "{}{}", if follows { ".PP\n" } else { "" }, inline(line.trim_start()));
        }
        is_new = false;
    }
    roff
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// A table row: the first cell, then the others. A single further column is printed plain; several get their headings.
fn entry(headings: &[&str], cells: &[&str]) -> String {
    let (first, others) = cells.split_first().map_or(("", cells), |(first, others)| (*first, others));
    let said: Vec<String> = if let [only] = others {
        vec![(*only).to_owned()]
    } else {
        let named = headings.iter().skip(1).zip(others);
        named.map(|(heading, cell)| format!("{}: {cell}", heading.to_lowercase())).collect()
    };
    format!(".TP\n{}\n{}\n", inline(first), inline(&said.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::{document, inline, sections, text};

    #[test]
    fn nothing_in_a_text_is_taken_for_roff() {
        assert_eq!(text(".completed"), "\\&.completed");
        assert_eq!(text("'a' \\ 3\u{2013}5"), "\\&'a' \\e 3\\(en5");
        assert_eq!(inline("`.stats` and `-s`"), "\\fB\\&.stats\\fR and \\fB\\-s\\fR");
        assert_eq!(inline("see [the log](#the-log). [x"), "see the log. [x");
        assert_eq!(inline("**a** b"), "\\fBa\\fR b");
    }

    #[test]
    fn help_becomes_sections() {
        let help =
            "Exit codes:\n  0   fine\n  1   not\n      at all\n\nExamples:\n  counterpart -t\n      Test";
        let expected = ".SH EXIT STATUS\n.TP\n\\fB0\\fR\nfine\n.TP\n\\fB1\\fR\nnot\nat all\n\
                        .SH EXAMPLES\n.TP\n\\fBcounterpart \\-t\\fR\nTest\n";
        assert_eq!(sections(help), expected);
    }

    #[test]
    fn a_document_becomes_a_page() {
        let markdown = "# what is there\n\nOne.\n\nTwo\nlines.\n\n## Part\n\n| A | B |\n|---|---|\n| `a` | b |\n\n    \
                        x\n    y\n";
        let expected = ".SH NAME\nn \\- what is there\n.SH DESCRIPTION\nOne.\n.PP\nTwo\nlines.\n.SH PART\n\
                        .TP\n\\fBa\\fR\nb\n.PP\n.RS 4\n.nf\nx\ny\n.fi\n.RE\n";
        assert_eq!(document(markdown, "n"), expected);
        assert_eq!(document("| A | B | C |\n|---|---|---|\n| a | b | c |\n", "n"), ".TP\na\nb: b; c: c\n");
    }
}
