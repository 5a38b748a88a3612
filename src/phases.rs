//! The phases of a run, one module each; `pipeline.rs` puts them in order.

pub mod awake;
pub mod bootable;
pub mod capacity;
pub mod conclusion;
pub mod endpoints;
pub mod exclusions;
pub mod hard_links;
pub mod log_header;
pub mod markers;
pub mod outputs;
pub mod password;
pub mod ping;
pub mod preflight;
pub mod safety_net;
pub mod script;
pub mod server_backup;
pub mod snapshot;
pub mod survey;
pub mod test_run;
pub mod transfer;
