//! Remote write: over the wire to a receiver of the tests' own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod log;
mod protobuf;
mod servers;
mod wire;
