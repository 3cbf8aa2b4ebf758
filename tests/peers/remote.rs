//! Remote write: over the wire to a receiver of the tests' own, to real servers, and from real ones.

mod log;
mod protobuf;
mod received;
mod servers;
mod wire;
