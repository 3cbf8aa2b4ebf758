//! Panels for application metrics, by the names of the shipped configuration.

use bellwether_dashboards::Unit;

use super::{Panel, Query, line, lines, number, total};

const P95: Query = Query::Quantile(0.95);

pub(super) const AGENTS: &[Panel] = &[
    number(
        "Total agent executions",
        Unit::None,
        &[total("agent_execution_count", Query::Increase(""))],
        "Executions of all agents over the time shown.",
    ),
    number(
        "Total agent errors",
        Unit::None,
        &[total("agent_error_count", Query::Increase(""))],
        "Failed executions of all agents over the time shown.",
    ),
    lines(
        "Agent execution time",
        Unit::Seconds,
        &[line("agent_execution_time", Query::Mean, &["agent_name"])],
        "Mean time of one execution by agent.",
    ),
    lines(
        "Agent executions",
        Unit::PerSecond,
        &[line("agent_execution_count", Query::Rate, &["status"])],
        "Executions per second by status.",
    ),
    lines(
        "Agent errors",
        Unit::PerSecond,
        &[line(
            "agent_error_count",
            Query::Rate,
            &["agent_name", "error_type"],
        )],
        "Failed executions per second by agent and type of error.",
    ),
];

pub(super) const API: &[Panel] = &[
    number(
        "Total API requests",
        Unit::None,
        &[total("api_request_count", Query::Increase(""))],
        "Requests over the time shown.",
    ),
    number(
        "Total API errors",
        Unit::None,
        &[total("api_error_count", Query::Increase(""))],
        "Failed requests over the time shown.",
    ),
    lines(
        "API request duration, 95th percentile",
        Unit::Seconds,
        &[line("api_request_duration", P95, &["endpoint", "method"])],
        "95 % of the requests took up to this, by endpoint and method.",
    ),
    lines(
        "API requests",
        Unit::RequestsPerSecond,
        &[line(
            "api_request_count",
            Query::Rate,
            &["endpoint", "method"],
        )],
        "Requests per second by endpoint and method.",
    ),
    lines(
        "API errors",
        Unit::RequestsPerSecond,
        &[line(
            "api_error_count",
            Query::Rate,
            &["endpoint", "method", "error_type"],
        )],
        "Failed requests per second by endpoint, method and type of error.",
    ),
];

pub(super) const QUEUES: &[Panel] = &[
    number(
        "Total queue items processed",
        Unit::None,
        &[total("queue_items_processed", Query::Increase(""))],
        "Processed items over the time shown.",
    ),
    number(
        "Total queue items waiting",
        Unit::None,
        &[total("queue_length", Query::Where(""))],
        "Items that wait now, in all queues.",
    ),
    lines(
        "Queue length",
        Unit::None,
        &[line("queue_length", Query::Value, &[])],
        "Items waiting by queue.",
    ),
    lines(
        "Queue items processed",
        Unit::PerSecond,
        &[line("queue_items_processed", Query::Rate, &["queue_name"])],
        "Processed items per second by queue.",
    ),
    lines(
        "Queue processing time, 95th percentile",
        Unit::Seconds,
        &[line("queue_processing_time", P95, &["queue_name"])],
        "95 % of the items took up to this, by queue.",
    ),
];

pub(super) const ENTITIES: &[Panel] = &[
    lines(
        "Entities processed",
        Unit::PerSecond,
        &[line(
            "entities_processed_total",
            Query::Rate,
            &["entity_type", "operation"],
        )],
        "Entities per second by type and operation.",
    ),
    lines(
        "Entity processing time, 95th percentile",
        Unit::Seconds,
        &[line(
            "entities_processing_time",
            P95,
            &["entity_type", "operation"],
        )],
        "95 % of the entities took up to this, by type and operation.",
    ),
];

pub(super) const CACHES: &[Panel] = &[
    lines(
        "Cache hit rate",
        Unit::Ratio,
        &[line(
            "cache_hits",
            Query::ShareWith("cache_misses"),
            &["cache_name"],
        )],
        "Share of the look-ups that the cache answered.",
    ),
    lines(
        "Cache size",
        Unit::None,
        &[line("cache_size", Query::Value, &[])],
        "Entries by cache.",
    ),
];
