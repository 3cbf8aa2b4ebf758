//! Queries of the curves: the most important ones, and one for each configured metric.

use bellwether_report::units::Unit;
use bellwether_report::vitals::VITALS;
use serde_json::Value;

/// Most series of one metric.
const MAX_SERIES: usize = 12;
/// Window of rates.
const RATE_WINDOW: &str = "5m";

/// PromQL expression whose series are drawn as curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Query {
    pub(super) promql: String,
    /// Name of the series before its labels, and what follows them.
    pub(super) name: (String, &'static str),
    pub(super) unit: Unit,
    /// Most series.
    pub(super) most: usize,
}

/// Returns the queries of the most important series, of the metrics in the answer of `/api/v1/metrics`.
pub(super) fn vitals(metrics: &[Value]) -> Vec<Query> {
    let queries = VITALS.iter().filter_map(|vital| {
        Some(Query {
            promql: vital.promql(metrics, RATE_WINDOW)?,
            name: (vital.title.to_owned(), ""),
            unit: vital.unit,
            most: 1,
        })
    });
    queries.collect()
}

/// Returns the query of each metric: values of a gauge, rates of a counter, 95th percentiles of a histogram.
pub(super) fn of_all(metrics: &[Value]) -> Vec<Query> {
    metrics.iter().map(of).collect()
}

fn of(metric: &Value) -> Query {
    let text = |key: &str| metric[key].as_str().unwrap_or_default();
    let exported = text("exportedName");
    let (promql, end, is_rate) = match text("type") {
        "counter" => (format!("rate({exported}[{RATE_WINDOW}])"), "", true),
        "histogram" => (
            format!("histogram_quantile(0.95, rate({exported}_bucket[{RATE_WINDOW}]))"),
            " p95",
            false,
        ),
        _ => (exported.to_owned(), "", false),
    };
    Query {
        promql,
        name: (text("name").to_owned(), end),
        unit: Unit::of(text("name"), is_rate),
        most: MAX_SERIES,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_metric_has_a_query_and_the_known_ones_a_vital() {
        let metrics = [
            json!({"name": "cpu_percent", "exportedName": "x_cpu_percent", "type": "gauge"}),
            json!({"name": "jobs", "exportedName": "x_jobs_total", "type": "counter"}),
            json!({"name": "took", "exportedName": "x_took_seconds", "type": "histogram"}),
        ];
        let promql = |queries: Vec<Query>| {
            let all = queries.into_iter().map(|query| query.promql);
            all.collect::<Vec<_>>()
        };
        assert_eq!(promql(vitals(&metrics)), ["max(x_cpu_percent)"]);
        assert_eq!(
            promql(of_all(&metrics)),
            [
                "x_cpu_percent",
                "rate(x_jobs_total[5m])",
                "histogram_quantile(0.95, rate(x_took_seconds_bucket[5m]))",
            ]
        );
    }
}
