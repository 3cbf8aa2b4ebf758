//! A Grafana dashboard for a declaration: panels from the metrics, thresholds from the rules.
//!
//! Pure: the declaration in, JSON out. Since every query is made from a declared metric, renaming
//! one renames it in its panels, and disabling one takes them away.

mod layout;
mod panels;
mod query;
mod render;
mod threshold;

use bellwether_core::MetricDef;
use layout::Drawn;
use panels::{Panel, Query, ROWS, Row};
use serde_json::{Value, json};
use threshold::Limit;

use crate::config::Plan;

/// The dashboard for `plan`. Classic dashboard JSON, schema 36: Grafana 10 to 13 import it.
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
    document(&layout::arrange(
        rows.into_iter()
            .map(|(row, drawn)| (row.title, drawn))
            .collect(),
    ))
}

/// One metric and what it shows.
struct Shown<'a> {
    def: &'a MetricDef,
    /// The figure of the catalogue that it exports; its own name where it is no such figure.
    figure: &'a str,
    /// Whether a panel shows it already.
    drawn: bool,
}

struct Drawing<'a> {
    metrics: Vec<Shown<'a>>,
    limits: Vec<Limit>,
}

impl<'a> Drawing<'a> {
    fn new(plan: &'a Plan) -> Self {
        let shown = |def: &'a MetricDef| Shown {
            def,
            figure: &def.name,
            drawn: false,
        };
        let mut metrics: Vec<_> = plan.metrics.iter().map(shown).collect();
        for (id, declared) in plan.system.iter().flatten() {
            metrics[id.0 as usize].figure = declared.figure();
        }
        Self {
            metrics,
            limits: threshold::limits(&plan.rules),
        }
    }

    /// A panel of the catalogue with those of its metrics that are declared.
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

    /// The metrics that export a figure.
    fn showing(&self, figure: &str) -> Vec<usize> {
        let all = self.metrics.iter().enumerate();
        all.filter(|(_, metric)| metric.figure == figure)
            .map(|(index, _)| index)
            .collect()
    }

    /// Panels for the metrics of the row's origin that nothing shows yet.
    fn others(&self, row: &Row, drawn: &mut Vec<Drawn>) {
        let left = self
            .metrics
            .iter()
            .filter(|m| !m.drawn && Some(m.def.origin) == row.others);
        drawn.extend(left.map(|metric| panels::generic(metric.def, &self.limits)));
    }
}

/// Everything around the panels.
fn document(panels: &[Value]) -> Value {
    json!({
        "annotations": {"list": [annotation()]},
        "description": "Made by `bellwether dashboard` from the declaration: metrics, and the limits of the rules as dashed lines.",
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

/// Marks on all panels for the time in which a rule's alerts fire.
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

/// A variable with several values at once; at the start all of them.
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
