//! The input and output of directory and database servers: pure functions, tested on captured output.

pub mod line_starts;
pub mod macos_server;
pub mod mysql;
pub mod openldap;
pub mod postgres;
