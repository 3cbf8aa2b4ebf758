//! The library as a whole, in process: configuration, rules, recording, routing over virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)] // clippy sees tests only inside of test functions

mod anomaly_scores;
mod application;
mod build_script;
mod config;
mod convert;
mod docs;
mod forecast_scores;
mod fuzz;
mod pipeline;
mod promtool;
mod replay;
mod rule_files;
mod ruletest;
mod schema;
