//! Runs the product on a fake host.
fn main() {}
