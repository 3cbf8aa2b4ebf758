//! PromQL against Prometheus: its own scripts, and its program.

#![allow(clippy::expect_used, clippy::panic)] // clippy sees tests only inside of test functions

mod conformance;
mod properties;
mod script;
