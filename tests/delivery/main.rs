//! Delivery to real receivers: HTTP over real sockets, a real Kafka that a consumer reads
//! back, real Alertmanagers and a real mail server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alertmanager;
mod desk;
mod email;
mod kafka;
mod receiver;
mod schema;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod webhook;
