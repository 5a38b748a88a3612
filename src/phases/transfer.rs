//! The transfer: rsync, its verdict, and another attempt if that may help.

pub mod dry_run;
pub mod group;
pub mod retry;
pub mod rsync;
pub mod second_look;
pub mod source_entry;
pub mod stall;
pub mod timestamps;
pub mod verdict;
pub mod watchdog;
