//! Notifications that each receiver may and must get, of one alert on one channel.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bellwether_core::{Cause, Fingerprint, Notification, Severity, Status, UnixMillis};

use super::declared::REPEAT;

/// The channel that is not told of ends.
const QUIET: &str = "quiet";

/// State of an alert when a notification about it is queued.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The level it fires at.
    pub firing: Option<Severity>,
    /// It fires, or it changes too often.
    pub stands: bool,
    /// It is silenced, inhibited or in maintenance, or no route tells the channel of it at this hour.
    pub kept_back: bool,
    /// Nobody was told of it, and another alert stood for it until a moment ago.
    pub waits: bool,
    /// Somebody takes care of it.
    pub acknowledged: bool,
    /// It began to fire just now, and the end before may still be told.
    pub fresh: bool,
    /// The channel wants only what is worse.
    pub beneath: bool,
    /// Shortest time after a delivery before the receiver may be notified of the same again.
    pub repeat: Option<Duration>,
}

/// Knowledge of one receiver about one alert.
#[derive(Debug, Default)]
struct Heard {
    /// The level that it was told last, while it believes that the alert fires.
    fires: Option<Severity>,
    /// Time of the last such notification.
    last: Option<UnixMillis>,
    /// It rejected the firing notification, and accepted no other.
    rejected: bool,
    /// Notifications that it accepted unknown to us: they come once more.
    unheard: HashSet<String>,
}

/// Knowledge of all receivers.
#[derive(Debug, Default)]
pub struct Contract(HashMap<(String, Fingerprint), Heard>);

impl Contract {
    fn heard(&mut self, channel: &str, alert: Fingerprint) -> &mut Heard {
        self.0.entry((channel.to_owned(), alert)).or_default()
    }

    /// Something is queued.
    pub fn queued(
        &mut self,
        channel: &str,
        one: &Notification,
        standing: Standing,
        now: UnixMillis,
    ) -> Result<(), String> {
        let heard = self.heard(channel, one.alert.fingerprint);
        let broken = |what: &str| {
            Err(format!(
                "{what}: {}\n{standing:?} {heard:?}",
                said(channel, one)
            ))
        };
        if one.status == Status::Resolved {
            if standing.firing.is_some() && !standing.beneath && !standing.fresh {
                return broken("a resolved of what fires");
            }
            return Ok(());
        }
        if !standing.stands {
            return broken("a firing of what does not");
        }
        if standing.kept_back {
            return broken("a firing of what is kept back");
        }
        if standing.waits {
            return broken("a first firing right after inhibition");
        }
        let again = matches!(one.cause, Cause::Repeat | Cause::Escalation);
        if standing.acknowledged && again {
            return broken("a reminder of what somebody takes care of");
        }
        let over = |last| {
            standing
                .repeat
                .is_some_and(|repeat| now.since(last) >= repeat)
        };
        if one.cause == Cause::Repeat && !heard.last.is_none_or(over) {
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
        let heard = self.heard(channel, one.alert.fingerprint);
        let last = heard.last;
        if one.status == Status::Firing {
            heard.last = Some(now);
        }
        if heard.unheard.remove(&one.id) {
            if lost {
                heard.unheard.insert(one.id.clone());
            }
            return Ok(());
        }
        if lost {
            heard.unheard.insert(one.id.clone());
        }
        let before = heard.fires;
        let severity = one.alert.severity;
        let broken = |what: &str| Err(format!("{what}: {}\n{heard:?}", said(channel, one)));
        match one.status {
            Status::Resolved if channel == QUIET => broken("an end, to who wants none"),
            Status::Resolved if before.is_none() => broken("a resolved without a firing"),
            Status::Resolved => {
                (heard.fires, heard.rejected) = (None, false);
                Ok(())
            }
            Status::Firing => {
                let again = matches!(one.cause, Cause::Repeat | Cause::Flapping);
                let same = before == Some(severity) && !again && channel != QUIET;
                if same && !heard.rejected {
                    return broken("the same twice");
                }
                let early = last.is_some_and(|last| now.since(last) < REPEAT);
                if one.cause == Cause::Repeat && early {
                    return broken("a repeat right after what it repeats");
                }
                (heard.fires, heard.rejected) = (Some(severity), false);
                Ok(())
            }
        }
    }

    /// Returns whether a receiver has accepted a notification that is still queued here.
    pub fn knows_already(&mut self, channel: &str, one: &Notification) -> bool {
        self.heard(channel, one.alert.fingerprint)
            .unheard
            .contains(&one.id)
    }

    /// A receiver rejected something.
    pub fn rejected(&mut self, channel: &str, one: &Notification) {
        let heard = self.heard(channel, one.alert.fingerprint);
        match one.status {
            Status::Firing => heard.rejected = true,
            Status::Resolved => heard.fires = None, // whatever it believes now is its own fault
        }
    }

    /// The queue is too long for something.
    pub fn dropped(&mut self, channel: &str, one: &Notification) {
        let heard = self.heard(channel, one.alert.fingerprint);
        match one.status {
            // Who took it without our knowing counts as never told.
            Status::Resolved if !heard.unheard.is_empty() => heard.fires = None,
            Status::Firing if one.cause != Cause::Repeat => heard.rejected = true,
            _ => {}
        }
    }

    /// Forgets the times of the last notifications: a process began after the clock was set.
    pub fn blur(&mut self) {
        self.0.values_mut().for_each(|heard| heard.last = None);
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
        let heard = self.heard(channel, alert);
        let broken = |what: &str| Err(format!("{what}: {alert} on {channel}, {fires:?} {heard:?}"));
        match (fires, heard.fires) {
            (None, Some(_)) if channel != QUIET => broken("its end was never told"),
            (Some(level), told) if expected && told != Some(level) && !heard.rejected => {
                broken("it was never told")
            }
            _ => Ok(()),
        }
    }
}

fn said(channel: &str, one: &Notification) -> String {
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
