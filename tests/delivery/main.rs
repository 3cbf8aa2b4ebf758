//! Delivery to real receivers: HTTP over real sockets, and a real Kafka that a consumer reads back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod desk;
mod kafka;
mod receiver;
mod schema;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod webhook;
