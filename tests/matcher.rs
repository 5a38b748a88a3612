//! What we take to be left out of a clone is what the real rsync leaves out: random patterns on random trees.
//!
//! `COUNTERPART_SEED` repeats one tree with its patterns; `COUNTERPART_ROUNDS` tries up to that many trees.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use counterpart::marker::Prefix;
use counterpart::rsync::filter::matcher::{LeftOut, Place};
use counterpart::rsync::filter::rules::{self, Rules};

use crate::support::dice::Dice;
use crate::support::other_rsyncs::fetched;

/// How many trees are tried.
const ROUNDS: u64 = 40;

/// How many lists of patterns are tried on each.
const LISTS: u64 = 20;

/// The bytes of names and of what patterns are made of besides wildcards.
const BYTES: &[u8] = b"aab.-[]!\\ *?^:";

/// What patterns are made of.
const PIECES: [&[u8]; 27] = [
    b"a",
    b"b",
    b"ab",
    b".",
    b"-",
    b"*",
    b"*",
    b"**",
    b"***",
    b"?",
    b"/",
    b"/",
    b"/",
    b"[ab]",
    b"[!a]",
    b"[^b.]",
    b"[a-c]",
    b"[]a]",
    b"[",
    b"[[:alpha:]]",
    b"[[:punct:]-]",
    b"[[:bad:]]",
    b"\\a",
    b"\\*",
    b"\\",
    b"[\\]a]",
    b"[[:a]",
];

fn name(dice: &mut Dice) -> Vec<u8> {
    (0..=dice.below(3)).map(|_| BYTES[dice.below(BYTES.len())]).collect()
}

/// Makes a small tree and returns its entries, each with a slash at its end if it is a directory.
fn tree(root: &Path, dice: &mut Dice) -> BTreeSet<Vec<u8>> {
    let mut directories = vec![Vec::new()];
    let mut entries = BTreeSet::new();
    for _ in 0..60 {
        let mut path: Vec<u8> = directories[dice.below(directories.len())].clone();
        let name = name(dice);
        if name == b"." || name == b".." || path.len() > 40 {
            continue;
        }
        path.extend_from_slice(&name);
        let place = root.join(std::ffi::OsStr::from_bytes(&path));
        if place.symlink_metadata().is_ok() {
            continue;
        }
        if dice.below(2) == 0 {
            fs::create_dir(&place).unwrap();
            path.push(b'/');
            directories.push(path.clone());
        } else {
            fs::write(&place, "").unwrap();
        }
        entries.insert(path);
    }
    entries
}

/// A pattern that nearly is an entry: the end of its path, some of its bytes as wildcards, and something behind it.
fn near(entry: &[u8], dice: &mut Dice) -> Vec<u8> {
    let path = entry.strip_suffix(b"/").unwrap_or(entry);
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let first = dice.below(parts.len());
    let mut pattern =
        if first == 0 { dice.one_of(&[&b""[..], b"/", b"**/", b"**"]).to_vec() } else { Vec::new() };
    for (index, part) in parts[first..].iter().enumerate() {
        if index > 0 {
            pattern.push(b'/');
        }
        if dice.once_in(6) {
            pattern.extend_from_slice(dice.one_of(&[&b"*"[..], b"**", b"***"]));
            continue;
        }
        for &byte in *part {
            match dice.below(12) {
                0 => pattern.push(b'?'),
                1 => pattern.push(b'*'),
                2 => pattern.extend_from_slice(b"**"),
                3 => pattern.extend_from_slice(&[b'[', b'z', byte, b']']),
                4 => pattern.extend_from_slice(&[
                    b'[',
                    byte.saturating_sub(1),
                    b'-',
                    byte.saturating_add(1),
                    b']',
                ]),
                5 => pattern.extend_from_slice(b"[!z]"),
                6 => pattern.extend_from_slice(&[b'[', b'^', byte, b']']),
                7 => pattern.extend_from_slice(&[b'\\', byte]),
                8 => pattern.extend_from_slice(dice.one_of(&[
                    &b"[[:alnum:]]"[..],
                    b"[[:punct:]]",
                    b"[[:print:]x]",
                ])),
                _ => pattern.push(byte),
            }
        }
    }
    pattern.extend_from_slice(dice.one_of(&[&b""[..], b"", b"", b"/", b"/***", b"/**", b"/*"]));
    pattern
}

/// Pieces in any order, parts of what is there among them.
fn any(entries: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut pattern = dice.one_of(&[&b""[..], b"/"]).to_vec();
    for _ in 0..=dice.below(5) {
        if dice.once_in(4) && !entries.is_empty() {
            let entry = &entries[dice.below(entries.len())];
            let start = if dice.once_in(2) { 0 } else { dice.below(entry.len()) };
            pattern.extend_from_slice(&entry[start..start + 1 + dice.below(entry.len() - start)]);
        } else {
            pattern.extend_from_slice(PIECES[dice.below(PIECES.len())]);
        }
    }
    pattern
}

fn patterns(entries: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..=dice.below(4) {
        file.extend_from_slice(dice.one_of(&[&b""[..], b"", b"", b"+ ", b"- ", b"# "]));
        if entries.is_empty() || dice.once_in(3) {
            file.extend_from_slice(&any(entries, dice));
        } else {
            file.extend_from_slice(&near(&entries[dice.below(entries.len())], dice));
        }
        file.extend_from_slice(dice.one_of(&[&b"\n"[..], b"\n", b"/\n", b"\r\n"]));
    }
    file
}

/// What rsync would copy, a slash behind each directory.
fn listed(rsync: &Path, root: &Path, patterns: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut child = Command::new(rsync)
        .args([
            "-r",
            "--dry-run",
            "--out-format=%n",
            "--8-bit-output",
            "--exclude-from=-",
            "--",
            "source/",
            "none/",
        ])
        .current_dir(root)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(patterns).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{} ended with {}", rsync.display(), output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && *line != b"./");
    lines.filter(|line| !line.starts_with(b"created ")).map(unescaped).collect()
}

/// rsync shows a backslash before `#` and three digits as `\#134`.
fn unescaped(line: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        if let [b'\\', b'#', a, b, c, after @ ..] = rest {
            let digit = |byte: &u8| u32::from(byte - b'0');
            found.push(u8::try_from(digit(a) * 64 + digit(b) * 8 + digit(c)).unwrap());
            rest = after;
        } else {
            found.push(byte);
            rest = after;
        }
    }
    found
}

/// What we take to be copied.
fn kept(left_out: &LeftOut, entries: &BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let is_kept = |entry: &&Vec<u8>| {
        let parts: Vec<&[u8]> = entry.split_inclusive(|byte| *byte == b'/').collect();
        let mut place: Place = left_out.top();
        parts.iter().all(|part| {
            let (name, is_dir) = part.strip_suffix(b"/").map_or((*part, false), |name| (name, true));
            let is_kept = !left_out.has(&place, name, is_dir);
            place = place.below(name);
            is_kept
        })
    };
    entries.iter().filter(is_kept).cloned().collect()
}

fn shown(names: &BTreeSet<Vec<u8>>) -> Vec<String> {
    names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn patterns_match_what_the_real_rsync_matches() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rsyncs = fetched();
    let (first, rounds) = match number("COUNTERPART_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("COUNTERPART_ROUNDS").unwrap_or(ROUNDS)),
    };
    let (mut lists, mut pairs, mut telling) = (0, 0, 0);
    for seed in first..first + rounds {
        let dice = &mut Dice::new(seed + 1);
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("source")).unwrap();
        let entries = tree(&root.path().join("source"), dice);
        let known: Vec<Vec<u8>> = entries.iter().cloned().collect();
        for list in 0..LISTS {
            let file = patterns(&known, dice);
            let Some(left_out) = left_out(&file) else { continue };
            let (version, rsync) = &rsyncs[usize::try_from(list).unwrap() % rsyncs.len()];
            let (ours, theirs) = (kept(&left_out, &entries), listed(rsync, root.path(), &file));
            assert_eq!(
                shown(&ours),
                shown(&theirs),
                "COUNTERPART_SEED={seed}, rsync {version}, patterns:\n{}",
                String::from_utf8_lossy(&file)
            );
            lists += 1;
            telling += usize::from(!theirs.is_empty() && theirs.len() < entries.len());
            pairs += entries.len();
        }
    }
    // Lists that leave out all or nothing show little.
    assert!(telling * 4 > lists, "{telling} of {lists}");
    eprintln!("{lists} lists of patterns, {telling} of them leave out a part; {pairs} entries compared");
}

/// What these patterns leave out; `None` where rsync refuses them or they clear what is before them.
fn left_out(file: &[u8]) -> Option<LeftOut> {
    if rules::lines(file).any(|line| matches!(line, b"!" | b"+ " | b"- ")) {
        return None;
    }
    let rules = Rules { users: Some(file.to_vec()), ..Rules::default() };
    let left_out = LeftOut::of(&rules, &"no.such".parse::<Prefix>().unwrap(), None);
    assert!(left_out.is_exact());
    Some(left_out)
}
