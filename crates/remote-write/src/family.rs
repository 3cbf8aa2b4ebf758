//! What the declaration says of the metrics that are sent: type and help.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Kind, MetricDef, Origin, UnixMillis};

/// A metric as a receiver is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name on the page.
    pub name: Arc<str>,
    /// Its type.
    pub kind: Kind,
    /// Its help.
    pub help: Arc<str>,
}

/// What is known of a series that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counting {
    /// Since when it counts, where that is known beforehand.
    pub(super) since: Option<UnixMillis>,
    /// Whether it may fall without having begun again: a sum.
    pub(super) falls: bool,
}

impl Family {
    /// The number that both versions of remote write have for the type.
    pub(super) fn kind_number(&self) -> i32 {
        match self.kind {
            Kind::Counter => 1,
            Kind::Gauge => 2,
            Kind::Histogram => 3,
            Kind::Summary => 5,
        }
    }
}

/// Metrics by the names of their series.
#[derive(Debug, Default)]
pub struct Families {
    all: Vec<Family>,
    by_series: HashMap<String, (usize, Option<Counting>)>,
}

impl Families {
    /// Those of a plan, in a process that runs since `started`.
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
                let known = (index, counting(metric, suffix, started));
                families
                    .by_series
                    .insert(format!("{}{suffix}", metric.exported), known);
            }
            families.all.push(Family {
                name: metric.exported.clone(),
                kind: metric.kind,
                help: metric.help.clone(),
            });
        }
        families
    }

    /// The metric that a series of this name belongs to.
    #[must_use]
    pub fn of(&self, series: &str) -> Option<&Family> {
        self.by_series
            .get(series)
            .map(|(index, _)| &self.all[*index])
    }

    /// What is known of the series of this name, if it counts.
    pub(super) fn counting(&self, series: &str) -> Option<Counting> {
        self.by_series.get(series)?.1
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Family] {
        &self.all
    }
}

/// What is known of the series of `metric` with this suffix, if it counts: what this process counts
/// itself was 0 when it `started`; since when others count they do not say.
fn counting(metric: &MetricDef, suffix: &str, started: UnixMillis) -> Option<Counting> {
    let counts = match metric.kind {
        Kind::Counter | Kind::Histogram => true,
        Kind::Summary => !suffix.is_empty(),
        Kind::Gauge => false,
    };
    let ours = matches!(metric.origin, Origin::Application | Origin::Own);
    counts.then(|| Counting {
        since: ours.then_some(started),
        falls: suffix == "_sum",
    })
}
