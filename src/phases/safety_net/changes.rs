//! The list of changes of the run that made a net: its path is an extended attribute of the net's directory.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use xattr::FileExt as _;

use crate::fs::dir::Dir;

/// The extended attribute.
const ATTRIBUTE: &str = "user.counterpart.changes";

/// Notes the path. A filesystem without attributes does without.
pub fn note(net: &Dir, list: &Path) {
    let _ = net.file().set_xattr(ATTRIBUTE, list.as_os_str().as_bytes());
}

/// The path that was noted. It is for people alone: the list may have been removed with its log.
#[must_use]
pub fn noted(net: &Dir) -> Option<PathBuf> {
    let path = net.file().get_xattr(ATTRIBUTE).ok()??;
    Some(OsString::from_vec(path).into())
}
