//! `counterpart status` and `forget`, and the JSON of all that is listed, checked against its schemas.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod forget;
mod forget_guards;
mod json;
pub mod scene;
mod schedules;
mod table;
mod test_run;
