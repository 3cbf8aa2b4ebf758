//! A notifier as the app builds it, and alerts to send.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bellwether_core::{
    Alert, AlertState, Cause, Dispatch, Group, Labels, MonoMillis, Notification, Now, Severity,
    Status, Transition, UnixMillis,
};
use bellwether_files::durable::StateDirectory;
use bellwether_notify::{ChannelSettings, ChannelStats, Notifier, Prepared, Sender, Setup, check};
use bellwether_schema::{Decode, DecodeContext, Diagnostics};

/// The channels of a YAML list, checked.
pub fn settings(yaml: &str) -> Vec<ChannelSettings> {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(yaml).unwrap();
    let channels = Vec::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    if let Some(channels) = &channels {
        check(channels, &mut problems);
    }
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    channels.unwrap()
}

/// 2026-11-21T04:00:00Z, when the alerts of the tests begin.
const START: i64 = 1_795_233_600_000;

/// An hour after that when the tests begin, whatever day it is: nothing is too old to be sent.
fn now() -> UnixMillis {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    UnixMillis(START + 3_600_000 + BEGUN.elapsed().as_millis() as i64)
}

/// A notifier whose queues lie below `state`. The jitter is always half of its span.
pub async fn open(state: &Path, yaml: &str) -> Notifier {
    open_at(state, yaml, now).await
}

/// The same by the clock of this host, for receivers that look at their own.
pub async fn open_today(state: &Path, yaml: &str) -> Notifier {
    let today = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        UnixMillis(since.as_millis() as i64)
    };
    open_at(state, yaml, today).await
}

async fn open_at(state: &Path, yaml: &str, clock: fn() -> UnixMillis) -> Notifier {
    let clock = move || Now {
        wall: clock(),
        mono: MonoMillis(clock().0.cast_unsigned()),
    };
    let setup = Setup {
        state: Some(claimed(state).await),
        clock: Arc::new(clock),
        random: || 0.5,
        observer: Arc::new(|_| {}),
    };
    let notifier = Notifier::new(setup);
    let prepared = prepare(&notifier, yaml).await;
    notifier.replace(prepared).await;
    notifier
}

/// The folder, once the notifier before has let go of it: its tasks end a moment after it.
async fn claimed(path: &Path) -> Arc<StateDirectory> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let folder = StateDirectory::open(path);
        if !folder.is_locked_by_other() || Instant::now() > deadline {
            return Arc::new(folder);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The channels of a YAML list, built and not yet in use.
pub async fn prepare(notifier: &Notifier, yaml: &str) -> Prepared {
    let sender = Sender {
        labels: Labels::from([("instance".to_owned(), "host-1".to_owned())]),
        url: "http://host-1:9091".into(),
    };
    notifier.prepare(&settings(yaml), sender).await.unwrap()
}

/// An alert of `rule` on `mount` at minute `minute` of some day.
fn alert(rule: &str, mount: &str, minute: i64) -> Alert {
    let labels = Labels::from([("mount".to_owned(), mount.to_owned())]);
    let at = UnixMillis(START + minute * 60_000);
    Alert {
        message: format!("{rule} of {mount}"),
        value: Some(91.0),
        fired_value: Some(91.0),
        peak: Some(91.0),
        threshold: Some(85.0),
        active_at: at,
        fired_at: Some(at),
        ..Alert::firing(rule, Severity::Warning, labels)
    }
}

/// It fires.
pub fn firing(rule: &str, mount: &str, minute: i64) -> Transition {
    let alert = alert(rule, mount, minute);
    let at = alert.active_at;
    Transition {
        alert: Arc::new(alert),
        from: AlertState::Pending,
        reason: format!("{rule} 91 > 85"),
        at,
    }
}

/// Resolves the alert that fired at `minute` a minute later.
pub fn resolved(rule: &str, mount: &str, minute: i64) -> Transition {
    let mut alert = alert(rule, mount, minute);
    let at = UnixMillis(alert.active_at.0 + 60_000);
    alert.state = AlertState::Inactive;
    alert.resolved_at = Some(at);
    Transition {
        alert: Arc::new(alert),
        from: AlertState::Firing,
        reason: format!("{rule} 80 is not > 85"),
        at,
    }
}

/// Waits until the statistics of the channel `name` are as wanted.
pub async fn until(
    notifier: &Notifier,
    name: &str,
    wanted: impl Fn(&ChannelStats) -> bool,
) -> ChannelStats {
    let mut last = None;
    for _ in 0..3000 {
        let stats = notifier
            .stats()
            .into_iter()
            .find(|stats| stats.name == name)
            .unwrap();
        if wanted(&stats) {
            return stats;
        }
        last = Some(stats);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within a minute; the channel is at {last:?}");
}

/// Tells a notifier of transitions as where there are no routes.
pub trait Send {
    /// Sends to all channels.
    async fn notify(&self, transitions: &[Transition]);
}

impl Send for Notifier {
    async fn notify(&self, transitions: &[Transition]) {
        let notifications = transitions.iter().map(notification_of).collect();
        self.offer(vec![Dispatch {
            to: None,
            notifications,
        }])
        .await;
    }
}

/// Returns the notification of it without routes.
pub fn notification_of(transition: &Transition) -> Notification {
    let alert = transition.alert.clone();
    let start = alert.fired_at.unwrap_or(alert.active_at).0;
    let fires = alert.state == AlertState::Firing;
    Notification {
        id: format!("{}-{start}-{}", alert.fingerprint, transition.at.0),
        status: if fires {
            Status::Firing
        } else {
            Status::Resolved
        },
        cause: Cause::Change,
        group: Arc::new(Group {
            key: format!("{{}}:{{alertname={:?}}}", alert.rule),
            labels: Labels::from([("alertname".to_owned(), alert.rule.to_string())]),
            ..Group::default()
        }),
        alert,
        reason: transition.reason.clone(),
        at: transition.at,
    }
}
