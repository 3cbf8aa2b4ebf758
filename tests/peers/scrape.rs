//! The collector `scrape` beside a real Prometheus that scrapes the same real node_exporter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::node_exporter::NodeExporter;
use crate::support::agent::Agent;
use crate::support::prometheus::Prometheus;
use crate::support::{free_port, poll};

/// The label sets in the result of an instant query.
fn series(result: &[Value]) -> BTreeSet<BTreeMap<String, String>> {
    let labels = result
        .iter()
        .map(|series| serde_json::from_value(series["metric"].clone()).unwrap());
    labels.collect()
}

fn query(agent: &Agent, expression: &str) -> Vec<Value> {
    let encoded: String = expression
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    let (status, body) = agent.get(&format!("/api/v1/query?query={encoded}"));
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["data"]["result"].as_array().unwrap().clone()
}

#[test]
fn the_series_of_a_target_are_those_that_prometheus_has() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let exporter = NodeExporter::start_at(port, &[]);
    let job = |name: &str, target: &str| {
        format!(
            "  - job_name: {name}\n    scrape_interval: 1s\n    static_configs: [{{targets: ['{target}'], labels: {{zone: a}}}}]\n"
        )
    };
    let node = format!("127.0.0.1:{port}");
    let prometheus = Prometheus::start(folder.path(), &job("node", &node));
    let itself = prometheus.address().to_string();
    let agent = Agent::start(
        folder.path(),
        &format!(
            "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
             \x20   - name: node\n      type: scrape\n      interval: 1s\n      static_configs: [{{targets: ['{node}'], labels: {{zone: a}}}}]\n\
             \x20   - name: prometheus\n      type: scrape\n      interval: 1s\n      static_configs: [{{targets: ['{itself}']}}]\n"
        ),
    );
    let all = "{job=\"node\"}";
    // Names of Bellwether about itself, which no other source may have.
    let compared = "{job=\"node\", __name__!~\"process_.*\"}";
    // Both see series of the exporter about its own requests appear, so they are compared until they agree.
    poll("the same series in both", Duration::from_secs(60), || {
        let theirs = series(&prometheus.query(compared));
        let ours = series(&query(&agent, compared));
        let differing: Vec<_> = theirs.symmetric_difference(&ours).take(5).collect();
        if theirs.len() < 100 || !differing.is_empty() {
            return None;
        }
        Some(())
    });
    // Counted by both in the same way.
    for name in [
        "up",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
    ] {
        let of_node = format!("{name}{all}");
        poll(name, Duration::from_secs(20), || {
            let value = |result: &[Value]| result.first().map(|one| one["value"][1].clone());
            let (theirs, ours) = (
                value(&prometheus.query(&of_node)),
                value(&query(&agent, &of_node)),
            );
            (theirs.is_some() && theirs == ours).then_some(())
        });
    }
    // OpenMetrics with counters, summaries and histograms.
    let histogram =
        "prometheus_http_request_duration_seconds_bucket{job=\"prometheus\", le=\"+Inf\"}";
    poll(histogram, Duration::from_secs(60), || {
        Some(query(&agent, histogram)).filter(|result| !result.is_empty())
    });

    drop(exporter);
    let up = format!("up{{job=\"node\", instance=\"{node}\"}} == 0");
    poll("the target is down", Duration::from_secs(60), || {
        (query(&agent, &up).len() == 1).then_some(())
    });
    let left = series(&query(&agent, all));
    assert_eq!(left.len(), 5, "up and the series of the scrape: {left:?}");

    let _exporter = NodeExporter::start_at(port, &[]);
    poll("the series come back", Duration::from_secs(60), || {
        (query(&agent, all).len() > 100).then_some(())
    });
}

#[test]
fn protocol_buffers_of_a_target_have_the_series_of_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(folder.path(), "  []\n");
    let target = prometheus.address();
    let collector = |name: &str, protocol: &str| {
        format!(
            "\x20   - {{name: {name}, type: scrape, interval: 1s, scrape_protocols: [{protocol}],\n\
             \x20      static_configs: [{{targets: ['{target}']}}],\n\
             \x20      metric_relabel_configs: [{{target_label: job, replacement: {name}}}, {{regex: process_.*, source_labels: [__name__], action: drop}}]}}\n"
        )
    };
    let agent = Agent::start(
        folder.path(),
        &format!(
            "performance_monitor:\n  enabled_collectors: []\n  collectors:\n{}{}",
            collector("text", "PrometheusText0.0.4"),
            collector("proto", "PrometheusProto"),
        ),
    );
    let of = |job: &str| {
        let result = query(&agent, &format!("{{job=\"{job}\"}}"));
        let mut series: Vec<_> = series(&result).into_iter().collect();
        series
            .iter_mut()
            .for_each(|labels| drop(labels.remove("job")));
        series
    };
    // Series about requests appear at the first one, so they are compared until they agree.
    poll("the same series in both", Duration::from_secs(60), || {
        let (text, proto) = (of("text"), of("proto"));
        (text.len() > 300 && text == proto).then_some(())
    });
    let types = |name: &str| {
        let answer = agent.get(&format!("/api/v1/metadata?metric={name}")).1;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"][name][0]["type"].clone()
    };
    for (name, kind) in [
        ("prometheus_http_requests_total", "counter"),
        ("prometheus_http_request_duration_seconds", "histogram"),
        ("go_gc_duration_seconds", "summary"),
    ] {
        assert_eq!(types(name), kind, "{name}");
    }
}
