//! Messages to channels, and their differences from the expected messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Labels, Notification, Now, Transition, UnixMillis,
};
use bellwether_notify::{Batch, Sender, webhook_document};
use bellwether_routing::{Command, NO_END, SilenceDraft};
use bellwether_rules::Tick;
use bellwether_schema::{SourceLocation, Spanned, format_duration};

use super::diff::{Failure, Line};
use super::extensions::{AcknowledgeStep, ExpectedMember, ExpectedMessage, SilenceStep, labels};
use super::settings::Elapsed;
use crate::replay::{Pipeline, Sent};

/// Maximum number of messages compared pairwise to find the best match.
const PAIRED: usize = 200;
/// Maximum number of alerts shown per message.
const SHOWN: usize = 5;

/// Message to one channel about one group at one time.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Time since the start of the test.
    pub(super) at: Elapsed,
    pub(super) channel: String,
    pub(super) batch: Batch,
}

/// Alert pipeline on virtual time that records messages.
pub(super) struct TestPipeline {
    pipeline: Pipeline,
    start: UnixMillis,
    /// Silences by the names that steps give them.
    silences: HashMap<String, String>,
    /// Number of silences so far.
    ordered: u128,
    /// Messages so far.
    pub(super) messages: Vec<Message>,
}

impl TestPipeline {
    /// Creates a pipeline without messages.
    pub(super) fn new(pipeline: Pipeline, start: UnixMillis) -> Self {
        let (silences, ordered, messages) = Default::default();
        Self {
            pipeline,
            start,
            silences,
            ordered,
            messages,
        }
    }

    /// Advances to `now`: sends what was due before, and processes the results of an evaluation.
    pub(super) fn evaluated(&mut self, tick: &Tick, now: Now) {
        self.advance_before(now);
        self.pipeline.confirm(&tick.confirmed, now);
        self.advance(&tick.transitions, now);
    }

    /// Advances to `now`: sends what was due before, and processes `transitions`.
    pub(super) fn advance(&mut self, transitions: &[Transition], now: Now) {
        self.advance_before(now);
        let sent = self.pipeline.advance(transitions, now);
        self.gather(sent);
    }

    /// Advances to `now`; what is due at `now` stays due.
    pub(super) fn advance_before(&mut self, now: Now) {
        loop {
            let due = self.pipeline.dispatcher.next();
            if due >= now.mono {
                return;
            }
            let at = Now {
                mono: due,
                wall: now.wall.before(now.mono.since(due)),
            };
            let sent = self.pipeline.advance(&[], at);
            self.gather(sent);
            // What is due but not sent would stay due for ever.
            if self.pipeline.dispatcher.next() <= due {
                return;
            }
        }
    }

    /// Restarts; `firing` fired when it stopped, `ended` resolved by the restart.
    pub(super) fn restart(&mut self, firing: Vec<Arc<Alert>>, ended: &[Transition], now: Now) {
        self.pipeline.restart(firing, now);
        self.advance(ended, now);
    }

    /// Resolves alerts that channels were notified of and that are no longer active.
    pub(super) fn reconcile(&mut self, active: HashSet<Fingerprint>, now: Now) {
        let sent = self.pipeline.reconcile(active, now);
        self.gather(sent);
    }

    /// Adds a silence.
    pub(super) fn silence(&mut self, step: &SilenceStep, now: Now) -> Result<(), String> {
        let ends_at = step.r#for.map_or(NO_END, |span| later(now.wall, span.0));
        let draft = SilenceDraft {
            matchers: step.matchers.value.clone(),
            ends_at,
            created_by: step.by.0.clone(),
            comment: step.comment.0.clone(),
            ..SilenceDraft::default()
        };
        self.ordered += 1;
        let id = self.order(Command::Silence(draft), now)?;
        if let Some(name) = &step.name {
            self.silences.insert(name.0.clone(), id);
        }
        Ok(())
    }

    /// Expires the silence with this name.
    pub(super) fn expire(&mut self, name: &str, now: Now) -> Result<(), String> {
        let id = self
            .silences
            .remove(name)
            .ok_or_else(|| format!("no silence has the name {name:?}"))?;
        self.order(Command::Expire(id), now).map(drop)
    }

    fn order(&mut self, order: Command, now: Now) -> Result<String, String> {
        let done = self.pipeline.dispatcher.execute(order, self.ordered, now);
        done.map_err(|error| error.to_string())
    }

    /// Acknowledges the selected alerts.
    pub(super) fn acknowledge(
        &mut self,
        who: &AcknowledgeStep,
        alerts: &[Alert],
        now: Now,
    ) -> Result<(), String> {
        let selected: Vec<&Alert> = alerts
            .iter()
            .filter(|alert| {
                let mut labels = who.labels.iter();
                alert.state == AlertState::Firing
                    && alert.alertname() == who.alertname.0
                    && labels.all(|(name, value)| *alert.label(name) == *value.0)
            })
            .collect();
        if selected.is_empty() {
            return Err(format!(
                "no firing alert {} has these labels",
                who.alertname.0
            ));
        }
        for alert in selected {
            let acknowledge = Command::Acknowledge {
                alert: alert.fingerprint,
                by: who.by.0.clone(),
                comment: String::new(),
                until: who.r#for.map(|span| later(now.wall, span.0)),
            };
            self.order(acknowledge, now)?;
        }
        Ok(())
    }

    /// Groups the notifications of one time into messages.
    fn gather(&mut self, sent: Vec<Sent>) {
        let before = self.messages.len();
        for Sent {
            channel,
            notification,
            at,
        } in sent
        {
            let same = self.messages[before..].iter_mut().find(|message| {
                message.channel == channel && *message.batch.group() == *notification.group
            });
            match same {
                Some(message) => message.batch.notifications.push(notification),
                None => {
                    let at = Elapsed(at.wall.since(self.start));
                    let notifications = vec![notification];
                    let batch = Batch {
                        notifications,
                        still_firing: Vec::new(),
                        digest: None,
                    };
                    self.messages.push(Message { at, channel, batch });
                }
            }
        }
        for Message { channel, batch, .. } in &mut self.messages[before..] {
            let mut firing = self.pipeline.firing(channel, batch.group());
            let changed: HashSet<Fingerprint> = batch
                .notifications
                .iter()
                .map(|notification| notification.alert.fingerprint)
                .collect();
            firing.retain(|alert| !changed.contains(&alert.fingerprint));
            batch.still_firing = firing;
        }
    }
}

fn later(at: UnixMillis, span: Duration) -> UnixMillis {
    Now {
        wall: at,
        ..Now::default()
    }
    .after(span)
    .wall
}

/// Returns the failures of the expected messages.
pub(super) fn compare(
    expected: &[Spanned<ExpectedMessage>],
    mut got: Vec<Message>,
    exact: bool,
    place: &SourceLocation,
    sender: &Sender,
) -> Vec<Failure> {
    let expects_heartbeat = expected
        .iter()
        .filter_map(|message| message.value.cause)
        .any(|cause| cause.0 == Cause::Heartbeat);
    if !expects_heartbeat {
        got.retain(|message| {
            message
                .batch
                .notifications
                .iter()
                .any(|one| one.cause != Cause::Heartbeat)
        });
    }
    let differences =
        |wanted: &ExpectedMessage, message: &Message| wanted.differences(message, sender);
    let mut missing = Vec::new();
    for wanted in expected {
        match got
            .iter()
            .position(|one| differences(&wanted.value, one).is_empty())
        {
            Some(index) => drop(got.remove(index)),
            None => missing.push(wanted),
        }
    }
    let mut failures = Vec::new();
    for Spanned { value: wanted, at } in missing {
        let near = got
            .iter()
            .take(PAIRED)
            .enumerate()
            .map(|(index, one)| (differences(wanted, one), index));
        let closest = near.min_by_key(|(differ, index)| (differ.len(), *index));
        let mut lines = vec![Line::Expected(wanted.shown())];
        if let Some((differ, index)) = closest.filter(|(differ, _)| differ.len() < wanted.said()) {
            let other = if exact {
                got.remove(index)
            } else {
                got[index].clone()
            };
            lines.push(Line::Got(other.shown()));
            lines.extend(differ.into_iter().map(Line::Note));
        }
        failures.push(Failure {
            at: at.clone(),
            title: format!("notification at {}", wanted.at.value),
            lines,
        });
    }
    if exact {
        for message in got {
            let title = format!("notification at {}", message.at);
            let lines = vec![Line::Got(message.shown())];
            failures.push(Failure {
                at: place.clone(),
                title,
                lines,
            });
        }
    }
    failures
}

impl Message {
    fn shown(&self) -> String {
        let group = self.batch.group();
        let to = match group.receiver.as_str() {
            "" => self.channel.clone(),
            receiver if receiver == self.channel => self.channel.clone(),
            receiver => format!("{receiver}/{}", self.channel),
        };
        let notifications = &self.batch.notifications;
        let mut alerts: Vec<String> = notifications
            .iter()
            .take(SHOWN)
            .map(|one| {
                let status = one.status.as_str();
                format!(
                    "{status} {} ({})",
                    braced(&one.alert.all_labels()),
                    one.cause.as_str()
                )
            })
            .collect();
        if notifications.len() > SHOWN {
            alerts.push(format!("{} more", notifications.len() - SHOWN));
        }
        format!(
            "{} to {to} of {}: {}",
            self.at,
            braced(&group.labels),
            alerts.join(", ")
        )
    }
}

fn braced(labels: &Labels) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", labels.join(", "))
}

impl ExpectedMessage {
    /// Counts the keys that are set.
    fn said(&self) -> usize {
        let alerts = self.alerts.as_ref().map_or(0, |alerts| 1 + alerts.len());
        let others = [
            self.receiver.is_some(),
            self.channel.is_some(),
            self.status.is_some(),
            self.cause.is_some(),
            self.group.is_some(),
            self.payload.is_some(),
        ];
        1 + alerts + others.iter().filter(|said| **said).count()
    }

    fn shown(&self) -> String {
        let mut text = format_duration(self.at.value.0);
        let words = [("to", &self.receiver), ("by", &self.channel)];
        for (word, name) in words {
            if let Some(name) = name {
                text += &format!(" {word} {}", name.0);
            }
        }
        if let Some(group) = &self.group {
            text += &format!(" of {}", braced(&labels(group)));
        }
        if let Some(status) = self.status {
            text += &format!(" {}", status.as_str());
        }
        if let Some(cause) = self.cause {
            text += &format!(" ({})", cause.0.as_str());
        }
        if let Some(alerts) = &self.alerts {
            let alerts: Vec<String> = alerts
                .iter()
                .take(SHOWN)
                .map(|alert| braced(&labels(&alert.labels)))
                .collect();
            text += &format!(": {}", alerts.join(", "));
        }
        text
    }

    /// Lists the differences to `message`.
    fn differences(&self, message: &Message, sender: &Sender) -> Vec<String> {
        let (batch, group) = (&message.batch, message.batch.group());
        let mut out = Vec::new();
        let mut differ = |what: &str, expected: &str, got: &str| {
            if expected != got {
                out.push(format!("{what}: expected {expected}, got {got}"));
            }
        };
        differ("at", &self.at.value.to_string(), &message.at.to_string());
        if let Some(receiver) = &self.receiver {
            differ("receiver", &receiver.0, &group.receiver);
        }
        if let Some(channel) = &self.channel {
            differ("channel", &channel.0, &message.channel);
        }
        if let Some(status) = self.status {
            differ("status", status.as_str(), batch.status().as_str());
        }
        if let Some(cause) = self.cause {
            let other = batch
                .notifications
                .iter()
                .find(|notification| notification.cause != cause.0);
            let has = batch
                .notifications
                .iter()
                .any(|notification| notification.cause == cause.0);
            let got = other
                .filter(|_| !has)
                .map_or(cause.0, |notification| notification.cause);
            differ("cause", cause.0.as_str(), got.as_str());
        }
        if let Some(group_labels) = &self.group {
            differ(
                "group",
                &braced(&labels(group_labels)),
                &braced(&group.labels),
            );
        }
        if let Some(alerts) = &self.alerts {
            members(alerts, &batch.notifications, &mut out);
        }
        if let Some(payload) = &self.payload {
            let document = webhook_document(batch, &message.channel, sender);
            payload.missing(&document, "payload", &mut out);
        }
        out
    }
}

/// Lists missing and unexpected alerts.
fn members(expected: &[ExpectedMember], notifications: &[Notification], out: &mut Vec<String>) {
    let mut left: Vec<&Notification> = notifications.iter().collect();
    let mut missing = Vec::new();
    for wanted in expected {
        match left.iter().position(|one| wanted.fits(one)) {
            Some(index) => drop(left.remove(index)),
            None => missing.push(wanted),
        }
    }
    for wanted in missing {
        out.push(format!("alerts: none is {}", wanted.shown()));
    }
    for other in left {
        out.push(format!(
            "alerts: {} is not expected",
            braced(&other.alert.all_labels())
        ));
    }
}

impl ExpectedMember {
    fn fits(&self, one: &Notification) -> bool {
        let alert = &one.alert;
        self.labels
            .iter()
            .all(|(name, value)| *alert.label(name) == *value.0)
            && self.annotations.iter().all(|(name, value)| {
                alert
                    .annotations
                    .get(name)
                    .is_some_and(|other| *other == value.0)
            })
            && self
                .message
                .as_ref()
                .is_none_or(|message| message.0 == alert.message)
            && self.status.is_none_or(|status| status.is(one.status))
            && self.cause.is_none_or(|cause| cause.0 == one.cause)
    }

    fn shown(&self) -> String {
        let mut text = braced(&labels(&self.labels));
        if !self.annotations.is_empty() {
            text += &format!(" with {}", braced(&labels(&self.annotations)));
        }
        if let Some(message) = &self.message {
            text += &format!(" that says {:?}", message.0);
        }
        let words = [
            self.status.map(|status| status.as_str()),
            self.cause.map(|cause| cause.0.as_str()),
        ];
        for word in words.into_iter().flatten() {
            text += &format!(", {word}");
        }
        text
    }
}
