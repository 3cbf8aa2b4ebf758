//! Bellwether beside the real ones: Prometheus, Alertmanager, node_exporter, blackbox_exporter, Neo4j, PostgreSQL, MariaDB, Kafka,
//! VictoriaMetrics, mail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)] // clippy sees tests only inside of test functions

mod dashboard;
mod delivery;
#[cfg(feature = "neo4j")]
mod neo4j;
mod probe;
mod promql;
mod remote;
mod scrape;
#[cfg(feature = "sql")]
mod sql;
#[path = "../support/mod.rs"]
mod support;
mod transfer;
