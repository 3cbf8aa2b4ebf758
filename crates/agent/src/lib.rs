//! The agent: the wiring of the process, and rules on virtual time.
//!
//! - [`app`]: builds, starts, reloads and stops everything.
//! - [`backtest`]: the rules of a configuration over recorded samples.
//! - [`dashboard`]: a Grafana dashboard of a configuration.
//! - [`demo`]: a shop that does not exist, for newcomers and tests.
//! - [`replay`]: rules over recorded series, on virtual time.
//! - [`ruletest`]: unit tests of rules, on virtual time.
//! - [`runtime_file`]: what a running agent tells the commands on its host.
//! - [`version`]: of the binary, and what it was built from.

pub mod app;
pub mod backtest;
pub mod dashboard;
pub mod demo;
pub mod replay;
pub mod ruletest;
pub mod runtime_file;
pub mod version;
