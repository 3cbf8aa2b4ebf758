//! Evaluates the mute reasons of an alert on one route at one time.

use bellwether_core::{Now, UnixMillis};

use super::acknowledge::Acknowledgements;
use super::inhibit::Inhibitions;
use super::reason::MuteReason;
use super::silence::Silences;
use super::time_interval::TimeIntervals;
use crate::dispatch::tracked::TrackedAlert;
use crate::route::tree::Route;
use crate::route::view::View;
use crate::routing::Routing;

/// All that may mute alerts on one route, and the time.
pub(crate) struct MuteContext<'a> {
    pub(crate) routing: &'a Routing,
    pub(crate) silences: &'a Silences,
    pub(crate) inhibitions: &'a Inhibitions,
    pub(crate) acknowledgements: &'a Acknowledgements,
    pub(crate) route: &'a Route,
    pub(crate) now: Now,
}

impl MuteContext<'_> {
    /// Returns the first reason for which no notification about the alert may be sent, in the order
    /// of Alertmanager: inhibition, time intervals, silences; then those of Bellwether alone.
    /// `was_notified`: its group has notified about it before.
    pub(crate) fn mute_reason(
        &self,
        tracked: &TrackedAlert,
        was_notified: bool,
    ) -> Option<MuteReason> {
        if tracked
            .restored_until
            .is_some_and(|until| self.now.mono < until)
        {
            return Some(MuteReason::Restored);
        }
        let view = View {
            alert: &tracked.alert,
            sender: &self.routing.sender,
        };
        self.inhibited(tracked, &view)
            .or_else(|| {
                self.route
                    .muted_by_time(&self.routing.intervals, self.now.wall)
            })
            .or_else(|| self.silenced(&view))
            .or_else(|| self.cooldown(tracked))
            .or_else(|| match was_notified {
                true => None,
                false => self.uninhibited(tracked),
            })
    }

    /// Returns the acknowledgement of the alert, which stops repeats and escalation.
    pub(crate) fn acknowledgement(&self, tracked: &TrackedAlert) -> Option<MuteReason> {
        self.acknowledgements
            .active(tracked.alert.fingerprint, self.now.wall)
            .cloned()
            .map(MuteReason::Acknowledged)
    }

    fn inhibited(&self, tracked: &TrackedAlert, view: &View<'_>) -> Option<MuteReason> {
        let (rule, by) = self
            .inhibitions
            .inhibitor(tracked.alert.fingerprint, view)?;
        Some(MuteReason::Inhibited { rule, by })
    }

    fn silenced(&self, view: &View<'_>) -> Option<MuteReason> {
        let silence = self.silences.silencing(view, self.now.wall)?;
        Some(MuteReason::Silenced {
            id: silence.id.clone(),
            by: silence.created_by.clone(),
            comment: silence.comment.clone(),
        })
    }

    fn cooldown(&self, tracked: &TrackedAlert) -> Option<MuteReason> {
        let rule = self.routing.traits.get(&tracked.alert.rule);
        let cooldown = rule
            .and_then(|rule| rule.cooldown)
            .unwrap_or(self.route.cooldown);
        let until = tracked.resolved?.after(cooldown);
        (self.now.mono < until.mono).then_some(MuteReason::Cooldown { until })
    }

    /// An alert that depended on the inhibiting one often resolves an evaluation later. So it waits
    /// for `group_wait` again before the first notification, and for a tenth of the rule's interval
    /// longer: an evaluation that is due as the wait ends, as with 30 s for both, is not missed by
    /// milliseconds.
    fn uninhibited(&self, tracked: &TrackedAlert) -> Option<MuteReason> {
        let since = tracked
            .uninhibited
            .filter(|_| !self.route.group_wait.is_zero())?;
        let jitter = self.routing.interval(&tracked.alert.rule) / 10;
        let until = since.after(self.route.group_wait + jitter);
        (self.now.mono < until.mono).then_some(MuteReason::Uninhibited { until })
    }
}

impl Route {
    /// Returns the reason if the route is muted at `at`: outside of its active time intervals, or
    /// within a mute time interval.
    pub(crate) fn muted_by_time(
        &self,
        intervals: &TimeIntervals,
        at: UnixMillis,
    ) -> Option<MuteReason> {
        if !self.active_intervals.is_empty()
            && !self
                .active_intervals
                .iter()
                .any(|name| intervals.contains(name, at))
        {
            return Some(MuteReason::Inactive {
                intervals: self.active_intervals.clone(),
            });
        }
        let interval = self
            .mute_intervals
            .iter()
            .find(|name| intervals.contains(name, at))?;
        Some(MuteReason::Muted {
            interval: interval.clone(),
        })
    }
}
