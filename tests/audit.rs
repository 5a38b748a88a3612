//! Tests of the tests' own tools: the fidelity audit, the trees and the disks. They need root.
#![cfg(target_os = "linux")]

mod copies;
mod disks;
mod options;
mod properties;
mod trees;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::audit::dir::visit_from_leaves;
use crate::support::audit::{Difference, What};
use crate::support::tree;

/// Two trees that ought to be equal.
struct Twins {
    dir: TempDir,
}

impl Twins {
    /// Builds the same small tree twice.
    fn new() -> io::Result<Self> {
        let twins = Self { dir: tempfile::tempdir()? };
        for root in [twins.source(), twins.clone()] {
            std::fs::create_dir_all(root.join("folder/below"))?;
            std::fs::write(root.join("file"), "the contents")?;
            std::fs::write(root.join("folder/other"), "other contents")?;
            std::os::unix::fs::symlink("file", root.join("folder/link"))?;
        }
        twins.same_times();
        Ok(twins)
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn clone(&self) -> PathBuf {
        self.dir.path().join("clone")
    }

    /// Gives every entry of both trees the same time, so that a change shows in nothing else.
    fn same_times(&self) {
        for root in [self.source(), self.clone()] {
            visit_from_leaves(&root, false, |dir, name, _, _| {
                tree::set_mtime(&dir.at(name), 1_500_000_000, 123_456_789);
            });
        }
    }
}

/// The one difference that is expected.
fn only(path: impl AsRef<OsStr>, what: What) -> Vec<Difference> {
    vec![Difference { path: PathBuf::from(path.as_ref()), what }]
}

/// Runs a tool that copies, to its success.
fn copy(tool: &str, arguments: &[&str], source: &Path, clone: &Path) -> io::Result<()> {
    let output = std::process::Command::new("/usr/bin/timeout")
        .args(["-k", "5", "1800", tool])
        .args(arguments)
        .args([&source.join(""), clone])
        .output()?;
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
