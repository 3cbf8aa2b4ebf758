//! Sockets and connections: from accept to the last byte of a response.
//!
//! Owns the listening sockets, the table of open connections with its limits and timeouts, and
//! response bodies on their way out. Does not know what a request asks for.

pub(crate) mod activity;
pub(crate) mod body;
mod chunk;
pub(crate) mod compress;
pub(crate) mod listener;
pub(crate) mod negotiate;
pub(crate) mod peer;
pub(crate) mod permits;
pub(crate) mod registry;
mod request_line;
mod socket;
pub(crate) mod stream;
mod watched;
