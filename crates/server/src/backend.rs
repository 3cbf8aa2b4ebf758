//! What the server needs of the rest of the program, as one trait and the plain data it moves.
//!
//! `app` implements it; nothing here knows how.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_alert_history::AlertHistory;
use bellwether_core::{
    Alert, AlertState, DeadLetter, Failure, Fingerprint, Labels, Now, Origin, Recorded, Severity,
    UnixMillis,
};
use bellwether_promql::Queryable;
use bellwether_routing::{Command, CommandError, Explanation, Silence, Suppression};
use bellwether_tsdb::store::Store;

use super::analysis::Judgement;

/// The program behind the page.
pub trait Backend: Send + Sync + 'static {
    /// Both clocks.
    fn now(&self) -> Now;

    /// The store to read from; another one after a reload.
    fn store(&self) -> Arc<Store>;

    /// What was collected so far, if it is kept.
    fn history(&self) -> Option<Arc<dyn Queryable>>;

    /// Brings the series that change between collections (application, self) up to date in the
    /// store. Called before each page, never on an async thread: it may read `/proc`.
    fn refresh(&self);

    /// Whether every enabled collector has run at least once; what `/-/ready` answers.
    fn ready(&self) -> bool;

    /// Reads the declaration again and swaps it in whole or not at all. The text, one line or
    /// several, says what happened, or in the error case what is wrong.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>>;

    /// Takes a JSON array of recordings. Called on a blocking thread.
    ///
    /// # Errors
    /// When the body as a whole is no such array; nothing was recorded then.
    fn record(&self, body: &[u8]) -> Result<Recorded, String>;

    /// All alerts that are pending or firing.
    fn alerts(&self) -> Vec<Arc<Alert>>;

    /// The alerts that are silenced, inhibited or acknowledged now.
    fn suppressions(&self) -> HashMap<Fingerprint, Suppression>;

    /// What became of alerts and notifications so far, if that is kept.
    fn alert_history(&self) -> Option<AlertHistory>;

    /// The silences, made by people or declared.
    fn silences(&self) -> Vec<Silence>;

    /// Has a silence or an acknowledgement made or ended; it is kept when this returns. The text is
    /// the identity of the silence or of the alert.
    fn order(
        &self,
        order: Command,
    ) -> Pin<Box<dyn Future<Output = Result<String, CommandError>> + Send + '_>>;

    /// What channels gave up and do not know.
    fn dead_letters(&self) -> Vec<DeadLetter>;

    /// Sends dead letters again, by identity; on disk when this returns.
    fn resend(&self, ids: HashSet<String>) -> Pin<Box<dyn Future<Output = Resent> + Send + '_>>;

    /// Forgets dead letters, by identity; which there were.
    fn discard(
        &self,
        ids: HashSet<String>,
    ) -> Pin<Box<dyn Future<Output = Vec<DeadLetter>> + Send + '_>>;

    /// On which ways an alert is told, if it fires or did a short time ago.
    fn explain(&self, alert: Fingerprint) -> Option<Explanation>;

    /// All rules in the order of the declaration.
    fn rules(&self) -> Vec<RuleView>;

    /// How the parts fare.
    fn health(&self) -> Health;

    /// The configuration in effect as YAML, without its secrets.
    ///
    /// # Errors
    /// It cannot be printed.
    fn configuration(&self) -> Result<String, String>;

    /// Settings under the names that flags of Prometheus have.
    fn flags(&self) -> BTreeMap<&'static str, String>;

    /// Addresses of the Alertmanagers that are notified, without passwords.
    fn alertmanagers(&self) -> Vec<String>;

    /// How series are judged over time.
    fn judgement(&self) -> Arc<Judgement>;
}

/// Dead letters that were to be sent again, each with whether it is: what its channel knows by now
/// is not.
pub type Resent = Vec<(DeadLetter, bool)>;

/// A group of rules, as Prometheus has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleGroup {
    /// Its name, one of its own in its file.
    pub name: String,
    /// The file that it stands in.
    pub file: String,
    /// How often its rules are evaluated.
    pub interval: Duration,
    /// Most alerts that one of its rules may have; zero where that is not limited.
    pub limit: u32,
}

/// A rule as others see it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleView {
    /// The group it is in.
    pub group: Arc<RuleGroup>,
    /// Whether it records series and makes no alerts.
    pub records: bool,
    /// Its name, or that of the series it records.
    pub name: String,
    /// What it judges, as one line: `avg(cpu_percent[5m]) > 85`.
    pub query: String,
    /// The same in PromQL, where it can be written so and is not already.
    pub promql: Option<String>,
    /// The metric it judges, as declared, where it is a single one.
    pub metric: Option<String>,
    /// The worst state of its alerts.
    pub state: AlertState,
    /// How long the condition must hold.
    pub duration: Duration,
    /// How long it keeps firing after.
    pub keep_firing_for: Duration,
    /// Of several thresholds, the first level.
    pub severity: Severity,
    /// Labels it adds.
    pub labels: Labels,
    /// Annotations it adds, not rendered.
    pub annotations: Labels,
    /// Its pending and firing alerts.
    pub alerts: Vec<Arc<Alert>>,
    /// What follows for an alert whose series is missing, in words; empty where it records.
    pub on_missing: String,
    /// How long the series of its alerts have been missing, where they are.
    pub missing: BTreeMap<Fingerprint, Duration>,
    /// When it was last judged, if ever.
    pub last_evaluation: Option<UnixMillis>,
    /// How long that took.
    pub evaluation_time: Duration,
    /// Why the last evaluation failed, if it did.
    pub last_error: Option<String>,
    /// What it could not tell that is no failure: too few samples for a forecast.
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
            on_missing: String::new(),
            missing: BTreeMap::new(),
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
            last_error: None,
            note: None,
        }
    }
}

/// How the parts of the program fare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// When the program started.
    pub started: Now,
    /// Every enabled collector.
    pub collectors: BTreeMap<Origin, CollectorHealth>,
    /// Every enabled channel.
    pub channels: Vec<ChannelHealth>,
    /// Every destination of remote write.
    pub remote: Vec<RemoteHealth>,
    /// History, where some is kept.
    pub history: Option<HistoryHealth>,
    /// The history of alerts, where one is kept.
    pub alert_history: Option<AlertHistoryHealth>,
    /// What must survive a restart.
    pub state: StateHealth,
    /// The last reload, if there was one.
    pub reload: Option<ReloadHealth>,
    /// The configuration in effect.
    pub configuration: ConfigurationHealth,
}

/// Where alerts, silences and queues are kept, and what is wrong with that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateHealth {
    /// The folder; none if all of it is in memory.
    pub folder: Option<PathBuf>,
    /// Why not all of it is on disk, if so.
    pub problem: Option<String>,
}

/// How a collector fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectorHealth {
    /// Whether the last run succeeded; none before the first has ended.
    pub success: Option<bool>,
    /// How long the last run took.
    pub duration: Duration,
    /// When it last succeeded.
    pub last_success: Option<Now>,
    /// When the last run ended.
    pub last_run: Option<UnixMillis>,
    /// From one run to the next.
    pub interval: Duration,
    /// How long a run may take.
    pub deadline: Duration,
    /// Why the last run failed.
    pub failure: Option<Failure>,
    /// Notes for the operator although nothing failed.
    pub notes: Vec<String>,
}

/// How a channel fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelHealth {
    /// Its name.
    pub name: String,
    /// Its type: `log`, `kafka`, `webhook`.
    pub kind: &'static str,
    /// Notifications waiting.
    pub queued: usize,
    /// Notifications given up that can be sent again.
    pub dead_letters: usize,
    /// Notifications delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Notifications given up.
    pub dropped: u64,
    /// Why the last attempt failed; none after a success. Holds no secret.
    pub last_error: Option<String>,
}

/// How a destination of remote write fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteHealth {
    /// Its name.
    pub name: String,
    /// Samples that it took.
    pub sent: u64,
    /// Samples that it refused for good, or that were gone before they could be sent.
    pub lost: u64,
    /// Bytes of history's log that wait.
    pub pending_bytes: u64,
    /// The newest sample that it took.
    pub newest_sent: Option<UnixMillis>,
    /// Why the last attempt failed; none after a success. Holds no secret.
    pub last_error: Option<String>,
}

/// How history fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryHealth {
    /// Its folder; none if it is kept in memory alone.
    pub folder: Option<PathBuf>,
    /// Series it takes samples of.
    pub series: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The oldest sample.
    pub oldest: Option<UnixMillis>,
    /// Pieces that were found damaged or missing since the start, and left out.
    pub damaged: u64,
    /// Why it does not do what was declared, if so.
    pub problem: Option<String>,
}

/// How the history of alerts fares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertHistoryHealth {
    /// Its folder; none if it is kept in memory alone.
    pub folder: Option<PathBuf>,
    /// Bytes of its records.
    pub bytes: u64,
    /// The oldest record, or its day.
    pub oldest: Option<UnixMillis>,
    /// Records that were found damaged or missing since the start.
    pub damaged: u64,
    /// Why it does not do what was declared, if so.
    pub problem: Option<String>,
}

/// What became of the last reload.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadHealth {
    /// When.
    pub at: UnixMillis,
    /// Why the new configuration was not put into effect, if it was not.
    pub error: Option<String>,
}

/// The configuration in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigurationHealth {
    /// Path of the file, or the embedded one.
    pub source: String,
    /// CRC-32 of its text as it was loaded.
    pub checksum: u32,
    /// Time of the load.
    pub loaded_at: UnixMillis,
}
