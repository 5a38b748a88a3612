//! The hashes of a clone's files (`--hashes`), by which the clone can be verified without its source.
//!
//! The file begins with a header, followed by an entry for each file and symbolic link in the order of a walk that takes the
//! files of a directory, by their names, before its subdirectories; at its end stand the number of the entries and a hash of
//! all that is before it. It is written to this machine's state and, if wanted, to the destination's root.

pub mod contents;
mod entry;
pub mod file;
pub mod keep;
mod keeper;

pub use entry::{Hashed, Kind};
