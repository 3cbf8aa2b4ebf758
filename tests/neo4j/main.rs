//! The Neo4j collector against real servers.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // helpers are outside of tests

mod catalogue;
mod harness;
mod outage;
mod queries;
#[path = "../support/mod.rs"]
mod support;
mod tls;
