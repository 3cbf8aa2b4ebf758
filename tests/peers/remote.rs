//! Remote write: over the wire to a receiver of the tests' own.

mod log;
mod protobuf;
mod servers;
mod wire;
