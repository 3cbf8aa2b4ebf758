//! A Grafana dashboard for a configuration: panels from the metrics, thresholds from the rules.
//!
//! Pure: plan in, JSON out. Every query is built from a configured metric, so renaming a metric
//! renames it in its panels, and disabling it removes them.

mod layout;
mod panels;
mod query;
mod render;
mod threshold;

use std::collections::{BTreeSet, HashMap};

use bellwether_collectors::CollectorName;
use bellwether_core::{MetricDef, Origin};
use layout::Drawn;
use panels::{Panel, Query, ROWS, Row};
use serde_json::{Value, json};
use threshold::Limit;

use crate::config::Plan;

/// Returns the dashboard for `plan`: classic dashboard JSON, schema 36, which Grafana 10 to 13
/// import.
#[must_use]
pub fn render(plan: &Plan) -> Value {
    let mut drawing = Drawing::new(plan);
    // Panels of the catalogue first: what none of them shows is then known.
    let mut rows: Vec<_> = ROWS
        .iter()
        .map(|row| {
            (
                row,
                row.panels.iter().filter_map(|p| drawing.panel(p)).collect(),
            )
        })
        .collect();
    for (row, drawn) in &mut rows {
        drawing.others(row, drawn);
    }
    rows.retain(|(_, drawn)| !drawn.is_empty());
    let rows = rows.into_iter().map(|(row, drawn)| (row.title, drawn));
    document(&layout::arrange(
        rows.chain(drawing.further_rows()).collect(),
    ))
}

/// A metric and the catalogue entry that it exports.
struct PanelMetric<'a> {
    def: &'a MetricDef,
    /// Name in the catalogue; its own name if it is not there.
    source: &'a str,
    /// True once a panel shows it.
    drawn: bool,
}

struct Drawing<'a> {
    metrics: Vec<PanelMetric<'a>>,
    limits: Vec<Limit>,
}

impl<'a> Drawing<'a> {
    fn new(plan: &'a Plan) -> Self {
        let collectors = plan.root.performance_monitor.collectors.all();
        let configured = collectors.flat_map(|settings| settings.kind().configured());
        let names: HashMap<&str, &str> = configured
            .map(|metric| (metric.name.as_str(), metric.catalogue_name))
            .collect();
        let shown = |def: &'a MetricDef| PanelMetric {
            def,
            source: names.get(&*def.name).copied().unwrap_or(&def.name),
            drawn: false,
        };
        Self {
            metrics: plan.metrics.iter().map(shown).collect(),
            limits: threshold::limits(&plan.rules),
        }
    }

    /// Returns a panel of the catalogue with those of its metrics that are configured.
    fn panel(&mut self, panel: &Panel) -> Option<Drawn> {
        let mut targets = Vec::new();
        let mut limits = Vec::new();
        for target in panel.targets {
            let named = self.showing(target.metric);
            for &index in &named {
                let def = self.metrics[index].def;
                let other = match target.query {
                    Query::ShareWith(other) => self.showing(other).first().copied(),
                    _ => None,
                };
                let other_def = other.map(|other| self.metrics[other].def);
                let Some(expression) = query::expression(target, def, other_def) else {
                    continue;
                };
                targets.push((expression, query::legend(target, def, named.len() > 1)));
                limits.extend(threshold::matching(
                    target.query,
                    def,
                    other_def,
                    target.factor,
                    &self.limits,
                ));
                for index in [Some(index), other].into_iter().flatten() {
                    self.metrics[index].drawn = true;
                }
            }
        }
        (!targets.is_empty()).then(|| {
            render::panel(
                panel.view,
                panel.unit,
                panel.title,
                panel.about,
                &targets,
                &limits,
            )
        })
    }

    /// Returns the metrics for a name of the catalogue.
    fn showing(&self, source: &str) -> Vec<usize> {
        let all = self.metrics.iter().enumerate();
        all.filter(|(_, metric)| metric.source == source)
            .map(|(index, _)| index)
            .collect()
    }

    /// Adds panels for the metrics of the row's origin that no panel shows yet.
    fn others(&self, row: &Row, drawn: &mut Vec<Drawn>) {
        drawn.extend(row.others.into_iter().flat_map(|origin| self.rest(origin)));
    }

    /// Returns panels for the metrics of `origin` that no panel of the catalogue shows.
    fn rest(&self, origin: Origin) -> Vec<Drawn> {
        let metrics = self.metrics.iter();
        metrics
            .filter(|metric| !metric.drawn && metric.def.origin == origin)
            .map(|metric| panels::generic(metric.def, &self.limits))
            .collect()
    }

    /// Returns a row for each collector that has none in the catalogue.
    fn further_rows(&self) -> Vec<(&'static str, Vec<Drawn>)> {
        let has_row = |origin: Origin| ROWS.iter().any(|row| row.others == Some(origin));
        let origins: BTreeSet<Origin> = self
            .metrics
            .iter()
            .filter(|metric| !metric.drawn)
            .map(|metric| metric.def.origin)
            .filter(|origin| *origin != Origin::SELF_METRICS && !has_row(*origin))
            .collect();
        origins
            .into_iter()
            .map(|origin| (title_of(origin), self.rest(origin)))
            .collect()
    }
}

/// Returns the title of a row for the collector `origin`: of its kind, or else its name.
fn title_of(origin: Origin) -> &'static str {
    CollectorName::from_origin(origin).map_or(origin.as_str(), CollectorName::title)
}

/// Returns the dashboard with `panels`.
fn document(panels: &[Value]) -> Value {
    json!({
        "annotations": {"list": [annotation()]},
        "description": "Generated by `bellwether dashboard` from the configuration: metrics, and the thresholds of the rules as dashed lines.",
        "editable": true,
        "graphTooltip": 1,
        "id": null,
        "links": [],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": 36,
        "tags": ["bellwether"],
        "templating": {"list": variables()},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": "Bellwether",
        "uid": "bellwether",
        "version": 1,
        "weekStart": "",
    })
}

/// Returns annotations on all panels for the times in which the alerts of a rule fire.
fn annotation() -> Value {
    json!({
        "datasource": render::datasource(),
        "enable": true,
        "hide": false,
        "iconColor": "red",
        "name": "Firing alerts",
        "target": {
            "expr": "bellwether_rule_alerts_firing{job=~\"$job\", instance=~\"$instance\"} > 0",
            "refId": "alerts",
        },
        "titleFormat": "{{rule}}",
    })
}

fn variables() -> Value {
    json!([
        {
            "hide": 0,
            "label": "Data source",
            "name": "datasource",
            "query": "prometheus",
            "refresh": 1,
            "regex": "",
            "type": "datasource",
        },
        choice("job", "Job", "label_values(bellwether_build_info, job)"),
        choice("instance", "Instance", "label_values(bellwether_build_info{job=~\"$job\"}, instance)"),
        {
            "datasource": render::datasource(),
            "hide": 0,
            "label": "Filters",
            "name": "filters",
            "type": "adhoc",
        },
    ])
}

/// Returns a variable with multiple values, all of them selected by default.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        // History and remote write have no `job`; `.*` takes series without one, too.
        "allValue": ".*",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "datasource": render::datasource(),
        "hide": 0,
        "includeAll": true,
        "label": label,
        "multi": true,
        "name": name,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "type": "query",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, EMBEDDED, Source};

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
        assert_eq!(title_of(CollectorName::System.origin()), "Host");
        assert_eq!(title_of(Origin::new("jobs")), "jobs");
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
