//! Most important series of an agent, which `top` and reports show.

use serde_json::Value;

use crate::units::Unit;

/// One of the most important series.
pub struct Vital {
    pub title: &'static str,
    /// Metric of the configuration; without it there is no such series.
    pub metric: &'static str,
    /// PromQL over `{}`, the exported name, and `RATE`, the window of a rate.
    query: &'static str,
    pub unit: Unit,
}

pub const VITALS: &[Vital] = &[
    percent("CPU", "cpu_percent"),
    percent("Memory", "memory_percent"),
    percent("Fullest disk", "disk_usage_percent"),
    percent("Swap", "swap_percent"),
    vital("Load", "load_average_1m", MAX, Unit::Number),
    vital("Received", "network_bytes_recv", RATE, Unit::BytesPerSecond),
    vital("Sent", "network_bytes_sent", RATE, Unit::BytesPerSecond),
    vital("Requests", "api_request_count", RATE, Unit::PerSecond),
    vital("Response p95", "api_request_duration", P95, Unit::Seconds),
    vital("Longest queue", "queue_length", MAX, Unit::Number),
    vital(
        "Database p95",
        "neo4j_query_duration_p95",
        MAX,
        Unit::Milliseconds,
    ),
];

const MAX: &str = "max({})";
const RATE: &str = "sum(rate({}[RATE]))";
const P95: &str = "histogram_quantile(0.95, sum by (le) (rate({}_bucket[RATE])))";

const fn percent(title: &'static str, metric: &'static str) -> Vital {
    vital(title, metric, MAX, Unit::Percent)
}

const fn vital(
    title: &'static str,
    metric: &'static str,
    query: &'static str,
    unit: Unit,
) -> Vital {
    Vital {
        title,
        metric,
        query,
        unit,
    }
}

impl Vital {
    /// Returns the PromQL with rates over `window`, if `metrics`, from `/api/v1/metrics`, have its metric.
    pub fn promql(&self, metrics: &[Value], window: &str) -> Option<String> {
        let exported = exported(self.metric, metrics)?;
        Some(self.query.replace("{}", exported).replace("RATE", window))
    }
}

/// Returns the exported name of a metric of the configuration.
pub fn exported<'a>(name: &str, metrics: &'a [Value]) -> Option<&'a str> {
    let metric = metrics.iter().find(|metric| metric["name"] == name)?;
    metric["exportedName"].as_str()
}

#[cfg(test)]
mod tests {
    use bellwether_promql::parse;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_is_promql_over_the_exported_name() {
        for vital in VITALS {
            let metrics = [json!({"name": vital.metric, "exportedName": "x_y"})];
            let promql = vital.promql(&metrics, "300s").unwrap();
            assert!(promql.contains("x_y"), "{promql}");
            assert!(parse(&promql).is_ok(), "{promql}");
            assert_eq!(vital.promql(&[], "300s"), None);
        }
    }
}
