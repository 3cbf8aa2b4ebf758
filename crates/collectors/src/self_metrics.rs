//! Metrics of Bellwether itself: `bellwether_*` and the standard `process_*`.
//!
//! Owns the names and writes a [`Snapshot`] into a batch. The binary takes the snapshot from the
//! other components, which this module does not know.

mod alert_history;
mod history;
mod process;
mod queries;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use alert_history::AlertHistoryStats;
use bellwether_core::{Batch, Kind, MetricDef, MetricId, Now, Origin};
pub use history::HistoryStats;
pub use process::Process;
pub use queries::QueryStats;
pub use remote::RemoteStats;

use super::{Collecting, Collector, Health};

/// Counts of all components at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Health of each collector.
    pub collectors: BTreeMap<Origin, Health>,
    /// Series in the store.
    pub series: usize,
    /// Series dropped because they had no sample for three intervals.
    pub series_dropped: u64,
    /// Samples rejected by the store.
    pub points_refused: u64,
    /// History, if it is enabled.
    pub history: Option<HistoryStats>,
    /// The alert history, if it is enabled.
    pub alert_history: Option<AlertHistoryStats>,
    /// Queries of history.
    pub queries: QueryStats,
    /// Rules.
    pub rules: RuleStats,
    /// Delivery, by channel.
    pub channels: BTreeMap<String, ChannelStats>,
    /// Remote write, by destination.
    pub remote: BTreeMap<String, RemoteStats>,
    /// Monitored series that have enough samples for a score.
    pub anomalies: Vec<AnomalyStats>,
    /// Successful and failed reloads.
    pub reloads: (u64, u64),
    /// Rule files with errors, which were left out at the start.
    pub rule_files_left_out: f64,
    /// Set if the last reload succeeded, and before the first.
    pub last_reload_good: bool,
    /// Time at which the active configuration was loaded, in seconds since the epoch.
    pub loaded_at: f64,
    /// CRC-32 of the active configuration file.
    pub config_checksum: u32,
    /// Rejected application records, by reason.
    pub rejected_records: Vec<(&'static str, u64)>,
    /// Records rejected because their metric has reached `max_series`, by metric.
    pub over_limit_records: Vec<(Arc<str>, u64)>,
    /// Packets and lines received by `StatsD`.
    pub statsd: Option<(u64, u64)>,
    /// Parts of the host that were skipped: part, reason, count.
    pub skipped: Vec<(&'static str, &'static str, u64)>,
    /// Rows of Neo4j that were skipped, by reason.
    pub skipped_rows: Vec<(&'static str, u64)>,
    /// HTTP requests by handler and status code.
    pub requests: Vec<(&'static str, u16, u64)>,
    /// HTTP connections and rejected clients.
    pub http: HttpStats,
    /// The process itself.
    pub process: Process,
}

/// HTTP connections and rejected clients.
#[derive(Clone, Debug, Default)]
pub struct HttpStats {
    /// Open connections.
    pub connections: u64,
    /// Connections that the server closed or rejected, by reason.
    pub closed: Vec<(&'static str, u64)>,
    /// Requests rejected because of their sender, by reason.
    pub refusals: Vec<(&'static str, u64)>,
}

/// Evaluations of rules, and their alerts.
#[derive(Clone, Debug, Default)]
pub struct RuleStats {
    /// Evaluations.
    pub evaluations: u64,
    /// Failed evaluations.
    pub failures: u64,
    /// Duration of the last evaluation of all due rules.
    pub last_evaluation: Duration,
    /// Evaluations skipped because the previous one was still running.
    pub missed_evaluations: u64,
    /// Pending and firing alerts.
    pub alerts: (usize, usize),
    /// Alerts over the limit of their rule.
    pub over_limit: u64,
    /// Firing alerts, by rule.
    pub firing: Vec<(Arc<str>, usize)>,
    /// Failed attempts to save the state of alerts.
    pub save_failures: u64,
    /// Set if all state that must survive a restart is on disk.
    pub state_on_disk: bool,
}

/// Anomaly score of the latest value of a monitored series.
#[derive(Clone, Debug, Default)]
pub struct AnomalyStats {
    /// Name of the metric.
    pub metric: String,
    /// Labels of the series, as text.
    pub series: String,
    /// Score; its scale depends on the algorithm.
    pub score: f64,
    /// Set if the value is anomalous.
    pub anomalous: bool,
    /// Expected range: low and high bound.
    pub expected: Option<(f64, f64)>,
}

/// Notifications of one channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelStats {
    /// Notifications delivered.
    pub sent: u64,
    /// Failed attempts.
    pub failed: u64,
    /// Notifications dropped, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications in the outbox.
    pub queued: usize,
    /// Dead letters.
    pub dead_letters: usize,
}

macro_rules! self_metrics {
    ($( $id:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal; )*) => {
        #[derive(Clone, Copy)]
        enum Id { $($id),* }

        const METRICS: &[(&str, Kind, &[&str], &str)] =
            &[ $( ($name, Kind::$kind, &[$($label),*], $help) ),* ];
    };
}

self_metrics! {
    BuildInfo = "bellwether_build_info" Gauge ["version"]
        "Version of the running binary; always 1.";
    Success = "bellwether_collector_success" Gauge ["collector"]
        "Whether the collector's last run succeeded.";
    Duration = "bellwether_collector_duration_seconds" Gauge ["collector"]
        "Time the collector's last run took.";
    Age = "bellwether_collector_age_seconds" Gauge ["collector"]
        "Time since the collector last succeeded.";
    Runs = "bellwether_collector_runs_total" Counter ["collector"]
        "Runs of the collector, whatever their result.";
    Failures = "bellwether_collector_failures_total" Counter ["collector", "reason"]
        "Failed runs of the collector.";
    Series = "bellwether_series" Gauge []
        "Series with a current value.";
    Dropped = "bellwether_series_dropped_total" Counter []
        "Series dropped because nothing refreshed them for three intervals.";
    PointsRefused = "bellwether_samples_rejected_total" Counter []
        "Collected samples that did not fit the definition of their metric.";
    HistorySeries = "bellwether_history_series" Gauge []
        "Series in history.";
    HistorySamples = "bellwether_history_samples" Gauge ["part"]
        "Samples in history by part: head (memory), blocks.";
    HistoryAppended = "bellwether_history_samples_appended_total" Counter []
        "Samples appended to history.";
    HistoryRefused = "bellwether_history_samples_rejected_total" Counter ["reason"]
        "Samples that history rejected.";
    HistoryLost = "bellwether_history_samples_lost_total" Counter ["reason"]
        "Samples that were appended to history and lost.";
    HistoryDamage = "bellwether_history_corruptions_total" Counter ["part"]
        "Damaged or missing parts of history that are left out, so that the rest stays readable.";
    HistoryTorn = "bellwether_history_torn_bytes_total" Counter []
        "Bytes of a write that a crash interrupted, cut off when history was opened.";
    HistoryHead = "bellwether_history_head_bytes" Gauge []
        "Memory of the samples that are not in a block yet.";
    HistoryDisk = "bellwether_history_disk_bytes" Gauge ["part"]
        "History on disk by part: wal, blocks.";
    HistoryBlocks = "bellwether_history_blocks" Gauge []
        "Blocks of history on disk.";
    HistoryWriteFailures = "bellwether_history_write_failures_total" Counter []
        "Writes of history that failed; the samples wait in memory.";
    HistoryOldest = "bellwether_history_oldest_timestamp_seconds" Gauge []
        "Time of the oldest sample in history.";
    AlertRecords = "bellwether_alert_history_records_total" Counter ["kind"]
        "Records added to the alert history by kind: transition, notification.";
    AlertRecordsLost = "bellwether_alert_history_records_lost_total" Counter ["reason"]
        "Records of the alert history that were lost by reason: queue_full_transition, queue_full_notification, memory (not written in time).";
    AlertRecordsDamaged = "bellwether_alert_history_records_damaged_total" Counter []
        "Lines of the alert history that could not be read and are left out.";
    AlertHistoryTorn = "bellwether_alert_history_torn_bytes_total" Counter []
        "Bytes of a write that a crash interrupted, cut off when the alert history was opened.";
    AlertHistoryFailures = "bellwether_alert_history_write_failures_total" Counter []
        "Failed writes of the alert history; the records wait in memory.";
    AlertHistoryBytes = "bellwether_alert_history_bytes" Gauge ["part"]
        "Bytes of the alert history by part: disk, memory (not written yet).";
    AlertHistoryOldest = "bellwether_alert_history_oldest_timestamp_seconds" Gauge []
        "Time of the oldest record in the alert history, or the start of its day.";
    Queries = "bellwether_queries_total" Counter ["result"]
        "Queries of history over the API by result: success, or the type of the error.";
    QuerySeconds = "bellwether_query_duration_seconds_total" Counter ["result"]
        "Duration of queries of history, including their wait.";
    QueriesRunning = "bellwether_queries_running" Gauge []
        "Queries of history under way.";
    QueriesWaiting = "bellwether_queries_waiting" Gauge []
        "Queries of history that wait for a free slot.";
    Evaluations = "bellwether_rule_evaluations_total" Counter []
        "Evaluations of a rule over all its series.";
    EvaluationFailures = "bellwether_rule_evaluation_failures_total" Counter []
        "Failed evaluations of a rule.";
    TickDuration = "bellwether_rule_evaluation_last_duration_seconds" Gauge []
        "Duration of the last evaluation of all due rules.";
    MissedTicks = "bellwether_rule_evaluations_missed_total" Counter []
        "Evaluations skipped because the previous one was still running.";
    Alerts = "bellwether_alerts" Gauge ["state"]
        "Alerts by state.";
    LeftOut = "bellwether_alerts_over_limit" Gauge []
        "Alerts over the limit of their rule at the last evaluation, which do not fire.";
    FiringByRule = "bellwether_rule_alerts_firing" Gauge ["rule"]
        "Firing alerts of the rule.";
    SaveFailures = "bellwether_state_save_failures_total" Counter []
        "Failed attempts to save the state of alerts.";
    StateOnDisk = "bellwether_state_on_disk" Gauge []
        "Whether alerts, silences and queues are on disk; 0 while they are in memory only.";
    Notifications = "bellwether_notifications_total" Counter ["channel", "result"]
        "Notifications by channel and result: sent, failed (one attempt), dropped.";
    NotificationsDropped = "bellwether_notifications_dropped_total" Counter ["channel", "reason"]
        "Notifications dropped, by reason.";
    Queue = "bellwether_notification_queue_length" Gauge ["channel"]
        "Notifications that wait for delivery.";
    DeadLetters = "bellwether_notification_dead_letters" Gauge ["channel"]
        "Dead letters: notifications that the channel rejected or dropped, and that can be sent again.";
    RemoteSamples = "bellwether_remote_write_samples_total" Counter ["destination"]
        "Samples that the receiver of remote write accepted.";
    RemoteFailed = "bellwether_remote_write_samples_failed_total" Counter ["destination"]
        "Samples that the receiver rejected for good.";
    RemoteRetried = "bellwether_remote_write_samples_retried_total" Counter ["destination"]
        "Samples that were sent again after a retryable error.";
    RemoteDropped = "bellwether_remote_write_samples_dropped_total" Counter ["destination", "reason"]
        "Samples that were not sent by reason: relabelling, lost (deleted from the write-ahead log first).";
    RemoteBytes = "bellwether_remote_write_bytes_total" Counter ["destination"]
        "Bytes of the requests that the receiver accepted, compressed.";
    RemoteNewest = "bellwether_remote_write_highest_sent_timestamp_seconds" Gauge ["destination"]
        "Time of the newest sample that the receiver accepted.";
    RemotePending = "bellwether_remote_write_pending_samples" Gauge ["destination"]
        "Samples in the write-ahead log that wait to be sent.";
    RemotePendingBytes = "bellwether_remote_write_pending_bytes" Gauge ["destination"]
        "Bytes of the write-ahead log that wait to be sent.";
    Anomaly = "bellwether_anomaly" Gauge ["metric", "series"]
        "Whether the latest value of a monitored series is anomalous.";
    AnomalyScore = "bellwether_anomaly_score" Gauge ["metric", "series"]
        "Anomaly score of the latest value of a monitored series; its scale depends on the algorithm.";
    AnomalyExpected = "bellwether_anomaly_expected" Gauge ["metric", "series", "bound"]
        "Expected range of the latest value of a monitored series by bound: low, high.";
    Reloads = "bellwether_reloads_total" Counter ["result"]
        "Reloads of the configuration by result: success, failure.";
    RuleFilesLeftOut = "bellwether_rule_files_skipped" Gauge []
        "Rule files with errors, which were left out at the start.";
    ReloadGood = "bellwether_config_last_reload_successful" Gauge []
        "Whether the last reload took effect.";
    LoadedAt = "bellwether_config_last_reload_success_timestamp_seconds" Gauge []
        "Time at which the active configuration was loaded.";
    ConfigHash = "bellwether_config_hash" Gauge []
        "Hash of the active configuration file (CRC-32): equal on hosts with equal files.";
    Refused = "bellwether_application_records_rejected_total" Counter ["reason"]
        "Rejected application records.";
    Overflow = "bellwether_application_series_overflow_total" Counter ["metric"]
        "Application records rejected because the metric has reached max_series.";
    StatsdPackets = "bellwether_statsd_packets_total" Counter []
        "StatsD packets received.";
    StatsdLines = "bellwether_statsd_lines_total" Counter []
        "StatsD lines received.";
    Skipped = "bellwether_system_skipped_total" Counter ["part", "reason"]
        "Parts of the host that could not be read and were skipped.";
    SkippedRows = "bellwether_neo4j_rows_skipped_total" Counter ["reason"]
        "Rows of Neo4j's results that did not fit their metric and were skipped.";
    Requests = "bellwether_http_requests_total" Counter ["handler", "code"]
        "HTTP requests answered.";
    Connections = "bellwether_http_connections" Gauge []
        "Open HTTP connections.";
    Closed = "bellwether_http_connections_closed_total" Counter ["reason"]
        "HTTP connections that the server closed because of a slow client, or rejected.";
    Refusals = "bellwether_http_requests_rejected_total" Counter ["reason"]
        "HTTP requests rejected because of their sender.";
    ProcessCpu = "process_cpu_seconds_total" Counter []
        "Total user and system CPU time spent in seconds.";
    ProcessResident = "process_resident_memory_bytes" Gauge []
        "Resident memory size in bytes.";
    ProcessVirtual = "process_virtual_memory_bytes" Gauge []
        "Virtual memory size in bytes.";
    ProcessFds = "process_open_fds" Gauge []
        "Number of open file descriptors.";
    ProcessMaxFds = "process_max_fds" Gauge []
        "Maximum number of open file descriptors.";
    ProcessThreads = "process_threads" Gauge []
        "Number of operating system threads in the process.";
    ProcessStart = "process_start_time_seconds" Gauge []
        "Start time of the process since unix epoch in seconds.";
}

/// Returns the definitions of all self-metrics. They have no prefix, so that their names are the
/// same on all hosts.
#[must_use]
pub fn definitions(interval: Duration) -> Vec<MetricDef> {
    METRICS
        .iter()
        .map(|(name, kind, labels, help)| MetricDef {
            name: (*name).into(),
            exported: (*name).into(),
            help: (*help).into(),
            kind: *kind,
            labels: labels.iter().map(|label| Arc::from(*label)).collect(),
            buckets: [].into(),
            quantiles: [].into(),
            origin: Origin::SELF_METRICS,
            interval,
        })
        .collect()
}

/// Takes a snapshot of all components.
pub type Gather = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// The collector of the self-metrics.
#[derive(Clone)]
pub struct SelfMetrics {
    first: MetricId,
    gather: Gather,
}

impl SelfMetrics {
    /// Creates the collector. `first` is the id of the first of [`definitions`]; those of the others
    /// follow.
    #[must_use]
    pub fn new(first: MetricId, gather: Gather) -> Self {
        Self { first, gather }
    }

    /// Adds the self-metrics as of `now`. Reads a few small files of `/proc/self`, which never block.
    pub fn fill(&self, batch: &mut Batch, now: Now) {
        let stats = (self.gather)();
        let mut writer = Writer {
            first: self.first,
            batch,
        };
        writer.write(Id::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        writer.collectors(&stats.collectors, now);
        if let Some(history) = &stats.history {
            writer.history(history);
        }
        if let Some(history) = &stats.alert_history {
            writer.alert_history(history);
        }
        writer.queries(&stats.queries);
        writer.rules(&stats.rules);
        writer.channels(&stats.channels);
        for (name, remote) in &stats.remote {
            writer.remote(name, remote);
        }
        for anomaly in &stats.anomalies {
            writer.anomaly(anomaly);
        }
        writer.counts(&stats);
        writer.http(&stats);
        writer.process(&stats.process);
    }
}

impl Collector for SelfMetrics {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.fill(batch, now);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Writes self-metrics into a batch.
struct Writer<'a> {
    first: MetricId,
    batch: &'a mut Batch,
}

impl Writer<'_> {
    fn write(&mut self, id: Id, labels: &[&str], value: f64) {
        self.batch
            .push(MetricId(self.first.0 + id as u32), labels, value);
    }

    fn collectors(&mut self, collectors: &BTreeMap<Origin, Health>, now: Now) {
        for (origin, health) in collectors {
            let name = origin.as_str();
            self.write(Id::Runs, &[name], health.runs as f64);
            for (reason, count) in &health.failures {
                self.write(Id::Failures, &[name, reason], *count as f64);
            }
            if let Some(success) = health.success {
                self.write(Id::Success, &[name], f64::from(u8::from(success)));
                self.write(Id::Duration, &[name], health.duration.as_secs_f64());
            }
            if let Some(last) = health.last_success {
                self.write(Id::Age, &[name], now.mono.since(last.mono).as_secs_f64());
            }
        }
    }

    fn rules(&mut self, rules: &RuleStats) {
        self.write(Id::Evaluations, &[], rules.evaluations as f64);
        self.write(Id::EvaluationFailures, &[], rules.failures as f64);
        self.write(Id::TickDuration, &[], rules.last_evaluation.as_secs_f64());
        self.write(Id::MissedTicks, &[], rules.missed_evaluations as f64);
        self.write(Id::Alerts, &["pending"], rules.alerts.0 as f64);
        self.write(Id::Alerts, &["firing"], rules.alerts.1 as f64);
        self.write(Id::LeftOut, &[], rules.over_limit as f64);
        for (rule, firing) in &rules.firing {
            self.write(Id::FiringByRule, &[rule], *firing as f64);
        }
        self.write(Id::SaveFailures, &[], rules.save_failures as f64);
        self.write(
            Id::StateOnDisk,
            &[],
            f64::from(u8::from(rules.state_on_disk)),
        );
    }

    fn channels(&mut self, channels: &BTreeMap<String, ChannelStats>) {
        for (name, channel) in channels {
            let dropped: u64 = channel.dropped.iter().map(|(_, count)| count).sum();
            for (result, count) in [
                ("sent", channel.sent),
                ("failed", channel.failed),
                ("dropped", dropped),
            ] {
                self.write(Id::Notifications, &[name, result], count as f64);
            }
            for (reason, count) in &channel.dropped {
                self.write(Id::NotificationsDropped, &[name, reason], *count as f64);
            }
            self.write(Id::Queue, &[name], channel.queued as f64);
            self.write(Id::DeadLetters, &[name], channel.dead_letters as f64);
        }
    }

    fn anomaly(&mut self, anomaly: &AnomalyStats) {
        let (metric, series) = (&*anomaly.metric, &*anomaly.series);
        self.write(
            Id::Anomaly,
            &[metric, series],
            f64::from(u8::from(anomaly.anomalous)),
        );
        self.write(Id::AnomalyScore, &[metric, series], anomaly.score);
        if let Some((low, high)) = anomaly.expected {
            self.write(Id::AnomalyExpected, &[metric, series, "low"], low);
            self.write(Id::AnomalyExpected, &[metric, series, "high"], high);
        }
    }

    fn counts(&mut self, stats: &Snapshot) {
        self.write(Id::Series, &[], stats.series as f64);
        self.write(Id::Dropped, &[], stats.series_dropped as f64);
        self.write(Id::PointsRefused, &[], stats.points_refused as f64);
        self.write(Id::Reloads, &["success"], stats.reloads.0 as f64);
        self.write(Id::Reloads, &["failure"], stats.reloads.1 as f64);
        self.write(Id::RuleFilesLeftOut, &[], stats.rule_files_left_out);
        self.write(
            Id::ReloadGood,
            &[],
            f64::from(u8::from(stats.last_reload_good)),
        );
        self.write(Id::LoadedAt, &[], stats.loaded_at);
        self.write(Id::ConfigHash, &[], f64::from(stats.config_checksum));
        for (reason, count) in &stats.rejected_records {
            self.write(Id::Refused, &[reason], *count as f64);
        }
        for (metric, count) in &stats.over_limit_records {
            self.write(Id::Overflow, &[metric], *count as f64);
        }
        if let Some((packets, lines)) = stats.statsd {
            self.write(Id::StatsdPackets, &[], packets as f64);
            self.write(Id::StatsdLines, &[], lines as f64);
        }
        for (what, reason, count) in &stats.skipped {
            self.write(Id::Skipped, &[what, reason], *count as f64);
        }
        for (reason, count) in &stats.skipped_rows {
            self.write(Id::SkippedRows, &[reason], *count as f64);
        }
    }

    fn http(&mut self, stats: &Snapshot) {
        for (handler, code, count) in &stats.requests {
            let mut digits = itoa::Buffer::new();
            self.write(
                Id::Requests,
                &[handler, digits.format(*code)],
                *count as f64,
            );
        }
        self.write(Id::Connections, &[], stats.http.connections as f64);
        for (reason, count) in &stats.http.closed {
            self.write(Id::Closed, &[reason], *count as f64);
        }
        for (reason, count) in &stats.http.refusals {
            self.write(Id::Refusals, &[reason], *count as f64);
        }
    }

    fn process(&mut self, process: &Process) {
        for (id, value) in [
            (Id::ProcessCpu, process.cpu_seconds),
            (Id::ProcessResident, process.resident_bytes),
            (Id::ProcessVirtual, process.virtual_bytes),
            (Id::ProcessFds, process.open_fds),
            (Id::ProcessMaxFds, process.max_fds),
            (Id::ProcessThreads, process.threads),
            (Id::ProcessStart, process.start_seconds),
        ] {
            // What /proc does not have is left out.
            if let Some(value) = value {
                self.write(id, &[], value);
            }
        }
    }
}
