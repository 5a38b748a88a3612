//! `--bootable`: tables and boot loaders of a clone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod apart;
mod files;
mod machine;
mod refusals;
mod runs;
