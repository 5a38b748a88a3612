//! A destination that is named by what it is: found, mounted for the run alone, and known as one clone by all its names.

mod clone;
mod encrypted;
mod mac;
mod others;
mod refusals;
mod scene;
mod schedule;
