//! The binary `bellwether`: the configuration of all crates put together, the wiring of the process, and the
//! command line.
//!
//! The crates below it are in `crates/`; ARCHITECTURE.md has the map.
//! - [`config`]: the sections of all crates put together; the configuration resolved to a plan.
//! - `api_data`: values in the answers of the API.
//! - [`app`]: builds, starts, reloads and stops everything.
//! - [`audit`]: the lines about changes that people make.
//! - [`backtest`]: the rules of a configuration over recorded samples.
//! - [`cli`]: the commands. Only they print.
//! - [`convert`]: configurations of other programs as ours.
//! - [`init`]: the first configuration of a host.
//! - [`dashboard`]: a Grafana dashboard of a configuration.
//! - [`demo`]: a shop that does not exist, for newcomers and tests.
//! - [`ruletest`]: unit tests of rules, on virtual time.
//! - `printable`: characters that texts of others may not have.
//! - [`replay`]: rules over recorded series, on virtual time.
//! - [`report`]: what was wrong over a time range, as a page, Markdown, CSV or JSON.
//! - [`self_metrics`]: those of the process, and the list of all.
//! - [`logging`]: the process's own log.
//! - [`runtime_file`]: what a running agent tells the commands on its host.
//! - [`units`]: units of values, and values as people read them.
//! - `vitals`: the most important series of an agent.
//! - [`version`]: of the binary, and what it was built from.

mod api_data;
pub mod app;
pub mod audit;
pub mod backtest;
pub mod cli;
pub mod config;
pub mod convert;
pub mod dashboard;
pub mod demo;
pub mod init;
pub mod logging;
mod printable;
pub mod replay;
pub mod report;
pub mod ruletest;
pub mod runtime_file;
pub mod self_metrics;
pub mod units;
pub mod version;
mod vitals;
