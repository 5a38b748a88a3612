//! Walks trees with bounded memory and depth, following no links.

pub mod compare;
pub mod directories;
pub mod index;
pub mod pair;
pub mod parallel;
mod waiting;
