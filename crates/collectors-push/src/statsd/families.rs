//! Values of metrics by name and labels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::CollectorLimits;
use bellwether_core::{Kind, LabelSet, METRIC_NAME, MonoMillis, Rejection, SeriesBatch, bound};
use bellwether_recorder::{SLOTS, Sketch};
use hashbrown::{Equivalent, HashMap};

use crate::name_mapping::{Observer, Options, Target};

/// Metrics with their series.
#[derive(Default)]
pub(super) struct Families {
    families: BTreeMap<String, Family>,
    /// Number of series on `/metrics`.
    width: usize,
    /// Size of the labels of all series.
    label_bytes: usize,
    /// Buffer for quantiles.
    scratch: Vec<(i32, u32)>,
}

/// Metric.
struct Family {
    kind: Kind,
    help: String,
    series: HashMap<LabelSet, Series>,
}

/// Labels of a series that may be there.
#[derive(Hash)]
struct Packed<'a>(&'a [u8]);

impl Equivalent<LabelSet> for Packed<'_> {
    fn equivalent(&self, labels: &LabelSet) -> bool {
        labels.packed() == self.0
    }
}

struct Series {
    cell: Cell,
    ttl: Option<Duration>,
    /// Time of the last sample.
    last: MonoMillis,
}

/// Value of a series.
enum Cell {
    Number(f64),
    Histogram {
        bounds: Arc<[f64]>,
        /// Observations by bucket; the last one is that of `+Inf`.
        buckets: Box<[u64]>,
        sum: f64,
    },
    Summary {
        quantiles: Arc<[f64]>,
        sketch: Box<Sketch>,
        /// Duration of a slot, in milliseconds.
        slot: u64,
        count: u64,
        sum: f64,
    },
}

/// Change of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// Adds to a counter.
    Increase(f64),
    /// Sets a gauge.
    Set(f64),
    /// Adds to a gauge.
    Step(f64),
    /// Observes a value some times.
    Observe(f64, u64),
}

impl Families {
    /// Changes the value of the series of `target` with these labels, packed as a [`LabelSet`]. It is created if `limits` allow
    /// it.
    ///
    /// # Errors
    /// The value is invalid, the metric has another type, or there would be too many series.
    pub(super) fn change(
        &mut self,
        target: &Target,
        packed: &[u8],
        change: Change,
        limits: &CollectorLimits,
        now: MonoMillis,
    ) -> Result<(), Rejection> {
        let options = &target.options;
        let kind = change.check()?.kind(options);
        if let Some(family) = self.families.get_mut(&target.name) {
            if family.kind != kind {
                return Err(Rejection::Type);
            }
            if let Some(series) = family.series.get_mut(&Packed(packed)) {
                series.ttl = options.ttl;
                series.last = now;
                return series.cell.apply(change, now);
            }
        }
        let mut cell = Cell::new(kind, options);
        cell.apply(change, now)?;
        let width = self.width + cell.width();
        let label_bytes = self.label_bytes + packed.len();
        if width > limits.series || label_bytes as u64 > limits.bytes.0 {
            return Err(Rejection::Limit);
        }
        let set = LabelSet::from_packed(packed).ok_or(Rejection::Invalid)?;
        (self.width, self.label_bytes) = (width, label_bytes);
        let family = self
            .families
            .entry(target.name.clone())
            .or_insert_with(|| Family {
                kind,
                help: options.help.clone().unwrap_or_default(),
                series: HashMap::new(),
            });
        let series = Series {
            cell,
            ttl: options.ttl,
            last: now,
        };
        family.series.insert(set, series);
        Ok(())
    }

    /// Ends the series without a sample for too long, and adds the others to `out`.
    pub(super) fn fill(&mut self, now: MonoMillis, out: &mut SeriesBatch) {
        let Self {
            families,
            width,
            label_bytes,
            scratch,
        } = self;
        families.retain(|name, family| {
            family.series.retain(|set, series| {
                let stays = series.ttl.is_none_or(|ttl| now.since(series.last) <= ttl);
                if !stays {
                    *width -= series.cell.width();
                    *label_bytes -= set.packed().len();
                }
                stays
            });
            out.begin(name, Some(family.kind), &family.help);
            for (set, series) in &mut family.series {
                series.cell.fill(set, now, scratch, out);
            }
            !family.series.is_empty()
        });
    }
}

impl Change {
    /// Rejects a number that is not finite, and a counter that would fall.
    fn check(self) -> Result<Self, Rejection> {
        let (Self::Increase(value)
        | Self::Set(value)
        | Self::Step(value)
        | Self::Observe(value, _)) = self;
        match self {
            Self::Increase(value) if value < 0.0 => Err(Rejection::Malformed),
            change => finite(value).map(|_| change),
        }
    }

    fn kind(self, options: &Options) -> Kind {
        match (self, &options.observer) {
            (Self::Increase(_), _) => Kind::Counter,
            (Self::Set(_) | Self::Step(_), _) => Kind::Gauge,
            (Self::Observe(..), Observer::Histogram(_)) => Kind::Histogram,
            (Self::Observe(..), Observer::Summary { .. }) => Kind::Summary,
        }
    }
}

impl Cell {
    fn new(kind: Kind, options: &Options) -> Self {
        match (&options.observer, kind) {
            (_, Kind::Counter | Kind::Gauge) => Self::Number(0.0),
            (Observer::Histogram(bounds), _) => Self::Histogram {
                bounds: bounds.clone(),
                buckets: vec![0; bounds.len() + 1].into(),
                sum: 0.0,
            },
            (Observer::Summary { quantiles, max_age }, _) => Self::Summary {
                quantiles: quantiles.clone(),
                sketch: Box::default(),
                slot: (max_age.as_millis() as u64 / SLOTS as u64).max(1),
                count: 0,
                sum: 0.0,
            },
        }
    }

    /// Returns the number of its series on `/metrics`.
    fn width(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Histogram { bounds, .. } => bounds.len() + 3,
            Self::Summary { quantiles, .. } => quantiles.len() + 2,
        }
    }

    fn apply(&mut self, change: Change, now: MonoMillis) -> Result<(), Rejection> {
        match (self, change) {
            (Self::Number(own), Change::Set(value)) => *own = value,
            (Self::Number(own), Change::Increase(by) | Change::Step(by)) => {
                *own = finite(*own + by)?
            }
            (
                Self::Histogram {
                    bounds,
                    buckets,
                    sum,
                },
                Change::Observe(value, times),
            ) => {
                *sum = finite(*sum + value * times as f64)?;
                let bucket = &mut buckets[bounds.partition_point(|bound| *bound < value)];
                *bucket = bucket.saturating_add(times);
            }
            (
                Self::Summary {
                    sketch,
                    slot,
                    count,
                    sum,
                    ..
                },
                Change::Observe(value, times),
            ) => {
                *sum = finite(*sum + value * times as f64)?;
                *count = count.saturating_add(times);
                let weight = u32::try_from(times).unwrap_or(u32::MAX);
                sketch.observe(value, weight, now.0 / *slot);
            }
            _ => return Err(Rejection::Type),
        }
        Ok(())
    }

    fn fill(
        &mut self,
        set: &LabelSet,
        now: MonoMillis,
        scratch: &mut Vec<(i32, u32)>,
        out: &mut SeriesBatch,
    ) {
        let labels = || -> Vec<(&str, &str)> {
            let labels = set.iter().filter(|(name, _)| *name != METRIC_NAME);
            labels.collect()
        };
        match self {
            Self::Number(value) => out.push_packed(set.packed(), *value),
            Self::Histogram {
                bounds,
                buckets,
                sum,
            } => {
                let mut count = 0;
                let cumulative = bounds.iter().zip(&*buckets).map(|(bound, own)| {
                    count += own;
                    (*bound, count as f64)
                });
                let total = buckets.iter().sum::<u64>() as f64;
                out.push_histogram(&labels(), cumulative, total, Some(*sum));
            }
            Self::Summary {
                quantiles,
                sketch,
                slot,
                count,
                sum,
            } => {
                let labels = labels();
                let mut values = vec![f64::NAN; quantiles.len()];
                sketch.quantiles(quantiles, now.0 / *slot, scratch, &mut values);
                for (quantile, value) in quantiles.iter().zip(values) {
                    let quantile = bound(*quantile, false);
                    let own = ("quantile", quantile.as_str());
                    let pairs: Vec<_> = labels.iter().copied().chain([own]).collect();
                    out.push(&pairs, value);
                }
                out.push_suffixed("_sum", &labels, *sum);
                out.push_suffixed("_count", &labels, *count as f64);
            }
        }
    }
}

fn finite(value: f64) -> Result<f64, Rejection> {
    match value.is_finite() {
        true => Ok(value),
        false => Err(Rejection::Malformed),
    }
}
