//! Series looked up once, for code that records millions of times.
//!
//! A handle stays good over reloads that leave its metric as it is; a changed metric starts
//! anew and wants new handles.

use std::sync::Arc;

use super::cell::Cell;
use super::metric::Metric;
use super::refused::{Reason, Refusals, Refused};

/// One series of a histogram or a summary.
#[derive(Clone, Debug)]
pub struct Observer {
    pub(super) cell: Arc<Cell>,
    pub(super) metric: Arc<Metric>,
    pub(super) refusals: Arc<Refusals>,
}

impl Observer {
    /// Adds an observation.
    ///
    /// # Errors
    /// When the value is not finite; it is counted too.
    #[inline]
    pub fn observe(&self, value: f64) -> Result<(), Refused> {
        counted(
            &self.refusals,
            self.cell.observe(self.metric.shape(), value, 1.0),
        )
    }
}

/// One series of a counter.
#[derive(Clone, Debug)]
pub struct Counter {
    pub(super) cell: Arc<Cell>,
    pub(super) refusals: Arc<Refusals>,
}

impl Counter {
    /// Raises it.
    ///
    /// # Errors
    /// When `by` is negative or not finite; it is counted too.
    #[inline]
    pub fn inc(&self, by: f64) -> Result<(), Refused> {
        counted(&self.refusals, self.cell.inc(by))
    }
}

/// One series of a gauge.
#[derive(Clone, Debug)]
pub struct Gauge {
    pub(super) cell: Arc<Cell>,
    pub(super) refusals: Arc<Refusals>,
}

impl Gauge {
    /// Sets it.
    ///
    /// # Errors
    /// When the value is NaN; it is counted too.
    #[inline]
    pub fn set(&self, value: f64) -> Result<(), Refused> {
        counted(&self.refusals, self.cell.set(value))
    }

    /// Moves it up, or down if `by` is negative.
    ///
    /// # Errors
    /// When `by`, or where it would lead, is not finite; it is counted too.
    #[inline]
    pub fn add(&self, by: f64) -> Result<(), Refused> {
        counted(&self.refusals, self.cell.add(by))
    }
}

#[inline]
fn counted(refusals: &Refusals, result: Result<(), Reason>) -> Result<(), Refused> {
    result.map_err(|reason| {
        refusals.count(reason);
        Refused::from(reason)
    })
}
