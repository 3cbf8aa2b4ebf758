//! What the declaration says of the metrics that are sent: type and help.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Kind, MetricDef};

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
    by_series: HashMap<String, usize>,
}

impl Families {
    /// Those of a plan.
    #[must_use]
    pub fn new(metrics: &[MetricDef]) -> Self {
        let mut families = Self::default();
        for (index, metric) in metrics.iter().enumerate() {
            let suffixes: &[&str] = match metric.kind {
                Kind::Counter | Kind::Gauge => &[""],
                Kind::Histogram => &["_bucket", "_count", "_sum"],
                Kind::Summary => &["", "_count", "_sum"],
            };
            for suffix in suffixes {
                families.by_series.insert(format!("{}{suffix}", metric.exported), index);
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
        self.by_series.get(series).map(|index| &self.all[*index])
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Family] {
        &self.all
    }
}
