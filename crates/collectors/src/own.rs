//! What Bellwether tells of itself: `bellwether_*` and the standard `process_*`.
//!
//! Owns the names and turns [`Figures`] into a batch. Where the figures come from is the
//! business of whoever wires the rooms together.

mod alert_history;
mod history;
mod process;
mod queries;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use alert_history::AlertHistoryFigures;
use bellwether_core::{Batch, Kind, MetricDef, MetricId, Now, Origin};
pub use history::HistoryFigures;
pub use process::Process;
pub use queries::QueryFigures;
pub use remote::RemoteFigures;

use super::{Collecting, Collector, Health};

/// Everything the other rooms count.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Health of each collector.
    pub collectors: BTreeMap<Origin, Health>,
    /// Series in the store.
    pub series: usize,
    /// Series dropped because nothing refreshed them.
    pub series_dropped: u64,
    /// Points refused by the store.
    pub points_refused: u64,
    /// History, where some is kept.
    pub history: Option<HistoryFigures>,
    /// The history of alerts, where one is kept.
    pub alert_history: Option<AlertHistoryFigures>,
    /// Queries of history.
    pub queries: QueryFigures,
    /// Rules.
    pub rules: RuleFigures,
    /// Delivery, by channel.
    pub channels: BTreeMap<String, ChannelFigures>,
    /// Remote write, by destination.
    pub remote: BTreeMap<String, RemoteFigures>,
    /// Series that are watched for anomalies and that there was enough to judge by.
    pub anomalies: Vec<AnomalyFigures>,
    /// Reloads that took effect, and that did not.
    pub reloads: (u64, u64),
    /// Rule files that are wrong and were left out at the start.
    pub rule_files_left_out: f64,
    /// Whether the last reload took effect; true before the first.
    pub last_reload_good: bool,
    /// When the declaration in effect was loaded, seconds since the epoch.
    pub loaded_at: f64,
    /// CRC-32 of the text of the configuration file in effect.
    pub config_checksum: u32,
    /// Refused records, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Records refused because their metric is at its ceiling of series, by metric.
    pub overflows: Vec<(Arc<str>, u64)>,
    /// `StatsD`: packets and lines received.
    pub statsd: Option<(u64, u64)>,
    /// Parts of the host that were skipped: what, reason, how often.
    pub skipped: Vec<(&'static str, &'static str, u64)>,
    /// Rows of Neo4j that were skipped: reason, how often.
    pub skipped_rows: Vec<(&'static str, u64)>,
    /// HTTP requests by handler and status code.
    pub requests: Vec<(&'static str, u16, u64)>,
    /// HTTP connections, and the clients that were turned away.
    pub http: HttpFigures,
    /// The process itself.
    pub process: Process,
}

/// What the HTTP side had to do with its clients, beside answering.
#[derive(Clone, Debug, Default)]
pub struct HttpFigures {
    /// Connections open now.
    pub connections: u64,
    /// Connections that the server closed on its client or turned away, by reason.
    pub closed: Vec<(&'static str, u64)>,
    /// Requests refused for who sent them, by reason.
    pub refusals: Vec<(&'static str, u64)>,
}

/// What the rules did.
#[derive(Clone, Debug, Default)]
pub struct RuleFigures {
    /// Judgements made.
    pub evaluations: u64,
    /// Judgements that failed.
    pub failures: u64,
    /// How long the last tick took.
    pub last_tick: Duration,
    /// Ticks that were left out because the one before was still under way.
    pub missed_ticks: u64,
    /// Alerts pending and firing.
    pub alerts: (usize, usize),
    /// Alerts that the limits of their rules left out.
    pub left_out: u64,
    /// Alerts that fire, by rule.
    pub firing: Vec<(Arc<str>, usize)>,
    /// Times the state could not be saved.
    pub save_failures: u64,
    /// Whether all that must survive a restart is on disk.
    pub state_on_disk: bool,
}

/// The latest value of a series that is watched for anomalies.
#[derive(Clone, Debug, Default)]
pub struct AnomalyFigures {
    /// Which metric.
    pub metric: String,
    /// Its labels as text.
    pub series: String,
    /// How odd it is.
    pub score: f64,
    /// Whether it is odd.
    pub anomalous: bool,
    /// Where it would not have been.
    pub expected: Option<(f64, f64)>,
}

/// What one channel did.
#[derive(Clone, Debug, Default)]
pub struct ChannelFigures {
    /// Notifications delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Notifications given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications waiting.
    pub queued: usize,
    /// Notifications given up that can be sent again.
    pub dead_letters: usize,
}

macro_rules! own_metrics {
    ($( $id:ident = $name:literal $kind:ident [$($label:literal),*] $help:literal; )*) => {
        #[derive(Clone, Copy)]
        enum Id { $($id),* }

        const METRICS: &[(&str, Kind, &[&str], &str)] =
            &[ $( ($name, Kind::$kind, &[$($label),*], $help) ),* ];
    };
}

own_metrics! {
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
    PointsRefused = "bellwether_points_refused_total" Counter []
        "Collected points that did not fit their metric's declaration.";
    HistorySeries = "bellwether_history_series" Gauge []
        "Series in history.";
    HistorySamples = "bellwether_history_samples" Gauge ["part"]
        "Samples in history by part: head (memory), blocks.";
    HistoryAppended = "bellwether_history_samples_appended_total" Counter []
        "Samples that history took.";
    HistoryRefused = "bellwether_history_samples_refused_total" Counter ["reason"]
        "Samples that history did not take.";
    HistoryLost = "bellwether_history_samples_lost_total" Counter ["reason"]
        "Samples that history took and lost.";
    HistoryDamage = "bellwether_history_damage_total" Counter ["what"]
        "Damaged or missing pieces of history that were left out, so that the rest stays readable.";
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
        "Records that the history of alerts took by kind: transition, notification.";
    AlertRecordsLost = "bellwether_alert_history_records_lost_total" Counter ["reason"]
        "Records that were lost by reason: no_room_transition, no_room_notification, memory (not written in time).";
    AlertRecordsDamaged = "bellwether_alert_history_records_damaged_total" Counter []
        "Lines of the history of alerts that could not be read and were left out.";
    AlertHistoryTorn = "bellwether_alert_history_torn_bytes_total" Counter []
        "Bytes of a write that a crash interrupted, cut off when the history of alerts was opened.";
    AlertHistoryFailures = "bellwether_alert_history_write_failures_total" Counter []
        "Writes of the history of alerts that failed; the records wait in memory.";
    AlertHistoryBytes = "bellwether_alert_history_bytes" Gauge ["where"]
        "Bytes of the history of alerts by where they are: disk, memory (not written yet).";
    AlertHistoryOldest = "bellwether_alert_history_oldest_timestamp_seconds" Gauge []
        "Time of the oldest record in the history of alerts, or the begin of its day.";
    Queries = "bellwether_queries_total" Counter ["result"]
        "Queries of history over the API by result: success, or the type of the error.";
    QuerySeconds = "bellwether_query_seconds_total" Counter ["result"]
        "Time that queries of history took, their wait included.";
    QueriesRunning = "bellwether_queries_running" Gauge []
        "Queries of history under way.";
    QueriesWaiting = "bellwether_queries_waiting" Gauge []
        "Queries of history that wait for their turn.";
    Evaluations = "bellwether_rule_evaluations_total" Counter []
        "Judgements of a rule over all its series.";
    EvaluationFailures = "bellwether_rule_evaluation_failures_total" Counter []
        "Judgements of a rule that failed.";
    TickDuration = "bellwether_rule_tick_duration_seconds" Gauge []
        "Time the last judgement of all due rules took.";
    MissedTicks = "bellwether_rule_ticks_missed_total" Counter []
        "Judgements left out because the one before was still under way.";
    Alerts = "bellwether_alerts" Gauge ["state"]
        "Alerts by state.";
    LeftOut = "bellwether_alerts_left_out" Gauge []
        "Alerts that the limits of their rules left out at the last judgement.";
    FiringByRule = "bellwether_rule_alerts_firing" Gauge ["rule"]
        "Alerts of the rule that fire.";
    SaveFailures = "bellwether_state_save_failures_total" Counter []
        "Times the state of the alerts could not be saved.";
    StateOnDisk = "bellwether_state_on_disk" Gauge []
        "Whether alerts, silences and queues are on disk; 0 while they are in memory only.";
    Notifications = "bellwether_notifications_total" Counter ["channel", "result"]
        "Notifications by channel and result: sent, failed (one attempt), dropped.";
    NotificationsDropped = "bellwether_notifications_dropped_total" Counter ["channel", "reason"]
        "Notifications given up, by reason.";
    Queue = "bellwether_notification_queue_length" Gauge ["channel"]
        "Notifications that wait for delivery.";
    DeadLetters = "bellwether_notification_dead_letters" Gauge ["channel"]
        "Notifications given up that the channel does not know and that can be sent again.";
    RemoteSamples = "bellwether_remote_write_samples_total" Counter ["destination"]
        "Samples that the receiver of remote write took.";
    RemoteFailed = "bellwether_remote_write_samples_failed_total" Counter ["destination"]
        "Samples that the receiver refused for good.";
    RemoteRetried = "bellwether_remote_write_samples_retried_total" Counter ["destination"]
        "Samples that were sent once more after a failure that may pass.";
    RemoteDropped = "bellwether_remote_write_samples_dropped_total" Counter ["destination", "reason"]
        "Samples that were not sent by reason: relabelling, lost (gone from the log first).";
    RemoteBytes = "bellwether_remote_write_bytes_total" Counter ["destination"]
        "Bytes of the requests that the receiver took, compressed.";
    RemoteNewest = "bellwether_remote_write_highest_sent_timestamp_seconds" Gauge ["destination"]
        "Time of the newest sample that the receiver took.";
    RemotePending = "bellwether_remote_write_pending_samples" Gauge ["destination"]
        "Samples in history's log that wait to be sent.";
    RemotePendingBytes = "bellwether_remote_write_pending_bytes" Gauge ["destination"]
        "Bytes of history's log that wait to be sent.";
    Anomaly = "bellwether_anomaly" Gauge ["metric", "series"]
        "Whether the latest value of a watched series is odd.";
    AnomalyScore = "bellwether_anomaly_score" Gauge ["metric", "series"]
        "How odd the latest value of a watched series is, in the measure of the algorithm.";
    AnomalyExpected = "bellwether_anomaly_expected" Gauge ["metric", "series", "bound"]
        "Range in which the latest value of a watched series would not have been odd by bound: low, high.";
    Reloads = "bellwether_reloads_total" Counter ["result"]
        "Reloads of the declaration by result: success, failure.";
    RuleFilesLeftOut = "bellwether_rule_files_left_out" Gauge []
        "Rule files that are wrong and were left out at the start.";
    ReloadGood = "bellwether_config_last_reload_successful" Gauge []
        "Whether the last reload took effect.";
    LoadedAt = "bellwether_config_last_reload_success_timestamp_seconds" Gauge []
        "When the declaration in effect was loaded.";
    ConfigHash = "bellwether_config_hash" Gauge []
        "Hash of the configuration file in effect (CRC-32): equal on hosts with equal files.";
    Refused = "bellwether_application_refused_total" Counter ["reason"]
        "Application records refused.";
    Overflow = "bellwether_application_series_overflow_total" Counter ["metric"]
        "Application records refused because the metric is at its ceiling of series.";
    StatsdPackets = "bellwether_statsd_packets_total" Counter []
        "StatsD packets received.";
    StatsdLines = "bellwether_statsd_lines_total" Counter []
        "StatsD lines received.";
    Skipped = "bellwether_system_skipped_total" Counter ["what", "reason"]
        "Parts of the host that could not be read and were skipped.";
    SkippedRows = "bellwether_neo4j_rows_skipped_total" Counter ["reason"]
        "Rows of Neo4j's answers that did not fit their metric and were skipped.";
    Requests = "bellwether_http_requests_total" Counter ["handler", "code"]
        "HTTP requests answered.";
    Connections = "bellwether_http_connections" Gauge []
        "HTTP connections open now.";
    Closed = "bellwether_http_connections_closed_total" Counter ["reason"]
        "HTTP connections that the server closed on a slow client, or turned away.";
    Refusals = "bellwether_http_refusals_total" Counter ["reason"]
        "HTTP requests refused for who sent them.";
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

/// Definitions of all self-metrics. They carry no prefix, so that every Bellwether has the same.
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
            origin: Origin::Own,
            interval,
        })
        .collect()
}

/// Asks the other rooms for their figures.
pub type Gather = Arc<dyn Fn() -> Figures + Send + Sync>;

/// The collector of the self-metrics.
#[derive(Clone)]
pub struct Own {
    first: MetricId,
    gather: Gather,
}

impl Own {
    /// `first` is the id of the first of [`definitions`]; the others follow it.
    #[must_use]
    pub fn new(first: MetricId, gather: Gather) -> Self {
        Self { first, gather }
    }

    /// Fills `batch` with the figures of this moment. Reads a few small files of /proc/self,
    /// which never block.
    pub fn fill(&self, batch: &mut Batch, now: Now) {
        let figures = (self.gather)();
        let mut out = Out {
            first: self.first,
            batch,
        };
        out.put(Id::BuildInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
        out.collectors(&figures.collectors, now);
        if let Some(history) = &figures.history {
            out.history(history);
        }
        if let Some(history) = &figures.alert_history {
            out.alert_history(history);
        }
        out.queries(&figures.queries);
        out.rules(&figures.rules);
        out.channels(&figures.channels);
        for (name, remote) in &figures.remote {
            out.remote(name, remote);
        }
        for anomaly in &figures.anomalies {
            out.anomaly(anomaly);
        }
        out.counts(&figures);
        out.http(&figures);
        out.process(&figures.process);
    }
}

impl Collector for Own {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.fill(batch, now);
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Out<'a> {
    first: MetricId,
    batch: &'a mut Batch,
}

impl Out<'_> {
    fn put(&mut self, id: Id, labels: &[&str], value: f64) {
        self.batch
            .push(MetricId(self.first.0 + id as u32), labels, value);
    }

    fn collectors(&mut self, collectors: &BTreeMap<Origin, Health>, now: Now) {
        for (origin, health) in collectors {
            let name = origin.as_str();
            self.put(Id::Runs, &[name], health.runs as f64);
            for (reason, count) in &health.failures {
                self.put(Id::Failures, &[name, reason], *count as f64);
            }
            if let Some(success) = health.success {
                self.put(Id::Success, &[name], f64::from(u8::from(success)));
                self.put(Id::Duration, &[name], health.duration.as_secs_f64());
            }
            if let Some(last) = health.last_success {
                self.put(Id::Age, &[name], now.mono.since(last.mono).as_secs_f64());
            }
        }
    }

    fn rules(&mut self, rules: &RuleFigures) {
        self.put(Id::Evaluations, &[], rules.evaluations as f64);
        self.put(Id::EvaluationFailures, &[], rules.failures as f64);
        self.put(Id::TickDuration, &[], rules.last_tick.as_secs_f64());
        self.put(Id::MissedTicks, &[], rules.missed_ticks as f64);
        self.put(Id::Alerts, &["pending"], rules.alerts.0 as f64);
        self.put(Id::Alerts, &["firing"], rules.alerts.1 as f64);
        self.put(Id::LeftOut, &[], rules.left_out as f64);
        for (rule, firing) in &rules.firing {
            self.put(Id::FiringByRule, &[rule], *firing as f64);
        }
        self.put(Id::SaveFailures, &[], rules.save_failures as f64);
        self.put(
            Id::StateOnDisk,
            &[],
            f64::from(u8::from(rules.state_on_disk)),
        );
    }

    fn channels(&mut self, channels: &BTreeMap<String, ChannelFigures>) {
        for (name, channel) in channels {
            let dropped: u64 = channel.dropped.iter().map(|(_, count)| count).sum();
            for (result, count) in [
                ("sent", channel.sent),
                ("failed", channel.failed),
                ("dropped", dropped),
            ] {
                self.put(Id::Notifications, &[name, result], count as f64);
            }
            for (reason, count) in &channel.dropped {
                self.put(Id::NotificationsDropped, &[name, reason], *count as f64);
            }
            self.put(Id::Queue, &[name], channel.queued as f64);
            self.put(Id::DeadLetters, &[name], channel.dead_letters as f64);
        }
    }

    fn anomaly(&mut self, of: &AnomalyFigures) {
        let (metric, series) = (&*of.metric, &*of.series);
        self.put(
            Id::Anomaly,
            &[metric, series],
            f64::from(u8::from(of.anomalous)),
        );
        self.put(Id::AnomalyScore, &[metric, series], of.score);
        if let Some((low, high)) = of.expected {
            self.put(Id::AnomalyExpected, &[metric, series, "low"], low);
            self.put(Id::AnomalyExpected, &[metric, series, "high"], high);
        }
    }

    fn counts(&mut self, figures: &Figures) {
        self.put(Id::Series, &[], figures.series as f64);
        self.put(Id::Dropped, &[], figures.series_dropped as f64);
        self.put(Id::PointsRefused, &[], figures.points_refused as f64);
        self.put(Id::Reloads, &["success"], figures.reloads.0 as f64);
        self.put(Id::Reloads, &["failure"], figures.reloads.1 as f64);
        self.put(Id::RuleFilesLeftOut, &[], figures.rule_files_left_out);
        self.put(
            Id::ReloadGood,
            &[],
            f64::from(u8::from(figures.last_reload_good)),
        );
        self.put(Id::LoadedAt, &[], figures.loaded_at);
        self.put(Id::ConfigHash, &[], f64::from(figures.config_checksum));
        for (reason, count) in &figures.refused {
            self.put(Id::Refused, &[reason], *count as f64);
        }
        for (metric, count) in &figures.overflows {
            self.put(Id::Overflow, &[metric], *count as f64);
        }
        if let Some((packets, lines)) = figures.statsd {
            self.put(Id::StatsdPackets, &[], packets as f64);
            self.put(Id::StatsdLines, &[], lines as f64);
        }
        for (what, reason, count) in &figures.skipped {
            self.put(Id::Skipped, &[what, reason], *count as f64);
        }
        for (reason, count) in &figures.skipped_rows {
            self.put(Id::SkippedRows, &[reason], *count as f64);
        }
    }

    fn http(&mut self, figures: &Figures) {
        for (handler, code, count) in &figures.requests {
            let mut digits = itoa::Buffer::new();
            self.put(
                Id::Requests,
                &[handler, digits.format(*code)],
                *count as f64,
            );
        }
        self.put(Id::Connections, &[], figures.http.connections as f64);
        for (reason, count) in &figures.http.closed {
            self.put(Id::Closed, &[reason], *count as f64);
        }
        for (reason, count) in &figures.http.refusals {
            self.put(Id::Refusals, &[reason], *count as f64);
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
            // What /proc does not tell is left out.
            if let Some(value) = value {
                self.put(id, &[], value);
            }
        }
    }
}
