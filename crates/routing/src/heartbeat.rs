//! The sign of life: sent while rules are judged and channels deliver.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, Cause, Dispatch, Group, Labels, MonoMillis, Notification, Now, Severity, Status,
    UnixMillis,
};

use super::dispatcher::Feedback;
use super::tree::Channels;

/// What a heartbeat is.
#[derive(Clone, Debug)]
pub struct HeartbeatPlan {
    /// Who gets it.
    pub channels: Channels,
    /// How often.
    pub interval: Duration,
    /// How long a channel may fail before there is none any more.
    pub tolerate: Duration,
    /// What is sent.
    pub alert: Arc<Alert>,
    /// What it is sent with.
    pub group: Arc<Group>,
}

impl HeartbeatPlan {
    pub(super) fn new(
        name: &str,
        receiver: &str,
        channels: Channels,
        interval: Duration,
        tolerate: Duration,
    ) -> Self {
        let alert = Alert {
            message: "alive: rules are judged and notifications delivered".into(),
            ..Alert::firing(name, Severity::Info, Labels::new())
        };
        let group = Group {
            key: format!("{{}}:{{alertname={name:?}}}"),
            receiver: receiver.to_owned(),
            labels: Labels::from([("alertname".to_owned(), name.to_owned())]),
            whole: false,
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

/// When it is sent.
#[derive(Debug)]
pub(super) struct Heartbeat {
    next: MonoMillis,
    /// When it was looked at last: rules must have been judged since.
    looked: MonoMillis,
    /// The start of the process, the same in every heartbeat.
    began: Option<UnixMillis>,
}

impl Heartbeat {
    pub(super) fn new(now: MonoMillis) -> Self {
        Self {
            next: now,
            looked: now,
            began: None,
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self, plan: &Option<HeartbeatPlan>) -> MonoMillis {
        if plan.is_some() {
            self.next
        } else {
            MonoMillis::NEVER
        }
    }

    /// The one that is due, unless something is wrong.
    pub(super) fn beat(
        &mut self,
        plan: &HeartbeatPlan,
        feedback: &Feedback,
        now: Now,
    ) -> Option<Dispatch> {
        if now.mono < self.next {
            return None;
        }
        self.next = now.mono.after(plan.interval);
        let judged = feedback.judged >= self.looked;
        self.looked = now.mono;
        let fails = feedback.failing.values().any(|long| *long >= plan.tolerate);
        if !judged || fails {
            return None;
        }
        let began = *self.began.get_or_insert(now.wall);
        let alert = Alert {
            active_at: began,
            fired_at: Some(began),
            ..Alert::clone(&plan.alert)
        };
        let notification = Notification {
            id: alert.change_id(now.wall),
            status: Status::Firing,
            cause: Cause::Heartbeat,
            group: plan.group.clone(),
            alert: Arc::new(alert),
            reason: "rules are judged, and no channel fails".into(),
            at: now.wall,
        };
        Some(Dispatch {
            to: Some(plan.channels.clone()),
            notifications: vec![notification],
        })
    }
}
