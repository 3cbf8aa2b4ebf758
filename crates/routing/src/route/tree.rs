//! The compiled tree of routes: settings inherited from parents, and the routes that match an alert.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Labels, MonoMillis, Severity};

use super::matchers::Matchers;
use super::view::View;

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
    /// Indices of its child routes.
    pub(super) children: Vec<usize>,
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
    pub(super) routes: Vec<Route>,
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
