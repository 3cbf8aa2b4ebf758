//! The panels for the catalogue's metrics, as data, and the panel for any other metric.
//!
//! A panel has all configured metrics for its catalogue entries; a panel without any is omitted.

mod application;
mod neo4j;
mod self_metrics;
mod system;

use bellwether_core::{Kind, MetricDef, Origin};
use bellwether_dashboards::{Unit, Widget};

use super::query::{self, Dialect};
use super::threshold::Limits;
use super::widget;

/// Row of the dashboard.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
    /// The row also has the metrics of this origin that no panel shows.
    pub(super) others: Option<Origin>,
}

/// Panel of the catalogue.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// Description, a full sentence.
    pub(super) about: &'static str,
    pub(super) unit: Unit,
    pub(super) view: View,
    pub(super) targets: &'static [Target<'static>],
}

/// Type of a panel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Lines over time.
    Lines,
    /// A single number.
    Number,
    /// A single number; anything but 0 is bad.
    Trouble,
    /// 1 is up, 0 is down.
    UpDown,
    /// A bar for each series, 0 to 100.
    Bars,
}

/// Query of a panel.
pub(super) struct Target<'a> {
    /// Name in the catalogue, or name of the metric.
    pub(super) metric: &'a str,
    pub(super) query: Query,
    /// Labels to group by; those that the metric lacks are ignored.
    pub(super) by: &'a [&'a str],
    /// Prefix of the legend.
    pub(super) legend: &'a str,
    /// Factor from the metric's unit to the panel's.
    pub(super) factor: f64,
    /// True to group by instance.
    pub(super) per_instance: bool,
}

/// Function that a query applies to a metric.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Query {
    /// Each series unchanged.
    Value,
    /// The sum of the series that this matcher selects; an empty one selects all.
    Where(&'static str),
    /// Rate per second.
    Rate,
    /// Increase over the time that the dashboard shows, of the series that this matcher selects.
    Increase(&'static str),
    /// Mean of the observations.
    Mean,
    /// Quantile of the observations, 0 to 1.
    Quantile(f64),
    /// Rate of this metric as a share of the sum of its own and another's.
    ShareWith(&'static str),
}

/// The rows, from top to bottom.
pub(super) const ROWS: &[Row] = &[
    Row {
        title: "Alerts and Bellwether itself",
        panels: self_metrics::PANELS,
        others: None,
    },
    Row {
        title: "System resources",
        panels: system::PANELS,
        others: Some(Origin::from_static("system")),
    },
    Row {
        title: "Agents",
        panels: application::AGENTS,
        others: None,
    },
    Row {
        title: "API",
        panels: application::API,
        others: None,
    },
    Row {
        title: "Queues",
        panels: application::QUEUES,
        others: None,
    },
    Row {
        title: "Neo4j",
        panels: neo4j::PANELS,
        others: Some(Origin::from_static("neo4j")),
    },
    Row {
        title: "Entities",
        panels: application::ENTITIES,
        others: None,
    },
    Row {
        title: "Caches",
        panels: application::CACHES,
        others: None,
    },
    Row {
        title: "Further application metrics",
        panels: &[],
        others: Some(Origin::APPLICATION),
    },
];

/// Returns a query for a chart, grouped by these labels and by instance.
const fn line(metric: &'static str, query: Query, by: &'static [&'static str]) -> Target<'static> {
    Target {
        metric,
        query,
        by,
        legend: "",
        factor: 1.0,
        per_instance: true,
    }
}

/// Like [`by`], with a prefix of the legend.
const fn named(
    legend: &'static str,
    metric: &'static str,
    query: Query,
    by: &'static [&'static str],
) -> Target<'static> {
    Target {
        metric,
        query,
        by,
        legend,
        factor: 1.0,
        per_instance: true,
    }
}

/// Returns a query for a single number over all selected instances.
const fn total(metric: &'static str, query: Query) -> Target<'static> {
    Target {
        metric,
        query,
        by: &[],
        legend: "total",
        factor: 1.0,
        per_instance: false,
    }
}

const fn scaled(factor: f64, target: Target<'static>) -> Target<'static> {
    Target { factor, ..target }
}

const fn lines(
    title: &'static str,
    unit: Unit,
    targets: &'static [Target<'static>],
    about: &'static str,
) -> Panel {
    Panel {
        title,
        about,
        unit,
        view: View::Lines,
        targets,
    }
}

const fn number(
    title: &'static str,
    unit: Unit,
    targets: &'static [Target<'static>],
    about: &'static str,
) -> Panel {
    Panel {
        title,
        about,
        unit,
        view: View::Number,
        targets,
    }
}

/// Returns a panel by type for a metric that is not in the catalogue.
pub(super) fn generic(def: &MetricDef, limits: &Limits, dialect: Dialect) -> Widget {
    let (by, queries) = match def.kind {
        Kind::Gauge => (true, vec![(Query::Value, String::new())]),
        Kind::Counter => (true, vec![(Query::Rate, String::new())]),
        Kind::Histogram => (false, [0.5, 0.95, 0.99].map(quantile_line).into()),
        Kind::Summary => (
            false,
            def.quantiles.iter().map(|q| quantile_line(*q)).collect(),
        ),
    };
    let labels: Vec<&str> = def.labels.iter().map(AsRef::as_ref).collect();
    let mut targets = Vec::new();
    let mut drawn_limits = Vec::new();
    for (query, legend) in &queries {
        let by = if by { &labels[..] } else { &[] };
        let target = Target {
            metric: &def.name,
            query: *query,
            by,
            legend,
            factor: 1.0,
            per_instance: true,
        };
        let expression = query::expression(&target, def, None, dialect);
        targets.extend(
            expression.map(|expression| (expression, query::legend(&target, def, false, dialect))),
        );
        drawn_limits.extend(limits.on_scale(*query, def, None, 1.0));
    }
    let mut about = def.help.trim_end_matches('.').to_owned();
    if by && !labels.is_empty() {
        about.push_str(", by ");
        about.push_str(&labels.join(", "));
    }
    about.push('.');
    let panel = widget::Heading {
        view: View::Lines,
        unit: unit_of(def),
        title: &title_of(&def.name),
        about: &about,
    };
    widget::widget(&panel, targets, drawn_limits)
}

fn quantile_line(q: f64) -> (Query, String) {
    (Query::Quantile(q), format!("p{}", q * 100.0))
}

/// Formats a title: `data_disk_percent` is `Data disk percent`.
fn title_of(name: &str) -> String {
    let words = name.replace(['_', ':'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Returns the unit by the suffix of the name, as in Prometheus's naming guide.
fn unit_of(def: &MetricDef) -> Unit {
    let name = def.name.trim_end_matches("_total");
    let ends = |word: &str| name.ends_with(word);
    match def.kind {
        Kind::Counter if ends("_bytes") => Unit::BytesPerSecond,
        Kind::Counter if ends("_seconds") => Unit::Ratio,
        Kind::Counter => Unit::PerSecond,
        _ if ends("_bytes") => Unit::Bytes,
        _ if ends("_seconds") || ends("_time") || ends("_duration") => Unit::Seconds,
        _ if ends("_ms") || ends("_milliseconds") => Unit::Milliseconds,
        _ if ends("_percent") => Unit::Percent,
        _ if ends("_ratio") => Unit::Ratio,
        _ if ends("_celsius") => Unit::Celsius,
        _ => Unit::None,
    }
}
