//! Jobs: `counterpart run`, `counterpart job`, and the commands that look at the clones of a job.
//!
//! Of several clones each is made by a process of its own: nothing that one leaves behind can reach the next, and one that
//! is killed does not end the others.

pub mod each;
pub mod examine;
pub mod init;
pub mod run;

use crate::plan::Plan;

/// What a job comes down to.
#[derive(Debug)]
pub enum Work {
    /// One clone, by this process.
    Here(Box<Plan>),
    /// Several, each by a process of its own.
    Each(Vec<each::Step>),
}
