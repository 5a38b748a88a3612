//! Counterpart makes an exact clone of a live system with rsync.
fn main() {}
