//! Walks trees with bounded memory and depth, following no links.

pub mod directories;
pub mod parallel;
