//! A random file of exclusions, and what the real rsync leaves out because of it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use counterpart::display::unescape;

use crate::support::dice::Dice;

/// Patterns that match what a random tree has, and what they leave of it.
const PATTERNS: [&str; 14] = [
    "/a",
    "b/",
    "c",
    "*[3]",
    "/still */7/",
    "d/**",
    "+ /still */7/2/",
    "- *_*",
    "-?",
    "e/*/",
    "[!a-z]",
    "*.7/*",
    "f*",
    "g/a",
];

/// A file of exclusions for the whole run.
#[derive(Debug)]
pub struct Exclusions {
    file: PathBuf,
}

impl Exclusions {
    /// Draws up to three patterns.
    pub fn draw(dice: &mut Dice, file: PathBuf) -> Self {
        let patterns: Vec<&str> = (0..=dice.below(3)).map(|_| dice.one_of(&PATTERNS)).collect();
        println!("exclusions: {patterns:?}");
        fs::write(&file, patterns.join("\n") + "\n").unwrap();
        Self { file }
    }

    /// The options of a clone.
    pub fn options(&self) -> [&str; 2] {
        ["-e", self.file.to_str().unwrap()]
    }

    /// The paths of a source that are left out; what is below them is not listed.
    pub fn left_out(&self, source: &Path) -> Vec<PathBuf> {
        let nowhere = tempfile::tempdir().unwrap();
        let mut command = Command::new("rsync");
        command.args(["-an", "-8", "--out-format=%n"]);
        command.arg(format!("--exclude-from={}", self.file.display()));
        command.arg(source.join("")).arg(nowhere.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let kept: HashSet<Vec<u8>> =
            lines.map(|line| unescape(line.strip_suffix(b"/").unwrap_or(line))).collect();
        let mut left_out = Vec::new();
        collect(source, Path::new(""), &kept, &mut left_out);
        left_out
    }
}

/// Adds what is not among the kept, from the top.
fn collect(root: &Path, below: &Path, kept: &HashSet<Vec<u8>>, left_out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if !kept.contains(path.as_os_str().as_bytes()) {
            left_out.push(path);
        } else if entry.file_type().unwrap().is_dir() {
            collect(root, &path, kept, left_out);
        }
    }
}

/// Whether a clone has none of these.
pub fn assert_none_of(clone: &Path, left_out: &[PathBuf], moment: &str) {
    for path in left_out {
        let is_our_own = path == OsStr::new("lost+found");
        assert!(
            is_our_own || fs::symlink_metadata(clone.join(path)).is_err(),
            "{moment}: {} was cloned",
            path.display()
        );
    }
}
