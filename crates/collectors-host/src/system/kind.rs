//! The host as a kind of collector.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{
    CollectorKind, CollectorPlan, ConfiguredMetric, KindSelfMetrics, MetricReference, MetricRow,
    ResolveContext, Schedule, System,
};
use bellwether_core::Origin;
use bellwether_schema::section;

use super::catalogue::{CATALOGUE, Nature, Source};
use super::collector::SystemCollector;
use super::resolve::resolve;
use super::settings::SystemMetric;
use super::skipped::{SELF_METRICS, Skipped};

/// Delay until metrics that need two readings have values, such as `cpu_percent`.
const SETTLE: Duration = Duration::from_secs(1);

/// Origin of the metrics of the host.
const ORIGIN: Origin = Origin::from_static("system");

section! {
    /// The host.
    pub struct SystemSettings {
        /// Host metrics.
        pub system_metrics: Vec<SystemMetric> = Vec::new(),
        /// Schedule of the collections, and paths of the host's files.
        pub system: System = System::default(),
    }
}

impl CollectorKind for SystemSettings {
    fn configured(&self) -> Vec<ConfiguredMetric<'_>> {
        let metrics = self.system_metrics.iter();
        metrics
            .map(|metric| ConfiguredMetric {
                name: &metric.name,
                catalogue_name: metric.source.as_ref().unwrap_or(&metric.name),
            })
            .collect()
    }

    fn metric_keys(&self) -> &'static [&'static str] {
        &["system_metrics"]
    }

    fn self_metrics() -> Option<KindSelfMetrics> {
        Some(KindSelfMetrics {
            metrics: SELF_METRICS,
            source: |memory| memory.get::<Skipped>(ORIGIN),
        })
    }

    fn resolve(&self, context: &mut ResolveContext<'_>) -> Option<CollectorPlan> {
        context.set_schedule(self.system.interval.as_ref(), self.system.timeout.as_ref());
        let resolved = resolve(&self.system_metrics, context.defaults, context.problems);
        let metrics: Arc<[_]> = resolved
            .into_iter()
            .map(|metric| (context.add(metric.def.clone()), metric))
            .collect();
        let (origin, settings) = (context.defaults.origin, context.host.clone());
        let schedule = Schedule {
            settle: Some(SETTLE),
            ..context.schedule
        };
        Some(context.pull(schedule, move |memory| {
            let skipped = memory.get::<Skipped>(origin);
            SystemCollector::new(settings.clone(), metrics.clone(), skipped)
        }))
    }

    fn reference(&self) -> MetricReference {
        MetricReference {
            text: "Metrics of `system_metrics`. A total configured as `type: gauge` is its rate per \
                   second.",
            metrics: CATALOGUE.iter().map(row).collect(),
        }
    }
}

fn row(source: &Source) -> MetricRow {
    MetricRow {
        name: source.name.to_owned(),
        types: match source.nature {
            Nature::Level => "gauge",
            Nature::Total => "counter, or gauge",
        },
        labels: source.labels.iter().map(ToString::to_string).collect(),
        help: source.help.to_owned(),
    }
}
