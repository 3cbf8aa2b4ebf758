//! Applications as a kind of collector.

use bellwether_collector::{
    CollectorKind, CollectorPlan, ConfiguredMetric, Input, MetricReference, MetricRow,
    ResolveContext,
};
use bellwether_schema::section;

use super::settings::{Application, ApplicationMetric, resolve};

section! {
    /// Applications.
    pub struct ApplicationSettings {
        /// Metrics that applications record.
        pub application_metrics: Vec<ApplicationMetric> = Vec::new(),
        /// Ways for applications to record metrics beside HTTP.
        pub application: Application,
    }
}

impl CollectorKind for ApplicationSettings {
    fn configured(&self) -> Vec<ConfiguredMetric<'_>> {
        let metrics = self.application_metrics.iter();
        metrics
            .map(|metric| ConfiguredMetric::named(&metric.name))
            .collect()
    }

    fn metric_keys(&self) -> &'static [&'static str] {
        &["application_metrics"]
    }

    fn resolve(&self, context: &mut ResolveContext<'_>) -> Option<CollectorPlan> {
        context.set_schedule(self.application.interval.as_ref(), None);
        let metrics = &self.application_metrics;
        let resolved = resolve(metrics, context.defaults, context.problems);
        if let Some(statsd) = &self.application.statsd {
            statsd.check(metrics, context.problems);
        }
        let recorded = resolved.into_iter();
        let recorded = recorded
            .map(|metric| (context.add(metric.def.clone()), metric))
            .collect();
        Some(CollectorPlan {
            origin: context.defaults.origin,
            schedule: context.schedule,
            times: None,
            input: Input::Record(recorded),
            series_limits: None,
            receiver: None,
        })
    }

    fn reference(&self) -> MetricReference {
        MetricReference {
            text: "Metrics of the shipped configuration; configure your own in \
                   `application_metrics`.",
            metrics: self.application_metrics.iter().map(row).collect(),
        }
    }
}

fn row(metric: &ApplicationMetric) -> MetricRow {
    let labels = metric.labels.iter();
    MetricRow {
        name: metric.name.value.clone(),
        types: metric.r#type.as_str(),
        labels: labels.map(|label| label.value.clone()).collect(),
        help: metric.help.clone().unwrap_or_default(),
    }
}
