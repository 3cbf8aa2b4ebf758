//! Heartbeat: a notification that is sent as long as rules are evaluated and channels deliver.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, Cause, Dispatch, Group, Labels, MonoMillis, Notification, Now, Severity, Status,
    UnixMillis,
};

use super::dispatcher::Feedback;
use crate::route::tree::Channels;

/// Settings of the heartbeat, compiled.
#[derive(Clone, Debug)]
pub struct HeartbeatPlan {
    /// Channels that get it.
    pub channels: Channels,
    pub interval: Duration,
    /// Time that a channel may fail before the heartbeat stops.
    pub tolerate: Duration,
    /// Alert of each heartbeat, without times.
    pub alert: Arc<Alert>,
    pub group: Arc<Group>,
}

impl HeartbeatPlan {
    pub(crate) fn new(
        name: &str,
        receiver: &str,
        channels: Channels,
        interval: Duration,
        tolerate: Duration,
    ) -> Self {
        let alert = Alert {
            message: "alive: rules are evaluated and notifications delivered".into(),
            ..Alert::firing(name, Severity::Info, Labels::new())
        };
        let group = Group {
            key: format!("{{}}:{{alertname={name:?}}}"),
            receiver: receiver.to_owned(),
            labels: Labels::from([("alertname".to_owned(), name.to_owned())]),
            include_firing: false,
        };
        Self {
            channels,
            interval,
            tolerate,
            alert: Arc::new(alert),
            group: Arc::new(group),
        }
    }
}

/// Schedule of the heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    next: MonoMillis,
    /// Time of the last check; rules must have been evaluated since.
    checked: MonoMillis,
    /// Start of the process, the same in every heartbeat.
    started: Option<UnixMillis>,
}

impl HeartbeatPlan {
    /// Creates the notification at `now` of a process that started at `started`.
    fn notification(&self, started: UnixMillis, now: UnixMillis) -> Notification {
        let alert = Alert {
            active_at: started,
            fired_at: Some(started),
            ..Alert::clone(&self.alert)
        };
        Notification {
            id: alert.change_id(now),
            status: Status::Firing,
            cause: Cause::Heartbeat,
            group: self.group.clone(),
            alert: Arc::new(alert),
            reason: "rules are evaluated and no channel fails".into(),
            at: now,
        }
    }
}

impl Heartbeat {
    pub(crate) fn new(now: MonoMillis) -> Self {
        Self {
            next: now,
            checked: now,
            started: None,
        }
    }

    /// Returns the time of the next heartbeat.
    pub(crate) fn next(&self, plan: &Option<HeartbeatPlan>) -> MonoMillis {
        if plan.is_some() {
            self.next
        } else {
            MonoMillis::NEVER
        }
    }

    /// Returns the heartbeat if it is due, rules were evaluated and channels deliver.
    pub(crate) fn beat(
        &mut self,
        plan: &HeartbeatPlan,
        feedback: &Feedback,
        now: Now,
    ) -> Option<Dispatch> {
        if now.mono < self.next {
            return None;
        }
        self.next = now.mono.after(plan.interval);
        let evaluated = feedback.last_evaluation >= self.checked;
        self.checked = now.mono;
        let fails = feedback
            .failing
            .values()
            .any(|failing_for| *failing_for >= plan.tolerate);
        if !evaluated || fails {
            return None;
        }
        let started = *self.started.get_or_insert(now.wall);
        Some(Dispatch {
            to: Some(plan.channels.clone()),
            notifications: vec![plan.notification(started, now.wall)],
        })
    }
}
