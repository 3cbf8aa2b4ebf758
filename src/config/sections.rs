//! The file as a whole: the sections of all rooms put together.

use std::path::PathBuf;

use bellwether_alert_history::AlertHistorySettings;
use bellwether_analysis::AnomalyDetection;
use bellwether_analysis::bottleneck::BottleneckSettings;
use bellwether_analysis::health::HealthSettings;
use bellwether_collectors::application::{Application, ApplicationMetric};
use bellwether_collectors::neo4j::Neo4jMetrics;
use bellwether_collectors::system::{System, SystemMetric};
use bellwether_core::Origin;
use bellwether_notify::ChannelSettings;
use bellwether_remote_write::RemoteWrite;
use bellwether_routing::{
    FlappingSettings, HeartbeatSettings, InhibitRuleSettings, MaintenanceSettings,
    ReceiverSettings, Routes, TimeIntervalSettings,
};
use bellwether_rules::{RecordingSettings, RuleSettings};
use bellwether_schema::{HumanDuration, Spanned, section, string_enum};
use bellwether_server::Prometheus;
use bellwether_tsdb::history::TrendStorage;

use crate::logging::Logging;

string_enum! {
    /// A collector that can be enabled.
    pub enum CollectorName {
        /// /proc and /sys.
        System = "system",
        /// What applications record.
        Application = "application",
        /// Neo4j.
        Neo4j = "neo4j",
    }
}

impl CollectorName {
    /// Whose metrics it fills.
    #[must_use]
    pub fn origin(self) -> Origin {
        match self {
            Self::System => Origin::System,
            Self::Application => Origin::Application,
            Self::Neo4j => Origin::Neo4j,
        }
    }
}

section! {
    /// The whole file.
    pub struct Root {
        /// What is measured, served, judged and told.
        pub performance_monitor: Spanned<Monitor>,
        /// What is kept of the past, and what is made of it.
        pub trend_analysis: TrendAnalysis,
        /// The history of alerts.
        pub alert_history: AlertHistorySettings = AlertHistorySettings::default(),
        /// Receivers of everything that history takes, by Prometheus's remote write.
        pub remote_write: Vec<Spanned<RemoteWrite>> = Vec::new(),
        /// Bellwether's own log.
        pub logging: Logging,
    }
}

section! {
    /// What is measured, served, judged and told.
    pub struct Monitor {
        /// How often the collectors run, unless one says otherwise.
        pub collection_interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30)),
        /// How long one run of a collector may take; by default 10 s, or the interval if that is
        /// shorter.
        pub collection_timeout: Option<Spanned<HumanDuration>>,
        /// Which collectors run; by default all that are set up.
        pub enabled_collectors: Option<Vec<Spanned<CollectorName>>>,
        /// Host metrics.
        pub system_metrics: Vec<SystemMetric> = Vec::new(),
        /// Where the host's files are.
        pub system: System,
        /// Metrics that applications record.
        pub application_metrics: Vec<ApplicationMetric> = Vec::new(),
        /// How applications reach Bellwether beside HTTP.
        pub application: Application,
        /// Neo4j.
        pub neo4j_metrics: Option<Neo4jMetrics>,
        /// The page and the API.
        pub prometheus: Prometheus,
        /// Rules and channels.
        pub alerting: Alerting,
        /// Folder for what must survive a restart: the state of alerts, silences and
        /// acknowledgements, what waits for delivery, and history unless that has a folder of its
        /// own. All of it belongs to the Bellwether that was there first: a second one with the
        /// same folder keeps everything in memory, writes nothing into it, and says so in `status`.
        /// What cannot be written is kept in memory, shown, and written once it can be. By default `$STATE_DIRECTORY`, which systemd sets, else
        /// `$XDG_STATE_HOME/bellwether`, else `~/.local/state/bellwether`.
        pub state_directory: Option<PathBuf>,
    }
}

section! {
    /// Rules and channels.
    pub struct Alerting {
        /// Whether rules are judged at all.
        pub enabled: bool = true,
        /// Whether channels of type `exec` may start programs. Even then, only where nobody but
        /// root and Bellwether's own user may write the declaration.
        pub allow_exec: bool = false,
        /// Who is told.
        pub notifications: Notifications,
        /// What is judged.
        pub rules: Vec<RuleSettings> = Vec::new(),
        /// Most alerts of a rule that has no `limit` of its own; `0` for any number.
        pub rule_limit: u32 = 0,
        /// Rule files of Prometheus, which are read as they are and judged beside `rules`; names
        /// with `*`, `?` and `[...]` stand for all files that fit. What is relative begins at the
        /// folder of this file. At a start one that is wrong is left out, named and counted, and the
        /// others are judged.
        pub rule_files: Vec<Spanned<PathBuf>> = Vec::new(),
        /// A configuration of Alertmanager, which is read as it is: its receivers become channels and
        /// receivers here, its tree of routes `routes`. What is relative begins at the folder of
        /// this file.
        pub alertmanager_config: Option<Spanned<PathBuf>> = None,
        /// What is calculated from history and kept there, before rules are judged, in this order.
        pub recording_rules: Vec<RecordingSettings> = Vec::new(),
        /// Where people reach Bellwether's pages: `https://monitor.example.org`. Notifications link
        /// there.
        pub external_url: Option<Spanned<String>> = None,
        /// Channels that are told together, for `routes`.
        pub receivers: Vec<ReceiverSettings> = Vec::new(),
        /// Who is told of which alerts, and when: the top of a tree of routes, or a list of them.
        /// Without it every channel is told of everything, at once and once.
        pub routes: Option<Routes> = None,
        /// Times of day, of the week, of the year, by name.
        pub time_intervals: Vec<TimeIntervalSettings> = Vec::new(),
        /// Which alerts stand for others, which are then not told.
        pub inhibit_rules: Vec<InhibitRuleSettings> = Vec::new(),
        /// Times at which some alerts are not told.
        pub maintenance: Vec<MaintenanceSettings> = Vec::new(),
        /// Files of silences, in the words of the API or as `amtool silence query -o json` prints
        /// them; named like `rule_files`. A reload reads them again.
        pub silence_files: Vec<Spanned<PathBuf>> = Vec::new(),
        /// How long after an alert resolved it is not told when it fires again.
        pub cooldown_period: HumanDuration = HumanDuration::secs(0),
        /// Alerts that change too often.
        pub flapping: FlappingSettings = FlappingSettings::default(),
        /// A sign of life.
        pub heartbeat: HeartbeatSettings = HeartbeatSettings::default(),
    }
}

section! {
    /// Who is told.
    pub struct Notifications {
        /// Where alerts are sent; each gets all of them, but for its own filters.
        pub channels: Vec<ChannelSettings> = Vec::new(),
    }
}

section! {
    /// What is kept of the past, and what is made of it.
    pub struct TrendAnalysis {
        /// Whether history is kept. Without it no query over time has an answer.
        pub enabled: bool = true,
        /// Where it is kept, and how much of it.
        pub storage: TrendStorage = TrendStorage::default(),
        /// How anomalies are found.
        pub anomaly_detection: AnomalyDetection = AnomalyDetection::default(),
        /// What holds things back, beside what is shipped.
        pub bottlenecks: Vec<BottleneckSettings> = Vec::new(),
        /// What costs how much of the health score.
        pub health: HealthSettings = HealthSettings::default(),
    }
}
