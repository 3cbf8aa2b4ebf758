//! What the processes are told to hold: declarations, series, rules.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use bellwether::config::EMBEDDED;

use super::process::Process;

/// How many rules there are, and series under them.
pub(crate) const RULES: usize = 10_000;
const METRICS: usize = 10;
/// Records in one request.
const CHUNK: usize = 2_000;

/// What a rule looks at.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Rules {
    /// The current value.
    Threshold,
    /// The mean over a window of twenty samples.
    Mean,
}

/// The shipped declaration every 100 ms, without Neo4j.
pub(crate) fn host() -> String {
    EMBEDDED
        .replace("collection_interval: 30\n", "collection_interval: 100ms\n")
        .replace("[system, application, neo4j]", "[system]")
}

/// Gauges with three labels, for [`record`].
pub(crate) fn gauges() -> String {
    let mut yaml = String::from(
        "performance_monitor:\n  collection_interval: 1\n  enabled_collectors: [application]\n  \
         prometheus: {metric_prefix: bench}\n  application_metrics:\n",
    );
    for metric in 0..METRICS {
        let gauge = format!("name: figure_{metric}, type: gauge, max_series: 100000");
        let _ = writeln!(yaml, "    - {{{gauge}, labels: [endpoint, method, status]}}");
    }
    yaml
}

/// Records `series` gauges over all metrics of [`gauges`].
pub(crate) fn record(process: &Process, series: usize) {
    let indices: Vec<usize> = (0..series).collect();
    for chunk in indices.chunks(CHUNK) {
        let records: Vec<String> = chunk.iter().map(|index| one_record(*index)).collect();
        let answer = process.post("/api/v1/record", &format!("[{}]", records.join(",")));
        assert!(answer.contains("\"refused\":[]"), "{answer}");
    }
}

fn one_record(index: usize) -> String {
    let (metric, item) = (index % METRICS, index / METRICS);
    let method = ["GET", "POST"][item % 2];
    let value = item as f64 * 0.123_456_7;
    format!(
        r#"{{"metric":"figure_{metric}","labels":{{"endpoint":"/api/v1/item/{item}","method":"{method}","status":"200"}},"set":{value}}}"#
    )
}

/// [`gauges`] with a rule for each series; none fires.
pub(crate) fn rules(kind: Rules) -> String {
    let mut yaml = gauges();
    yaml += "  alerting:\n    rules:\n";
    let aggregation = match kind {
        Rules::Threshold => "",
        Rules::Mean => "aggregation: mean, window: 20s, ",
    };
    for index in 0..RULES {
        let (metric, item) = (index % METRICS, index / METRICS);
        let _ = writeln!(
            yaml,
            "      - {{name: rule_{index}, metric: figure_{metric}, labels: {{endpoint: \
             /api/v1/item/{item}}}, {aggregation}condition: \">\", threshold: 1000000, duration: 60}}"
        );
    }
    yaml
}

/// A Prometheus that scrapes `target` every second and judges the same rules as [`rules`].
pub(crate) fn prometheus(folder: &Path, target: &Process, kind: Rules) -> Process {
    let mut groups = String::from("groups:\n- name: bench\n  interval: 1s\n  rules:\n");
    for index in 0..RULES {
        let (metric, item) = (index % METRICS, index / METRICS);
        let series = format!("bench_figure_{metric}{{endpoint=\"/api/v1/item/{item}\"}}");
        let value = match kind {
            Rules::Threshold => series,
            Rules::Mean => format!("avg_over_time({series}[20s])"),
        };
        let _ =
            writeln!(groups, "  - {{alert: rule_{index}, expr: '{value} > 1000000', for: 60s}}");
    }
    fs::write(folder.join("rules.yml"), groups).expect("written");
    let config = format!(
        "rule_files: [rules.yml]\nscrape_configs:\n- {{job_name: bench, scrape_interval: 1s, \
         static_configs: [{{targets: ['{}']}}]}}\n",
        target.address
    );
    fs::write(folder.join("prometheus.yml"), config).expect("written");
    Process::start(folder, |address| {
        let mut command = Command::new("prometheus");
        command
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=prometheus")
            .arg(format!("--web.listen-address={address}"));
        command
    })
}
