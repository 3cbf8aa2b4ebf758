//! The compiled tree of routes: settings inherited from parents, and the routes that match an alert.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Labels, MonoMillis, Severity};
use bellwether_schema::{
    Diagnostic, Diagnostics, HumanDuration, SourceLocation, Spanned, did_you_mean,
};

use super::matchers::Matchers;
use super::settings::{EscalationSettings, ReceiverSettings, RouteSettings, Routes};
use super::view::View;
use crate::mute::time_interval::TimeIntervals;

/// Names of channels.
pub type Channels = Arc<[Arc<str>]>;

/// A receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Name; empty for all channels together.
    pub name: String,
    /// Names of its channels.
    pub channels: Channels,
    /// Receiver that is notified once these fail.
    pub fallback: Option<Fallback>,
}

/// Fallback of a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Name of the other receiver.
    pub receiver: String,
    /// Names of its channels.
    pub channels: Channels,
    /// Time that the channels of the receiver must have failed.
    pub after: Duration,
}

/// A step of escalation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Time after the first notification about the alert.
    pub after: Duration,
    /// Lowest severity of alerts that escalate.
    pub min_severity: Severity,
    /// Receiver of the step.
    pub receiver: Arc<Receiver>,
}

/// Labels by which alerts of a route are grouped.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    /// All labels: each alert is a group.
    All,
    /// These labels; a missing one counts as empty.
    Labels(Arc<[String]>),
}

/// A route with the settings that it inherits.
#[derive(Clone, Debug)]
pub struct Route {
    /// Path: `routes`, `routes[0]`, `routes[0].routes[2]`.
    pub path: String,
    /// Its matchers and those of its parents, in the syntax of Alertmanager.
    pub key: String,
    pub matchers: Matchers,
    /// True if the routes that follow may match, too.
    pub continue_matching: bool,
    pub receiver: Arc<Receiver>,
    pub group_by: GroupBy,
    /// True if a notification includes all firing alerts of its group.
    pub include_firing: bool,
    pub group_wait: Duration,
    pub group_interval: Duration,
    /// `None`: no repeats.
    pub repeat_interval: Option<Duration>,
    /// Time after an alert resolved in which it is muted.
    pub cooldown: Duration,
    /// Names of time intervals outside of which alerts are muted.
    pub active_intervals: Vec<String>,
    /// Names of time intervals within which alerts are muted.
    pub mute_intervals: Vec<String>,
    /// Steps of escalation in the order of their times.
    pub steps: Vec<Step>,
    /// All channels that may be notified, including those of the fallback and of the steps.
    pub all_channels: Channels,
    children: Vec<usize>,
}

impl Route {
    /// Returns the earliest time of a repeat to a channel that was last notified at `last`.
    #[must_use]
    pub fn next_repeat(&self, last: MonoMillis) -> MonoMillis {
        self.repeat_interval.map_or(MonoMillis::NEVER, |interval| {
            last.after(interval.max(self.group_interval))
        })
    }

    /// Returns the labels of the group of an alert.
    #[must_use]
    pub fn group_labels(&self, alert: &View<'_>) -> Labels {
        match &self.group_by {
            GroupBy::All => alert.all(),
            GroupBy::Labels(names) => names
                .iter()
                .filter_map(|name| Some((name.clone(), alert.label(name)?.to_owned())))
                .collect(),
        }
    }
}

/// All routes.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The top route is the first.
    routes: Vec<Route>,
}

impl Tree {
    /// Creates a tree without routes: all of `channels` are notified about all alerts, without
    /// waiting and without repeats.
    #[must_use]
    pub fn flat(channels: Channels, cooldown: Duration) -> Self {
        let all_channels = channels.clone();
        let receiver = Receiver {
            name: String::new(),
            channels,
            fallback: None,
        };
        Self {
            routes: vec![Route {
                path: "notifications.channels".into(),
                key: "{}".into(),
                matchers: Matchers::default(),
                continue_matching: false,
                receiver: Arc::new(receiver),
                group_by: GroupBy::Labels(Arc::new(["alertname".to_owned()])),
                include_firing: false,
                group_wait: Duration::ZERO,
                group_interval: Duration::ZERO,
                repeat_interval: None,
                cooldown,
                active_intervals: Vec::new(),
                mute_intervals: Vec::new(),
                steps: Vec::new(),
                all_channels,
                children: Vec::new(),
            }],
        }
    }

    /// Returns all routes, parents before children.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Returns the indices of the routes that match an alert; at least one.
    #[must_use]
    pub fn matching_routes(&self, alert: &View<'_>) -> Vec<usize> {
        let mut matching = Vec::new();
        self.descend(0, alert, &mut matching);
        matching
    }

    fn descend(&self, index: usize, alert: &View<'_>, matching: &mut Vec<usize>) {
        let before = matching.len();
        for child in &self.routes[index].children {
            let route = &self.routes[*child];
            if route.matchers.matches(alert) {
                self.descend(*child, alert, matching);
                if !route.continue_matching {
                    break;
                }
            }
        }
        if matching.len() == before {
            matching.push(index);
        }
    }
}

/// Receivers by name; each channel is a receiver of its own name, too.
pub(crate) struct Receivers<'a> {
    settings: &'a [ReceiverSettings],
    by_name: HashMap<&'a str, Arc<Receiver>>,
    all: Channels,
    used: BTreeSet<String>,
}

impl<'a> Receivers<'a> {
    /// Compiles the settings; `channels` has the name of each channel, and whether it is enabled.
    pub(crate) fn new(
        settings: &'a [ReceiverSettings],
        channels: &'a [(String, bool)],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let enabled = channels.iter().filter(|(_, enabled)| *enabled);
        let all: Channels = enabled.map(|(name, _)| name.as_str().into()).collect();
        let single = |name: &str| Receiver {
            name: name.to_owned(),
            channels: all
                .iter()
                .filter(|channel| ***channel == *name)
                .cloned()
                .collect(),
            fallback: None,
        };
        let mut by_name: HashMap<&str, Arc<Receiver>> = channels
            .iter()
            .map(|(name, _)| (name.as_str(), Arc::new(single(name))))
            .collect();
        let mut seen = BTreeSet::new();
        for receiver in settings {
            let name = receiver.name.as_str();
            if !seen.insert(name) {
                diagnostics
                    .error(&receiver.name.at, format!("duplicate receiver {name:?}"))
                    .hint("give it another name");
            }
            let mut members: Vec<Arc<str>> = Vec::new();
            for channel in &receiver.channels {
                match channels.iter().find(|(name, _)| *name == channel.value) {
                    Some((name, true)) => members.push(name.as_str().into()),
                    Some(_) => {}
                    None => {
                        let names = channels.iter().map(|(name, _)| name.as_str());
                        let hint = did_you_mean(channel, names)
                            .unwrap_or_else(|| "add it to `notifications.channels`".into());
                        diagnostics
                            .error(&channel.at, format!("no channel {:?}", channel.value))
                            .hint(hint);
                    }
                }
            }
            let compiled = Receiver {
                name: name.to_owned(),
                channels: members.into(),
                fallback: None,
            };
            by_name.insert(name, Arc::new(compiled));
        }
        let mut receivers = Self {
            settings,
            by_name,
            all,
            used: BTreeSet::new(),
        };
        receivers.add_fallbacks(diagnostics);
        receivers
    }

    fn add_fallbacks(&mut self, diagnostics: &mut Diagnostics) {
        for receiver in self.settings {
            let Some(name) = &receiver.fallback else {
                continue;
            };
            if *name.value == *receiver.name.value {
                diagnostics.error(&name.at, "a receiver cannot be its own fallback");
            }
            let Some(target) = self.named(name, diagnostics) else {
                continue;
            };
            let fallback = Fallback {
                receiver: target.name.clone(),
                channels: target.channels.clone(),
                after: receiver.fallback_after.0,
            };
            if let Some(compiled) = self.by_name.get_mut(receiver.name.as_str()) {
                *compiled = Arc::new(Receiver {
                    fallback: Some(fallback),
                    ..Receiver::clone(compiled)
                });
            }
        }
    }

    /// Returns the receiver or channel called `name`; reports an unknown name.
    pub(crate) fn named(
        &mut self,
        name: &Spanned<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Receiver>> {
        self.used.insert(name.value.clone());
        let receiver = self.by_name.get(name.as_str()).cloned();
        if receiver.is_none() {
            let hint = did_you_mean(name, self.by_name.keys().copied()).unwrap_or_else(|| {
                "add it to `alerting.receivers`, or use the name of a channel".into()
            });
            diagnostics
                .error(&name.at, format!("no receiver {:?}", name.value))
                .hint(hint);
        }
        receiver
    }

    /// Returns all enabled channels.
    pub(crate) fn all(&self) -> Channels {
        self.all.clone()
    }

    /// Returns a warning for each receiver that is not used.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Diagnostic> {
        let unused = self
            .settings
            .iter()
            .filter(|receiver| !self.used.contains(&receiver.name.value));
        unused.map(|receiver| Diagnostic {
            location: receiver.name.at.clone(),
            message: format!("receiver {:?} is not used", receiver.name.value),
            help: Some("use it in a route, or remove it".into()),
        })
    }
}

/// Compiles the settings of routes to a tree.
pub(crate) struct Builder<'a, 'b> {
    pub(crate) receivers: &'b mut Receivers<'a>,
    pub(crate) intervals: &'b TimeIntervals,
    pub(crate) diagnostics: &'b mut Diagnostics,
    pub(crate) warnings: &'b mut Vec<Diagnostic>,
}

impl Builder<'_, '_> {
    pub(crate) fn tree(mut self, routes: &Routes, cooldown: Duration) -> Tree {
        let Routes(top, at) = routes;
        if !top.matchers.is_empty() {
            self.diagnostics
                .error(
                    &at.key("matchers"),
                    "the top route must match every alert, without matchers",
                )
                .hint("add a child route with them to `routes`");
        }
        for (key, is_set) in [
            ("mute_time_intervals", !top.mute_time_intervals.is_empty()),
            (
                "active_time_intervals",
                !top.active_time_intervals.is_empty(),
            ),
            ("continue", top.r#continue),
        ] {
            if is_set {
                self.diagnostics
                    .error(&at.key(key), format!("the top route must not have `{key}`"))
                    .hint("add a child route with it to `routes`");
            }
        }
        let all_channels = Receiver {
            name: String::new(),
            channels: self.receivers.all(),
            fallback: None,
        };
        let defaults = Route {
            path: "routes".into(),
            key: "{}".into(),
            receiver: Arc::new(all_channels),
            group_by: GroupBy::Labels(Arc::new(["alertname".to_owned()])),
            include_firing: true,
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Some(Duration::from_secs(4 * 3600)),
            ..Tree::flat(self.receivers.all(), cooldown).routes.remove(0)
        };
        let mut routes = Vec::new();
        self.add(top, &defaults, "routes".into(), &mut routes);
        Tree { routes }
    }

    fn add(
        &mut self,
        own: &RouteSettings,
        parent: &Route,
        path: String,
        routes: &mut Vec<Route>,
    ) -> usize {
        let index = routes.len();
        let receiver = own
            .receiver
            .as_ref()
            .and_then(|name| self.receivers.named(name, self.diagnostics))
            .unwrap_or_else(|| parent.receiver.clone());
        let steps = match own.escalation.is_empty() {
            true => parent.steps.clone(),
            false => self.steps(&own.escalation),
        };
        let route = Route {
            key: match own.matchers.is_empty() {
                true => parent.key.clone(),
                false => format!("{}/{}", parent.key, own.matchers),
            },
            matchers: own.matchers.clone(),
            continue_matching: own.r#continue,
            all_channels: all_channels(&receiver, &steps),
            receiver,
            group_by: own
                .group_by
                .as_deref()
                .map_or_else(|| parent.group_by.clone(), group_by),
            include_firing: parent.include_firing,
            group_wait: own.group_wait.map_or(parent.group_wait, |wait| wait.0),
            group_interval: own
                .group_interval
                .as_ref()
                .map_or(parent.group_interval, |interval| interval.0),
            repeat_interval: own
                .repeat_interval
                .as_ref()
                .map_or(parent.repeat_interval, |interval| Some(interval.0)),
            cooldown: own
                .cooldown_period
                .map_or(parent.cooldown, |cooldown| cooldown.0),
            active_intervals: self.intervals(&own.active_time_intervals),
            mute_intervals: self.intervals(&own.mute_time_intervals),
            steps,
            children: Vec::new(),
            path: path.clone(),
        };
        self.validate(own, &route);
        routes.push(route.clone());
        let mut children = Vec::new();
        for (number, child) in own.routes.iter().enumerate() {
            let path = match index {
                0 => format!("routes[{number}]"),
                _ => format!("{path}.routes[{number}]"),
            };
            children.push(self.add(child, &route, path, routes));
        }
        self.warn_of_unreachable(&own.routes, &children, routes);
        routes[index].children = children;
        index
    }

    fn intervals(&mut self, names: &[Spanned<String>]) -> Vec<String> {
        for name in names {
            if !self.intervals.contains_name(name) {
                let hint = did_you_mean(name, self.intervals.names())
                    .unwrap_or_else(|| "add it to `alerting.time_intervals`".into());
                self.diagnostics
                    .error(&name.at, format!("no time interval {:?}", name.value))
                    .hint(hint);
            }
        }
        names.iter().map(|name| name.value.clone()).collect()
    }

    fn steps(&mut self, steps: &[EscalationSettings]) -> Vec<Step> {
        let mut compiled: Vec<Step> = Vec::new();
        for step in steps.iter().take(MAX_STEPS) {
            if let Some(receiver) = self.receivers.named(&step.receiver, self.diagnostics) {
                let (after, min_severity) = (step.after.0, step.min_severity);
                compiled.push(Step {
                    after,
                    min_severity,
                    receiver,
                });
            }
        }
        if let Some(beyond) = steps.get(MAX_STEPS) {
            self.diagnostics
                .error(
                    &beyond.receiver.at,
                    format!("more than {MAX_STEPS} steps of escalation"),
                )
                .hint("remove some");
        }
        compiled.sort_by_key(|step| step.after);
        compiled
    }

    /// Validates settings of a route that depend on each other.
    fn validate(&mut self, own: &RouteSettings, route: &Route) {
        for (name, span) in [
            ("group_interval", &own.group_interval),
            ("repeat_interval", &own.repeat_interval),
        ] {
            if let Some(span) = span.as_ref().filter(|span| span.0.is_zero()) {
                self.diagnostics
                    .error(&span.at, format!("`{name}` must be longer than 0"));
            }
        }
        let repeat = own.repeat_interval.as_ref();
        if let Some(repeat) = repeat.filter(|repeat| repeat.0 < route.group_interval) {
            self.warnings.push(Diagnostic {
                location: repeat.at.clone(),
                message: format!(
                    "repeat_interval {} is shorter than group_interval {}",
                    repeat.value,
                    HumanDuration(route.group_interval)
                ),
                help: Some("repeats are not more often than group_interval".into()),
            });
        }
        let mut seen = BTreeSet::new();
        for name in own.group_by.iter().flatten() {
            if !seen.insert(name.as_str()) {
                self.diagnostics
                    .error(&name.at, format!("duplicate label {:?}", name.value));
            } else if name.value == "..." && own.group_by.as_ref().is_some_and(|all| all.len() > 1)
            {
                self.diagnostics
                    .error(&name.at, "`...` means all labels")
                    .hint("remove the others");
            }
        }
    }

    /// Warns of routes after one that matches the same alerts or more, and has no `continue`.
    fn warn_of_unreachable(
        &mut self,
        settings: &[RouteSettings],
        children: &[usize],
        routes: &[Route],
    ) {
        for (number, child) in children.iter().enumerate() {
            let before = children[..number].iter().map(|index| &routes[*index]);
            let mut ends = before.filter(|route| !route.continue_matching);
            let own = &routes[*child];
            if let Some(earlier) = ends.find(|earlier| own.matchers.implies(&earlier.matchers)) {
                self.warnings.push(Diagnostic {
                    location: location(&settings[number]),
                    message: format!(
                        "route {} is never reached: {} matches all of its alerts",
                        own.path, earlier.path
                    ),
                    help: Some("set `continue: true` there, or move this route up".into()),
                });
            }
        }
    }
}

/// Limit of steps, which are bits of an integer in `StepSet`.
const MAX_STEPS: usize = 32;

/// Returns the location of a route, if it has a setting with a location.
fn location(route: &RouteSettings) -> SourceLocation {
    let receiver = route.receiver.as_ref().map(|receiver| receiver.at.clone());
    receiver
        .or_else(|| route.matchers.at().cloned())
        .unwrap_or_default()
}

/// Returns the channels of `receiver`, its fallback and `steps`, each once.
fn all_channels(receiver: &Receiver, steps: &[Step]) -> Channels {
    let fallback = receiver
        .fallback
        .iter()
        .flat_map(|fallback| fallback.channels.iter());
    let steps = steps.iter().flat_map(|step| step.receiver.channels.iter());
    let all: BTreeSet<_> = receiver
        .channels
        .iter()
        .chain(fallback)
        .chain(steps)
        .cloned()
        .collect();
    all.into_iter().collect()
}

fn group_by(names: &[Spanned<String>]) -> GroupBy {
    if names.iter().any(|name| name.value == "...") {
        return GroupBy::All;
    }
    GroupBy::Labels(names.iter().map(|name| name.value.clone()).collect())
}
