//! The Neo4j collector against real servers.

mod catalogue;
mod harness;
mod outage;
mod queries;
mod tls;
