//! The routing of a declaration, compiled: the tree and everything its dispatcher asks.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Labels;
use bellwether_schema::{Diagnostic, Diagnostics, HumanDuration, Spanned};

use super::flapping::FlappingSettings;
use super::heartbeat::HeartbeatPlan;
use super::inhibit::{Inhibit, InhibitRuleSettings};
use super::settings::{HeartbeatSettings, ReceiverSettings, Routes};
use super::silence::{MaintenanceSettings, Silence, SilenceSpec};
use super::time_interval::{TimeIntervalSettings, TimeIntervals};
use super::tree::{Builder, Receivers, Traits, Tree};

/// What the routing is made of.
pub struct Declared<'a> {
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
    /// What the files of `alerting.silence_files` hold.
    pub silences: &'a [SilenceSpec],
    /// `alerting.flapping`.
    pub flapping: &'a FlappingSettings,
    /// `alerting.heartbeat`.
    pub heartbeat: &'a HeartbeatSettings,
    /// `alerting.cooldown_period`.
    pub cooldown: Duration,
    /// The names of all channels, and whether each is enabled.
    pub channels: &'a [(String, bool)],
    /// Labels of every notification.
    pub sender: Labels,
    /// What is known of each rule.
    pub traits: Traits,
}

/// Who is told what, and when.
#[derive(Debug)]
pub struct Routing {
    /// The routes.
    pub tree: Tree,
    /// Time intervals by name.
    pub intervals: TimeIntervals,
    /// Which alerts stand for which others.
    pub inhibit: Vec<Inhibit>,
    /// Silences of the declaration and of files.
    pub silences: Vec<Silence>,
    /// When an alert changes too often.
    pub flapping: FlappingSettings,
    /// The sign of life.
    pub heartbeat: Option<HeartbeatPlan>,
    /// Labels of every notification.
    pub sender: Labels,
    /// What is known of each rule.
    pub traits: Traits,
    /// What is odd but no error.
    pub warnings: Vec<Diagnostic>,
}

/// No channels, and nothing else.
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

/// What an alert without a rule that is known is judged by.
const INTERVAL: Duration = Duration::from_secs(30);

impl Routing {
    /// Compiles what is declared; what is wrong goes to `problems`.
    #[must_use]
    pub fn compile(declared: Declared<'_>, problems: &mut Diagnostics) -> Self {
        let intervals = TimeIntervals::compile(declared.time_intervals, problems);
        let mut warnings = Vec::new();
        let mut receivers = Receivers::new(declared.receivers, declared.channels, problems);
        let heartbeat = heartbeat(declared.heartbeat, &mut receivers, problems);
        let tree = match declared.routes {
            None => Tree::flat(receivers.all(), declared.cooldown),
            Some(routes) => {
                let builder = Builder {
                    receivers: &mut receivers,
                    intervals: &intervals,
                    problems,
                    warnings: &mut warnings,
                };
                builder.tree(routes, declared.cooldown)
            }
        };
        warnings.extend(receivers.unused());
        let inhibit = Inhibit::compile(declared.inhibit_rules, problems);
        let mut silences = MaintenanceSettings::compile(declared.maintenance, &intervals, problems);
        silences.extend(SilenceSpec::compile(
            declared.silences,
            &intervals,
            problems,
        ));
        declared.flapping.check(problems);
        Self {
            tree,
            intervals,
            inhibit,
            silences,
            flapping: declared.flapping.clone(),
            heartbeat,
            sender: declared.sender,
            traits: declared.traits,
            warnings,
        }
    }

    /// How often the rule is judged.
    #[must_use]
    pub fn interval(&self, rule: &Arc<str>) -> Duration {
        self.traits.get(rule).map_or(INTERVAL, |rule| rule.interval)
    }

    /// How long an alert of the rule that ended still matters: for its cooldown, and for flapping.
    #[must_use]
    pub fn memory(&self, rule: &Arc<str>) -> Duration {
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
    problems: &mut Diagnostics,
) -> Option<HeartbeatPlan> {
    let name: &Spanned<String> = settings.receiver.as_ref()?;
    if settings.interval.0 < Duration::from_secs(1) {
        problems
            .error(
                &settings.interval.at,
                format!("too short: {}", settings.interval.value),
            )
            .hint("1s at the least; 1m is usual");
    }
    let receiver = receivers.named(name, problems)?;
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
