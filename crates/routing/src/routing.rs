//! Routing: the compiled configuration of the dispatcher.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Labels;
use bellwether_schema::{Diagnostic, Diagnostics, HumanDuration, Spanned};

use crate::dispatch::flapping::FlappingSettings;
use crate::dispatch::heartbeat::HeartbeatPlan;
use crate::mute::inhibit::{Inhibit, InhibitRuleSettings};
use crate::mute::silence::{MaintenanceSettings, Silence, SilenceSpec};
use crate::mute::time_interval::{TimeIntervalSettings, TimeIntervals};
use crate::route::builder::Builder;
use crate::route::receivers::Receivers;
use crate::route::settings::{HeartbeatSettings, ReceiverSettings, Routes};
use crate::route::tree::Tree;

/// Settings that the routing is compiled from.
pub struct RoutingSettings<'a> {
    /// `alerting.receivers`.
    pub receivers: &'a [ReceiverSettings],
    /// `alerting.routes`.
    pub routes: Option<&'a Routes>,
    /// `alerting.time_intervals`.
    pub time_intervals: &'a [TimeIntervalSettings],
    /// `alerting.inhibit_rules`.
    pub inhibit_rules: &'a [InhibitRuleSettings],
    /// `alerting.maintenance`.
    pub maintenance: &'a [MaintenanceSettings],
    /// Silences of the files of `alerting.silence_files`.
    pub silences: &'a [SilenceSpec],
    /// `alerting.flapping`.
    pub flapping: &'a FlappingSettings,
    /// `alerting.heartbeat`.
    pub heartbeat: &'a HeartbeatSettings,
    /// `alerting.cooldown_period`.
    pub cooldown: Duration,
    /// Name of each channel, and whether it is enabled.
    pub channels: &'a [(String, bool)],
    /// Labels of every notification.
    pub sender: Labels,
    /// Traits of the rules by name.
    pub traits: Traits,
}

/// Compiled configuration of the dispatcher.
#[derive(Debug)]
pub struct Routing {
    /// The routes.
    pub tree: Tree,
    /// Time intervals by name.
    pub intervals: TimeIntervals,
    /// Inhibition rules.
    pub inhibit: Vec<Inhibit>,
    /// Silences of the configuration and of files.
    pub silences: Vec<Silence>,
    /// Thresholds of flapping.
    pub flapping: FlappingSettings,
    /// `None`: there is no heartbeat.
    pub heartbeat: Option<HeartbeatPlan>,
    /// Labels of every notification.
    pub sender: Labels,
    /// Traits of the rules by name.
    pub traits: Traits,
    /// Warnings about the settings.
    pub warnings: Vec<Diagnostic>,
}

/// Routing without channels.
impl Default for Routing {
    fn default() -> Self {
        Self {
            tree: Tree::flat(Arc::default(), Duration::ZERO),
            intervals: TimeIntervals::default(),
            inhibit: Vec::new(),
            silences: Vec::new(),
            flapping: FlappingSettings::default(),
            heartbeat: None,
            sender: Labels::new(),
            traits: Traits::new(),
            warnings: Vec::new(),
        }
    }
}

/// Evaluation interval of an unknown rule.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);

impl Routing {
    /// Compiles the settings; errors go to `diagnostics`.
    #[must_use]
    pub fn compile(settings: RoutingSettings<'_>, diagnostics: &mut Diagnostics) -> Self {
        let intervals = TimeIntervals::compile(settings.time_intervals, diagnostics);
        let mut warnings = Vec::new();
        let mut receivers = Receivers::new(settings.receivers, settings.channels, diagnostics);
        let heartbeat = heartbeat(settings.heartbeat, &mut receivers, diagnostics);
        let tree = match settings.routes {
            None => Tree::flat(receivers.all(), settings.cooldown),
            Some(routes) => {
                let builder = Builder {
                    receivers: &mut receivers,
                    intervals: &intervals,
                    diagnostics,
                    warnings: &mut warnings,
                };
                builder.tree(routes, settings.cooldown)
            }
        };
        warnings.extend(receivers.unused());
        let inhibit = Inhibit::compile(settings.inhibit_rules, diagnostics);
        let mut silences =
            MaintenanceSettings::compile(settings.maintenance, &intervals, diagnostics);
        silences.extend(SilenceSpec::compile(
            settings.silences,
            &intervals,
            diagnostics,
        ));
        settings.flapping.check(diagnostics);
        Self {
            tree,
            intervals,
            inhibit,
            silences,
            flapping: settings.flapping.clone(),
            heartbeat,
            sender: settings.sender,
            traits: settings.traits,
            warnings,
        }
    }

    /// Returns the evaluation interval of a rule.
    #[must_use]
    pub fn interval(&self, rule: &Arc<str>) -> Duration {
        self.traits
            .get(rule)
            .map_or(DEFAULT_INTERVAL, |rule| rule.interval)
    }

    /// Returns for how long a resolved alert of the rule is kept: for its cooldown, and for flapping.
    #[must_use]
    pub fn resolved_retention(&self, rule: &Arc<str>) -> Duration {
        let own = self.traits.get(rule).and_then(|rule| rule.cooldown);
        let routes = self.tree.routes().iter().map(|route| route.cooldown).max();
        let cooldown = own.max(routes).unwrap_or_default();
        let flapping = if self.flapping.enabled {
            self.interval(rule) * 20
        } else {
            Duration::ZERO
        };
        cooldown.max(flapping)
    }
}

fn heartbeat(
    settings: &HeartbeatSettings,
    receivers: &mut Receivers<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<HeartbeatPlan> {
    let name: &Spanned<String> = settings.receiver.as_ref()?;
    if settings.interval.0 < Duration::from_secs(1) {
        diagnostics
            .error(
                &settings.interval.at,
                format!("too short: {}", settings.interval.value),
            )
            .hint("at least 1s; 1m is usual");
    }
    let receiver = receivers.named(name, diagnostics)?;
    let (interval, HumanDuration(tolerate)) = (settings.interval.0, settings.tolerate);
    let channels = receiver.channels.clone();
    Some(HeartbeatPlan::new(
        &settings.name,
        &receiver.name,
        channels,
        interval,
        tolerate,
    ))
}

/// Traits of the rules by name.
pub type Traits = BTreeMap<Arc<str>, RuleTraits>;

/// Settings of a rule that the routing depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleTraits {
    /// Time after an alert of the rule resolved in which it is muted; `None`: as in its route.
    pub cooldown: Option<Duration>,
    /// Evaluation interval.
    pub interval: Duration,
}
