//! Self-metrics of the server and of the queries of history.

use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::Stats;
use crate::api::query::QueryStats;
use crate::live::LiveStats;

self_metrics! {
    QUERIES = "bellwether_queries_total" Counter ["result"]
        "Queries of history over the API by result: success, or the type of the error.";
    QUERY_SECONDS = "bellwether_query_duration_seconds_total" Counter ["result"]
        "Duration of queries of history, including their wait.";
    QUERIES_RUNNING = "bellwether_queries_running" Gauge []
        "Queries of history under way.";
    QUERIES_WAITING = "bellwether_queries_waiting" Gauge []
        "Queries of history that wait for a free slot.";
    REQUESTS = "bellwether_http_requests_total" Counter ["handler", "code"]
        "HTTP requests answered.";
    CONNECTIONS = "bellwether_http_connections" Gauge []
        "Open HTTP connections.";
    CLOSED = "bellwether_http_connections_closed_total" Counter ["reason"]
        "HTTP connections that the server closed because of a slow client, or rejected.";
    LIVE_CLIENTS = "bellwether_live_clients" Gauge []
        "Clients of live updates.";
    LIVE_SUBSCRIPTIONS = "bellwether_live_subscriptions" Gauge []
        "Distinct subscriptions of all clients of live updates.";
    LIVE_MESSAGES = "bellwether_live_messages_total" Counter ["type"]
        "Messages sent to clients of live updates by type.";
    LIVE_DROPPED = "bellwether_live_results_dropped_total" Counter []
        "Results of subscriptions that a slow client did not get, since a newer one replaced them.";
    LIVE_DURATION = "bellwether_live_evaluation_last_duration_seconds" Gauge []
        "Duration of the last evaluation of the subscriptions that a collection concerned.";
    REFUSALS = "bellwether_http_requests_rejected_total" Counter ["reason"]
        "HTTP requests rejected because of their sender.";
}

impl SelfMetrics for Stats {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for ((handler, code), requests) in self.requests.lock().iter() {
            let mut digits = itoa::Buffer::new();
            let labels = [*handler, digits.format(*code)];
            batch.push(&REQUESTS, &labels, requests.count as f64);
        }
        for (reason, count) in self.rejected_requests.lock().iter() {
            batch.push(&REFUSALS, &[reason], *count as f64);
        }
        add_connections(self, batch);
        add_queries(&self.queries, batch);
        add_live(&self.live, batch);
    }
}

fn add_connections(stats: &Stats, batch: &mut SelfMetricsBatch<'_>) {
    let connections = stats.connections.load(Relaxed);
    batch.push(&CONNECTIONS, &[], connections as f64);
    for (reason, count) in stats.closed_by_server.lock().iter() {
        batch.push(&CLOSED, &[reason.as_str()], *count as f64);
    }
    for (reason, count) in [
        ("full", &stats.rejected),
        ("handshake", &stats.handshakes_failed),
    ] {
        let count = count.load(Relaxed);
        if count > 0 {
            batch.push(&CLOSED, &[reason], count as f64);
        }
    }
}

fn add_live(live: &LiveStats, batch: &mut SelfMetricsBatch<'_>) {
    batch.push(&LIVE_CLIENTS, &[], live.clients() as f64);
    batch.push(&LIVE_SUBSCRIPTIONS, &[], live.topics() as f64);
    for (kind, count) in live.messages() {
        batch.push(&LIVE_MESSAGES, &[kind.as_str()], count as f64);
    }
    batch.push(&LIVE_DROPPED, &[], live.dropped() as f64);
    batch.push(&LIVE_DURATION, &[], live.last_round().as_secs_f64());
}

fn add_queries(queries: &QueryStats, batch: &mut SelfMetricsBatch<'_>) {
    for (result, (count, took)) in queries.ended() {
        batch.push(&QUERIES, &[result], count as f64);
        batch.push(&QUERY_SECONDS, &[result], took.as_secs_f64());
    }
    batch.push(&QUERIES_RUNNING, &[], queries.running() as f64);
    batch.push(&QUERIES_WAITING, &[], queries.waiting() as f64);
}
