//! The monitoring systems themselves.
