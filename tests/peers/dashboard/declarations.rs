//! The dashboard follows its configuration.

use std::collections::BTreeSet;

use bellwether_config::EMBEDDED;
use bellwether_core::{Kind, Origin};
use serde_json::{Value, json};

use super::{dashboard, expressions, panel, panels, plan, rows, selectors, text};

/// Renamed and own metrics, other types than usual, no Neo4j.
pub const OTHER: &str = r#"
performance_monitor:
  enabled_collectors: [system, application]
  system_metrics:
    - {name: data_percent, source: disk_usage_percent, include: {mount_point: "/data*"}}
    - {name: root_percent, source: disk_usage_percent, include: {mount_point: "/"}}
    - {name: network_bytes_sent, type: gauge}
    - {name: load_average_1m}
  application_metrics:
    - {name: cache_hits, type: counter, labels: [cache_name]}
    - {name: orders, type: counter, labels: [shop], help: Orders placed.}
    - {name: upload_bytes, type: gauge, labels: [user]}
    - {name: render_seconds, type: histogram, labels: [page], buckets: [0.1, 1]}
    - {name: parse_seconds, type: summary, quantiles: [0.5, 0.95]}
    - {name: queue_processing_time, type: gauge, labels: [queue_name]}
  prometheus: {metric_prefix: shop}
  alerting:
    rules:
      - {name: few_orders, metric: orders, aggregation: rate, condition: "<", threshold: 2, severity: critical}
      - {name: slow_pages, metric: render_seconds, aggregation: p95, condition: ">", thresholds: {warning: 1, emergency: 5}}
      - {name: sleeping, metric: upload_bytes, condition: ">", threshold: 7, enabled: false}
      - {name: exact, metric: upload_bytes, condition: "==", threshold: 8}
"#;

/// Calls `check` with each selector of each query: the text before it, and a name it asks for.
fn each_name(made: &Value, mut check: impl FnMut(&str, &str)) {
    for expression in panels(made).iter().flat_map(|panel| expressions(panel)) {
        for (before, names) in selectors(expression) {
            names.iter().for_each(|name| check(before, name));
        }
    }
}

#[test]
fn every_metric_of_every_query_is_in_the_exposition_and_every_declared_metric_is_shown() {
    for yaml in [EMBEDDED, OTHER] {
        let plan = plan(yaml);
        let made = bellwether_agent::dashboard::render(&plan);
        let mut left: BTreeSet<&str> = plan
            .metrics
            .iter()
            .filter(|def| def.origin != Origin::SELF_METRICS)
            .map(|def| &*def.exported)
            .collect();
        each_name(&made, |_, name| {
            let asked = plan.metrics.iter().find(|def| {
                let rest = name.strip_prefix(&*def.exported);
                match def.kind {
                    Kind::Counter => matches!(rest, Some("" | "_total")),
                    Kind::Gauge => rest == Some(""),
                    Kind::Histogram => matches!(rest, Some("_bucket" | "_sum" | "_count")),
                    Kind::Summary => matches!(rest, Some("" | "_sum" | "_count")),
                }
            });
            let def = asked.unwrap_or_else(|| panic!("not on /metrics: {name}"));
            left.remove(&*def.exported);
        });
        assert!(left.is_empty(), "declared and not shown: {left:?}");
    }
}

#[test]
fn counters_are_only_asked_for_their_growth() {
    for yaml in [EMBEDDED, OTHER] {
        let plan = plan(yaml);
        let counters = plan.metrics.iter().filter(|def| def.kind == Kind::Counter);
        let counters: BTreeSet<&str> = counters.map(|def| &*def.exported).collect();
        let mut seen = 0;
        each_name(
            &bellwether_agent::dashboard::render(&plan),
            |before, name| {
                let counter =
                    counters.contains(name) || counters.contains(name.trim_end_matches("_total"));
                let parts = ["_bucket", "_sum", "_count"];
                let part = parts.iter().any(|part| {
                    let histogram = name.strip_suffix(part);
                    plan.metrics
                        .iter()
                        .any(|def| def.kind == Kind::Histogram && Some(&*def.exported) == histogram)
                });
                let grows = before.ends_with("rate(") || before.ends_with("increase(");
                assert_eq!(counter || part, grows, "{before}{name}");
                seen += usize::from(grows);
            },
        );
        assert!(seen > 3, "only {seen} counters were asked for");
    }
}

#[test]
fn a_renamed_metric_stays_in_its_panel() {
    let made = dashboard(OTHER);
    let usage = panel(&made, "Disk usage");
    assert_eq!(
        expressions(usage),
        [
            "shop_data_percent{job=~\"$job\", instance=~\"$instance\"}",
            "shop_root_percent{job=~\"$job\", instance=~\"$instance\"}"
        ]
    );
    assert_eq!(
        text(&usage["targets"][0]["legendFormat"]),
        "data_percent {{mount_point}} {{instance}}"
    );
}

#[test]
fn a_rate_that_the_agent_computes_is_not_computed_again() {
    let made = dashboard(OTHER);
    assert_eq!(
        expressions(panel(&made, "Network traffic")),
        [
            "sum by (interface, instance) (shop_network_bytes_sent{job=~\"$job\", instance=~\"$instance\"})"
        ]
    );
}

#[test]
fn what_is_not_declared_has_neither_panel_nor_row() {
    let made = dashboard(OTHER);
    assert_eq!(
        rows(&made),
        [
            "Alerts and Bellwether itself",
            "System resources",
            "Further application metrics"
        ]
    );
    assert!(
        panels(&made)
            .iter()
            .all(|panel| panel["title"] != "CPU usage")
    );
}

#[test]
fn other_metrics_get_panels_by_their_type() {
    let made = dashboard(OTHER);
    let unit =
        |title: &str| text(&panel(&made, title)["fieldConfig"]["defaults"]["unit"]).to_owned();
    assert_eq!(
        expressions(panel(&made, "Orders")),
        [
            "sum by (shop, instance) (rate({__name__=~\"shop_orders|shop_orders_total\", job=~\"$job\", \
          instance=~\"$instance\"}[$__rate_interval]))"
        ]
    );
    assert_eq!(
        text(&panel(&made, "Orders")["description"]),
        "Orders placed, by shop. Rule few_orders: critical below 2."
    );
    assert_eq!(unit("Orders"), "ops");
    assert_eq!(unit("Upload bytes"), "bytes");
    let render = panel(&made, "Render seconds");
    assert_eq!(expressions(render).len(), 3);
    assert!(expressions(render)[1].starts_with(
        "histogram_quantile(0.95, sum by (instance, le) (rate(shop_render_seconds_bucket{"
    ));
    assert_eq!(
        expressions(panel(&made, "Parse seconds"))[1],
        "max by (instance) (shop_parse_seconds{job=~\"$job\", instance=~\"$instance\", quantile=\"0.95\"})"
    );
    // A name of the catalogue with a type that its panel cannot ask: shown as what it is. A hit
    // rate needs misses.
    assert_eq!(expressions(panel(&made, "Queue processing time")).len(), 1);
    assert_eq!(expressions(panel(&made, "Cache hits")).len(), 1);
}

#[test]
fn thresholds_are_those_of_the_rules() {
    let made = dashboard(OTHER);
    let steps =
        |title: &str| panel(&made, title)["fieldConfig"]["defaults"]["thresholds"]["steps"].clone();
    assert_eq!(
        steps("Orders"),
        json!([{"color": "red", "value": null}, {"color": "green", "value": 2.0}])
    );
    assert_eq!(
        steps("Render seconds"),
        json!([
            {"color": "green", "value": null},
            {"color": "orange", "value": 1.0},
            {"color": "purple", "value": 5.0}
        ])
    );
    // Neither a rule that is switched off nor one without a direction draws a line.
    assert_eq!(
        steps("Upload bytes"),
        json!([{"color": "green", "value": null}])
    );
}

#[test]
fn the_shipped_rules_are_drawn() {
    let made = dashboard(EMBEDDED);
    for (title, rule) in [
        ("CPU usage", "Rule high_cpu_usage: warning above 85."),
        ("Memory usage", "Rule high_memory_usage: warning above 85."),
        ("Swap usage", "Rule high_swap_usage: warning above 50."),
        ("Disk usage", "Rule disk_almost_full: emergency above 97."),
        (
            "API request duration, 95th percentile",
            "Rule slow_api: warning above 1.",
        ),
        ("API errors", "Rule api_errors: critical above 0.1."),
        ("Queue length", "Rule queue_backlog: warning above 1000."),
        (
            "Neo4j query duration",
            "Rule slow_neo4j_queries: warning above 1000.",
        ),
        (
            "Cache hit rate",
            "Rule low_cache_hit_rate: warning below 0.5.",
        ),
    ] {
        let panel = panel(&made, title);
        assert!(
            text(&panel["description"]).ends_with(rule),
            "{title}: {}",
            panel["description"]
        );
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            .as_array()
            .expect("steps");
        assert!(steps.len() > 1, "{title}: no line");
    }
}
