//! Metrics as declared, resolved and ready to store.

use std::sync::Arc;
use std::time::Duration;

/// Index of a metric in the plan and in the store that was built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub u32);

/// Metric types of the Prometheus data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A running total.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations counted into declared buckets.
    Histogram,
    /// Quantiles over recent observations.
    Summary,
}

impl Kind {
    /// The word used in `# TYPE` and in the declaration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }

    /// What the names of its series have behind that of the metric.
    #[must_use]
    pub fn suffixes(self) -> &'static [&'static str] {
        match self {
            Kind::Counter | Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_count", "_sum"],
            Kind::Summary => &["", "_count", "_sum"],
        }
    }
}

/// Which collector fills a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// /proc and /sys.
    System,
    /// Recorded by applications.
    Application,
    /// Asked of Neo4j.
    Neo4j,
    /// Bellwether about itself.
    Own,
}

impl Origin {
    /// The collector's name in the declaration, in labels and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::System => "system",
            Origin::Application => "application",
            Origin::Neo4j => "neo4j",
            Origin::Own => "self",
        }
    }
}

/// One metric: its name, its type and the shape of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDef {
    /// Name in the declaration; rules use it.
    pub name: Arc<str>,
    /// Name on the page, prefix included.
    pub exported: Arc<str>,
    /// Text of `# HELP`, unescaped.
    pub help: Arc<str>,
    /// Type.
    pub kind: Kind,
    /// Label names, in the order of the declaration.
    pub labels: Arc<[Arc<str>]>,
    /// Upper bounds of a histogram's buckets, ascending, without `+Inf`; else empty.
    pub buckets: Arc<[f64]>,
    /// Quantiles of a summary, ascending, each 0 to 1; else empty.
    pub quantiles: Arc<[f64]>,
    /// Which collector fills it.
    pub origin: Origin,
    /// How often it is collected; a series not refreshed for three of these is dropped.
    pub interval: Duration,
}

impl MetricDef {
    /// Numbers one series holds. Counter and gauge: the value. Histogram: for each bound the
    /// observations at or below it (cumulative), then the count (the `+Inf` bucket), then the sum.
    /// Summary: each quantile's value, then the count, then the sum.
    #[must_use]
    pub fn width(&self) -> usize {
        match self.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram => self.buckets.len() + 2,
            Kind::Summary => self.quantiles.len() + 2,
        }
    }
}

/// The name on the page: `name` behind `prefix`, or alone where there is no prefix.
#[must_use]
pub fn exported_name(prefix: &str, name: &str) -> Arc<str> {
    if prefix.is_empty() {
        name.into()
    } else {
        format!("{prefix}_{name}").into()
    }
}
