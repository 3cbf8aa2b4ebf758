//! The configuration as a whole: the sections of all crates.

use std::path::PathBuf;

use bellwether_alert_history::AlertHistorySettings;
use bellwether_analysis::AnomalyDetection;
use bellwether_analysis::bottleneck::BottleneckSettings;
use bellwether_analysis::health::HealthSettings;
use bellwether_collectors::{CollectorEntry, CollectorName, Collectors};
use bellwether_dashboards::DashboardSettings;
use bellwether_logging::Logging;
use bellwether_notify::ChannelSettings;
use bellwether_remote_write::RemoteWrite;
use bellwether_report::ReportSettings;
use bellwether_routing::{
    FlappingSettings, HeartbeatSettings, InhibitRuleSettings, MaintenanceSettings,
    ReceiverSettings, Routes, TimeIntervalSettings,
};
use bellwether_rules::{RecordingSettings, RuleSettings};
use bellwether_schema::{HumanDuration, Spanned, section};
use bellwether_server::Prometheus;
use bellwether_tsdb::history::TrendStorage;

use super::include::Include;

section! {
    /// The configuration file.
    pub struct Root {
        #[serde(flatten)]
        pub include: Include,
        /// Collectors, HTTP server, rules and notifications.
        pub performance_monitor: Spanned<Monitor>,
        /// History, anomaly detection, bottlenecks and health score.
        pub trend_analysis: TrendAnalysis,
        /// Alert history.
        pub alert_history: AlertHistorySettings = AlertHistorySettings::default(),
        /// Destinations of Prometheus remote write, which receive all samples of history.
        pub remote_write: Vec<Spanned<RemoteWrite>> = Vec::new(),
        /// Reports that channels get by schedule.
        pub reports: Vec<ReportSettings> = Vec::new(),
        /// Web page.
        pub web: WebPage = WebPage::default(),
        /// Dashboards of the web page, beside the shipped one.
        pub dashboards: Vec<DashboardSettings> = Vec::new(),
        /// Log of Bellwether.
        pub logging: Logging,
    }
}

section! {
    /// Web page.
    pub struct WebPage {
        /// Lets admins change the files of the configuration over HTTP. Whoever may do that may have
        /// Bellwether read files and send their contents anywhere. Channels of type `exec` are not
        /// allowed together with it.
        pub allow_edit: bool = false,
    }
}

section! {
    /// Collectors, HTTP server, rules and notifications.
    pub struct Monitor {
        /// Interval of the collectors that do not set one.
        pub collection_interval: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30)),
        /// Timeout of one collection. Default: 10 s, or the interval if that is shorter.
        pub collection_timeout: Option<Spanned<HumanDuration>>,
        /// Built-in collectors to run. Default: all that are configured. Those of `collectors` have
        /// `enabled` instead.
        pub enabled_collectors: Option<Vec<Spanned<CollectorName>>>,
        /// Settings of the built-in collectors.
        #[serde(flatten)]
        pub built_in: Collectors,
        /// Further collectors, each of one type.
        pub collectors: Vec<CollectorEntry> = Vec::new(),
        /// HTTP server: `/metrics` and the API.
        pub prometheus: Prometheus,
        /// Rules and channels.
        pub alerting: Alerting,
        /// State directory: the state of alerts, silences and acknowledgements, the outboxes of
        /// channels, and history unless that has a directory of its own. The first Bellwether that
        /// uses the directory claims it: a second one keeps everything in memory, writes nothing
        /// into it, and reports this in `status`. State that cannot be written is kept in memory,
        /// reported, and written later. Default: `$STATE_DIRECTORY`, which systemd sets, else
        /// `$XDG_STATE_HOME/bellwether`, else `~/.local/state/bellwether`.
        pub state_directory: Option<Spanned<PathBuf>>,
    }
}

section! {
    /// Rules and channels.
    pub struct Alerting {
        /// Enables the evaluation of rules.
        pub enabled: bool = true,
        /// Allows channels and collectors of type `exec` to start programs. Also required: only root and
        /// Bellwether's own user may write the files of the configuration.
        pub allow_exec: bool = false,
        /// Channels and settings of notifications.
        pub notifications: Notifications,
        /// Alerting rules.
        pub rules: Vec<RuleSettings> = Vec::new(),
        /// Maximum number of alerts of a rule without a `limit` of its own; `0` for no limit.
        pub rule_limit: u32 = 0,
        /// Prometheus rule files, used unchanged and evaluated beside `rules`. Names may have `*`,
        /// `?` and `[...]`; relative paths start at the directory of this file. At a start an
        /// invalid file is left out, reported and counted, and the others are evaluated.
        pub rule_files: Vec<Spanned<PathBuf>> = Vec::new(),
        /// Alertmanager configuration, used unchanged: its receivers become channels and receivers,
        /// its route tree becomes `routes`. A relative path starts at the directory of this file.
        pub alertmanager_config: Option<Spanned<PathBuf>> = None,
        /// Recording rules, evaluated in this order before alerting rules; their results are
        /// written to history.
        pub recording_rules: Vec<RecordingSettings> = Vec::new(),
        /// External URL of Bellwether, for links in notifications: `https://monitor.example.org`.
        pub external_url: Option<Spanned<String>> = None,
        /// Receivers: named lists of channels, for `routes`.
        pub receivers: Vec<ReceiverSettings> = Vec::new(),
        /// Route tree: its root route, or a list of routes. Without it every channel is notified of
        /// every alert, immediately and without repeats.
        pub routes: Option<Routes> = None,
        /// Named time intervals of days, weeks and years.
        pub time_intervals: Vec<TimeIntervalSettings> = Vec::new(),
        /// Inhibition rules: alerts that mute other alerts.
        pub inhibit_rules: Vec<InhibitRuleSettings> = Vec::new(),
        /// Maintenance windows, during which matching alerts are muted.
        pub maintenance: Vec<MaintenanceSettings> = Vec::new(),
        /// Silence files, in the format of the API or of `amtool silence query -o json`; paths as
        /// in `rule_files`. A reload reads them again.
        pub silence_files: Vec<Spanned<PathBuf>> = Vec::new(),
        /// Time after an alert resolved in which it is not notified when it fires again.
        pub cooldown_period: HumanDuration = HumanDuration::secs(0),
        /// Detection of flapping alerts.
        pub flapping: FlappingSettings = FlappingSettings::default(),
        /// Regular notification that shows that Bellwether works.
        pub heartbeat: HeartbeatSettings = HeartbeatSettings::default(),
    }
}

section! {
    /// Channels and settings of notifications.
    pub struct Notifications {
        /// Channels. Each is notified of all alerts that pass its own filters, unless `routes`
        /// select.
        pub channels: Vec<ChannelSettings> = Vec::new(),
    }
}

section! {
    /// History, anomaly detection, bottlenecks and health score.
    pub struct TrendAnalysis {
        /// Enables history. Without it queries over time have no results.
        pub enabled: bool = true,
        /// Location and size of history.
        pub storage: TrendStorage = TrendStorage::default(),
        /// Anomaly detection.
        pub anomaly_detection: AnomalyDetection = AnomalyDetection::default(),
        /// Bottlenecks, beside the shipped ones.
        pub bottlenecks: Vec<BottleneckSettings> = Vec::new(),
        /// Weights of the health score.
        pub health: HealthSettings = HealthSettings::default(),
    }
}
