//! `counterpart verify`: every kind of damage is found, nothing else is called damage, and nothing is changed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod alone;
mod changed;
mod daily;
mod damage;
mod disks;
mod ends;
mod equal;
mod json;
mod repair;
mod scene;
mod seeded;
mod unreadable;
