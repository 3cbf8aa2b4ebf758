//! Bellwether: one binary and one YAML file, from collection to notification.
//!
//! # Map
//! Lower rooms never import higher ones; `tests/layers.rs` holds the tree to it.
//! - [`model`]: the words all rooms share. Plain data.
//! - [`clock`]: the one reader of the clocks.
//! - [`files`]: opening, reading and replacing files, whatever stands at their path.
//! - [`durable`]: small files that are replaced as a whole.
//! - [`declare`]: how a room declares its part of the YAML file.
//! - [`logging`]: the process's own log.
//! - [`exposition`]: text 0.0.4 and OpenMetrics, pure.
//! - [`promql`]: PromQL over anything that has samples, pure.
//! - [`history`]: samples over time.
//! - [`alert_history`]: every change of an alert and what became of each notification.
//! - [`analysis`]: what samples over time tell, pure.
//! - [`transfer`]: history out to files and back in.
//! - [`store`]: current values, recent samples, snapshots for the page.
//! - [`templates`]: what messages are written with, pure.
//! - [`rules`]: what is judged, when it counts, and what changes.
//! - [`routing`]: who is told of alerts, and when, pure.
//! - [`notify`]: what is told, until it has arrived.
//! - [`prometheus`]: files of Prometheus to settings of ours, and back. Pure.
//! - [`replay`]: rules over what was recorded, on virtual time.
//! - [`collectors`]: where figures come from, and the runner they share.
//! - [`remote`]: remote write.
//! - [`outbound`]: HTTP to others: clients, TLS, authorization, answers.
//! - [`server`]: the HTTP side: page, API, TLS, who may.
//! - [`ruletest`]: unit tests of rules, on virtual time.
//! - [`dashboard`]: a Grafana dashboard from a declaration.

pub mod alert_history;
pub mod analysis;
pub mod app;
pub mod cli;
pub mod clock;
pub mod collectors;
pub mod config;
pub mod dashboard;
pub mod declare;
pub mod durable;
pub mod exposition;
pub mod files;
pub mod history;
pub mod logging;
pub mod model;
pub mod notify;
pub mod outbound;
pub mod prometheus;
pub mod promql;
pub mod remote;
pub mod replay;
pub mod routing;
pub mod rules;
pub mod ruletest;
pub mod server;
pub mod store;
pub mod templates;
pub mod transfer;
