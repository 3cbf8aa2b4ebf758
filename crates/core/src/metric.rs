//! Definitions of metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Index of a metric in the configuration and in the store that was built from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub u32);

/// Metric types of the Prometheus data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A total that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations counted into buckets.
    Histogram,
    /// Quantiles over recent observations.
    Summary,
}

impl Kind {
    /// Returns the word used in `# TYPE` and in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }

    /// Returns the suffixes that the names of its series have after the name of the metric.
    #[must_use]
    pub fn suffixes(self) -> &'static [&'static str] {
        match self {
            Kind::Counter | Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_count", "_sum"],
            Kind::Summary => &["", "_count", "_sum"],
        }
    }
}

/// Collector that fills a metric, by its name in the configuration, in labels and in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(&'static str);

/// Names of origins that are no constants. Each is kept until the process ends: there are as many as
/// collectors were ever configured.
static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl Origin {
    /// Recorded by applications.
    pub const APPLICATION: Self = Self::from_static("application");
    /// Self-metrics: of Bellwether itself.
    pub const SELF_METRICS: Self = Self::from_static("self");

    /// Creates the origin of a collector whose name is known when this is compiled.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the origin of the collector `name`, which may come from the configuration.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let name: &'static str = Box::leak(name.into());
        names.insert(name);
        Self(name)
    }

    /// Returns the name of the collector.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// Definition of a metric: its name, its type and the shape of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDef {
    /// Name in the configuration, which rules use.
    pub name: Arc<str>,
    /// Name at `/metrics`, prefix included.
    pub exported: Arc<str>,
    /// Text of `# HELP`, unescaped.
    pub help: Arc<str>,
    /// Type of the metric.
    pub kind: Kind,
    /// Label names, in the order in which samples have their values.
    pub labels: Arc<[Arc<str>]>,
    /// Upper bounds of a histogram's buckets, ascending, without `+Inf`; else empty.
    pub buckets: Arc<[f64]>,
    /// Quantiles of a summary, ascending, each 0 to 1; else empty.
    pub quantiles: Arc<[f64]>,
    /// Collector that fills it.
    pub origin: Origin,
    /// Interval of its collection; a series without a sample for three intervals is dropped.
    pub interval: Duration,
}

impl MetricDef {
    /// Creates an application metric without labels, exported under its own name.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            exported: name.into(),
            help: Arc::from(""),
            kind,
            labels: Arc::from([]),
            buckets: Arc::from([]),
            quantiles: Arc::from([]),
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(30),
        }
    }

    /// Sets the text of `# HELP`.
    #[must_use]
    pub fn with_help(mut self, help: &str) -> Self {
        self.help = help.into();
        self
    }

    /// Sets the label names.
    #[must_use]
    pub fn with_labels<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.labels = names.into_iter().map(Arc::from).collect();
        self
    }

    /// Sets the upper bounds of a histogram's buckets, ascending, without `+Inf`.
    #[must_use]
    pub fn with_buckets(mut self, bounds: impl IntoIterator<Item = f64>) -> Self {
        self.buckets = bounds.into_iter().collect();
        self
    }

    /// Sets the quantiles of a summary, ascending, each from 0 to 1.
    #[must_use]
    pub fn with_quantiles(mut self, quantiles: impl IntoIterator<Item = f64>) -> Self {
        self.quantiles = quantiles.into_iter().collect();
        self
    }

    /// Returns the names of its series in both formats, and those that OpenMetrics reserves for it: a counter is `x`
    /// and `x_total` there, and `x_created` is reserved for types that count.
    pub fn taken_names(&self) -> impl Iterator<Item = String> {
        let name = &*self.exported;
        let (stem, suffixes): (&str, &[&str]) = match self.kind {
            Kind::Counter => (
                name.strip_suffix("_total").unwrap_or(name),
                &["", "_total", "_created"],
            ),
            Kind::Gauge => (name, &[""]),
            Kind::Histogram => (name, &["", "_bucket", "_sum", "_count", "_created"]),
            Kind::Summary => (name, &["", "_sum", "_count", "_created"]),
        };
        suffixes.iter().map(move |suffix| format!("{stem}{suffix}"))
    }

    /// Returns the number of values of one series. Counter and gauge: the value. Histogram: for each bound the
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

/// Returns the name at `/metrics`: `prefix_name`, or `name` if the prefix is empty.
#[must_use]
pub fn exported_name(prefix: &str, name: &str) -> Arc<str> {
    if prefix.is_empty() {
        name.into()
    } else {
        format!("{prefix}_{name}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_its_name_wherever_the_name_comes_from() {
        let configured = Origin::new(&format!("{}_{}", "orders", "database"));
        assert_eq!(configured.as_str(), "orders_database");
        assert_eq!(configured, Origin::from_static("orders_database"));
        let again = Origin::new(&String::from("orders_database"));
        assert!(std::ptr::eq(configured.as_str(), again.as_str()));
        assert_eq!(Origin::new("application"), Origin::APPLICATION);
    }
}
