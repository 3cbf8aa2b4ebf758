//! The tree of routes, compiled: what each route has from those above, and which take an alert.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Labels, MonoMillis, Severity};
use bellwether_schema::{
    Diagnostic, Diagnostics, HumanDuration, SourceLocation, Spanned, did_you_mean,
};

use super::matchers::Matchers;
use super::settings::{EscalationSettings, ReceiverSettings, RouteSettings, Routes};
use super::time_interval::TimeIntervals;
use super::view::View;

/// Names of channels.
pub type Channels = Arc<[Arc<str>]>;

/// Who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name; empty for all channels together.
    pub name: String,
    /// Its channels.
    pub channels: Channels,
    /// Who is told instead once these fail.
    pub fallback: Option<Fallback>,
}

/// Who is told once others fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Its name.
    pub receiver: String,
    /// Its channels.
    pub channels: Channels,
    /// How long the others must have failed.
    pub after: Duration,
}

/// Who else is told when nobody acknowledges.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How long after the alert was first told.
    pub after: Duration,
    /// Only alerts that are this bad.
    pub min_severity: Severity,
    /// Who.
    pub receiver: Arc<Receiver>,
}

/// What alerts of one route are grouped by.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    /// All labels: each alert is a group.
    All,
    /// These labels; one that is absent counts as empty.
    Labels(Arc<[String]>),
}

/// One route, with all that it has from those above.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its place: `routes`, `routes[0]`, `routes[0].routes[2]`.
    pub path: String,
    /// The matchers of it and those above, as Alertmanager writes them.
    pub key: String,
    /// Which alerts it takes.
    pub matchers: Matchers,
    /// Whether those that follow are asked too.
    pub goes_on: bool,
    /// Who is told.
    pub receiver: Arc<Receiver>,
    /// How alerts are grouped.
    pub group_by: GroupBy,
    /// Whether a message tells of all that fires in its group.
    pub whole: bool,
    /// How long the first alert of a group waits.
    pub wait: Duration,
    /// The shortest time between two messages of a group.
    pub interval: Duration,
    /// When a group that still fires is told again; `None`: never.
    pub repeat: Option<Duration>,
    /// How long after an alert resolved it is not told again.
    pub cooldown: Duration,
    /// Time intervals outside of which nothing is told.
    pub active: Vec<String>,
    /// Time intervals within which nothing is told.
    pub mute: Vec<String>,
    /// Who else is told when nobody acknowledges, by time.
    pub steps: Vec<Step>,
    /// Every channel that an alert of it may be told on, fallbacks and steps included.
    pub everyone: Channels,
    children: Vec<usize>,
}

impl Route {
    /// When who was told `last` of what still fires is told again.
    #[must_use]
    pub fn repeats(&self, last: MonoMillis) -> MonoMillis {
        self.repeat.map_or(MonoMillis::NEVER, |every| {
            last.after(every.max(self.interval))
        })
    }

    /// The labels that make the group of an alert.
    #[must_use]
    pub fn group(&self, alert: &View<'_>) -> Labels {
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
    /// The top is the first.
    routes: Vec<Route>,
}

impl Tree {
    /// Without routes: all of `channels` are told of everything, at once and once.
    #[must_use]
    pub fn flat(channels: Channels, cooldown: Duration) -> Self {
        let everyone = channels.clone();
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
                goes_on: false,
                receiver: Arc::new(receiver),
                group_by: GroupBy::Labels(Arc::new(["alertname".to_owned()])),
                whole: false,
                wait: Duration::ZERO,
                interval: Duration::ZERO,
                repeat: None,
                cooldown,
                active: Vec::new(),
                mute: Vec::new(),
                steps: Vec::new(),
                everyone,
                children: Vec::new(),
            }],
        }
    }

    /// All routes, parents before children.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The indices of the routes that take an alert; at least one.
    #[must_use]
    pub fn take(&self, alert: &View<'_>) -> Vec<usize> {
        let mut taken = Vec::new();
        self.descend(0, alert, &mut taken);
        taken
    }

    fn descend(&self, index: usize, alert: &View<'_>, taken: &mut Vec<usize>) {
        let before = taken.len();
        for child in &self.routes[index].children {
            let route = &self.routes[*child];
            if route.matchers.matches(alert) {
                self.descend(*child, alert, taken);
                if !route.goes_on {
                    break;
                }
            }
        }
        if taken.len() == before {
            taken.push(index);
        }
    }
}

/// Receivers by name, and channels, each a receiver of its own.
pub(super) struct Receivers<'a> {
    settings: &'a [ReceiverSettings],
    known: HashMap<&'a str, Arc<Receiver>>,
    all: Channels,
    used: BTreeSet<String>,
}

impl<'a> Receivers<'a> {
    /// Of the declaration; `channels` are the names of all, and whether each is enabled.
    pub(super) fn new(
        settings: &'a [ReceiverSettings],
        channels: &'a [(String, bool)],
        problems: &mut Diagnostics,
    ) -> Self {
        let enabled = channels.iter().filter(|(_, enabled)| *enabled);
        let all: Channels = enabled.map(|(name, _)| name.as_str().into()).collect();
        let single = |name: &str| Receiver {
            name: name.to_owned(),
            channels: all
                .iter()
                .filter(|known| ***known == *name)
                .cloned()
                .collect(),
            fallback: None,
        };
        let mut known: HashMap<&str, Arc<Receiver>> = channels
            .iter()
            .map(|(name, _)| (name.as_str(), Arc::new(single(name))))
            .collect();
        let mut seen = BTreeSet::new();
        for receiver in settings {
            let name = receiver.name.as_str();
            if !seen.insert(name) {
                problems
                    .error(
                        &receiver.name.at,
                        format!("receiver {name:?} is declared twice"),
                    )
                    .hint("give it another name");
            }
            let mut members: Vec<Arc<str>> = Vec::new();
            for channel in &receiver.channels {
                match channels.iter().find(|(known, _)| *known == channel.value) {
                    Some((name, true)) => members.push(name.as_str().into()),
                    Some(_) => {}
                    None => {
                        let names = channels.iter().map(|(name, _)| name.as_str());
                        let hint = did_you_mean(channel, names)
                            .unwrap_or_else(|| "declare it in `notifications.channels`".into());
                        problems
                            .error(&channel.at, format!("no channel {:?}", channel.value))
                            .hint(hint);
                    }
                }
            }
            let made = Receiver {
                name: name.to_owned(),
                channels: members.into(),
                fallback: None,
            };
            known.insert(name, Arc::new(made));
        }
        let mut receivers = Self {
            settings,
            known,
            all,
            used: BTreeSet::new(),
        };
        receivers.add_fallbacks(problems);
        receivers
    }

    fn add_fallbacks(&mut self, problems: &mut Diagnostics) {
        for receiver in self.settings {
            let Some(name) = &receiver.fallback else {
                continue;
            };
            if *name.value == *receiver.name.value {
                problems.error(&name.at, "a receiver cannot be its own fallback");
            }
            let Some(target) = self.named(name, problems) else {
                continue;
            };
            let fallback = Fallback {
                receiver: target.name.clone(),
                channels: target.channels.clone(),
                after: receiver.fallback_after.0,
            };
            if let Some(known) = self.known.get_mut(receiver.name.as_str()) {
                *known = Arc::new(Receiver {
                    fallback: Some(fallback),
                    ..Receiver::clone(known)
                });
            }
        }
    }

    /// The receiver or channel called `name`.
    pub(super) fn named(
        &mut self,
        name: &Spanned<String>,
        problems: &mut Diagnostics,
    ) -> Option<Arc<Receiver>> {
        self.used.insert(name.value.clone());
        let found = self.known.get(name.as_str()).cloned();
        if found.is_none() {
            let hint = did_you_mean(name, self.known.keys().copied())
                .unwrap_or_else(|| "declare it in `alerting.receivers`, or name a channel".into());
            problems
                .error(&name.at, format!("no receiver {:?}", name.value))
                .hint(hint);
        }
        found
    }

    /// All channels, as one receiver without a name.
    pub(super) fn all(&self) -> Channels {
        self.all.clone()
    }

    /// Receivers that nobody refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = Diagnostic> {
        let unused = self
            .settings
            .iter()
            .filter(|one| !self.used.contains(&one.name.value));
        unused.map(|one| Diagnostic {
            at: one.name.at.clone(),
            message: format!("receiver {:?} is not used", one.name.value),
            hint: Some("name it in a route, or leave it out".into()),
        })
    }
}

/// Builds a tree.
pub(super) struct Builder<'a, 'b> {
    pub(super) receivers: &'b mut Receivers<'a>,
    pub(super) intervals: &'b TimeIntervals,
    pub(super) problems: &'b mut Diagnostics,
    pub(super) warnings: &'b mut Vec<Diagnostic>,
}

impl Builder<'_, '_> {
    pub(super) fn tree(mut self, routes: &Routes, cooldown: Duration) -> Tree {
        let Routes(top, at) = routes;
        if !top.matchers.is_empty() {
            self.problems
                .error(
                    &at.key("matchers"),
                    "the top route takes every alert: it has no matchers",
                )
                .hint("put a route with them below `routes`");
        }
        for (key, given) in [
            ("mute_time_intervals", !top.mute_time_intervals.is_empty()),
            (
                "active_time_intervals",
                !top.active_time_intervals.is_empty(),
            ),
            ("continue", top.r#continue),
        ] {
            if given {
                self.problems
                    .error(&at.key(key), format!("the top route must not have `{key}`"))
                    .hint("put a route with it below `routes`");
            }
        }
        let everyone = Receiver {
            name: String::new(),
            channels: self.receivers.all(),
            fallback: None,
        };
        let above = Route {
            path: "routes".into(),
            key: "{}".into(),
            receiver: Arc::new(everyone),
            group_by: GroupBy::Labels(Arc::new(["alertname".to_owned()])),
            whole: true,
            wait: Duration::from_secs(30),
            interval: Duration::from_secs(300),
            repeat: Some(Duration::from_secs(4 * 3600)),

            ..Tree::flat(self.receivers.all(), cooldown).routes.remove(0)
        };
        let mut routes = Vec::new();
        self.add(top, &above, "routes".into(), &mut routes);
        Tree { routes }
    }

    fn add(
        &mut self,
        own: &RouteSettings,
        above: &Route,
        path: String,
        routes: &mut Vec<Route>,
    ) -> usize {
        let index = routes.len();
        let receiver = own.receiver.as_ref();
        let receiver = receiver.and_then(|name| self.receivers.named(name, self.problems));
        let span =
            |own: &Option<Spanned<HumanDuration>>, above| own.as_ref().map_or(above, |own| own.0);
        let interval = span(&own.group_interval, above.interval);
        let receiver = receiver.unwrap_or_else(|| above.receiver.clone());
        let steps = match own.escalation.is_empty() {
            true => above.steps.clone(),
            false => self.steps(&own.escalation),
        };
        let route = Route {
            key: match own.matchers.is_empty() {
                true => above.key.clone(),
                false => format!("{}/{}", above.key, own.matchers),
            },
            matchers: own.matchers.clone(),
            goes_on: own.r#continue,
            everyone: everyone(&receiver, &steps),
            receiver,
            group_by: own
                .group_by
                .as_deref()
                .map_or_else(|| above.group_by.clone(), group_by),
            whole: above.whole,
            wait: own.group_wait.map_or(above.wait, |wait| wait.0),
            interval,
            repeat: own
                .repeat_interval
                .as_ref()
                .map_or(above.repeat, |repeat| Some(repeat.0)),
            cooldown: own
                .cooldown_period
                .map_or(above.cooldown, |cooldown| cooldown.0),
            active: self.intervals(&own.active_time_intervals),
            mute: self.intervals(&own.mute_time_intervals),
            steps,
            children: Vec::new(),
            path: path.clone(),
        };
        self.judge(own, &route);
        routes.push(route.clone());
        let mut children = Vec::new();
        for (number, child) in own.routes.iter().enumerate() {
            let path = match index {
                0 => format!("routes[{number}]"),
                _ => format!("{path}.routes[{number}]"),
            };
            children.push(self.add(child, &route, path, routes));
        }
        self.find_unreachable(&own.routes, &children, routes);
        routes[index].children = children;
        index
    }

    fn intervals(&mut self, names: &[Spanned<String>]) -> Vec<String> {
        for name in names {
            if !self.intervals.contains_name(name) {
                let hint = did_you_mean(name, self.intervals.names())
                    .unwrap_or_else(|| "declare it in `alerting.time_intervals`".into());
                self.problems
                    .error(&name.at, format!("no time interval {:?}", name.value))
                    .hint(hint);
            }
        }
        names.iter().map(|name| name.value.clone()).collect()
    }

    fn steps(&mut self, steps: &[EscalationSettings]) -> Vec<Step> {
        let mut made: Vec<Step> = Vec::new();
        for step in steps.iter().take(MAX_STEPS) {
            if let Some(receiver) = self.receivers.named(&step.receiver, self.problems) {
                let (after, min_severity) = (step.after.0, step.min_severity);
                made.push(Step {
                    after,
                    min_severity,
                    receiver,
                });
            }
        }
        if let Some(beyond) = steps.get(MAX_STEPS) {
            self.problems
                .error(
                    &beyond.receiver.at,
                    format!("more than {MAX_STEPS} steps of escalation"),
                )
                .hint("leave some out");
        }
        made.sort_by_key(|step| step.after);
        made
    }

    /// What does not go together in one route.
    fn judge(&mut self, own: &RouteSettings, route: &Route) {
        for (name, span) in [
            ("group_interval", &own.group_interval),
            ("repeat_interval", &own.repeat_interval),
        ] {
            if let Some(span) = span.as_ref().filter(|span| span.0.is_zero()) {
                self.problems
                    .error(&span.at, format!("`{name}` must be longer than 0"));
            }
        }
        let repeat = own.repeat_interval.as_ref();
        if let Some(repeat) = repeat.filter(|repeat| repeat.0 < route.interval) {
            self.warnings.push(Diagnostic {
                at: repeat.at.clone(),
                message: format!(
                    "repeat_interval {} is shorter than group_interval {}",
                    repeat.value,
                    HumanDuration(route.interval)
                ),
                hint: Some("repeats come no oftener than group_interval".into()),
            });
        }
        let mut seen = BTreeSet::new();
        for name in own.group_by.iter().flatten() {
            if !seen.insert(name.as_str()) {
                self.problems
                    .error(&name.at, format!("label {:?} twice", name.value));
            } else if name.value == "..." && own.group_by.as_ref().is_some_and(|all| all.len() > 1)
            {
                self.problems
                    .error(&name.at, "`...` stands for all labels")
                    .hint("leave the others out");
            }
        }
    }

    /// A route behind one that takes the same or more, and does not go on.
    fn find_unreachable(
        &mut self,
        settings: &[RouteSettings],
        children: &[usize],
        routes: &[Route],
    ) {
        for (number, child) in children.iter().enumerate() {
            let before = children[..number].iter().map(|index| &routes[*index]);
            let mut ends = before.filter(|route| !route.goes_on);
            let own = &routes[*child];
            if let Some(earlier) = ends.find(|earlier| own.matchers.implies(&earlier.matchers)) {
                self.warnings.push(Diagnostic {
                    at: place(&settings[number]),
                    message: format!(
                        "route {} is never reached: {} takes all of its alerts",
                        own.path, earlier.path
                    ),
                    hint: Some("set `continue: true` there, or move this route up".into()),
                });
            }
        }
    }
}

/// More would not fit in the bits that note which are done.
const MAX_STEPS: usize = 32;

/// Where a route is, as far as it says anything that has a place.
fn place(route: &RouteSettings) -> SourceLocation {
    let receiver = route.receiver.as_ref().map(|receiver| receiver.at.clone());
    receiver
        .or_else(|| route.matchers.at().cloned())
        .unwrap_or_default()
}

/// The channels of `receiver`, its fallback and `steps`, each once.
fn everyone(receiver: &Receiver, steps: &[Step]) -> Channels {
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

/// What the routing knows of each rule.
pub type Traits = BTreeMap<Arc<str>, RuleTraits>;

/// What the routing knows of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleTraits {
    /// How long after an alert of it resolved it is not told again; `None`: as its route says.
    pub cooldown: Option<Duration>,
    /// How often it is judged.
    pub interval: Duration,
}
