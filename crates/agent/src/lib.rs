//! The agent: the configuration of all crates put together, and the wiring of the process.
//!
//! - [`config`]: the sections of all crates put together; the configuration resolved to a plan.
//! - [`app`]: builds, starts, reloads and stops everything.
//! - [`api_data`]: values in the answers of the API.
//! - [`audit`]: the lines about changes that people make.
//! - [`backtest`]: the rules of a configuration over recorded samples.
//! - [`dashboard`]: a Grafana dashboard of a configuration.
//! - [`demo`]: a shop that does not exist, for newcomers and tests.
//! - [`logging`]: the process's own log.
//! - [`printable`]: characters that texts of others may not have.
//! - [`replay`]: rules over recorded series, on virtual time.
//! - [`report`]: what was wrong over a time range, as a page, Markdown, CSV or JSON.
//! - [`ruletest`]: unit tests of rules, on virtual time.
//! - [`runtime_file`]: what a running agent tells the commands on its host.
//! - [`self_metrics`]: those of the process, and the list of all.
//! - [`units`]: units of values, and values as people read them.
//! - [`version`]: of the binary, and what it was built from.
//! - [`vitals`]: the most important series of an agent.

pub mod api_data;
pub mod app;
pub mod audit;
pub mod backtest;
pub mod config;
pub mod dashboard;
pub mod demo;
pub mod logging;
pub mod printable;
pub mod replay;
pub mod report;
pub mod ruletest;
pub mod runtime_file;
pub mod self_metrics;
pub mod units;
pub mod version;
pub mod vitals;

/// Gives back after a storm of alerts what glibc keeps: 10,000 that fire take half the memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
