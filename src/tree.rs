//! Walks through trees in bounded memory and depth that follow no link.

pub mod directories;
pub mod parallel;
