//! The Grafana dashboard: its form, how it follows the configuration, and its queries on a real
//! Prometheus.

mod declarations;
mod form;
mod live;
mod shipped;

use bellwether_agent::dashboard;
use bellwether_config::{self as config, Plan, Source};
use serde_json::Value;

/// The plan of a configuration, with an empty environment.
fn plan(yaml: &str) -> Plan {
    let loaded = config::decode(&Source::Embedded, yaml, &|_: &str| None);
    config::plan(loaded).unwrap_or_else(|report| panic!("{report}"))
}

fn dashboard(yaml: &str) -> Value {
    dashboard::render(&plan(yaml))
}

/// All panels but the titles of rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all = dashboard["panels"].as_array().expect("panels");
    all.iter().filter(|panel| panel["type"] != "row").collect()
}

fn rows(dashboard: &Value) -> Vec<&str> {
    let all = dashboard["panels"].as_array().expect("panels");
    all.iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| text(&row["title"]))
        .collect()
}

fn panel<'a>(dashboard: &'a Value, title: &str) -> &'a Value {
    let found = panels(dashboard)
        .into_iter()
        .find(|panel| panel["title"] == title);
    found.unwrap_or_else(|| panic!("no panel {title:?}"))
}

fn expressions(panel: &Value) -> Vec<&str> {
    panel["targets"]
        .as_array()
        .expect("targets")
        .iter()
        .map(|target| text(&target["expr"]))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The selectors of a query: the text before each, and the names it asks for.
fn selectors(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let opening = expression.match_indices('{').map(|(at, _)| {
        let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let before = expression[..at].trim_end_matches(in_name);
        let names = match expression[at..].strip_prefix("{__name__=~\"") {
            Some(list) => list.split('"').next().expect("text").split('|').collect(),
            None => vec![&expression[before.len()..at]],
        };
        (before, names)
    });
    opening.collect()
}
