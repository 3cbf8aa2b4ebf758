//! Metadata of the metrics that are sent: type and help.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Kind, MetricDef, Origin, UnixMillis};
use bellwether_exposition::remote_write::number_of_kind;

/// Metadata of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name in `/metrics`.
    pub name: Arc<str>,
    pub kind: Kind,
    pub help: Arc<str>,
}

/// Properties of a series that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counting {
    /// Start of the count, if it is known beforehand.
    pub(super) start: Option<UnixMillis>,
    /// True for a sum, which may decrease without a reset.
    pub(super) may_decrease: bool,
}

impl Family {
    /// Returns the number of the type in both versions of remote write.
    pub(super) fn kind_number(&self) -> i32 {
        number_of_kind(self.kind)
    }
}

/// Metrics by the names of their series.
#[derive(Debug, Default)]
pub struct Families {
    all: Vec<Family>,
    by_series: HashMap<String, (usize, Option<Counting>)>,
}

impl Families {
    /// Creates the metadata of `metrics`, in a process that runs since `started`.
    #[must_use]
    pub fn new(metrics: &[MetricDef], started: UnixMillis) -> Self {
        let mut families = Self::default();
        for (index, metric) in metrics.iter().enumerate() {
            let suffixes: &[&str] = match metric.kind {
                Kind::Counter | Kind::Gauge => &[""],
                Kind::Histogram => &["_bucket", "_count", "_sum"],
                Kind::Summary => &["", "_count", "_sum"],
            };
            for suffix in suffixes {
                families.by_series.insert(
                    format!("{}{suffix}", metric.exported),
                    (index, counting(metric, suffix, started)),
                );
            }
            families.all.push(Family {
                name: metric.exported.clone(),
                kind: metric.kind,
                help: metric.help.clone(),
            });
        }
        families
    }

    /// Returns the metric of the series with this name.
    #[must_use]
    pub fn get(&self, series: &str) -> Option<&Family> {
        self.by_series
            .get(series)
            .map(|(index, _)| &self.all[*index])
    }

    /// Returns the properties of the series with this name, if it counts.
    pub(super) fn counting(&self, series: &str) -> Option<Counting> {
        self.by_series.get(series)?.1
    }

    /// Returns all metrics.
    #[must_use]
    pub fn all(&self) -> &[Family] {
        &self.all
    }
}

/// Returns the properties of the series of `metric` with this suffix, if it counts. Counters of this
/// process were 0 when it `started`; the start of others is unknown.
fn counting(metric: &MetricDef, suffix: &str, started: UnixMillis) -> Option<Counting> {
    let counts = match metric.kind {
        Kind::Counter | Kind::Histogram => true,
        Kind::Summary => !suffix.is_empty(),
        Kind::Gauge => false,
    };
    let is_own = matches!(metric.origin, Origin::APPLICATION | Origin::SELF_METRICS);
    counts.then(|| Counting {
        start: is_own.then_some(started),
        may_decrease: suffix == "_sum",
    })
}
