//! Runs the product with a wrong clock through libfaketime; the filesystems keep the right time.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::fs;

use super::sandbox::{Finished, Sandbox};

/// Clones with a clock that is off by this much: `+3650d` is ten years ahead.
pub fn clone_at(sandbox: &Sandbox, offset: &str, more: &[&str]) -> Finished {
    let libraries = fs::read_dir("/usr/lib").unwrap().filter_map(|entry| {
        let library = entry.unwrap().path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    let library = libraries.into_iter().next().expect("this test needs libfaketime");
    let mut command = sandbox.command(sandbox.arguments(more));
    command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Finished::from(command.output().unwrap())
}
