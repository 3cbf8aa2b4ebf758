//! Where an alert goes and what keeps it from being told, as data for people.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, Labels, MonoMillis, Now, Severity, UnixMillis};

use super::acknowledge::Acknowledgement;
use super::dispatcher::Dispatcher;
use super::gates::Gates;
use super::group::Judge;
use super::plan::Routing;
use super::silence::Silence;
use super::tree::Route;
use super::view::View;

/// One route that takes an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// The route: `routes[0].routes[2]`.
    pub route: String,
    /// Its matchers and those above, as Alertmanager writes them.
    pub matchers: String,
    /// The receiver; empty for all channels together.
    pub receiver: String,
    /// Its channels.
    pub channels: Vec<String>,
    /// The receiver that is told once these fail.
    pub fallback: Option<String>,
    /// The labels of the group.
    pub group: Labels,
    /// How long the first alert of a group waits.
    pub group_wait: Duration,
    /// The shortest time between two messages of a group.
    pub group_interval: Duration,
    /// When what still fires is told again.
    pub repeat_interval: Option<Duration>,
    /// Time intervals that hold it back now.
    pub held_by: Option<String>,
    /// Who else is told, after how long without an acknowledgement.
    pub escalation: Vec<(Duration, String)>,
}

/// What is known of one alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The alert after its last change.
    pub alert: Arc<Alert>,
    /// Why it changed last.
    pub reason: String,
    /// Whether it fires.
    pub fires: bool,
    /// Whether it changes too often.
    pub flapping: bool,
    /// Who takes care of it.
    pub acknowledged: Option<Acknowledgement>,
    /// The groups it is told in.
    pub groups: Vec<GroupStatus>,
}

/// One alert in one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Its route.
    pub way: RouteMatch,
    /// The severity it was told with last, and when it was told first; `None`: it was not told.
    pub told: Option<(Severity, UnixMillis)>,
    /// What keeps it from being told, now: the gate and a sentence.
    pub gate: Option<(&'static str, String)>,
    /// When the group was told last.
    pub last_message: Option<UnixMillis>,
    /// When it is looked at next.
    pub next_flush: Option<UnixMillis>,
    /// When it is told again if nothing changes.
    pub next_repeat: Option<UnixMillis>,
    /// Steps of escalation that are done.
    pub escalated: Vec<String>,
    /// Whether the fallback was told.
    pub fell_back: bool,
}

/// Reasons for which notifications about a firing alert are held, by the names of Alertmanager's API.
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
    /// Where an alert with these labels would go at `at`.
    #[must_use]
    pub fn ways(&self, alert: &Alert, at: UnixMillis) -> Vec<RouteMatch> {
        let view = View {
            alert,
            sender: &self.sender,
        };
        let taken = self.tree.take(&view).into_iter();
        taken
            .map(|number| self.way(&self.tree.routes()[number], &view, at))
            .collect()
    }

    fn way(&self, route: &Route, view: &View<'_>, at: UnixMillis) -> RouteMatch {
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
            group: route.group(view),
            group_wait: route.wait,
            group_interval: route.interval,
            repeat_interval: route.repeat,
            held_by: route
                .hours(&self.intervals, at)
                .map(|gate| gate.reason(|_| String::new())),
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
    /// The alerts that are silenced, inhibited or acknowledged now. Each alert is looked at only
    /// where a silence is in force or an alert stands for others.
    #[must_use]
    pub fn suppressions(&self, now: UnixMillis) -> HashMap<Fingerprint, Suppression> {
        let mut all: HashMap<Fingerprint, Suppression> = HashMap::new();
        let silences: Vec<&Silence> = self.silences.holding(now).collect();
        if !silences.is_empty() || self.inhibitions.any() {
            for (key, tracked) in &self.alerts {
                let view = View {
                    alert: &tracked.alert,
                    sender: &self.routing.sender,
                };
                let silence = silences.iter().find(|silence| silence.means(&view));
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
            let holding = self.acknowledgements.holding(key, now);
            if let Some(one) = holding.filter(|_| self.alerts.contains_key(&key)) {
                all.entry(key).or_default().acknowledged_by = Some(one.by.clone());
            }
        }
        all
    }

    /// What is known of an alert; `None` if it neither fires nor did a short time ago.
    #[must_use]
    pub fn explain(&self, alert: Fingerprint, now: Now) -> Option<Explanation> {
        let tracked = self.alerts.get(&alert)?;
        let view = View {
            alert: &tracked.alert,
            sender: &self.routing.sender,
        };
        // The wall clock when the monotonic one stands, or stood, at `at`.
        let wall = |at: MonoMillis| match at {
            MonoMillis::NEVER => None,
            at => {
                let ahead = at.since(now.mono).as_millis() as i64;
                let behind = now.mono.since(at).as_millis() as i64;
                Some(UnixMillis(
                    now.wall.0.saturating_add(ahead).saturating_sub(behind),
                ))
            }
        };
        let groups = tracked.groups.iter().filter_map(|id| {
            let group = self.groups.get(id)?;
            let member = group.members.get(&alert)?;
            let route = &self.routing.tree.routes()[group.route];
            let gates = Gates {
                dispatcher: self,
                route,
                now,
            };
            let gate = gates.gate(tracked, member.told.is_some());
            let gate = gate.or_else(|| gates.acknowledged(tracked));
            let done = route
                .steps
                .iter()
                .enumerate()
                .filter(|(step, _)| member.has_done(*step));
            Some(GroupStatus {
                way: self.routing.way(route, &view, now.wall),
                told: member
                    .told
                    .and_then(|severity| Some((severity, wall(member.first)?))),
                gate: gate.map(|gate| (gate.name(), gate.reason(|by| self.named(by)))),
                last_message: group.sent.and_then(wall),
                next_flush: wall(group.due),
                next_repeat: wall(group.again.max(now.mono)),
                escalated: done.map(|(_, step)| step.receiver.name.clone()).collect(),
                fell_back: member.fell_back,
            })
        });
        Some(Explanation {
            alert: tracked.alert.clone(),
            reason: tracked.reason.clone(),
            fires: tracked.fires,
            flapping: tracked.flapping,
            acknowledged: self.acknowledgements.holding(alert, now.wall).cloned(),
            groups: groups.collect(),
        })
    }
}
