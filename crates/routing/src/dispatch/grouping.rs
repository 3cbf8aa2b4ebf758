//! Groups of the dispatcher: alerts join those of their routes, and groups are flushed. Pure.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Fingerprint, Group as NotificationGroup, Labels, MonoMillis, NotifiedState, Now, braced,
};

use super::dispatcher::{Advance, Dispatcher, LastNotified, MuteChange};
use super::group::{FlushContext, Group, MemberChanges};
use super::tracked::TrackedAlert;
use crate::mute::context::MuteContext;
use crate::mute::reason::MuteReason;
use crate::route::tree::Route;
use crate::route::view::View;

impl Dispatcher {
    /// Adds an active alert to the group of each matching route, and removes it from its other
    /// groups. `waited`: time that counts towards `group_wait` already.
    pub(super) fn add_to_groups(
        &mut self,
        key: Fingerprint,
        mut tracked: TrackedAlert,
        waited: Duration,
        now: Now,
    ) {
        let routing = self.routing.clone();
        let alert = tracked.alert.clone();
        let view = View {
            alert: &alert,
            sender: &routing.sender,
        };
        // An alert that is only flapping inhibits no other.
        if tracked.firing {
            self.inhibitions.add(key, &view);
        }
        // Counts when the alert is first met, not for severities and groups that come later.
        let notified = self.notified_before.remove(&key);
        let routes = routing.tree.matching_routes(&view).into_iter();
        let groups: Vec<usize> = routes
            .map(|route| self.join(key, route, &view, notified, waited, now.mono))
            .collect();
        // The channels of groups that it leaves get the resolved one with those of no group.
        for left in tracked.groups.iter().filter(|id| !groups.contains(id)) {
            if let Some(group) = self.groups.get_mut(left) {
                group.members.remove(&key);
            }
        }
        tracked.groups = groups;
        self.alerts.insert(key, tracked);
    }

    /// Adds an alert to its group of the route with this index, and returns the id of the group.
    /// `notified`: notifications about it from before a restart or reload.
    fn join(
        &mut self,
        key: Fingerprint,
        route_index: usize,
        alert: &View<'_>,
        notified: Option<NotifiedState>,
        waited: Duration,
        now: MonoMillis,
    ) -> usize {
        let routing = self.routing.clone();
        let route = &routing.tree.routes()[route_index];
        let labels = (route_index, route.group_labels(alert));
        let known = self.group_ids.get(&labels).copied();
        let id = known.unwrap_or_else(|| {
            let due = now.after(route.group_wait.saturating_sub(waited));
            self.add_group(labels, due)
        });
        if let Some(group) = self.groups.get_mut(&id) {
            group.join(key, route, notified);
        }
        if known.is_some() {
            self.schedule_change(id, now, waited);
        }
        id
    }

    /// Adds a group with labels on a route, flushed at `due`, and returns its id.
    fn add_group(&mut self, key: (usize, Labels), due: MonoMillis) -> usize {
        let id = self.next_group;
        self.next_group += 1;
        let route = &self.routing.tree.routes()[key.0];
        let identity = Arc::new(NotificationGroup {
            key: format!("{}:{}", route.key, braced(&key.1)),
            receiver: route.receiver.name.clone(),
            labels: key.1.clone(),
            include_firing: route.include_firing,
        });
        self.groups.insert(id, Group::new(key.0, identity, due));
        self.group_ids.insert(key, id);
        self.flushes.insert((due, id));
        id
    }

    /// Schedules a flush of a group for a change that has waited for `waited` already.
    pub(super) fn schedule_change(&mut self, id: usize, now: MonoMillis, waited: Duration) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let before = group.next_flush;
        group.schedule_change(&self.routing.tree.routes()[group.route], now, waited);
        if group.next_flush != before {
            self.flushes.remove(&(before, id));
            self.flushes.insert((group.next_flush, id));
        }
    }

    /// Flushes groups with muted alerts at the next [`Dispatcher::advance`]; for changes of
    /// silences.
    pub fn recheck_muted(&mut self, now: MonoMillis) {
        let mut muted = Vec::new();
        for (id, group) in &self.groups {
            if group
                .members
                .values()
                .any(|member| member.mute_reason.is_some())
            {
                muted.push(*id);
            }
        }
        for id in muted {
            self.flush_at(id, now);
        }
    }

    /// Schedules a flush of a group at `now`, unless it is due already.
    pub(super) fn flush_at(&mut self, id: usize, now: MonoMillis) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.next_flush > now
        {
            self.flushes.remove(&(group.next_flush, id));
            group.next_flush = now;
            self.flushes.insert((now, id));
        }
    }

    /// Flushes a group, and deletes it with its last alert.
    pub(super) fn flush(
        &mut self,
        id: usize,
        last_notified: LastNotified<'_>,
        now: Now,
        out: &mut Advance,
    ) {
        let routing = self.routing.clone();
        let Some(group) = self.groups.get(&id) else {
            return;
        };
        let route = &routing.tree.routes()[group.route];
        let mut plan = group.plan_flush(&FlushContext {
            route,
            alerts: &self.alerts,
            mutes: &self.mute_context(route, now),
            last_notified,
            now,
        });
        out.dispatches.append(&mut plan.dispatches);
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let MemberChanges { mute_reasons, left } = group.apply(plan, route, &self.alerts, now.mono);
        self.schedule_next_flush(id);
        for (alert, reason) in mute_reasons {
            out.mute_changes
                .extend(self.mute_change(alert, reason, route));
        }
        for alert in left {
            self.leave_group(alert, id, now);
        }
    }

    /// Schedules the next flush of a group that was flushed, or deletes it without alerts.
    fn schedule_next_flush(&mut self, id: usize) {
        let Some(group) = self.groups.get(&id) else {
            return;
        };
        if !group.members.is_empty() {
            self.flushes.insert((group.next_flush, id));
            return;
        }
        self.group_ids
            .remove(&(group.route, group.identity.labels.clone()));
        self.groups.remove(&id);
    }

    pub(super) fn mute_context<'a>(&'a self, route: &'a Route, now: Now) -> MuteContext<'a> {
        MuteContext {
            routing: &self.routing,
            silences: &self.silences,
            inhibitions: &self.inhibitions,
            acknowledgements: &self.acknowledgements,
            route,
            now,
        }
    }

    fn mute_change(
        &self,
        alert: Fingerprint,
        reason: Option<MuteReason>,
        route: &Route,
    ) -> Option<MuteChange> {
        let tracked = self.alerts.get(&alert)?;
        let description = match &reason {
            Some(reason) => reason.describe(|alert| self.alert_name(alert)),
            None => String::new(),
        };
        Some(MuteChange {
            alert: tracked.alert.clone(),
            receiver: route.receiver.name.clone(),
            reason,
            description,
        })
    }

    /// Removes a group from a resolved alert. With the last one, all other channels that were
    /// notified get a resolved notification.
    fn leave_group(&mut self, key: Fingerprint, id: usize, now: Now) {
        let Some(tracked) = self.alerts.get_mut(&key) else {
            return;
        };
        tracked.groups.retain(|group| *group != id);
        if tracked.groups.is_empty() {
            let tracked = tracked.clone();
            self.push_unrouted_resolved(&tracked, now);
        }
    }
}
