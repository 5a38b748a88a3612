//! Walks trees with bounded memory and depth, following no links.

pub mod compare;
pub mod index;
pub mod pair;
pub mod parallel;
mod queue;
pub mod sides;
mod waiting;
