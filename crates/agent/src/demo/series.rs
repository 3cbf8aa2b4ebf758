//! The series of the demo: one row each, read from the world.

use std::time::Duration;

use bellwether_collectors::neo4j::Run;

use super::world::{CORES, MEMORY_BYTES, Moment};

/// Value of a series at a moment, with its own noise between -1 and 1; `None` while it has no sample.
type Value = Box<dyn Fn(&Moment, f64) -> Option<f64> + Send>;

/// Kind of a series.
pub(super) enum Model {
    /// A value as it is.
    Gauge(Value),
    /// Increase of a counter per second.
    PerSecond(Value),
    /// Observations of a histogram: how many a second, and their median; they are log-normal.
    Durations {
        per_second: Value,
        median: Value,
        /// Standard deviation of the logarithm.
        spread: f64,
    },
}

/// One series.
pub(super) struct Series {
    /// Name of the metric in the configuration.
    pub(super) metric: &'static str,
    /// Values of the metric's labels, in their order.
    pub(super) labels: Vec<&'static str>,
    pub(super) model: Model,
}

impl Series {
    /// Name that tells its noise from that of others.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.metric, self.labels.join("/"))
    }
}

/// Endpoint with its method, its share of the traffic, and its median duration in seconds.
const ENDPOINTS: &[(&str, &str, f64, f64)] = &[
    ("/products", "GET", 46.0, 0.018),
    ("/search", "GET", 17.0, 0.045),
    ("/cart", "POST", 7.0, 0.03),
    ("/checkout", "POST", 1.6, 0.09),
    ("/login", "POST", 2.4, 0.06),
];

/// Queues with their items per second and the seconds that one takes.
const QUEUES: &[(&str, f64, f64)] = &[
    ("mails", 80.0, 0.008),
    ("orders", 1.6, 0.35),
    ("thumbnails", 5.0, 0.6),
];

/// Adds the series of the host.
pub(super) fn host() -> Vec<Series> {
    let mut all = vec![
        gauge("cpu_percent", &[], |now, _| 100.0 * now.cpu),
        gauge("cpu_count", &[], |_, _| CORES),
        gauge("cpu_iowait_percent", &[], |now, noise| {
            (1.2 + 6.0 * now.backup + 0.15 * now.database_slowness) * (1.0 + 0.4 * noise)
        }),
        gauge("load_average_1m", &[], |now, noise| {
            CORES * (now.cpu * 1.15 + 0.05 * noise).max(0.02)
        }),
        gauge("memory_percent", &[], |now, _| 100.0 * now.memory),
        gauge("memory_used_bytes", &[], |now, _| {
            (MEMORY_BYTES * now.memory).round()
        }),
        gauge("memory_available_bytes", &[], |now, _| {
            (MEMORY_BYTES * (1.0 - now.memory)).round()
        }),
        gauge("memory_total_bytes", &[], |_, _| MEMORY_BYTES),
        gauge("swap_percent", &[], |now, noise| {
            4.0 + 110.0 * (now.memory - 0.8).max(0.0) + 0.4 * noise
        }),
        rate("swap_in_bytes", &[], |now, noise| {
            3e5 * (now.memory - 0.8).max(0.0) * (1.0 + noise)
        }),
        rate("disk_io_read_bytes", &[], |now, noise| {
            (2.0e6 * now.traffic + 6.0e7 * now.backup) * (1.0 + 0.3 * noise)
        }),
        rate("disk_io_write_bytes", &[], |now, noise| {
            (3.5e6 * now.traffic + 2.0e7 * now.backup + 4e5) * (1.0 + 0.3 * noise)
        }),
        rate("disk_io_read_count", &[], |now, noise| {
            (90.0 * now.traffic + 900.0 * now.backup) * (1.0 + 0.2 * noise)
        }),
        rate("disk_io_write_count", &[], |now, noise| {
            (140.0 * now.traffic + 300.0 * now.backup) * (1.0 + 0.2 * noise)
        }),
        rate("disk_io_seconds", &[], |now, noise| {
            ((0.08 + 0.1 * now.traffic + 0.5 * now.backup) * (1.0 + 0.2 * noise)).clamp(0.0, 1.0)
        }),
        gauge("uptime_seconds", &[], |now, _| now.age + 41.0 * 86_400.0),
    ];
    all.extend(mounts());
    all.extend(interface("eth0"));
    all.extend(pressure());
    all
}

fn mounts() -> impl Iterator<Item = Series> {
    type Usage = fn(&Moment) -> f64;
    let mounts: [(&str, f64, Usage); 3] = [
        ("/", 80e9, |now| 0.46 + 0.0004 * (now.age / 86_400.0)),
        ("/var/lib/neo4j", 200e9, |now| now.disk),
        ("/backup", 500e9, |now| {
            0.58 + 0.06 * (now.seconds / 86_400.0).fract()
        }),
    ];
    mounts.into_iter().flat_map(|(mount, bytes, usage)| {
        [
            gauge("disk_usage_percent", &[mount], move |now, _| {
                100.0 * usage(now)
            }),
            gauge("disk_available_bytes", &[mount], move |now, _| {
                (bytes * (1.0 - usage(now))).round()
            }),
        ]
    })
}

fn interface(name: &'static str) -> [Series; 8] {
    let sent = |now: &Moment| 9.0e5 * now.traffic + 2e4;
    let received = |now: &Moment| 2.4e5 * now.traffic + 6.0e5 * now.crawler + 1e4;
    [
        rate("network_bytes_sent", &[name], move |now, noise| {
            sent(now) * (1.0 + 0.2 * noise)
        }),
        rate("network_bytes_recv", &[name], move |now, noise| {
            received(now) * (1.0 + 0.2 * noise)
        }),
        rate("network_packets_sent", &[name], move |now, noise| {
            sent(now) / 900.0 * (1.0 + 0.2 * noise)
        }),
        rate("network_packets_recv", &[name], move |now, noise| {
            received(now) / 420.0 * (1.0 + 0.2 * noise)
        }),
        rate("network_errors_in", &[name], |_, _| 0.0),
        rate("network_errors_out", &[name], |_, _| 0.0),
        rate("network_dropped_in", &[name], |now, _| 0.4 * now.crawler),
        rate("network_dropped_out", &[name], |_, _| 0.0),
    ]
}

fn pressure() -> impl Iterator<Item = Series> {
    type Stall = fn(&Moment) -> f64;
    let stalls: [(&str, &str, Stall); 5] = [
        ("cpu", "some", |now| {
            80.0 * (now.cpu - 0.6).max(0.0) + 3.0 * now.cpu
        }),
        ("memory", "some", |now| 20.0 * (now.memory - 0.84).max(0.0)),
        ("memory", "full", |now| 6.0 * (now.memory - 0.84).max(0.0)),
        ("io", "some", |now| {
            2.0 + 14.0 * now.backup + 0.3 * now.database_slowness
        }),
        ("io", "full", |now| {
            0.5 + 5.0 * now.backup + 0.1 * now.database_slowness
        }),
    ];
    stalls.into_iter().map(|(resource, scope, stall)| {
        gauge(
            "pressure_percent",
            &[resource, scope, "60s"],
            move |now, noise| (stall(now) * (1.0 + 0.3 * noise)).clamp(0.0, 100.0),
        )
    })
}

/// Returns the series of the shop.
pub(super) fn shop() -> Vec<Series> {
    let mut all: Vec<Series> = ENDPOINTS.iter().flat_map(endpoint).collect();
    all.extend(QUEUES.iter().flat_map(queue));
    all.extend(cache("products", 50_000.0, |_| 0.96));
    all.extend(cache("sessions", 12_000.0, |now| now.session_hits));
    let leaks = gauge("worker_memory_bytes", &["recommendations"], |now, noise| {
        now.leaked * (1.0 + 0.004 * noise)
    });
    let steady = gauge("worker_memory_bytes", &["orders"], |now, noise| {
        3.1e8 + 2e7 * now.traffic + 4e6 * noise
    });
    all.extend([leaks, steady]);
    all
}

fn endpoint(
    &(path, method, share, median): &(&'static str, &'static str, f64, f64),
) -> Vec<Series> {
    let is_checkout = path == "/checkout";
    let slowness = move |now: &Moment| {
        let database = now.database_slowness.max(0.5).powf(0.85);
        let queued = 1.0 + 2.5 * (now.cpu - 0.8).max(0.0);
        let own = if is_checkout {
            now.checkout_slowness
        } else {
            1.0
        };
        database * queued * own
    };
    let requests = move |now: &Moment, noise: f64| share * now.traffic * (1.0 + 0.25 * noise);
    vec![
        Series {
            metric: "api_request_duration",
            labels: vec![path, method, "200"],
            model: Model::Durations {
                per_second: Box::new(move |now, noise| {
                    Some(requests(now, noise) * (1.0 - now.errors))
                }),
                median: Box::new(move |now, noise| {
                    Some(median * slowness(now) * (1.0 + 0.1 * noise))
                }),
                spread: 0.55,
            },
        },
        rate(
            "api_request_count",
            &[path, method, "200"],
            move |now, noise| requests(now, noise) * (1.0 - now.errors),
        ),
        rate(
            "api_request_count",
            &[path, method, "500"],
            move |now, noise| requests(now, noise) * now.errors,
        ),
        rate(
            "api_error_count",
            &[path, method, "upstream"],
            move |now, noise| requests(now, noise) * now.errors,
        ),
    ]
}

fn queue(&(name, items, seconds): &(&'static str, f64, f64)) -> Vec<Series> {
    let is_mails = name == "mails";
    let done = move |now: &Moment, noise: f64| items * (0.2 + now.traffic) * (1.0 + 0.2 * noise);
    vec![
        gauge("queue_length", &[name], move |now, noise| {
            let waiting = if is_mails {
                now.backlog
            } else {
                12.0 * items * now.traffic * (1.0 + 0.6 * noise)
            };
            waiting.max(0.0).round()
        }),
        rate("queue_items_processed", &[name], done),
        Series {
            metric: "queue_processing_time",
            labels: vec![name],
            model: Model::Durations {
                per_second: Box::new(move |now, noise| Some(done(now, noise))),
                median: Box::new(move |now, noise| {
                    Some(seconds * (0.8 + 0.5 * now.cpu) * (1.0 + 0.1 * noise))
                }),
                spread: 0.7,
            },
        },
    ]
}

fn cache(name: &'static str, entries: f64, hits: fn(&Moment) -> f64) -> [Series; 3] {
    let look_ups = |now: &Moment, noise: f64| 160.0 * now.traffic * (1.0 + 0.2 * noise);
    [
        rate("cache_hits", &[name], move |now, noise| {
            look_ups(now, noise) * hits(now)
        }),
        rate("cache_misses", &[name], move |now, noise| {
            look_ups(now, noise) * (1.0 - hits(now))
        }),
        gauge("cache_size", &[name], move |now, noise| {
            (entries * (0.9 + 0.1 * now.traffic.min(1.0) + 0.01 * noise)).round()
        }),
    ]
}

/// Returns the last run of each query of the database; none while it is down.
pub(super) fn database_runs(now: &Moment) -> Vec<(&'static str, Run)> {
    let queries = [
        ("neo4j_database_size_bytes", 0.0212, 1),
        ("neo4j_label_count", 0.0047, 3),
        ("neo4j_node_count", 0.0019, 1),
        ("neo4j_relationship_count", 0.0021, 1),
        ("neo4j_relationship_type_count", 0.0058, 3),
        ("neo4j_transactions_active", 0.0034, 3),
        (
            "neo4j_transactions_committed, neo4j_transactions_rolled_back",
            0.0087,
            1,
        ),
    ];
    let run = |seconds: f64, rows| Run {
        duration: now
            .database_up
            .then(|| Duration::from_secs_f64(seconds * now.database_slowness)),
        rows: now.database_up.then_some(rows),
        has_succeeded: now.database_up,
    };
    let runs = queries.into_iter();
    runs.map(|(query, seconds, rows)| (query, run(seconds, rows)))
        .collect()
}

/// Returns the series of the database. While it is down only `neo4j_up` has samples.
pub(super) fn database() -> Vec<Series> {
    let up = |value: fn(&Moment, f64) -> f64| {
        move |now: &Moment, noise: f64| now.database_up.then(|| value(now, noise))
    };
    let gauge_if_up = |metric, labels: &[&'static str], value| Series {
        metric,
        labels: labels.to_vec(),
        model: Model::Gauge(Box::new(up(value))),
    };
    let rate_if_up = |metric, value| Series {
        metric,
        labels: Vec::new(),
        model: Model::PerSecond(Box::new(up(value))),
    };
    let mut all = vec![
        gauge("neo4j_up", &[], |now, _| {
            f64::from(u8::from(now.database_up))
        }),
        gauge_if_up("neo4j_query_duration_p50", &[], |now, noise| {
            9.0 * now.database_slowness * (1.0 + 0.15 * noise)
        }),
        gauge_if_up("neo4j_query_duration_p95", &[], |now, noise| {
            62.0 * now.database_slowness * (1.0 + 0.2 * noise)
        }),
        gauge_if_up("neo4j_query_duration_p99", &[], |now, noise| {
            140.0 * now.database_slowness * (1.0 + 0.25 * noise)
        }),
        gauge_if_up("neo4j_database_size_bytes", &[], |now, _| {
            (200e9 * now.disk * 0.83).round()
        }),
        gauge_if_up("neo4j_transactions_active", &[], |now, noise| {
            (3.0 * now.traffic * now.database_slowness.max(0.5) * (1.0 + 0.5 * noise)).round()
        }),
        rate_if_up("neo4j_transactions_committed", |now, noise| {
            55.0 * now.traffic * (1.0 + 0.2 * noise)
        }),
        rate_if_up("neo4j_transactions_rolled_back", |now, noise| {
            55.0 * now.traffic * now.errors * (1.0 + 0.2 * noise)
        }),
        gauge_if_up("neo4j_connection_pool_total", &[], |_, _| 4.0),
        gauge_if_up("neo4j_connection_pool_idle", &[], |_, noise| {
            (3.0 + 0.8 * noise).round().clamp(1.0, 4.0)
        }),
        gauge_if_up("neo4j_node_count", &[], |now, _| {
            (2.41e6 + 0.11 * now.age).round()
        }),
        gauge_if_up("neo4j_relationship_count", &[], |now, _| {
            (1.37e7 + 0.8 * now.age).round()
        }),
    ];
    type Count = fn(&Moment, f64) -> f64;
    let labels: [(&str, Count); 3] = [
        ("Product", |now, _| (81_000.0 + 0.002 * now.age).round()),
        ("Customer", |now, _| (412_000.0 + 0.02 * now.age).round()),
        ("Order", |now, _| (1.9e6 + 0.088 * now.age).round()),
    ];
    all.extend(labels.map(|(label, count)| gauge_if_up("neo4j_label_count", &[label], count)));
    let types: [(&str, Count); 3] = [
        ("BOUGHT", |now, _| (6.2e6 + 0.3 * now.age).round()),
        ("VIEWED", |now, _| (7.1e6 + 0.48 * now.age).round()),
        ("IN_CATEGORY", |now, _| (4.0e5 + 0.01 * now.age).round()),
    ];
    all.extend(
        types.map(|(kind, count)| gauge_if_up("neo4j_relationship_type_count", &[kind], count)),
    );
    all
}

fn gauge(
    metric: &'static str,
    labels: &[&'static str],
    value: impl Fn(&Moment, f64) -> f64 + Send + 'static,
) -> Series {
    Series {
        metric,
        labels: labels.to_vec(),
        model: Model::Gauge(Box::new(move |now, noise| Some(value(now, noise)))),
    }
}

fn rate(
    metric: &'static str,
    labels: &[&'static str],
    per_second: impl Fn(&Moment, f64) -> f64 + Send + 'static,
) -> Series {
    Series {
        metric,
        labels: labels.to_vec(),
        model: Model::PerSecond(Box::new(move |now, noise| Some(per_second(now, noise)))),
    }
}
