//! Interface to the rest of the program, and the plain data that crosses it.
//!
//! The application implements it; nothing here knows how.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_alert_history::AlertHistory;
use bellwether_core::{
    Alert, AlertState, DeadLetter, Failure, Fingerprint, Labels, Now, Origin, Recorded,
    SeriesBatch, Severity, UnixMillis,
};
use bellwether_dashboards::{Dashboard, SavedLayout};
use bellwether_promql::{Guard, Queryable};
use bellwether_routing::{Command, CommandError, Explanation, RouteMatch, Silence, Suppression};
use bellwether_tsdb::store::Store;
use hyper::body::Bytes;
use hyper::{Request, Response};
use serde_json::Value;

use crate::api::analysis::AnalysisSettings;
use crate::audit::AuditEntry;
use crate::live::LiveFeed;

/// Interface of the application to the server: all of the traits below. Endpoints take the narrowest
/// one that they need.
pub trait Backend:
    MetricsBackend
    + LifecycleBackend
    + AlertBackend
    + DeadLetterBackend
    + RuleBackend
    + ChannelBackend
    + StatusBackend
    + ConfigurationBackend
    + DashboardBackend
    + AuditBackend
    + LiveBackend
{
}

impl<T> Backend for T where
    T: MetricsBackend
        + LifecycleBackend
        + AlertBackend
        + DeadLetterBackend
        + RuleBackend
        + ChannelBackend
        + StatusBackend
        + ConfigurationBackend
        + DashboardBackend
        + AuditBackend
        + LiveBackend
{
}

/// Error of a back end, with its text for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The request is invalid; its sender can fix it.
    #[error("{0}")]
    Invalid(String),
    /// The request is valid and cannot be answered.
    #[error("{0}")]
    Failed(String),
}

/// Clocks, current values and history.
pub trait MetricsBackend: Send + Sync + 'static {
    /// Time of both clocks.
    fn now(&self) -> Now;

    /// Store to read current values from; a reload replaces it.
    fn store(&self) -> Arc<Store>;

    /// Collected history, if it is enabled.
    fn history(&self) -> Option<Arc<dyn Queryable>>;

    /// Updates the series in the store that change between collections (application metrics,
    /// self-metrics). Called before each exposition and never on an async thread, because it may
    /// read `/proc`.
    fn refresh(&self);

    /// Records the values of a JSON array. Called on a blocking thread.
    ///
    /// # Errors
    /// The body is not such an array; nothing was recorded then.
    fn record(&self, body: &[u8]) -> Result<Recorded, BackendError>;

    /// Changes the pushed metrics of a group. Called on a blocking thread.
    ///
    /// # Errors
    /// Nothing receives pushed metrics, or they are not accepted: nothing was changed. Or they cannot be saved: they are
    /// kept in memory.
    fn push(&self, group: Labels, change: PushChange) -> Result<(), BackendError>;

    /// Takes a request of a client that pushes, and answers it. Called on a blocking thread.
    ///
    /// # Errors
    /// Nothing receives requests of the protocol.
    fn receive(
        &self,
        protocol: PushProtocol,
        request: &Request<Bytes>,
    ) -> Result<Response<Vec<u8>>, BackendError>;
}

/// Protocol in which clients push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushProtocol {
    /// OpenTelemetry's.
    Otlp,
    /// Remote write 1.0 and 2.0 of Prometheus.
    RemoteWrite,
    /// Line protocol of InfluxDB.
    Influx,
}

/// Change of the pushed metrics of a group.
#[derive(Debug)]
pub enum PushChange {
    /// These replace all metrics of the group.
    Replace(SeriesBatch),
    /// These replace the metrics of the same names.
    Update(SeriesBatch),
    /// The group is deleted.
    Delete,
    /// A push was rejected.
    Fail,
}

/// Readiness and reload.
pub trait LifecycleBackend: Send + Sync + 'static {
    /// Returns true once every enabled collector has run; the answer of `/-/ready`.
    fn is_ready(&self) -> bool;

    /// Reads the configuration again and applies all of it or nothing. Returns a summary for
    /// people, one line or several.
    ///
    /// # Errors
    /// Everything that is wrong, one error a line.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<String, BackendError>> + Send + '_>>;
}

/// Alerts, and what people decide about their notifications.
pub trait AlertBackend: Send + Sync + 'static {
    /// Pending and firing alerts.
    fn alerts(&self) -> Vec<Arc<Alert>>;

    /// Alerts that are silenced, inhibited or acknowledged now.
    fn suppressions(&self) -> HashMap<Fingerprint, Suppression>;

    /// Alert history, if it is enabled.
    fn alert_history(&self) -> Option<AlertHistory>;

    /// Silences of the API and of the configuration.
    fn silences(&self) -> Vec<Silence>;

    /// Creates or ends a silence or an acknowledgement, durably: it is on disk when this returns.
    /// Returns the id of the silence or the fingerprint of the alert.
    fn execute(
        &self,
        command: Command,
    ) -> Pin<Box<dyn Future<Output = Result<String, CommandError>> + Send + '_>>;
}

/// Dead letters.
pub trait DeadLetterBackend: Send + Sync + 'static {
    /// Notifications that their channels rejected for good.
    fn dead_letters(&self) -> Vec<DeadLetter>;

    /// Sends dead letters again, by id. They are on disk when this returns.
    fn resend(&self, ids: HashSet<String>) -> Pin<Box<dyn Future<Output = Resent> + Send + '_>>;

    /// Deletes dead letters, by id. Returns those that existed.
    fn discard(
        &self,
        ids: HashSet<String>,
    ) -> Pin<Box<dyn Future<Output = Vec<DeadLetter>> + Send + '_>>;
}

/// Rules, and the routes of their alerts.
pub trait RuleBackend: Send + Sync + 'static {
    /// Rules in the order of the configuration.
    fn rules(&self) -> Vec<RuleView>;

    /// Routes and groups of an alert that fires or resolved a short time ago.
    fn explain(&self, alert: Fingerprint) -> Option<Explanation>;

    /// Alerts and notifications that a rule would have had over recorded history, as JSON, beside
    /// those of the rule of its name that is in force. Blocks.
    ///
    /// # Errors
    /// The rule is invalid, history cannot be read, or `guard` stopped it.
    fn backtest(&self, request: &Backtest, guard: &Guard) -> Result<Value, BackendError>;

    /// Results of unit tests of the configured rules, as JSON. Blocks.
    ///
    /// # Errors
    /// The tests or the rule are invalid, or `guard` stopped them.
    fn test_rules(&self, request: &RuleTests, guard: &Guard) -> Result<Value, BackendError>;

    /// Routes that match an alert with these labels at a time. Nothing is sent.
    fn matching_routes(&self, labels: Labels, at: UnixMillis) -> Vec<RouteMatch>;
}

/// Channels.
pub trait ChannelBackend: Send + Sync + 'static {
    /// Sends a test notification by the channel of this name, and its resolved if `resolve` is set,
    /// without filters and queue.
    ///
    /// # Errors
    /// There is no such channel, or it cannot be built.
    fn test_channel(
        &self,
        name: String,
        severity: Severity,
        resolve: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<TestResult>, BackendError>> + Send + '_>>;
}

/// Status and active config.
pub trait StatusBackend: Send + Sync + 'static {
    /// Status of every component.
    fn health(&self) -> Health;

    /// Active config as YAML, without its secrets.
    ///
    /// # Errors
    /// It cannot be serialized.
    fn configuration(&self) -> Result<String, BackendError>;

    /// JSON Schema of the configuration.
    fn configuration_schema(&self) -> serde_json::Value;

    /// Settings under the names of Prometheus's flags.
    fn flags(&self) -> BTreeMap<&'static str, String>;

    /// URLs of the Alertmanagers that are notified, without passwords.
    fn alertmanagers(&self) -> Vec<String>;

    /// Settings of the analysis endpoints.
    fn analysis_settings(&self) -> Arc<AnalysisSettings>;
}

/// Files of the configuration. They are read as they are on disk; secrets never leave the backend.
pub trait ConfigurationBackend: Send + Sync + 'static {
    /// Files with their texts, without secrets. Blocks on the file system.
    ///
    /// # Errors
    /// The first file cannot be read.
    fn config_files(&self) -> Result<ConfigFiles, BackendError>;

    /// Checks the configuration with these texts in place of those of its files. Blocks.
    ///
    /// # Errors
    /// A file is not one of the configuration.
    fn check_config(&self, drafts: Vec<ConfigDraft>) -> Result<ConfigReport, ConfigError>;

    /// Writes the texts to their files and reloads, or leaves everything as it is.
    fn apply_config(
        &self,
        drafts: Vec<ConfigDraft>,
    ) -> Pin<Box<dyn Future<Output = Result<ConfigApplied, ConfigError>> + Send + '_>>;
}

/// Dashboards of the web page, and what people change of them.
pub trait DashboardBackend: Send + Sync + 'static {
    /// Name and title of each dashboard, in the order of the page.
    fn dashboards(&self) -> Vec<(String, String)>;

    /// Dashboard with the layout that was saved last.
    fn dashboard(&self, name: &str) -> Option<Dashboard>;

    /// Versions of the layout of a dashboard, newest first; none as long as nobody changed it.
    fn layouts(&self, name: &str) -> Vec<SavedLayout>;

    /// Dashboard with its layout as text: YAML of the configuration, or Grafana's JSON.
    ///
    /// # Errors
    /// It cannot be serialized.
    fn export_dashboard(
        &self,
        name: &str,
        format: DashboardFormat,
    ) -> Option<Result<String, BackendError>>;

    /// Adds a version of the layout of a dashboard. It is on disk when this returns.
    ///
    /// # Errors
    /// It could not be saved; it holds until a restart.
    fn save_layout(
        &self,
        name: String,
        version: SavedLayout,
    ) -> Pin<Box<dyn Future<Output = Result<(), BackendError>> + Send + '_>>;
}

/// Format of an exported dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DashboardFormat {
    /// Section `dashboards` of the configuration.
    Yaml,
    /// JSON that Grafana imports.
    Grafana,
}

/// Record of changes and of attempts at them.
pub trait AuditBackend: Send + Sync + 'static {
    /// Adds an entry. Never blocks.
    fn audit(&self, entry: AuditEntry);
}

/// Collections and events for live updates.
pub trait LiveBackend: Send + Sync + 'static {
    /// Way in of what clients follow; the same for as long as the application runs.
    fn live(&self) -> &LiveFeed;
}

/// Dead letters that were to be sent again, each with whether it is. One whose alert the channel
/// was notified about in the meantime is not.
pub type Resent = Vec<(DeadLetter, bool)>;

/// Rule over recorded history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backtest {
    /// The rule as YAML.
    pub rule: String,
    pub from: UnixMillis,
    pub to: UnixMillis,
}

/// Unit tests of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTests {
    /// Test file as YAML.
    pub tests: String,
    /// Rule as YAML, in place of the configured one of its name.
    pub rule: Option<String>,
}

/// Result of one test notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Kind of the message: `firing`, `resolved`, or `bulletin` for a channel without alerts.
    pub sample: &'static str,
    /// Error, and whether a later attempt may succeed; none for a success. Contains no secret.
    pub error: Option<(String, bool)>,
    pub took: Duration,
}

/// Files of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// Files in the order in which they are read.
    pub files: Vec<ConfigFile>,
    /// True if `web.allow_edit` permits to change them.
    pub may_edit: bool,
}

/// File of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    pub path: String,
    /// `configuration` or `rules`.
    pub kind: &'static str,
    /// Text without secrets, or the reason why it cannot be shown.
    pub text: Result<String, String>,
    /// Checksum of the text with its secrets.
    pub checksum: String,
}

/// Text for a file of the configuration, in which `<secret>` stands for what it is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigDraft {
    pub path: String,
    pub text: String,
    /// Checksum of the file that the text was made from; needed to apply it.
    pub checksum: Option<String>,
}

/// Findings in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigReport {
    pub problems: Vec<ConfigProblem>,
    pub warnings: Vec<ConfigProblem>,
    /// Changes against the files on disk; none if either has problems.
    pub changes: Option<ConfigChanges>,
}

/// Finding in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigProblem {
    pub file: String,
    /// Line and column from 1; 0 for the file as a whole.
    pub line: u32,
    pub column: u32,
    /// Keys down to the value.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

/// Changes of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    pub metrics: Difference,
    pub rules: Difference,
    pub channels: Difference,
}

/// Names of what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub altered: Vec<String>,
}

/// Configuration that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigApplied {
    /// Summary of the reload.
    pub summary: String,
    pub changes: Option<ConfigChanges>,
    /// Files with the versions before.
    pub backups: Vec<String>,
}

/// Error of a change of the configuration; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `web.allow_edit` does not permit it.
    #[error("the configuration does not permit changes over HTTP")]
    NotAllowed,
    /// A file is not one of the configuration.
    #[error("{0} is no file of the configuration")]
    UnknownFile(String),
    /// A file has changed since it was read.
    #[error("{0} has changed since it was read")]
    Conflict(String),
    /// The texts have problems.
    #[error("the configuration has problems")]
    Problems(Vec<ConfigProblem>),
    /// The files cannot be read or written, or the reload failed.
    #[error("{0}")]
    Failed(String),
}

/// Rule group, as in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleGroup {
    /// Name, unique in its file.
    pub name: String,
    /// Path of the rule file.
    pub file: String,
    /// Time between two evaluations.
    pub interval: Duration,
    /// Maximum number of alerts of one of its rules; zero for no limit.
    pub limit: u32,
}

/// Rule with its state.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleView {
    pub group: Arc<RuleGroup>,
    /// True for a recording rule, which has no alerts.
    pub records: bool,
    /// Name of the rule, or of the series it records.
    pub name: String,
    /// Condition or expression as one line: `avg(cpu_percent[5m]) > 85`.
    pub query: String,
    /// Equivalent in PromQL, if there is one and `query` is not PromQL already.
    pub promql: Option<String>,
    /// Configured name of the metric in the condition, if it is exactly one.
    pub metric: Option<String>,
    /// Most severe state of its alerts.
    pub state: AlertState,
    /// Time for which the condition must hold before an alert fires.
    pub duration: Duration,
    /// Time for which an alert keeps firing after the condition has cleared.
    pub keep_firing_for: Duration,
    /// Severity; of several thresholds, that of the first level.
    pub severity: Severity,
    /// Labels that the rule adds.
    pub labels: Labels,
    /// Annotation templates, not rendered.
    pub annotations: Labels,
    /// Pending and firing alerts.
    pub alerts: Vec<Arc<Alert>>,
    /// No-data policy in words; empty for a recording rule.
    pub on_no_data: String,
    /// Time for which the series of an alert has had no data, by alert.
    pub missing: BTreeMap<Fingerprint, Duration>,
    /// Time of the last evaluation, if there was one.
    pub last_evaluation: Option<UnixMillis>,
    /// Duration of the last evaluation.
    pub evaluation_time: Duration,
    /// Error of the last evaluation, if it failed.
    pub last_error: Option<String>,
    /// Note about the last evaluation that is not an error: too few samples for a forecast.
    pub note: Option<String>,
}

impl Default for RuleView {
    fn default() -> Self {
        Self {
            group: Arc::default(),
            records: false,
            name: String::new(),
            query: String::new(),
            promql: None,
            metric: None,
            state: AlertState::Inactive,
            duration: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            severity: Severity::Warning,
            labels: Labels::new(),
            annotations: Labels::new(),
            alerts: Vec::new(),
            on_no_data: String::new(),
            missing: BTreeMap::new(),
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
            last_error: None,
            note: None,
        }
    }
}

/// Status of every component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Start of the process.
    pub started: Now,
    pub collectors: BTreeMap<Origin, CollectorHealth>,
    pub channels: Vec<ChannelHealth>,
    pub reports: Vec<ReportHealth>,
    pub remote: Vec<RemoteHealth>,
    /// Status of history, if it is enabled.
    pub history: Option<HistoryHealth>,
    /// Status of the alert history, if it is enabled.
    pub alert_history: Option<AlertHistoryHealth>,
    /// Status of the state directory.
    pub state: StateHealth,
    /// Last reload, if there was one.
    pub reload: Option<ReloadHealth>,
    /// Active config.
    pub configuration: ConfigurationHealth,
}

/// Status of the state directory, which has alerts, silences and outboxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateHealth {
    /// Path; none if all state is in memory.
    pub directory: Option<PathBuf>,
    /// Error that keeps state from the disk, if there is one.
    pub error: Option<String>,
}

/// Status of a collector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectorHealth {
    /// Result of the last collection; none before the first has ended.
    pub success: Option<bool>,
    /// Duration of the last collection.
    pub duration: Duration,
    /// Time of the last successful collection.
    pub last_success: Option<Now>,
    /// End of the last collection.
    pub last_run: Option<UnixMillis>,
    /// Time between two collections.
    pub interval: Duration,
    /// Timeout of a collection.
    pub deadline: Duration,
    /// Error of the last collection.
    pub failure: Option<Failure>,
    /// Notes for the operator that are not errors.
    pub notes: Vec<String>,
}

/// Status of a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelHealth {
    pub name: String,
    /// Type of the channel: `log`, `kafka`, `webhook`.
    pub kind: &'static str,
    /// Notifications in the outbox.
    pub queued: usize,
    /// Dead letters, which can be sent again.
    pub dead_letters: usize,
    pub sent: u64,
    /// Failed attempts.
    pub failed: u64,
    /// Notifications that the service rejected for good.
    pub rejected: u64,
    /// Dropped notifications, including the rejected ones.
    pub dropped: u64,
    /// Error of the last attempt; none after a success. Contains no secret.
    pub last_error: Option<String>,
}

/// Status of a report by schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportHealth {
    pub name: String,
    /// Schedule as in crontab.
    pub schedule: String,
    /// Time at which it is due next.
    pub next: Option<UnixMillis>,
    /// Names of its channels.
    pub channels: Vec<String>,
    /// Reports that wait for delivery, over all channels.
    pub queued: usize,
    /// Time of the last delivery.
    pub last_sent: Option<UnixMillis>,
    /// Error of the last attempt; none after a success. Contains no secret.
    pub last_error: Option<String>,
}

/// Status of a destination of remote write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteHealth {
    pub name: String,
    /// Samples that the destination accepted.
    pub sent: u64,
    /// Samples that the destination rejected for good, or that were deleted before they could be
    /// sent.
    pub lost: u64,
    /// Bytes of the write-ahead log that are not sent yet.
    pub pending_bytes: u64,
    /// Time of the newest sample that the destination accepted.
    pub newest_sent: Option<UnixMillis>,
    /// Error of the last attempt; none after a success. Contains no secret.
    pub last_error: Option<String>,
}

/// Status of history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryHealth {
    /// Path of its directory; none if it is in memory.
    pub directory: Option<PathBuf>,
    /// Series that receive samples.
    pub series: u64,
    pub bytes: u64,
    /// Time of the oldest sample.
    pub oldest: Option<UnixMillis>,
    /// Blocks and segments that were damaged or missing since the start and are not read.
    pub damaged: u64,
    /// Error that keeps it from doing what the configuration says, if there is one.
    pub error: Option<String>,
}

/// Status of the alert history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertHistoryHealth {
    /// Path of its directory; none if it is in memory.
    pub directory: Option<PathBuf>,
    /// Size on disk in bytes.
    pub bytes: u64,
    /// Time of the oldest record, or the start of its day.
    pub oldest: Option<UnixMillis>,
    /// Records that were damaged or missing since the start.
    pub damaged: u64,
    /// Error that keeps it from doing what the configuration says, if there is one.
    pub error: Option<String>,
}

/// Result of the last reload.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadHealth {
    pub at: UnixMillis,
    /// Error that kept the new configuration from being applied, if there was one.
    pub error: Option<String>,
}

/// Active config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigurationHealth {
    /// Path of the file, or the name of the embedded configuration.
    pub source: String,
    /// Number of files that it includes.
    pub included_files: usize,
    /// CRC-32 of the texts of all files as they were loaded.
    pub checksum: u32,
    pub loaded_at: UnixMillis,
}
