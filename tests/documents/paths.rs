//! Everything the documents name exists: files of the project, links between documents, linked headings.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::documents::{DOCUMENTS, block, files_below, read, root, section};

/// The directories of the project that a path in a document can begin with.
const DIRS: [&str; 6] = ["examples/", "tests/", "src/", "benches/", "docs/", "packaging/"];

#[test]
fn every_named_file_of_the_project_exists() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_./-".contains(c)));
        let named = words.filter(|word| DIRS.iter().any(|dir| word.starts_with(dir)));
        for path in named.map(|word| word.trim_end_matches('.')) {
            // A name in capitals stands for one that is yet to be chosen.
            let is_open = path.contains("NAME");
            assert!(is_open || root().join(path).exists(), "{document}: {path}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn no_document_is_forgotten() {
    for file in files_below("docs").iter().filter(|file| file.extension().is_some_and(|end| end == "md")) {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        assert!(DOCUMENTS.contains(&name), "{name} is tested by nothing");
    }
}

/// The targets of the links in a document.
fn links(document: &str) -> Vec<String> {
    let text = read(document);
    text.split("](").skip(1).map(|after| after.split(')').next().unwrap().to_owned()).collect()
}

/// The document that a link leads to, by its path below the project.
fn target(document: &str, file: &str) -> String {
    let mut path: Vec<&str> = document.split('/').collect();
    path.pop();
    for part in file.split('/') {
        if part == ".." {
            assert!(path.pop().is_some(), "{document}: {file}");
        } else {
            path.push(part);
        }
    }
    path.join("/")
}

/// The name by which a heading is linked to: small letters, blanks as hyphens, no punctuation.
fn anchors(document: &str) -> Vec<String> {
    let headings = read(document);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for document in DOCUMENTS {
        for link in links(document).iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, to)| (file, Some(to)));
            let file = if file.is_empty() { document.to_owned() } else { target(document, file) };
            assert!(root().join(&file).exists(), "{document}: {link}");
            if let Some(anchor) = anchor {
                assert!(anchors(&file).contains(&anchor.to_owned()), "{document}: {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_contents_of_the_guide_list_every_chapter() {
    let guide = read("docs/guide.md");
    let listed: Vec<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("- [")?.strip_suffix(')')?.split_once("](#"))
        .map(|(title, _)| title)
        .collect();
    let chapters: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(listed, chapters);
}

#[test]
fn the_two_commands_can_be_executed() {
    let commands = section("README.md", "## For developers: two commands");
    let commands = [block(&commands, ""), block(&commands, "installs what is missing, builds")].concat();
    assert_eq!(commands, ["sudo examples/first-clone.sh", "sudo tests/run.sh"]);
    for command in commands {
        let path = root().join(command.strip_prefix("sudo ").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111, "{}", path.display());
    }
}

#[test]
fn no_line_ends_in_a_blank() {
    for document in DOCUMENTS {
        for line in read(document).lines() {
            assert_eq!(line, line.trim_end(), "{document}");
        }
    }
}

#[test]
fn every_chapter_that_a_message_names_exists() {
    let named = regex::Regex::new(r#"([A-Za-z/]+\.md), \\"([^"\\]+)\\""#).unwrap();
    let mut seen = 0;
    // A string may go on in the next line.
    let continued = regex::Regex::new("\\\\\n *").unwrap();
    for file in files_below("src") {
        let text = fs::read_to_string(file).unwrap();
        let text = continued.replace_all(&text, "");
        for found in named.captures_iter(&text) {
            let (document, chapter) = (&found[1], &found[2]);
            let is_heading =
                |line: &str| line.trim_start_matches('#').trim() == chapter && line.starts_with('#');
            assert!(read(document).lines().any(is_heading), "{document} has no chapter {chapter:?}");
            seen += 1;
        }
    }
    assert!(seen > 4, "{seen}");
}
