//! One declared application metric: labels in whatever order come in, a cell goes out.
//!
//! Owns the match of given labels with declared ones. What a metric's series hold outlives a
//! reload, so it is kept apart in [`Series`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_core::{Kind, MetricDef, MetricId, Now};

use super::cell::{Cell, Shape};
use super::refused::{Reason, Refused};
use super::sketch::SLOTS;
use super::table::{Table, Values};

/// Most labels a metric may declare.
pub const MAX_LABELS: usize = 32;

/// A metric as the recorder takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Name, type and shape.
    pub def: MetricDef,
    /// Most series it may hold.
    pub max_series: usize,
    /// How far back a summary's quantiles look.
    pub max_age: Duration,
    /// Series that nobody recorded to for this long are forgotten; never, if absent.
    pub expire_after: Option<Duration>,
}

/// A metric and its series.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its index in the store.
    pub(super) id: MetricId,
    pub(super) declared: Declared,
    series: Arc<Series>,
}

#[derive(Debug, Default)]
struct Series {
    table: Table,
    /// Number of the current slot of summaries.
    slot: AtomicU64,
}

impl Metric {
    pub(super) fn new(id: MetricId, declared: Declared) -> Self {
        let metric = Self {
            id,
            declared,
            series: Arc::default(),
        };
        // Nothing counted is a fact, so it shows from the start; a gauge nobody set is unknown.
        if metric.declared.def.labels.is_empty() && metric.declared.def.kind != Kind::Gauge {
            let _ = metric
                .series
                .table
                .cell(std::iter::empty(), 1, || metric.new_cell());
        }
        metric
    }

    /// This metric with the series of `old`, if both mean the same.
    pub(super) fn adopting(&self, old: &Metric) -> Self {
        let declared = self.declared.clone();
        let (new, was) = (&declared.def, &old.declared.def);
        let same = new.kind == was.kind
            && new.labels == was.labels
            && new.buckets == was.buckets
            && new.quantiles == was.quantiles
            && declared.max_age == old.declared.max_age;
        let series = if same { &old.series } else { &self.series };
        Self {
            id: self.id,
            declared,
            series: series.clone(),
        }
    }

    /// Runs `record` on the series of these labels.
    #[inline]
    pub(super) fn record(
        &self,
        labels: &[(&str, &str)],
        record: impl FnOnce(&Cell, Shape<'_>) -> Result<(), Reason>,
    ) -> Result<(), Refused> {
        let record = |cell: &Cell| record(cell, self.shape());
        if self.in_order(labels) {
            self.find(labels.iter().map(|(_, value)| *value), record)
        } else {
            let mut buffer = [""; MAX_LABELS];
            self.find(self.sorted(labels, &mut buffer)?.iter().copied(), record)
        }
    }

    #[inline]
    fn find<'a>(
        &self,
        values: impl Values<'a>,
        record: impl FnOnce(&Cell) -> Result<(), Reason>,
    ) -> Result<(), Refused> {
        let table = &self.series.table;
        table
            .record(values, self.declared.max_series, || self.new_cell(), record)
            .map_err(|refused| match refused.reason {
                Reason::WrongKind => self.wrong_kind(),
                _ => refused,
            })
    }

    /// The cell of these labels, for a handle.
    pub(super) fn cell(&self, labels: &[(&str, &str)]) -> Result<Arc<Cell>, Refused> {
        let mut buffer = [""; MAX_LABELS];
        let values = self.sorted(labels, &mut buffer)?.iter().copied();
        self.series
            .table
            .cell(values, self.declared.max_series, || self.new_cell())
    }

    fn new_cell(&self) -> Cell {
        Cell::new(self.declared.def.kind, self.declared.def.buckets.len())
    }

    pub(super) fn wrong_kind(&self) -> Refused {
        let operations = match self.declared.def.kind {
            Kind::Counter => "a counter: inc",
            Kind::Gauge => "a gauge: set or add",
            Kind::Histogram => "a histogram: observe",
            Kind::Summary => "a summary: observe",
        };
        Refused::new(
            Reason::WrongKind,
            format!("{} is {operations}", self.declared.def.name),
        )
    }

    /// What its cells need to know to record and to read.
    #[inline]
    pub(super) fn shape(&self) -> Shape<'_> {
        Shape {
            buckets: &self.declared.def.buckets,
            quantiles: &self.declared.def.quantiles,
            slot: self.series.slot.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn in_order(&self, labels: &[(&str, &str)]) -> bool {
        let declared = &self.declared.def.labels;
        labels.len() == declared.len()
            && labels
                .iter()
                .zip(declared.iter())
                .all(|((name, _), declared)| *name == &**declared)
    }

    /// The values in the order of the declaration.
    fn sorted<'a, 'b>(
        &self,
        labels: &[(&str, &'a str)],
        buffer: &'b mut [&'a str; MAX_LABELS],
    ) -> Result<&'b [&'a str], Refused> {
        let declared = &self.declared.def.labels;
        if declared.len() > MAX_LABELS {
            return Err(Refused::new(
                Reason::Malformed,
                "more labels are declared than allowed",
            ));
        }
        let mut given = 0_u32;
        for (name, value) in labels {
            let Some(index) = declared.iter().position(|declared| &**declared == *name) else {
                return Err(Refused::new(Reason::UnknownLabel, *name));
            };
            if given & (1 << index) != 0 {
                return Err(Refused::new(Reason::RepeatedLabel, *name));
            }
            given |= 1 << index;
            buffer[index] = value;
        }
        let missing = declared
            .iter()
            .enumerate()
            .find(|(index, _)| given & (1 << index) == 0);
        match missing {
            Some((_, name)) => Err(Refused::new(Reason::MissingLabel, &**name)),
            None => Ok(&buffer[..declared.len()]),
        }
    }

    /// Moves the summaries' window on and forgets silent series.
    pub(super) fn tick(&self, now: Now) {
        let step = (self.declared.max_age.as_millis() as u64 / SLOTS as u64).max(1);
        self.series.slot.store(now.mono.0 / step, Ordering::Relaxed);
        if let Some(age) = self.declared.expire_after
            && !self.declared.def.labels.is_empty()
        {
            self.series.table.expire(age, now.mono);
        }
    }

    pub(super) fn table(&self) -> &Table {
        &self.series.table
    }
}
