//! The inputs kept from fuzzing, in `tests/fixtures/fuzz`, and mutations of them: no parser ever panics, and all
//! assertions of `tests/fuzz/parsers.rs` hold.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "fuzz/parsers.rs"]
mod parsers;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::support::dice::Dice;
use parsers::{PARSERS, Parser};

/// So many mutations are made of each file, unless `COUNTERPART_MUTATIONS` says otherwise.
const MUTATIONS: usize = 100;

/// What mutations are made with besides random bytes: words that some parser looks for.
const WORDS: [&[u8]; 12] = [
    b"\\#",
    b"\\#012",
    b"\n",
    b"\"",
    b": ",
    b"18446744073709551616",
    b"-1",
    b"+",
    b"0x",
    b"\xff",
    b"\0",
    b"(28)",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a directory, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn feed(name: &str, parser: Parser, data: &[u8], origin: &Path) {
    let fed = catch_unwind(|| parser(data));
    assert!(fed.is_ok(), "{name} panics at {} ({})", data.escape_ascii(), origin.display());
}

/// The data with some bytes changed, put in, left out or doubled.
fn mutated(data: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len() + 1);
        let end = at + dice.below((data.len() - at).min(16) + 1);
        match dice.below(5) {
            0 => drop(data.splice(at..end, dice.any().to_le_bytes())),
            1 => drop(data.splice(at..at, dice.one_of(&WORDS).iter().copied())),
            2 => drop(data.drain(at..end)),
            3 => drop(data.splice(at..at, data[at..end].to_vec())),
            _ => data.truncate(at),
        }
    }
    data
}

#[test]
fn no_parser_panics_at_what_the_fuzzer_found() {
    for (name, parser) in PARSERS {
        let corpus = files(&root().join("tests/fixtures/fuzz").join(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        parser(b"");
        for file in corpus {
            feed(name, parser, &fs::read(&file).unwrap(), &file);
        }
    }
}

#[test]
fn no_parser_panics_at_mutations() {
    let count = std::env::var("COUNTERPART_MUTATIONS").map_or(MUTATIONS, |text| text.parse().unwrap());
    for (name, parser) in PARSERS {
        let mut dice = Dice::new(1);
        for file in files(&root().join("tests/fixtures/fuzz").join(name)) {
            let data = fs::read(&file).unwrap();
            for _ in 0..count {
                feed(name, parser, &mutated(&data, &mut dice), &file);
            }
        }
    }
}

#[test]
fn every_parser_has_a_fuzz_target_and_every_corpus_a_parser() {
    let names: Vec<&str> = PARSERS.iter().map(|(name, _)| *name).collect();
    let manifest = fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).unwrap();
    let listed: Vec<&str> = manifest
        .split("[[bin]]\n")
        .skip(1)
        .map(|part| part.lines().next().unwrap().trim_start_matches("name = ").trim_matches('"'))
        .collect();
    assert_eq!(listed, names);
    let stem = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    for dir in ["tests/fuzz/fuzz_targets", "tests/fixtures/fuzz"] {
        assert_eq!(files(&root().join(dir)).iter().map(stem).collect::<Vec<_>>(), names, "{dir}");
    }
    for name in names {
        let target = fs::read_to_string(root().join(format!("tests/fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("parsers::{name}(data)")), "{name}");
    }
}

#[test]
fn the_corpus_stays_small() {
    let size = |file: &PathBuf| fs::metadata(file).unwrap().len();
    let sizes: Vec<u64> = files(&root().join("tests/fixtures/fuzz"))
        .iter()
        .flat_map(|dir| files(dir))
        .map(|file| size(&file))
        .collect();
    assert!(sizes.iter().sum::<u64>() < 300 * 1024 && sizes.len() < 600, "{} files", sizes.len());
}
