//! Dashboards for a configuration: the shipped one, made of the metrics, and those of the settings, with thresholds
//! from the rules.
//!
//! Pure: plan in, dashboards out. Every query of the shipped one is built from a configured metric, so renaming a metric
//! renames it in its widgets, and disabling it removes them.

mod catalogue;
mod document;
mod layout;
mod panels;
mod query;
mod threshold;
mod widget;

use bellwether_config::Plan;
use bellwether_dashboards::{Dashboard, DashboardSettings, Layout};
use query::Dialect;
use serde_json::Value;
use threshold::Limits;

/// Name of the shipped dashboard. One of this name in the settings replaces it.
const SHIPPED: &str = "bellwether";

/// Returns the shipped dashboard for `plan` as Grafana's JSON, for any number of instances.
#[must_use]
pub fn render(plan: &Plan) -> Value {
    let limits = Limits::new(&plan.rules, &plan.metrics);
    document::document(&catalogue::shipped(plan, &limits, Dialect::Grafana))
}

/// All dashboards of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Dashboards {
    all: Vec<Dashboard>,
    /// The shipped dashboard for Grafana, unless the settings replace it.
    shipped_for_grafana: Option<Dashboard>,
    limits: Limits,
}

impl Dashboards {
    pub(crate) fn new(plan: &Plan) -> Self {
        let limits = Limits::new(&plan.rules, &plan.metrics);
        let of_rules = |query: &str| limits.on_query(query);
        let settings = plan.root.dashboards.iter();
        let configured: Vec<_> = settings
            .map(|settings| settings.resolve(&of_rules))
            .collect();
        let replaced = configured.iter().any(|dashboard| dashboard.name == SHIPPED);
        let shipped = |dialect| (!replaced).then(|| catalogue::shipped(plan, &limits, dialect));
        Self {
            all: shipped(Dialect::Own)
                .into_iter()
                .chain(configured)
                .collect(),
            shipped_for_grafana: shipped(Dialect::Grafana),
            limits,
        }
    }

    /// Returns all dashboards as configured, the shipped one first.
    pub(crate) fn all(&self) -> &[Dashboard] {
        &self.all
    }

    /// Returns a dashboard with `layout`.
    pub(crate) fn get(&self, name: &str, layout: Option<&Layout>) -> Option<Dashboard> {
        let dashboard = self.all.iter().find(|dashboard| dashboard.name == name)?;
        Some(self.with(dashboard, layout))
    }

    /// Returns settings that yield a dashboard with `layout`.
    pub(crate) fn settings(
        &self,
        name: &str,
        layout: Option<&Layout>,
    ) -> Option<DashboardSettings> {
        Some(self.get(name, layout)?.settings())
    }

    /// Returns a dashboard with `layout` as Grafana's JSON.
    pub(crate) fn grafana(&self, name: &str, layout: Option<&Layout>) -> Option<Value> {
        let dashboard = match &self.shipped_for_grafana {
            Some(shipped) if name == SHIPPED => self.with(shipped, layout),
            _ => self.get(name, layout)?,
        };
        Some(document::document(&dashboard))
    }

    fn with(&self, dashboard: &Dashboard, layout: Option<&Layout>) -> Dashboard {
        match layout {
            Some(layout) => dashboard.with(layout, &|query| self.limits.on_query(query)),
            None => dashboard.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_collectors::CollectorName;
    use bellwether_config::{self as config, EMBEDDED, Source};
    use bellwether_core::Origin;

    use super::*;

    fn plan(text: &str) -> Plan {
        config::plan(config::decode(&Source::Embedded, text, &|_| None)).unwrap()
    }

    #[test]
    fn a_collector_without_a_row_of_its_own_has_one_by_its_name() {
        let mut plan = plan(EMBEDDED);
        let mut metrics = plan.metrics.to_vec();
        let last = metrics.last_mut().unwrap();
        (last.name, last.origin) = ("jobs_waiting".into(), Origin::new("jobs"));
        plan.metrics = metrics.into();
        let document = render(&plan).to_string();
        assert!(document.contains(r#""title":"jobs""#), "{document}");
        assert!(document.contains(r#""title":"Jobs waiting""#), "{document}");
    }

    #[test]
    fn the_row_of_a_kind_has_its_title() {
        assert_eq!(catalogue::title_of(CollectorName::System.origin()), "Host");
        assert_eq!(catalogue::title_of(Origin::new("jobs")), "jobs");
    }

    #[test]
    #[cfg(feature = "neo4j")]
    fn a_metric_of_a_catalogue_is_in_its_panel_under_any_name() {
        let queries = "[{name: things, source: neo4j_node_count}]";
        let text = format!("performance_monitor: {{neo4j_metrics: {{queries: {queries}}}}}");
        let document = render(&plan(&text)).to_string();
        assert!(document.contains(r#""title":"Nodes""#), "{document}");
        assert!(!document.contains(r#""title":"Things""#), "{document}");
    }
}
