//! One application metric: finds the cell of labels that come in any order.
//!
//! Owns the match of a record's labels with those of the metric. The values of a metric's series
//! outlive a reload, so they are in a type of their own, [`Series`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_core::{Kind, MetricDef, MetricId, Now};

use super::cell::{Cell, CellHandle, Chunk, Shape};
use super::error::{Reason, RecordError};
use super::sketch::SLOTS;
use super::table::{Table, Values};

/// Maximum number of labels that a metric may have.
pub const MAX_LABELS: usize = 32;

/// Definition of a recorded metric, with its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedMetric {
    /// Name, type, labels, buckets and quantiles.
    pub def: MetricDef,
    /// Maximum number of series the metric may have. Records that would create more are rejected.
    pub max_series: usize,
    /// Window of a summary's quantiles.
    pub max_age: Duration,
    /// Age after its last record at which a series is deleted; `None`: never. A series with a handle
    /// stays.
    pub expire_after: Option<Duration>,
}

impl RecordedMetric {
    /// Creates a metric of at most 10,000 series that never expire; a summary's window is ten
    /// minutes.
    #[must_use]
    pub fn new(def: MetricDef) -> Self {
        Self {
            def,
            max_series: 10_000,
            max_age: Duration::from_secs(600),
            expire_after: None,
        }
    }
}

/// A metric and its series.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) id: MetricId,
    pub(super) recorded: RecordedMetric,
    series: Arc<Series>,
}

#[derive(Debug, Default)]
struct Series {
    table: Table,
    /// Number of the current slot of summaries.
    slot: AtomicU64,
}

impl Metric {
    pub(super) fn new(id: MetricId, recorded: RecordedMetric) -> Self {
        let metric = Self {
            id,
            recorded,
            series: Arc::default(),
        };
        // A count of zero is a fact, so it is there from the start; the value of a gauge that was
        // never set is unknown.
        if metric.recorded.def.labels.is_empty() && metric.recorded.def.kind != Kind::Gauge {
            let _ = metric
                .series
                .table
                .cell(std::iter::empty(), 1, |length| metric.new_chunk(length));
        }
        metric
    }

    /// Returns this metric with the series of `old`, if both have the same shape.
    pub(super) fn adopting(&self, old: &Metric) -> Self {
        let recorded = self.recorded.clone();
        let (new, was) = (&recorded.def, &old.recorded.def);
        let same = new.kind == was.kind
            && new.labels == was.labels
            && new.buckets == was.buckets
            && new.quantiles == was.quantiles
            && recorded.max_age == old.recorded.max_age;
        let series = if same { &old.series } else { &self.series };
        Self {
            id: self.id,
            recorded,
            series: series.clone(),
        }
    }

    /// Runs `record` on the series of these labels.
    #[inline]
    pub(super) fn record(
        &self,
        labels: &[(&str, &str)],
        record: impl FnOnce(Cell<'_>, Shape<'_>) -> Result<(), Reason>,
    ) -> Result<(), RecordError> {
        let record = |cell: Cell<'_>| record(cell, self.shape());
        if self.in_order(labels) {
            self.record_values(labels.iter().map(|(_, value)| *value), record)
        } else {
            let mut buffer = [""; MAX_LABELS];
            self.record_values(self.sorted(labels, &mut buffer)?.iter().copied(), record)
        }
    }

    #[inline]
    fn record_values<'a>(
        &self,
        values: impl Values<'a>,
        record: impl FnOnce(Cell<'_>) -> Result<(), Reason>,
    ) -> Result<(), RecordError> {
        let table = &self.series.table;
        table
            .record(
                values,
                self.recorded.max_series,
                |length| self.new_chunk(length),
                record,
            )
            .map_err(|error| match error.reason {
                Reason::WrongKind => self.wrong_kind(),
                _ => error,
            })
    }

    /// Returns the cell of these labels, for a handle.
    pub(super) fn cell(&self, labels: &[(&str, &str)]) -> Result<CellHandle, RecordError> {
        let mut buffer = [""; MAX_LABELS];
        let values = self.sorted(labels, &mut buffer)?.iter().copied();
        self.series
            .table
            .cell(values, self.recorded.max_series, |length| {
                self.new_chunk(length)
            })
    }

    fn new_chunk(&self, length: usize) -> Chunk {
        let def = &self.recorded.def;
        Chunk::new(def.kind, def.buckets.len(), length)
    }

    pub(super) fn wrong_kind(&self) -> RecordError {
        let operations = match self.recorded.def.kind {
            Kind::Counter => "a counter: inc",
            Kind::Gauge => "a gauge: set or add",
            Kind::Histogram => "a histogram: observe",
            Kind::Summary => "a summary: observe",
        };
        RecordError::new(
            Reason::WrongKind,
            format!("{} is {operations}", self.recorded.def.name),
        )
    }

    /// Returns the part of the definition that its cells need to record and to read.
    #[inline]
    pub(super) fn shape(&self) -> Shape<'_> {
        Shape {
            buckets: &self.recorded.def.buckets,
            quantiles: &self.recorded.def.quantiles,
            slot: self.series.slot.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn in_order(&self, labels: &[(&str, &str)]) -> bool {
        let names = &self.recorded.def.labels;
        labels.len() == names.len()
            && labels
                .iter()
                .zip(names.iter())
                .all(|((name, _), expected)| *name == &**expected)
    }

    /// Returns the label values in the order of the definition.
    fn sorted<'a, 'b>(
        &self,
        labels: &[(&str, &'a str)],
        buffer: &'b mut [&'a str; MAX_LABELS],
    ) -> Result<&'b [&'a str], RecordError> {
        let names = &self.recorded.def.labels;
        if names.len() > MAX_LABELS {
            return Err(RecordError::new(
                Reason::Malformed,
                "the metric has too many labels",
            ));
        }
        let mut seen = 0_u32;
        for (name, value) in labels {
            let Some(index) = names.iter().position(|expected| &**expected == *name) else {
                return Err(RecordError::new(Reason::UnknownLabel, *name));
            };
            if seen & (1 << index) != 0 {
                return Err(RecordError::new(Reason::RepeatedLabel, *name));
            }
            seen |= 1 << index;
            buffer[index] = value;
        }
        let missing = names
            .iter()
            .enumerate()
            .find(|(index, _)| seen & (1 << index) == 0);
        match missing {
            Some((_, name)) => Err(RecordError::new(Reason::MissingLabel, &**name)),
            None => Ok(&buffer[..names.len()]),
        }
    }

    /// Moves the window of summaries to `now` and deletes expired series.
    pub(super) fn advance(&self, now: Now) {
        let step = (self.recorded.max_age.as_millis() as u64 / SLOTS as u64).max(1);
        self.series.slot.store(now.mono.0 / step, Ordering::Relaxed);
        if let Some(age) = self.recorded.expire_after
            && !self.recorded.def.labels.is_empty()
        {
            self.series.table.expire(age, now.mono);
        }
    }

    pub(super) fn table(&self) -> &Table {
        &self.series.table
    }
}
