//! Charts of a report.

use crate::report::Unit;

/// A chart of the report: title, metric, PromQL over `{}`, the exported name.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) metric: &'static str,
    pub(super) query: &'static str,
    pub(super) unit: Unit,
}

pub(super) const CHARTS: &[Chart] = &[
    chart("CPU", "cpu_percent", "max({})", Unit::Percent),
    chart("Memory", "memory_percent", "max({})", Unit::Percent),
    chart(
        "Fullest file system",
        "disk_usage_percent",
        "max({})",
        Unit::Percent,
    ),
    chart("Load", "load_average_1m", "max({})", Unit::Number),
    chart(
        "Received",
        "network_bytes_recv",
        "sum(rate({}[RATE]))",
        Unit::BytesPerSecond,
    ),
    chart(
        "Sent",
        "network_bytes_sent",
        "sum(rate({}[RATE]))",
        Unit::BytesPerSecond,
    ),
    chart(
        "Requests",
        "api_request_count",
        "sum(rate({}[RATE]))",
        Unit::PerSecond,
    ),
    chart(
        "Response time, 95th percentile",
        "api_request_duration",
        "histogram_quantile(0.95, sum by (le) (rate({}_bucket[RATE])))",
        Unit::Seconds,
    ),
    chart("Longest queue", "queue_length", "max({})", Unit::Number),
    chart(
        "Database, 95th percentile",
        "neo4j_query_duration_p95",
        "max({})",
        Unit::Milliseconds,
    ),
];

const fn chart(
    title: &'static str,
    metric: &'static str,
    query: &'static str,
    unit: Unit,
) -> Chart {
    Chart {
        title,
        metric,
        query,
        unit,
    }
}
