//! The series that a metric is recorded as, and their values in its row.

use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, MetricDef, MetricId};

/// A number of a metric's row, and the recorded name that holds it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The metric.
    pub metric: MetricId,
    /// The name of its series.
    pub name: Arc<str>,
    /// Label that distinguishes the values of one row, if the name does not: `le`, `quantile`.
    by: Option<&'static str>,
}

impl Part {
    /// All parts of a metric that is recorded as `name`. A counter has `_total` behind it where it
    /// came through a Prometheus that asked for OpenMetrics.
    #[must_use]
    pub fn all(metric: MetricId, def: &MetricDef, name: &str) -> Vec<Self> {
        let part = |suffix: &str, by| Self {
            metric,
            name: format!("{name}{suffix}").into(),
            by,
        };
        match def.kind {
            Kind::Gauge => vec![part("", None)],
            Kind::Counter if name.ends_with("_total") => vec![part("", None)],
            Kind::Counter => vec![part("", None), part("_total", None)],
            Kind::Histogram => {
                vec![
                    part("_bucket", Some("le")),
                    part("_count", None),
                    part("_sum", None),
                ]
            }
            Kind::Summary => {
                vec![
                    part("", Some("quantile")),
                    part("_count", None),
                    part("_sum", None),
                ]
            }
        }
    }

    /// Returns the index of a recorded series in the row of `def`; `None` for a bucket or quantile
    /// that is not configured.
    #[must_use]
    pub fn number(&self, def: &MetricDef, labels: &LabelSet) -> Option<usize> {
        let bounds = match def.kind {
            Kind::Counter | Kind::Gauge => return Some(0),
            Kind::Histogram => &def.buckets,
            Kind::Summary => &def.quantiles,
        };
        match self.by {
            Some(by) => {
                let bound: f64 = labels.get(by).parse().ok()?;
                bounds.iter().position(|declared| *declared == bound)
            }
            None => Some(bounds.len() + usize::from(self.name.ends_with("_sum"))),
        }
    }
}
