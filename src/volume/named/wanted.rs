//! What is to be mounted, and why it is not.

use std::path::Path;

use crate::marker::Prefix;
use crate::plan::tag::Tag;

/// What it is mounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be written.
    Write,
    /// To be read.
    Read,
    /// To be read, without writing even what a journal still holds.
    Examine,
    /// The same in passing: an encrypted one is not opened, and nothing is mounted that everybody would see.
    Glance,
}

/// What is to be mounted, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What the filesystem is named by.
    pub tag: &'a Tag,
    /// The key of an encrypted one, instead of the stored password.
    pub key_file: Option<&'a Path>,
    /// The prefix under which the password is stored.
    pub prefix: &'a Prefix,
    /// What it is mounted for.
    pub purpose: Purpose,
}

/// Why it is not mounted.
#[derive(Debug, Clone)]
pub enum NotMounted {
    /// No such filesystem is there.
    Missing,
    /// It cannot be used, for this reason.
    Unusable(String),
    /// We were asked to stop.
    Interrupted,
}

impl From<String> for NotMounted {
    fn from(why: String) -> Self {
        Self::Unusable(why)
    }
}
