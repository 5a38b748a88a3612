//! `counterpart prove` with a QEMU that only pretends. `boot` has the real one.

mod after_clone;
mod refusals;
mod reports;
mod scene;
