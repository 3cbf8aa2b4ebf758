//! Notifications that each receiver may and must get, of one alert on one channel.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bellwether_core::{Cause, Fingerprint, Notification, Severity, Status, UnixMillis};

use super::configuration::REPEAT;

/// The channel without resolved notifications.
const QUIET: &str = "quiet";

/// State of an alert when a notification about it is queued.
#[derive(Clone, Copy, Debug)]
pub struct AlertStatus {
    /// The level it fires at.
    pub firing: Option<Severity>,
    /// It fires, or it changes too often.
    pub active: bool,
    /// It is silenced, inhibited or in maintenance, or no route sends it to the channel at this hour.
    pub muted: bool,
    /// Nobody was notified of it, and another alert inhibited it until a moment ago.
    pub waits: bool,
    /// Somebody acknowledged it.
    pub acknowledged: bool,
    /// It began to fire just now, and the resolved before may still be sent.
    pub fresh: bool,
    /// The channel wants only what is worse.
    pub below_min_severity: bool,
    /// Shortest time after a delivery before the receiver may be notified of the same again.
    pub repeat: Option<Duration>,
}

/// Knowledge of one receiver about one alert.
#[derive(Debug, Default)]
struct ReceiverState {
    /// The severity of its last notification, while it believes that the alert fires.
    fires: Option<Severity>,
    /// Time of the last such notification.
    last: Option<UnixMillis>,
    /// It rejected the firing notification, and accepted no other.
    rejected: bool,
    /// Notifications that it accepted unknown to us: they come once more.
    unconfirmed: HashSet<String>,
}

/// Knowledge of all receivers.
#[derive(Debug, Default)]
pub struct Contract(HashMap<(String, Fingerprint), ReceiverState>);

impl Contract {
    fn receiver(&mut self, channel: &str, alert: Fingerprint) -> &mut ReceiverState {
        self.0.entry((channel.to_owned(), alert)).or_default()
    }

    /// Something is queued.
    pub fn queued(
        &mut self,
        channel: &str,
        one: &Notification,
        status: AlertStatus,
        now: UnixMillis,
    ) -> Result<(), String> {
        let receiver = self.receiver(channel, one.alert.fingerprint);
        let broken = |what: &str| {
            Err(format!(
                "{what}: {}\n{status:?} {receiver:?}",
                describe(channel, one)
            ))
        };
        if one.status == Status::Resolved {
            if status.firing.is_some() && !status.below_min_severity && !status.fresh {
                return broken("a resolved of what fires");
            }
            return Ok(());
        }
        if !status.active {
            return broken("a firing of what does not");
        }
        if status.muted {
            return broken("a firing of what is kept back");
        }
        if status.waits {
            return broken("a first firing right after inhibition");
        }
        let again = matches!(one.cause, Cause::Repeat | Cause::Escalation);
        if status.acknowledged && again {
            return broken("a reminder of what somebody takes care of");
        }
        let over = |last| {
            status
                .repeat
                .is_some_and(|repeat| now.since(last) >= repeat)
        };
        if one.cause == Cause::Repeat && !receiver.last.is_none_or(over) {
            return broken("a repeat before its time");
        }
        Ok(())
    }

    /// A receiver takes something; where it is `lost`, we do not learn of it.
    pub fn taken(
        &mut self,
        channel: &str,
        one: &Notification,
        lost: bool,
        now: UnixMillis,
    ) -> Result<(), String> {
        let receiver = self.receiver(channel, one.alert.fingerprint);
        let last = receiver.last;
        if one.status == Status::Firing {
            receiver.last = Some(now);
        }
        if receiver.unconfirmed.remove(&one.id) {
            if lost {
                receiver.unconfirmed.insert(one.id.clone());
            }
            return Ok(());
        }
        if lost {
            receiver.unconfirmed.insert(one.id.clone());
        }
        let before = receiver.fires;
        let severity = one.alert.severity;
        let broken = |what: &str| Err(format!("{what}: {}\n{receiver:?}", describe(channel, one)));
        match one.status {
            Status::Resolved if channel == QUIET => broken("an end, to who wants none"),
            Status::Resolved if before.is_none() => broken("a resolved without a firing"),
            Status::Resolved => {
                (receiver.fires, receiver.rejected) = (None, false);
                Ok(())
            }
            Status::Firing => {
                let again = matches!(one.cause, Cause::Repeat | Cause::Flapping);
                let same = before == Some(severity) && !again && channel != QUIET;
                if same && !receiver.rejected {
                    return broken("the same twice");
                }
                let early = last.is_some_and(|last| now.since(last) < REPEAT);
                if one.cause == Cause::Repeat && early {
                    return broken("a repeat right after what it repeats");
                }
                (receiver.fires, receiver.rejected) = (Some(severity), false);
                Ok(())
            }
        }
    }

    /// Returns whether a receiver has accepted a notification that is still queued here.
    pub fn knows_already(&mut self, channel: &str, one: &Notification) -> bool {
        self.receiver(channel, one.alert.fingerprint)
            .unconfirmed
            .contains(&one.id)
    }

    /// A receiver rejected something.
    pub fn rejected(&mut self, channel: &str, one: &Notification) {
        let receiver = self.receiver(channel, one.alert.fingerprint);
        match one.status {
            Status::Firing => receiver.rejected = true,
            Status::Resolved => receiver.fires = None, // whatever it believes now is its own fault
        }
    }

    /// The queue is too long for something.
    pub fn dropped(&mut self, channel: &str, one: &Notification) {
        let receiver = self.receiver(channel, one.alert.fingerprint);
        match one.status {
            // A receiver that got it without our knowing counts as never notified.
            Status::Resolved if !receiver.unconfirmed.is_empty() => receiver.fires = None,
            Status::Firing if one.cause != Cause::Repeat => receiver.rejected = true,
            _ => {}
        }
    }

    /// Forgets the times of the last notifications: a process began after the clock was set.
    pub fn blur(&mut self) {
        self.0
            .values_mut()
            .for_each(|receiver| receiver.last = None);
    }

    /// Returns the time at which a receiver last accepted that an alert fires.
    pub fn last(&self, channel: &str, alert: Fingerprint) -> Option<UnixMillis> {
        self.0.get(&(channel.to_owned(), alert))?.last
    }

    /// Checks the state once nothing more is to come. `expected`: the channel must know that it fires.
    pub fn settled(
        &mut self,
        channel: &str,
        alert: Fingerprint,
        fires: Option<Severity>,
        expected: bool,
    ) -> Result<(), String> {
        let receiver = self.receiver(channel, alert);
        let broken = |what: &str| {
            Err(format!(
                "{what}: {alert} on {channel}, {fires:?} {receiver:?}"
            ))
        };
        match (fires, receiver.fires) {
            (None, Some(_)) if channel != QUIET => broken("its resolved was never sent"),
            (Some(level), severity)
                if expected && severity != Some(level) && !receiver.rejected =>
            {
                broken("it was never notified")
            }
            _ => Ok(()),
        }
    }
}

fn describe(channel: &str, one: &Notification) -> String {
    let Notification {
        id,
        status,
        cause,
        alert,
        at,
        ..
    } = one;
    let (status, cause, severity) = (status.as_str(), cause.as_str(), alert.severity.as_str());
    format!(
        "{channel}: {status} {} {:?} {severity} {cause} {at:?} {id}",
        alert.rule, alert.labels
    )
}
