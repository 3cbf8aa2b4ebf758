//! Bellwether beside the real ones: Prometheus, Alertmanager, exporters, Neo4j, PostgreSQL, MariaDB, Redis, HAProxy, Kafka, VictoriaMetrics,
//! mail, nginx.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)] // clippy sees tests only inside of test functions

mod convert;
mod dashboard;
mod delivery;
mod documents;
mod kafka;
mod lines;
#[cfg(feature = "neo4j")]
mod neo4j;
mod node_exporter;
mod probe;
mod promql;
mod remote;
mod scrape;
mod services;
#[cfg(feature = "sql")]
mod sql;
#[path = "../support/mod.rs"]
mod support;
mod transfer;
