//! Compilation of the settings of routes to a tree.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_schema::{
    Diagnostic, Diagnostics, HumanDuration, SourceLocation, Spanned, did_you_mean,
};

use super::receivers::Receivers;
use super::settings::{EscalationSettings, RouteSettings, Routes};
use super::tree::{Channels, GroupBy, Receiver, Route, Step, Tree};
use crate::mute::time_interval::TimeIntervals;

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
        self.check_top(top, at);
        let all_channels = Receiver {
            name: String::new(),
            channels: self.receivers.all(),
            fallback: None,
        };
        let defaults = Route {
            path: "routes".into(),
            receiver: Arc::new(all_channels),
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

    fn check_top(&mut self, top: &RouteSettings, at: &SourceLocation) {
        if !top.matchers.is_empty() {
            self.diagnostics
                .error(
                    &at.key("matchers"),
                    "the top route must match every alert, without matchers",
                )
                .hint("add a child route with them to `routes`");
        }
        let (muting, active) = (&top.mute_time_intervals, &top.active_time_intervals);
        for (key, is_set) in [
            ("mute_time_intervals", !muting.is_empty()),
            ("active_time_intervals", !active.is_empty()),
            ("continue", top.r#continue),
        ] {
            if is_set {
                self.diagnostics
                    .error(&at.key(key), format!("the top route must not have `{key}`"))
                    .hint("add a child route with it to `routes`");
            }
        }
    }

    /// Adds a route and its children to `routes`; returns its index.
    fn add(
        &mut self,
        own: &RouteSettings,
        parent: &Route,
        path: String,
        routes: &mut Vec<Route>,
    ) -> usize {
        let index = routes.len();
        let route = self.route(own, parent, path);
        self.validate(own, &route);
        routes.push(route.clone());
        let mut children = Vec::new();
        for (number, child) in own.routes.iter().enumerate() {
            let path = match index {
                0 => format!("routes[{number}]"),
                _ => format!("{}.routes[{number}]", route.path),
            };
            children.push(self.add(child, &route, path, routes));
        }
        self.warn_of_unreachable(&own.routes, &children, routes);
        routes[index].children = children;
        index
    }

    /// Compiles a route; settings that it does not have are those of its parent.
    fn route(&mut self, own: &RouteSettings, parent: &Route, path: String) -> Route {
        let receiver = self.receiver(own, parent);
        let steps = match own.escalation.is_empty() {
            true => parent.steps.clone(),
            false => self.steps(&own.escalation),
        };
        let key = match own.matchers.is_empty() {
            true => parent.key.clone(),
            false => format!("{}/{}", parent.key, own.matchers),
        };
        let group_by = own.group_by.as_deref().map(group_by);
        let group_interval = own.group_interval.as_ref().map(|interval| interval.0);
        let repeat_interval = own.repeat_interval.as_ref().map(|interval| interval.0);
        Route {
            path,
            key,
            matchers: own.matchers.clone(),
            continue_matching: own.r#continue,
            all_channels: all_channels(&receiver, &steps),
            receiver,
            group_by: group_by.unwrap_or_else(|| parent.group_by.clone()),
            include_firing: parent.include_firing,
            group_wait: own.group_wait.map_or(parent.group_wait, |wait| wait.0),
            group_interval: group_interval.unwrap_or(parent.group_interval),
            repeat_interval: repeat_interval.or(parent.repeat_interval),
            cooldown: own
                .cooldown_period
                .map_or(parent.cooldown, |period| period.0),
            active_intervals: self.intervals(&own.active_time_intervals),
            mute_intervals: self.intervals(&own.mute_time_intervals),
            steps,
            children: Vec::new(),
        }
    }

    fn receiver(&mut self, own: &RouteSettings, parent: &Route) -> Arc<Receiver> {
        let own = own.receiver.as_ref();
        own.and_then(|name| self.receivers.named(name, self.diagnostics))
            .unwrap_or_else(|| parent.receiver.clone())
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
        self.validate_group_by(own.group_by.as_deref().unwrap_or_default());
    }

    fn validate_group_by(&mut self, names: &[Spanned<String>]) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.as_str()) {
                self.diagnostics
                    .error(&name.at, format!("duplicate label {:?}", name.value));
            } else if name.value == "..." && names.len() > 1 {
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
