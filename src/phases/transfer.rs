//! The transfer: rsync, its verdict, and another attempt if that may help.

pub mod doubtful;
pub mod dry_run;
pub mod engine;
pub mod first_copy;
pub mod group;
pub mod in_place;
pub mod meter;
pub mod quick;
pub mod recheck;
pub mod regroup;
pub mod remember;
pub mod retry;
pub mod rsync;
pub mod second_look;
pub mod source_entry;
pub mod stall;
pub mod timestamps;
pub mod verdict;
pub mod watchdog;

use crate::phases::endpoints::Endpoints;
use crate::phases::preflight::Rsync;
use crate::phases::survey::LinkedNames;
use crate::phases::transfer::meter::Meter;
use crate::rsync::filter::rules::Rules;
use crate::run::Run;

/// What every attempt works with.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// The run.
    pub run: &'a Run<'a>,
    /// The rsync to use.
    pub rsync: &'a Rsync,
    /// Both ends.
    pub ends: &'a Endpoints,
    /// The filter rules.
    pub rules: &'a Rules,
    /// What rsync is to look at.
    pub method: Method<'a>,
    /// Which names of the source are hard links.
    pub linked: &'a LinkedNames,
    /// Counts what is copied.
    pub meter: &'a Meter,
}

/// What rsync is to look at.
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// Everything.
    Full {
        /// Deletions come first, to make room.
        deletes_first: bool,
        /// Neither side has an attribute or an access control list.
        is_plain: bool,
    },
    /// The paths of a list, as `--files-from` takes them with `--from0`.
    Listed(&'a [u8]),
    /// The files of such a list that have a copy, each written into it.
    InPlace(&'a [u8]),
    /// The attributes of the root alone.
    Root,
}

impl Method<'_> {
    /// Everything, in rsync's own order.
    pub const FULL: Self = Self::Full { deletes_first: false, is_plain: false };
}
