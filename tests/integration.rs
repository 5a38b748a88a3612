//! Every test except the matrix of faults: one program, with a module for each area. `tests/README.md` lists them.

mod support;

mod audit;
mod bootable;
mod check;
mod cli;
mod corpus;
mod doctor;
mod documents;
mod durability;
mod evidence;
mod examples;
mod filesystems;
mod generated;
mod guards;
mod hazards;
mod identity;
mod jobs;
mod layers;
mod links;
mod matcher;
mod named;
mod prepare;
mod prove;
mod quick;
mod random;
mod reports;
mod safety_net;
mod schedule;
mod server_linux;
mod server_mac;
mod status;
mod systems;
mod usr;
mod verify;
mod view;
