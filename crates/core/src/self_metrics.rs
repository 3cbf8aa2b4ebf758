//! Self-metrics: metrics of Bellwether about itself.
//!
//! A module declares its own beside its counters, with [`self_metrics!`](crate::self_metrics!), and
//! adds their values to a batch, as a source of [`SelfMetrics`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::metric::{Kind, MetricDef, MetricId, Origin};
use super::time::Now;

/// Declaration of a self-metric.
#[derive(Debug)]
pub struct SelfMetric {
    /// Name, which has no prefix, so that it is the same on all hosts.
    pub name: &'static str,
    /// Type of the metric.
    pub kind: Kind,
    /// Label names, in the order in which samples have their values.
    pub labels: &'static [&'static str],
    /// Text of `# HELP`.
    pub help: &'static str,
}

impl SelfMetric {
    /// Returns the definition for a collection every `interval`.
    #[must_use]
    pub fn definition(&self, interval: Duration) -> MetricDef {
        MetricDef {
            origin: Origin::SELF_METRICS,
            interval,
            ..MetricDef::new(self.name, self.kind)
                .with_help(self.help)
                .with_labels(self.labels.iter().copied())
        }
    }
}

/// Declares self-metrics as statics, and `SELF_METRICS`, the list of them. Metrics whose list the
/// configuration does not include are rejected when they are collected.
///
/// ```
/// bellwether_core::self_metrics! {
///     QUEUE = "bellwether_notification_queue_length" Gauge ["channel"]
///         "Notifications that wait for delivery.";
/// }
/// assert_eq!(SELF_METRICS[0].name, QUEUE.name);
/// ```
#[macro_export]
macro_rules! self_metrics {
    ($( $id:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal; )*) => {
        $(
            #[doc = $help]
            pub static $id: $crate::SelfMetric = $crate::SelfMetric {
                name: $name,
                kind: $crate::Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Self-metrics that are declared here.
        pub static SELF_METRICS: &[&$crate::SelfMetric] = &[$(&$id),*];
    };
}

/// Source of self-metrics.
pub trait SelfMetrics: Send + Sync {
    /// Adds the current values to `batch`. Never blocks; locks are held for as long as it takes to
    /// read memory.
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now);
}

/// Ids of the self-metrics in a configuration, by name.
#[derive(Clone, Debug)]
pub struct SelfMetricIds(HashMap<Arc<str>, MetricId>);

impl SelfMetricIds {
    /// Collects the ids of the self-metrics among `metrics`, whose indexes are their ids.
    #[must_use]
    pub fn new(metrics: &[MetricDef]) -> Self {
        let ids = (0..).map(MetricId);
        let own = metrics
            .iter()
            .zip(ids)
            .filter(|(def, _)| def.origin == Origin::SELF_METRICS);
        Self(own.map(|(def, id)| (def.name.clone(), id)).collect())
    }

    /// Returns the id of `metric`. One that the configuration lacks has an id that every store
    /// rejects and counts.
    fn of(&self, metric: &SelfMetric) -> MetricId {
        self.0
            .get(metric.name)
            .copied()
            .unwrap_or(MetricId(u32::MAX))
    }
}

/// Batch that takes self-metrics.
#[derive(Debug)]
pub struct SelfMetricsBatch<'a> {
    ids: &'a SelfMetricIds,
    batch: &'a mut Batch,
}

impl<'a> SelfMetricsBatch<'a> {
    /// Creates a view of `batch` whose samples have the ids of `ids`.
    pub fn new(ids: &'a SelfMetricIds, batch: &'a mut Batch) -> Self {
        Self { ids, batch }
    }

    /// Adds a value. `labels` are in the order of the declaration.
    pub fn push(&mut self, metric: &SelfMetric, labels: &[&str], value: f64) {
        self.batch.push(self.ids.of(metric), labels, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::self_metrics! {
        QUEUE = "queue" Gauge ["channel"]
            "Length.";
        SENT = "sent_total" Counter []
            "Sent.";
    }

    static FORGOTTEN: SelfMetric = SelfMetric {
        name: "forgotten",
        kind: Kind::Gauge,
        labels: &[],
        help: "",
    };

    #[test]
    fn a_declaration_is_a_definition_and_its_values_have_the_id_of_it() {
        let interval = Duration::from_secs(15);
        let others = [MetricDef::new("queue", Kind::Gauge)];
        let own = SELF_METRICS
            .iter()
            .map(|metric| metric.definition(interval));
        let metrics: Vec<MetricDef> = others.into_iter().chain(own).collect();
        assert_eq!(&*metrics[1].labels, [Arc::from("channel")]);
        assert_eq!(
            (&*metrics[2].help, metrics[2].interval),
            ("Sent.", interval)
        );

        let (ids, mut batch) = (SelfMetricIds::new(&metrics), Batch::default());
        let mut own = SelfMetricsBatch::new(&ids, &mut batch);
        own.push(&SENT, &[], 3.0);
        own.push(&QUEUE, &["pager"], 2.0);
        own.push(&FORGOTTEN, &[], 1.0);
        let written: Vec<_> = batch.iter().map(|point| point.metric.0).collect();
        assert_eq!(written, [2, 1, u32::MAX]);
    }
}
