//! The HTTP side over real sockets: /metrics, limits, access, TLS, and a real Prometheus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy sees tests only inside of test functions

mod attacks;
mod control;
mod dashboards;
mod limits;
mod live;
mod live_access;
mod page;
mod prometheus;
mod query;
mod query_attacks;
mod roles;
mod stop;
mod support;
mod web_config;
mod web_page;
