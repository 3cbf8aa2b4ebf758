//! What a query reads from.

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;

use super::guard::{Guard, Stopped};

/// Samples of one series, oldest first, no two of one time. A staleness marker is the value with
/// the bits [`SampledSeries::STALE`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampledSeries {
    /// Which series.
    pub labels: LabelSet,
    /// Milliseconds since the Unix epoch, ascending.
    pub times: Vec<i64>,
    /// As many values.
    pub values: Vec<f64>,
}

impl SampledSeries {
    /// The bits of the NaN that says a series has ended, as Prometheus has it
    /// (model/value/value.go).
    pub const STALE: u64 = 0x7ff0_0000_0000_0002;

    /// The value that says a series has ended.
    #[must_use]
    pub fn stale() -> f64 {
        f64::from_bits(Self::STALE)
    }

    /// Whether `value` says that the series has ended. Other NaN are values.
    #[must_use]
    pub fn is_stale(value: f64) -> bool {
        value.to_bits() == Self::STALE
    }
}

/// Why samples could not be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StorageError {
    /// The query was ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Samples could not be read.
    #[error("{0}")]
    Unreadable(String),
}

/// A place that remembers samples: history, a file, another server.
pub trait Queryable: Send + Sync {
    /// The series that all `matchers` accept and that have a sample in `from..=to`, with those
    /// samples, staleness markers included. In no particular order. Charges `guard` for what it
    /// returns, and asks it while it reads.
    ///
    /// # Errors
    /// The guard ended it, or nothing can be read at all; damaged pieces alone are left out.
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError>;

    /// The label sets that all `matchers` accept, of series that may have a sample in
    /// `from..=to`. In no particular order.
    ///
    /// # Errors
    /// As [`Queryable::select`].
    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError>;
}
