//! Tells the program what it is built from: the commit, where it is known, and the target.
//!
//! Nothing is asked of git, so that a source tree without it builds the same program.

use std::{env, fs};

/// The digits of the commit that are shown.
const SHOWN: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=packaging/commit");
    println!("cargo::rerun-if-env-changed=COUNTERPART_COMMIT");
    // `git archive` puts the commit into the file; in a working tree it holds the placeholder.
    let commit = env::var("COUNTERPART_COMMIT").or_else(|_| fs::read_to_string("packaging/commit"));
    let commit = commit.unwrap_or_default();
    let digits: String = commit.chars().take_while(char::is_ascii_hexdigit).take(SHOWN).collect();
    let target = env::var("TARGET").unwrap_or_default();
    let build = if digits.len() == SHOWN { format!("{digits} {target}") } else { target };
    println!("cargo::rustc-env=COUNTERPART_BUILD={build}");
}
