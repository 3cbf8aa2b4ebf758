//! The shipped dashboard: widgets for the metrics of a plan.

use std::collections::{BTreeSet, HashMap};

use bellwether_collectors::CollectorName;
use bellwether_config::Plan;
use bellwether_core::{MetricDef, Origin};
use bellwether_dashboards::{Dashboard, Widget, arrange};

use super::layout::even_lines;
use super::panels::{self, Panel, Query, ROWS};
use super::query::{self, Dialect};
use super::threshold::Limits;
use super::widget::{self, Heading};

/// Returns the shipped dashboard for `plan`, with queries in `dialect`.
pub(super) fn shipped(plan: &Plan, limits: &Limits, dialect: Dialect) -> Dashboard {
    let mut drawing = Drawing::new(plan, limits, dialect);
    // Panels of the catalogue first: what none of them shows is then known.
    let mut rows: Vec<(&str, Option<Origin>, Vec<Widget>)> = Vec::new();
    for row in ROWS {
        let widgets = row.panels.iter().filter_map(|panel| drawing.widget(panel));
        rows.push((row.title, row.others, widgets.collect()));
    }
    for (_, others, widgets) in &mut rows {
        widgets.extend(others.iter().flat_map(|origin| drawing.rest(*origin)));
    }
    let rows = rows.into_iter().map(|(title, _, widgets)| (title, widgets));
    let rows = rows.chain(drawing.further_rows());
    let rows = rows.filter(|(_, widgets)| !widgets.is_empty());
    Dashboard {
        name: super::SHIPPED.to_owned(),
        title: "Bellwether".to_owned(),
        items: arrange(
            rows.map(|(title, widgets)| (Some(title.to_owned()), even_lines(widgets)))
                .collect(),
        ),
        removed: Vec::new(),
    }
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
    limits: &'a Limits,
    dialect: Dialect,
}

impl<'a> Drawing<'a> {
    fn new(plan: &'a Plan, limits: &'a Limits, dialect: Dialect) -> Self {
        let collectors = plan.root.performance_monitor.built_in.all();
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
            limits,
            dialect,
        }
    }

    /// Returns a widget for a panel of the catalogue, with those of its metrics that are configured.
    fn widget(&mut self, panel: &Panel) -> Option<Widget> {
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
                let Some(expression) = query::expression(target, def, other_def, self.dialect)
                else {
                    continue;
                };
                let legend = query::legend(target, def, named.len() > 1, self.dialect);
                targets.push((expression, legend));
                let (shown, factor) = (target.query, target.factor);
                limits.extend(self.limits.on_scale(shown, def, other_def, factor));
                for index in [Some(index), other].into_iter().flatten() {
                    self.metrics[index].drawn = true;
                }
            }
        }
        let heading = Heading {
            view: panel.view,
            unit: panel.unit,
            title: panel.title,
            about: panel.about,
        };
        (!targets.is_empty()).then(|| widget::widget(&heading, targets, limits))
    }

    /// Returns the metrics for a name of the catalogue.
    fn showing(&self, source: &str) -> Vec<usize> {
        let all = self.metrics.iter().enumerate();
        all.filter(|(_, metric)| metric.source == source)
            .map(|(index, _)| index)
            .collect()
    }

    /// Returns widgets for the metrics of `origin` that no panel of the catalogue shows.
    fn rest(&self, origin: Origin) -> Vec<Widget> {
        let metrics = self.metrics.iter();
        metrics
            .filter(|metric| !metric.drawn && metric.def.origin == origin)
            .map(|metric| panels::generic(metric.def, self.limits, self.dialect))
            .collect()
    }

    /// Returns a row for each collector that has none in the catalogue.
    fn further_rows(&self) -> Vec<(&'static str, Vec<Widget>)> {
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
pub(super) fn title_of(origin: Origin) -> &'static str {
    CollectorName::from_origin(origin).map_or(origin.as_str(), CollectorName::title)
}
