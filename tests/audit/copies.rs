//! Copies of the hostile tree made by other tools, and what they omit on request.

use std::io;

use crate::audit::copy;
use crate::support::audit::{Options, What, assert_same, audit};
use crate::support::tree;

/// All that rsync can keep.
const EXACT: &[&str] = &["-aHAXS", "--numeric-ids", "--modify-window=-1"];

#[test]
fn copy_by_cp_is_exact() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, clone) = (dir.path().join("source"), dir.path().join("clone"));
    tree::hostile_tree(&source);
    copy("cp", &["-a", "-T", "--sparse=always"], &source, &clone)?;
    assert_same(&source, &clone, &Options::default());
    Ok(())
}

#[test]
fn copy_by_rsync_is_exact() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, clone) = (dir.path().join("source"), dir.path().join("clone"));
    tree::hostile_tree(&source);
    copy("rsync", EXACT, &source, &clone)?;
    assert_same(&source, &clone, &Options::default());
    // Once more, so that a second run finds nothing to do and breaks nothing.
    let (of_source, of_clone) = (tree::snapshot_with_ctime(&source), tree::snapshot_with_ctime(&clone));
    copy("rsync", EXACT, &source, &clone)?;
    tree::assert_unchanged(&of_source, &tree::snapshot_with_ctime(&source));
    tree::assert_unchanged(&of_clone, &tree::snapshot_with_ctime(&clone));
    Ok(())
}

#[test]
fn an_edit_within_a_second_is_copied_only_by_the_nanosecond() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (source, clone) = (dir.path().join("source"), dir.path().join("clone"));
    std::fs::create_dir(&source)?;
    std::fs::write(source.join("file"), "before")?;
    copy("rsync", EXACT, &source, &clone)?;
    tree::edit_in_the_same_second(&source.join("file"));
    copy("rsync", &["-aHAXS", "--numeric-ids"], &source, &clone)?;
    let found = audit(&source, &clone, &Options::default());
    assert!(found.iter().any(|difference| difference.what == What::Contents { offset: 0 }), "{found:?}");
    copy("rsync", EXACT, &source, &clone)?;
    assert_same(&source, &clone, &Options::default());
    Ok(())
}

/// Each option of rsync that is left out has to show in the audit as what it stands for, and as nothing else.
#[test]
fn what_rsync_leaves_out_is_found() -> io::Result<()> {
    type Expected = fn(&What) -> bool;
    let expected: &[(&str, Expected)] = &[
        ("--no-perms", |what| matches!(what, What::Mode { .. } | What::Xattr { .. })),
        ("--no-group", |what| matches!(what, What::Gid { .. } | What::Mode { .. })),
        ("--no-owner", |what| matches!(what, What::Uid { .. })),
        ("--omit-link-times", |what| matches!(what, What::Mtime { .. })),
        ("--omit-dir-times", |what| matches!(what, What::Mtime { .. })),
        ("--no-hard-links", |what| matches!(what, What::HardLinks { .. })),
        ("--no-acls", |what| matches!(what, What::Xattr { .. })),
        ("--no-xattrs", |what| matches!(what, What::Xattr { .. })),
        ("--no-sparse", |what| matches!(what, What::Sparseness { .. })),
        ("--no-devices", |what| matches!(what, What::Missing | What::Mtime { .. })),
        ("--no-specials", |what| matches!(what, What::Missing | What::Mtime { .. })),
        ("--exclude=sparse", |what| matches!(what, What::Missing)),
    ];
    let dir = tempfile::tempdir()?;
    let source = dir.path().join("source");
    tree::hostile_tree(&source);
    for (number, (option, belongs)) in expected.iter().enumerate() {
        let clone = dir.path().join(number.to_string());
        copy("rsync", &[EXACT, &[*option]].concat(), &source, &clone)?;
        let found = audit(&source, &clone, &Options::default());
        assert!(!found.is_empty(), "{option} went unnoticed");
        for difference in found {
            assert!(belongs(&difference.what), "{option}: {difference}");
        }
    }
    Ok(())
}
