//! Configuration: alerts, channels, and routes to choose from.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether_core::{Alert, Labels, Severity, UnixMillis};
use bellwether_notify::ChannelSettings;
use bellwether_routing::{
    FlappingSettings, HeartbeatSettings, InhibitRuleSettings, MaintenanceSettings,
    ReceiverSettings, Routes, Routing, RoutingSettings, RuleTraits, TimeIntervalSettings,
};
use bellwether_schema::{Decode, DecodeContext, Diagnostics};

/// Rules and hosts.
pub const ALERTS: [(&str, &str); 7] = [
    ("down", "a"),
    ("down", "b"),
    ("disk", "a"),
    ("disk", "b"),
    ("load", "a"),
    ("load", "b"),
    ("load", "c"),
];

/// `mail` wants what is critical only, the queue of `chat` is short, and `quiet` gets no resolved.
pub const CHANNELS: [&str; 5] = ["log", "chat", "pager", "mail", "quiet"];

/// Matchers of silences.
pub const SILENCED: [&str; 4] = [
    "host=\"a\"",
    "alertname=~\"disk|load\"",
    "severity=\"warning\"",
    "alertname=\"down\"",
];

/// The shortest `repeat_interval` of all.
pub const REPEAT: Duration = Duration::from_secs(60);

/// Interval of evaluations, as far as flapping goes.
const JUDGED: Duration = Duration::from_secs(5);

/// Declarations of `alerting`.
pub const ROUTES: [&str; 5] = [
    "inhibit_rules: [{source_matchers: [alertname=down], target_matchers: [alertname!=down], equal: [host]}]",
    "
receivers: [{name: team, channels: [log, chat], fallback: pager, fallback_after: 20s}]
flapping: {enabled: true}
routes:
  receiver: team
  group_by: [alertname]
  group_wait: 3s
  group_interval: 10s
  repeat_interval: 60s
  routes: [{matchers: [severity=critical], receiver: pager, group_wait: 0s}]
inhibit_rules: [{source_matchers: [alertname=down], target_matchers: [alertname!=down], equal: [host]}]
",
    "
heartbeat: {receiver: log, interval: 20s, tolerate: 30s}
routes:
  receiver: chat
  group_by: [host]
  group_wait: 5s
  group_interval: 15s
  repeat_interval: 90s
  escalation: [{after: 30s, receiver: pager}, {after: 1m, receiver: mail, min_severity: critical}]
",
    "
receivers: [{name: both, channels: [log, mail, quiet]}]
routes:
  receiver: pager
  group_by: ['...']
  group_wait: 1s
  group_interval: 5s
  repeat_interval: 2m
  routes:
    - {matchers: [host=a], receiver: both, continue: true, group_by: []}
    - {matchers: ['alertname=~\"disk|load\"'], receiver: chat, mute_time_intervals: [lunch]}
time_intervals: [{name: lunch, time_intervals: [{times: [{start_time: '12:02', end_time: '12:05'}]}]}]
inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [alertname]}]
",
    "
maintenance: [{name: backups, rules: [disk], times: [{times: [{start_time: '12:02', end_time: '12:04'}]}]}]
time_intervals: [{name: office, time_intervals: [{times: [{start_time: '12:01', end_time: '24:00'}]}]}]
routes:
  receiver: log
  group_by: [alertname]
  group_wait: 2s
  group_interval: 20s
  repeat_interval: 70s
  cooldown_period: 15s
  routes: [{matchers: [alertname=load], receiver: quiet, active_time_intervals: [office]}]
",
];

bellwether_schema::section! {
    /// The part of `alerting` that is tried.
    pub struct Alerting {
        /// Receivers.
        pub receivers: Vec<ReceiverSettings> = Vec::new(),
        /// Routes.
        pub routes: Option<Routes> = None,
        /// Time intervals.
        pub time_intervals: Vec<TimeIntervalSettings> = Vec::new(),
        /// Inhibition.
        pub inhibit_rules: Vec<InhibitRuleSettings> = Vec::new(),
        /// Maintenance.
        pub maintenance: Vec<MaintenanceSettings> = Vec::new(),
        /// Flapping.
        pub flapping: FlappingSettings = FlappingSettings::default(),
        /// The heartbeat.
        pub heartbeat: HeartbeatSettings = HeartbeatSettings::default(),
    }
}

pub fn decode<T: Decode>(yaml: &str) -> T {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(yaml).expect("YAML");
    let decoded = T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    decoded.expect("a configuration")
}

pub fn channels() -> Vec<ChannelSettings> {
    let own = |name| match name {
        "mail" => ", min_severity: critical",
        "chat" => ", queue: {capacity: 4}",
        "quiet" => ", send_resolved: false",
        _ => "",
    };
    let line = |name| format!("- {{type: log, name: {name}{}}}\n", own(name));
    decode(&CHANNELS.map(line).concat())
}

/// The routing of `ROUTES[index]`.
pub fn routing(index: usize) -> Arc<Routing> {
    static ALL: [OnceLock<Arc<Routing>>; ROUTES.len()] = [const { OnceLock::new() }; ROUTES.len()];
    ALL[index].get_or_init(|| compiled(index)).clone()
}

fn compiled(index: usize) -> Arc<Routing> {
    let alerting: Alerting = decode(ROUTES[index]);
    let channels = CHANNELS.map(|name| (name.to_owned(), true));
    let (rules, traits) = (
        ["down", "disk", "load"],
        RuleTraits {
            cooldown: None,
            interval: JUDGED,
        },
    );
    let mut problems = Diagnostics::default();
    let declared = RoutingSettings {
        receivers: &alerting.receivers,
        routes: alerting.routes.as_ref(),
        time_intervals: &alerting.time_intervals,
        inhibit_rules: &alerting.inhibit_rules,
        maintenance: &alerting.maintenance,
        silences: &[],
        flapping: &alerting.flapping,
        heartbeat: &alerting.heartbeat,
        cooldown: Duration::ZERO,
        channels: &channels,
        sender: Labels::new(),
        traits: rules
            .map(|rule| (rule.into(), traits))
            .into_iter()
            .collect(),
    };
    let routing = Routing::compile(declared, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    Arc::new(routing)
}

/// Returns the shortest time before a receiver may be notified of the same again, under `ROUTES[index]`.
pub fn repeat(index: usize) -> Option<Duration> {
    routing(index)
        .tree
        .routes()
        .iter()
        .filter_map(|route| route.repeat_interval)
        .min()
}

/// The alert `ALERTS[index]`, firing since `fired`.
pub fn alert(index: usize, severity: Severity, fired: UnixMillis) -> Alert {
    let (rule, host) = ALERTS[index];
    let labels = Labels::from([("host".to_owned(), host.to_owned())]);
    Alert {
        active_at: fired,
        fired_at: Some(fired),
        ..Alert::firing(rule, severity, labels)
    }
}

/// Returns whether the silence `SILENCED[what]` matches the alert at this level.
pub fn silences(what: usize, index: usize, severity: Severity) -> bool {
    let (rule, host) = ALERTS[index];
    match what {
        0 => host == "a",
        1 => rule != "down",
        2 => severity == Severity::Warning,
        _ => rule == "down",
    }
}

/// Returns whether maintenance under `ROUTES[routes]` matches the alert at that time of the day, in minutes.
pub fn maintained(routes: usize, index: usize, minute: i64) -> bool {
    routes == 4 && ALERTS[index].0 == "disk" && (722..724).contains(&minute)
}

/// Returns whether, under `ROUTES[routes]`, the first alert inhibits the second.
pub fn inhibits(routes: usize, source: (usize, Severity), target: (usize, Severity)) -> bool {
    let ((rule, host), (other, there)) = (ALERTS[source.0], ALERTS[target.0]);
    match routes {
        0 | 1 => rule == "down" && other != "down" && host == there,
        3 => {
            let levels = (Severity::Critical, Severity::Warning);
            (source.1, target.1) == levels && rule == other
        }
        _ => false,
    }
}
