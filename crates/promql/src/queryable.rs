//! Sources of samples.

use bellwether_core::{
    LabelSet, STALENESS_MARKER, UnixMillis, is_staleness_marker, staleness_marker,
};
use bellwether_matcher::LabelMatcher;

use super::guard::{Guard, Stopped};

/// Samples of one series in ascending order of time, with no time twice. A staleness marker is the
/// value with the bits [`SampledSeries::STALE`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampledSeries {
    /// Labels of the series, `__name__` included.
    pub labels: LabelSet,
    /// Timestamps in milliseconds since the Unix epoch, ascending. Integers and not [`UnixMillis`],
    /// because sources pack and search whole columns of them.
    pub times: Vec<i64>,
    /// Values, one per timestamp.
    pub values: Vec<f64>,
}

impl SampledSeries {
    /// Bits of the NaN that marks a series as stale, as in Prometheus (model/value/value.go).
    pub const STALE: u64 = STALENESS_MARKER;

    /// Returns a staleness marker.
    #[must_use]
    pub fn stale() -> f64 {
        staleness_marker()
    }

    /// Returns whether `value` is a staleness marker; any other NaN is a value.
    #[must_use]
    pub fn is_stale(value: f64) -> bool {
        is_staleness_marker(value)
    }
}

/// Error of a [`Queryable`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StorageError {
    /// The guard stopped the query.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Samples could not be read.
    #[error("{0}")]
    Unreadable(String),
}

/// A source of samples: a database, a file, another server.
pub trait Queryable: Send + Sync {
    /// Returns the series that match all `matchers` and have a sample in `from..=to`, with those
    /// samples, staleness markers included, in any order.
    ///
    /// Implementations charge `guard` for the samples that they return, and check it while reading.
    ///
    /// # Errors
    /// The guard stopped the query, or no samples can be read at all. Damaged parts of a storage are
    /// left out without an error.
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError>;

    /// Returns the label sets of the series that match all `matchers` and may have a sample in
    /// `from..=to`, in any order.
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
