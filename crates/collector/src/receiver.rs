//! Contract of collectors that take requests of clients.

use bellwether_core::Now;
use hyper::body::Bytes;
use hyper::{Request, Response};

use crate::Memory;

/// A protocol in which clients push.
pub trait Receiver: Send + Sync {
    /// Takes what `request` has, and answers it as the protocol wants. Called on a blocking thread.
    fn receive(&self, memory: &Memory, request: &Request<Bytes>, now: Now) -> Response<Vec<u8>>;
}
