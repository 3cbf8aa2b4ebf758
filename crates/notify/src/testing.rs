//! Fixtures of alerts and channels.

use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Cause, Group, Labels, Notification, Severity, Status, Transition, UnixMillis,
};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, SourceLocation, parse};

use super::channel::{Batch, Channel, Context, Sender};
use super::settings::{ChannelSettings, check};

/// 2026-11-21T04:00:00Z.
pub(super) const START: UnixMillis = UnixMillis(1_795_233_600_000);

/// Time at which the sample alerts fired.
pub(super) const FIRED: UnixMillis = UnixMillis(START.0 + 300_250);

/// A firing alert of `rule` on one mount point.
pub(super) fn alert(rule: &str, mount: &str) -> Alert {
    let labels = Labels::from([("mount".to_owned(), mount.to_owned())]);
    Alert {
        annotations: Labels::from([("runbook".to_owned(), format!("https://example.org/{rule}"))]),
        message: format!("{rule} of {mount}"),
        value: Some(91.5),
        fired_value: Some(91.5),
        peak: Some(91.5),
        threshold: Some(85.0),
        active_at: START,
        fired_at: Some(FIRED),
        ..Alert::firing(rule, Severity::Warning, labels)
    }
}

/// Transition of the alert to firing.
pub(super) fn firing(rule: &str, mount: &str) -> Transition {
    Transition {
        alert: Arc::new(alert(rule, mount)),
        from: AlertState::Pending,
        reason: format!("{rule} 91 > 85 for 5m"),
        at: FIRED,
    }
}

/// Transition of the alert to resolved.
pub(super) fn resolved(rule: &str, mount: &str) -> Transition {
    let at = UnixMillis(START.0 + 600_000);
    let alert = Alert {
        state: AlertState::Inactive,
        value: Some(80.0),
        peak: Some(97.25),
        resolved_at: Some(at),
        ..alert(rule, mount)
    };
    Transition {
        alert: Arc::new(alert),
        from: AlertState::Firing,
        reason: format!("{rule} 80 is no longer > 85"),
        at,
    }
}

/// Transition of the firing alert to another severity.
pub(super) fn level(rule: &str, mount: &str, severity: Severity, minute: i64) -> Transition {
    Transition {
        alert: Arc::new(Alert {
            severity,
            ..alert(rule, mount)
        }),
        from: AlertState::Firing,
        reason: format!("now {}", severity.as_str()),
        at: UnixMillis(FIRED.0 + minute * 60_000),
    }
}

/// The group of a rule's alerts, where there are no routes.
pub(super) fn group(rule: &str) -> Group {
    Group {
        key: format!("{{}}:{{alertname={rule:?}}}"),
        labels: Labels::from([("alertname".to_owned(), rule.to_owned())]),
        ..Group::default()
    }
}

/// Batch of one attempt.
pub(super) fn batch(notifications: impl Into<Vec<Notification>>) -> Batch {
    Batch::new(notifications.into())
}

/// A notification about the alert.
pub(super) fn notification(rule: &str, mount: &str, status: Status) -> Notification {
    let transition = match status {
        Status::Firing => firing(rule, mount),
        Status::Resolved => resolved(rule, mount),
    };
    let number = if status == Status::Firing { 1 } else { 2 };
    Notification {
        id: format!("{}-{}-{number}", transition.alert.fingerprint, FIRED.0),
        status,
        cause: Cause::Change,
        group: Arc::new(group(rule)),
        alert: transition.alert,
        reason: transition.reason,
        at: transition.at,
    }
}

/// Notification of a transition, without routes.
pub(super) fn notification_of(transition: &Transition) -> Notification {
    let status = match transition.alert.state {
        AlertState::Firing => Status::Firing,
        _ => Status::Resolved,
    };
    Notification {
        id: format!(
            "{}-{}-{}",
            transition.alert.fingerprint, FIRED.0, transition.at.0
        ),
        status,
        cause: Cause::Change,
        group: Arc::new(group(&transition.alert.rule)),
        alert: transition.alert.clone(),
        reason: transition.reason.clone(),
        at: transition.at,
    }
}

/// Text with markup, mentions or ends of quotations for some chats.
pub(super) const HOSTILE: &str = "<!channel> <@U1> @everyone *b* _i_ ~s~ `c` |x| [y](http://evil.test) \
     </b><a href=\"http://evil.test\"> &amp; {{DATE(x)}} # é🦀";

/// A firing alert, all of whose texts are hostile.
pub(super) fn hostile() -> Notification {
    let mut notification = notification("disk", HOSTILE, Status::Firing);
    let mut alert = (*notification.alert).clone();
    alert.message = HOSTILE.repeat(3);
    alert
        .annotations
        .insert("description".into(), HOSTILE.into());
    alert.annotations.insert(
        "dashboard_url".into(),
        "https://example.org/a|b)*`<x>'".into(),
    );
    notification.alert = Arc::new(alert);
    notification.reason = HOSTILE.into();
    notification
}

/// A batch of `count` alerts, of which every third is resolved, with as many that still fire.
pub(super) fn crowd(count: usize) -> Batch {
    let still_firing = (0..count).map(|index| Arc::new(alert("disk", &format!("/firing{index}"))));
    Batch {
        notifications: (0..count)
            .map(|index| {
                let status = if index % 3 == 2 {
                    Status::Resolved
                } else {
                    Status::Firing
                };
                let mut notification = notification("disk", &format!("/{index}"), status);
                if index.is_multiple_of(7) {
                    let mut alert = (*notification.alert).clone();
                    alert.message = format!("{index}: {}", HOSTILE.repeat(40));
                    alert.labels = (0..40)
                        .map(|n| (format!("label_{n}"), HOSTILE.repeat(5)))
                        .collect();
                    notification.alert = Arc::new(alert);
                }
                notification
            })
            .collect(),
        still_firing: still_firing.collect(),
        digest: None,
    }
}

/// Context of a channel.
pub(super) fn context() -> Context {
    let sender = Sender {
        labels: Labels::from([("instance".to_owned(), "host-1".to_owned())]),
        url: "http://host-1:9091".into(),
    };
    Context {
        name: "ops".into(),
        sender,
        clock: Arc::new(UnixMillis::default),
    }
}

/// Decodes a section that has no errors.
pub(super) fn decoded<T: Decode>(yaml: &str) -> T {
    let (section, problems) = checked(yaml, |_: &T, _, _| {});
    assert_eq!(problems, [""; 0], "{yaml}");
    section
}

/// Decodes a section and checks it. Returns it with the diagnostics.
pub(super) fn checked<T: Decode>(
    yaml: &str,
    check: impl Fn(&T, &SourceLocation, &mut Diagnostics),
) -> (T, Vec<String>) {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).unwrap();
    let section = T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
    check(&section, &SourceLocation::default(), &mut problems);
    (section, messages(problems))
}

fn messages(problems: Diagnostics) -> Vec<String> {
    let sorted = problems.into_sorted();
    sorted.iter().map(ToString::to_string).collect()
}

/// Builds a channel from YAML. Returns it with the diagnostics.
pub(super) fn configured(yaml: &str) -> (Option<Box<dyn Channel>>, Vec<String>) {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).unwrap();
    let settings =
        ChannelSettings::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    if let Some(settings) = &settings {
        check(std::slice::from_ref(settings), &mut problems);
    }
    let messages = messages(problems);
    let valid = settings.filter(|_| messages.is_empty());
    (
        valid.map(|settings| settings.kind.build(context()).unwrap()),
        messages,
    )
}
