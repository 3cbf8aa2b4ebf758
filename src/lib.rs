//! The binary `bellwether`: the command line over the agent.
//!
//! The crates below it are in `crates/`; ARCHITECTURE.md has the map.
//! - [`cli`]: the commands. Only they print.
//! - [`convert`]: configurations of other programs as ours.
//! - [`init`]: the first configuration of a host.

pub mod cli;
pub mod convert;
pub mod init;
