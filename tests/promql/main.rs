//! PromQL against Prometheus: its own scripts, and its program.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)] // clippy sees tests only inside of test functions

mod answers;
mod conformance;
mod differential;
mod properties;
mod script;
#[path = "../support/mod.rs"]
mod support;
