//! Contract of collectors that take requests of clients.

use bellwether_core::{Now, Origin, Rejected, SeriesBatch};
use hyper::body::Bytes;
use hyper::{Request, Response};

use crate::Memory;

/// A protocol in which clients push.
pub trait Receiver: Send + Sync {
    /// Takes what `request` has, and answers it as the protocol wants. Samples with times of their own go to `history`, if
    /// there is one. Called on a blocking thread.
    fn receive(
        &self,
        memory: &Memory,
        history: Option<&dyn TimedHistory>,
        request: &Request<Bytes>,
        now: Now,
    ) -> Response<Vec<u8>>;
}

/// History of samples with times of their own.
pub trait TimedHistory {
    /// Appends the samples of `batch`, which have times of their own. Returns those that are rejected.
    fn append(&self, source: Origin, batch: &SeriesBatch, now: Now) -> Rejected;

    /// Waits until the samples so far are on disk, unless writing fails.
    fn sync(&self);
}
