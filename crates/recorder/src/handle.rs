//! Handles of one series, looked up once by code that records millions of times.
//!
//! A handle stays valid over reloads that leave its metric unchanged. A changed metric starts
//! without series and needs new handles.

use std::sync::Arc;

use super::cell::CellHandle;
use super::error::{Reason, RecordError, RejectedCounts};
use super::metric::Metric;

/// Handle of one series of a histogram or a summary; see [`Recorder::observer`](crate::Recorder::observer).
#[derive(Clone, Debug)]
pub struct Observer {
    pub(super) cell: CellHandle,
    pub(super) metric: Arc<Metric>,
    pub(super) rejected: Arc<RejectedCounts>,
}

impl Observer {
    /// Adds an observation.
    ///
    /// # Errors
    /// Returns an error, and counts it, if the value is not finite.
    #[inline]
    pub fn observe(&self, value: f64) -> Result<(), RecordError> {
        counted(
            &self.rejected,
            self.cell.cell().observe(self.metric.shape(), value, 1.0),
        )
    }
}

/// Handle of one series of a counter; see [`Recorder::counter`](crate::Recorder::counter).
#[derive(Clone, Debug)]
pub struct Counter {
    pub(super) cell: CellHandle,
    pub(super) rejected: Arc<RejectedCounts>,
}

impl Counter {
    /// Adds `by` to the counter.
    ///
    /// # Errors
    /// Returns an error, and counts it, if `by` is negative or not finite.
    #[inline]
    pub fn inc(&self, by: f64) -> Result<(), RecordError> {
        counted(&self.rejected, self.cell.cell().inc(by))
    }
}

/// Handle of one series of a gauge; see [`Recorder::gauge`](crate::Recorder::gauge).
#[derive(Clone, Debug)]
pub struct Gauge {
    pub(super) cell: CellHandle,
    pub(super) rejected: Arc<RejectedCounts>,
}

impl Gauge {
    /// Sets the gauge; infinities are allowed.
    ///
    /// # Errors
    /// Returns an error, and counts it, if the value is NaN.
    #[inline]
    pub fn set(&self, value: f64) -> Result<(), RecordError> {
        counted(&self.rejected, self.cell.cell().set(value))
    }

    /// Adds `by`, which may be negative, to the gauge.
    ///
    /// # Errors
    /// Returns an error, and counts it, if `by` or the sum is not finite.
    #[inline]
    pub fn add(&self, by: f64) -> Result<(), RecordError> {
        counted(&self.rejected, self.cell.cell().add(by))
    }
}

#[inline]
fn counted(rejected: &RejectedCounts, result: Result<(), Reason>) -> Result<(), RecordError> {
    result.map_err(|reason| {
        rejected.count(reason);
        RecordError::from(reason)
    })
}
