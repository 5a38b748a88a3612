//! A destination that is named by what it is: found, mounted for the run alone, and known as one clone by all its names.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod clone;
mod encrypted;
mod mac;
mod others;
mod refusals;
pub mod scene;
mod schedule;
