//! rsync's filter rules: how we write them, and what they match.

pub mod doubts;
pub mod matcher;
pub mod pattern;
pub mod rules;
