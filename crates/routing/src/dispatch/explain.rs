//! Explains where an alert is routed and why it is muted, for the API and the command line.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, Labels, MonoMillis, Now, Severity, UnixMillis};

use super::dispatcher::Dispatcher;
use super::tracked::TrackedAlert;
use crate::mute::acknowledge::Acknowledgement;
use crate::mute::silence::Silence;
use crate::route::tree::Route;
use crate::route::view::View;
use crate::routing::Routing;

/// A route that matches an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// Path of the route: `routes[0].routes[2]`.
    pub route: String,
    /// Its matchers and those above, as Alertmanager writes them.
    pub matchers: String,
    /// The receiver; empty for all channels together.
    pub receiver: String,
    /// Its channels.
    pub channels: Vec<String>,
    /// Receiver that is notified once these fail.
    pub fallback: Option<String>,
    /// The labels of the group.
    pub group: Labels,
    pub group_wait: Duration,
    pub group_interval: Duration,
    /// `None`: no repeats.
    pub repeat_interval: Option<Duration>,
    /// The time interval that mutes the route now.
    pub muted_by: Option<String>,
    /// Receivers of the escalation, each with the time without an acknowledgement.
    pub escalation: Vec<(Duration, String)>,
}

/// The alert pipeline's view of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The alert after its last change.
    pub alert: Arc<Alert>,
    /// Reason of the last change.
    pub reason: String,
    /// True if it fires.
    pub firing: bool,
    /// True if it changes too often.
    pub flapping: bool,
    /// Its acknowledgement.
    pub acknowledged: Option<Acknowledgement>,
    /// Its groups.
    pub groups: Vec<GroupStatus>,
}

/// One alert in one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Route of the group.
    pub route: RouteMatch,
    /// Severity of the last notification and time of the first; `None` before it.
    pub notified: Option<(Severity, UnixMillis)>,
    /// Name of the current mute reason, and the reason as a sentence.
    pub muted: Option<(&'static str, String)>,
    /// Time of the group's last notification.
    pub last_message: Option<UnixMillis>,
    /// Time of the group's next flush.
    pub next_flush: Option<UnixMillis>,
    /// Time of the next repeat if nothing changes.
    pub next_repeat: Option<UnixMillis>,
    /// Receivers of the escalation steps that were notified.
    pub escalated: Vec<String>,
    /// True if the fallback was notified.
    pub fell_back: bool,
}

/// Reasons for which a firing alert is suppressed, by the names of Alertmanager's API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppression {
    /// The silence.
    pub silenced_by: Option<String>,
    /// The alert that inhibits it.
    pub inhibited_by: Option<Fingerprint>,
    /// The person who acknowledged it.
    pub acknowledged_by: Option<String>,
}

impl Routing {
    /// Returns the routes that match an alert with these labels at `at`.
    #[must_use]
    pub fn matching_routes(&self, alert: &Alert, at: UnixMillis) -> Vec<RouteMatch> {
        let view = View {
            alert,
            sender: &self.sender,
        };
        self.tree
            .matching_routes(&view)
            .into_iter()
            .map(|index| self.route_match(&self.tree.routes()[index], &view, at))
            .collect()
    }

    fn route_match(&self, route: &Route, view: &View<'_>, at: UnixMillis) -> RouteMatch {
        RouteMatch {
            route: route.path.clone(),
            matchers: route.key.clone(),
            receiver: route.receiver.name.clone(),
            channels: route
                .receiver
                .channels
                .iter()
                .map(ToString::to_string)
                .collect(),
            fallback: route
                .receiver
                .fallback
                .as_ref()
                .map(|fallback| fallback.receiver.clone()),
            group: route.group_labels(view),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat_interval: route.repeat_interval,
            muted_by: route
                .muted_by_time(&self.intervals, at)
                .map(|reason| reason.describe(|_| String::new())),
            escalation: route
                .steps
                .iter()
                .filter(|step| view.alert.severity >= step.min_severity)
                .map(|step| (step.after, step.receiver.name.clone()))
                .collect(),
        }
    }
}

impl Dispatcher {
    /// Returns the alerts that are silenced, inhibited or acknowledged now. All alerts are searched
    /// only if a silence is in force or an alert inhibits others.
    #[must_use]
    pub fn suppressions(&self, now: UnixMillis) -> HashMap<Fingerprint, Suppression> {
        let mut all: HashMap<Fingerprint, Suppression> = HashMap::new();
        let silences: Vec<&Silence> = self.silences.in_force(now).collect();
        if !silences.is_empty() || self.inhibitions.any() {
            for (key, tracked) in &self.alerts {
                let view = View {
                    alert: &tracked.alert,
                    sender: &self.routing.sender,
                };
                let silence = silences.iter().find(|silence| silence.matches(&view));
                let suppression = Suppression {
                    silenced_by: silence.map(|silence| silence.id.clone()),
                    inhibited_by: self.inhibitions.inhibitor(*key, &view).map(|(_, by)| by),
                    acknowledged_by: None,
                };
                if suppression != Suppression::default() {
                    all.insert(*key, suppression);
                }
            }
        }
        for (key, _) in self.acknowledgements.iter() {
            let active = self.acknowledgements.active(key, now);
            if let Some(acknowledgement) = active.filter(|_| self.alerts.contains_key(&key)) {
                all.entry(key).or_default().acknowledged_by = Some(acknowledgement.by.clone());
            }
        }
        all
    }

    /// Explains an alert; `None` if it is not tracked.
    #[must_use]
    pub fn explain(&self, alert: Fingerprint, now: Now) -> Option<Explanation> {
        let tracked = self.alerts.get(&alert)?;
        let groups = tracked.groups.iter();
        let groups = groups.filter_map(|id| self.group_status(*id, tracked, now));
        Some(Explanation {
            alert: tracked.alert.clone(),
            reason: tracked.reason.clone(),
            firing: tracked.firing,
            flapping: tracked.flapping,
            acknowledged: self.acknowledgements.active(alert, now.wall).cloned(),
            groups: groups.collect(),
        })
    }

    /// Returns the status of an alert in one of its groups.
    fn group_status(&self, id: usize, tracked: &TrackedAlert, now: Now) -> Option<GroupStatus> {
        let group = self.groups.get(&id)?;
        let member = group.members.get(&tracked.alert.fingerprint)?;
        let route = &self.routing.tree.routes()[group.route];
        let view = View {
            alert: &tracked.alert,
            sender: &self.routing.sender,
        };
        let mutes = self.mute_context(route, now);
        let reason = mutes
            .mute_reason(tracked, member.notified.is_some())
            .or_else(|| mutes.acknowledgement(tracked));
        let wall = |at| wall_time(at, now);
        let steps = route.steps.iter().enumerate();
        let escalated = steps.filter(|(step, _)| member.escalated.contains(*step));
        Some(GroupStatus {
            route: self.routing.route_match(route, &view, now.wall),
            notified: member
                .notified
                .and_then(|severity| Some((severity, wall(member.first_notified)?))),
            muted: reason.map(|reason| (reason.name(), reason.describe(|by| self.alert_name(by)))),
            last_message: group.last_notified.and_then(wall),
            next_flush: wall(group.next_flush),
            next_repeat: wall(group.next_repeat.max(now.mono)),
            escalated: escalated
                .map(|(_, step)| step.receiver.name.clone())
                .collect(),
            fell_back: member.fell_back,
        })
    }
}

/// Returns the wall-clock time of `at`; `None` for `NEVER`.
fn wall_time(at: MonoMillis, now: Now) -> Option<UnixMillis> {
    if at == MonoMillis::NEVER {
        return None;
    }
    let ahead = at.since(now.mono).as_millis() as i64;
    let behind = now.mono.since(at).as_millis() as i64;
    let wall = now.wall.0.saturating_add(ahead).saturating_sub(behind);
    Some(UnixMillis(wall))
}
