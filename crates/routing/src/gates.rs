//! What keeps an alert from being told on one route at one moment.

use bellwether_core::{Now, UnixMillis};

use super::dispatcher::Dispatcher;
use super::gate::MuteReason;
use super::group::Judge;
use super::time_interval::TimeIntervals;
use super::tracked::Tracked;
use super::tree::Route;
use super::view::View;

/// The gates of one route, in the order of Alertmanager: inhibition, time intervals, silences.
pub(super) struct Gates<'a> {
    pub(super) dispatcher: &'a Dispatcher,
    pub(super) route: &'a Route,
    pub(super) now: Now,
}

impl Gates<'_> {
    fn cooldown(&self, alert: &Tracked) -> Option<MuteReason> {
        let routing = &self.dispatcher.routing;
        let own = routing
            .traits
            .get(&alert.alert.rule)
            .and_then(|rule| rule.cooldown);
        let until = alert.resolved?.after(own.unwrap_or(self.route.cooldown));
        (self.now.mono < until.mono).then_some(MuteReason::Cooling { until })
    }

    /// What depended on another alert often ends an evaluation after it. So it is waited for as at
    /// the beginning of a group, before anybody hears of it, and a part of an interval longer: an
    /// evaluation that is due as the wait ends, as with 30 s for both, is not missed by milliseconds.
    fn uninhibited(&self, alert: &Tracked) -> Option<MuteReason> {
        let since = alert.uninhibited.filter(|_| !self.route.wait.is_zero())?;
        let jitter = self.dispatcher.routing.interval(&alert.alert.rule) / 10;
        let until = since.after(self.route.wait + jitter);
        (self.now.mono < until.mono).then_some(MuteReason::Uninhibited { until })
    }
}

impl Route {
    /// The time interval that keeps its alerts from being told at `at`.
    pub(super) fn hours(&self, intervals: &TimeIntervals, at: UnixMillis) -> Option<MuteReason> {
        let holds = |name: &String| intervals.contains(name, at);
        if !self.active.is_empty() && !self.active.iter().any(holds) {
            return Some(MuteReason::Inactive {
                intervals: self.active.clone(),
            });
        }
        let mute = self.mute.iter().find(|name| holds(name));
        mute.map(|interval| MuteReason::Muted {
            interval: interval.clone(),
        })
    }
}

impl Judge for Gates<'_> {
    fn gate(&self, alert: &Tracked, told: bool) -> Option<MuteReason> {
        let Dispatcher {
            routing, silences, ..
        } = self.dispatcher;
        if alert
            .restored_until
            .is_some_and(|until| self.now.mono < until)
        {
            return Some(MuteReason::Restored);
        }
        let view = View {
            alert: &alert.alert,
            sender: &routing.sender,
        };
        let inhibitor = || {
            let by = self
                .dispatcher
                .inhibitions
                .inhibitor(alert.alert.fingerprint, &view);
            by.map(|(rule, by)| MuteReason::Inhibited { rule, by })
        };
        let silenced = || {
            silences
                .silencing(&view, self.now.wall)
                .map(|silence| MuteReason::Silenced {
                    id: silence.id.clone(),
                    by: silence.created_by.clone(),
                    comment: silence.comment.clone(),
                })
        };
        let hours = || self.route.hours(&routing.intervals, self.now.wall);
        let uninhibited = || if told { None } else { self.uninhibited(alert) };
        let gate = inhibitor().or_else(hours).or_else(silenced);
        gate.or_else(|| self.cooldown(alert)).or_else(uninhibited)
    }

    fn acknowledged(&self, alert: &Tracked) -> Option<MuteReason> {
        let known = &self.dispatcher.acknowledgements;
        known
            .holding(alert.alert.fingerprint, self.now.wall)
            .cloned()
            .map(MuteReason::Acknowledged)
    }
}
