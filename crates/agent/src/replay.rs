//! Runs rules over recorded samples: the alerts that would have fired, and their notifications.
//!
//! Recorded series become collections again (`replayer`), which go to a store and the engine just
//! as live ones do, on virtual time. Nothing is sent. Owns the loop and its result; knows neither
//! the source of samples nor the output.

mod compare;
mod episode;
mod future_view;
mod page;
mod part;
mod pipeline;
mod replayer;
mod ticker;
pub mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{MetricDef, MetricId, MonoMillis, Now, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_notify::ChannelSettings;
use bellwether_promql::{Guard, Queryable, StorageError};
use bellwether_routing::Routing;
use bellwether_rules::{Engine, RecordingOverlay, RuleSet};
use bellwether_tsdb::store::{Options, Store};
pub use compare::{Change, compare};
use episode::Episodes;
pub use episode::{Episode, EpisodeNotification};
use future_view::FutureView;
use page::Pages;
pub use part::Part;
pub use pipeline::{Pipeline, Sent};
use replayer::Replayer;
pub use replayer::observed_interval;
use ticker::Ticker;

/// Start of the monotonic clock of a replay; leaves room for times before the start.
const START: MonoMillis = MonoMillis(3_600_000);

/// Intervals of samples before the first evaluation beside the longest window, for metrics that are
/// collected rarely.
const WARM_INTERVALS: u32 = 3;

/// Input of a replay.
pub struct Setup<'a> {
    /// Metrics of the configuration; a [`MetricId`] is an index into it.
    pub metrics: Arc<[MetricDef]>,
    /// Rules, compiled against `metrics`.
    pub rules: RuleSet,
    /// Routes, groups and mute times.
    pub routing: Arc<Routing>,
    /// Channels of the routing.
    pub channels: &'a [ChannelSettings],
    /// Selects series where several hosts were recorded.
    pub matchers: &'a [LabelMatcher],
}

/// Result of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Results of the enabled rules, in the order of the configuration.
    pub rules: Vec<RuleOutcome>,
    /// Number of series read.
    pub series: usize,
    /// Number of samples read.
    pub samples: u64,
    /// Number of collections, each of which was evaluated.
    pub ticks: u64,
    /// Metrics without samples, and series that could not be distinguished.
    pub warnings: Vec<String>,
}

/// Result of one rule.
#[derive(Debug)]
pub struct RuleOutcome {
    pub name: Arc<str>,
    /// Condition of the rule, for people.
    pub condition: String,
    /// Firing alerts, by time.
    pub episodes: Vec<Episode>,
    /// Number of alerts that were pending and did not fire.
    pub averted: u64,
    /// Error of the last evaluation.
    pub error: Option<String>,
}

impl RuleOutcome {
    /// Returns the number of episodes per week.
    #[must_use]
    pub fn per_week(&self, span: Duration) -> f64 {
        const WEEK: f64 = 7.0 * 86_400.0;
        self.episodes.len() as f64 * WEEK / span.as_secs_f64().max(1.0)
    }
}

/// Runs the rules over `from..=to` of `source`. Calls `progress` with the time reached.
///
/// # Errors
/// `source` cannot be read, or `guard` stopped the replay.
pub fn run(
    source: &dyn Queryable,
    setup: Setup<'_>,
    from: UnixMillis,
    to: UnixMillis,
    guard: &Guard,
    progress: &mut dyn FnMut(UnixMillis),
) -> Result<Outcome, StorageError> {
    let windows = setup.rules.windows();
    let longest = windows
        .iter()
        .map(|(_, window)| *window)
        .max()
        .unwrap_or_default();
    let rarest = setup
        .metrics
        .iter()
        .map(|def| def.interval)
        .max()
        .unwrap_or_default();
    let start = from.before(longest.max(rarest * WARM_INTERVALS));
    let clock = Virtual { start };
    let wanted = wanted(&setup.rules);
    let mut outcome = Outcome::default();
    let mut replayer = Replayer::new(&setup, wanted);
    let mut pages = Pages::new(source, guard, start, to);
    let store = Store::new(
        Arc::clone(&setup.metrics),
        Options {
            windows,
            ..Options::default()
        },
    );
    let mut episodes = Episodes::new(&setup.rules);
    let mut pipeline = Pipeline::new(setup.routing, setup.channels, clock.at(from));
    let view = FutureView::new(source, to);
    let memory = RecordingOverlay::new(&view);
    let mut ticker = Ticker::new(&setup.rules, &replayer.origins(), from);
    let mut engine = Engine::new(setup.rules, clock.at(from));
    let mut evaluate = |origin, at: UnixMillis| {
        let tick = engine.tick(&store, Some(&memory), clock.at(at), Some(origin));
        episodes.record(&tick.transitions);
        episodes.notified(pipeline.advance(&tick.transitions, clock.at(at)));
        outcome.ticks += 1;
    };
    while let Some(page) = pages.next(&mut replayer)? {
        loop {
            let collection = replayer.collect();
            while let Some(at) = ticker.next_tick(collection.map_or(page, |(_, at)| at)) {
                ticker
                    .origins
                    .iter()
                    .for_each(|origin| evaluate(*origin, at));
            }
            let Some((origin, at)) = collection else {
                break;
            };
            store.commit(replayer.batch(), clock.at(at));
            store.expire(clock.at(at));
            if at >= from {
                evaluate(origin, at);
            }
        }
        guard.check()?;
        progress(page);
    }
    episodes.notified(pipeline.advance(&[], clock.at(to)));
    outcome.series = replayer.series();
    outcome.samples = replayer.samples();
    outcome.warnings = replayer.warnings();
    outcome.rules = episodes.finish(&engine);
    Ok(outcome)
}

/// Returns the metrics that enabled rules read.
fn wanted(rules: &RuleSet) -> Vec<MetricId> {
    let enabled = rules.rules.iter().filter(|rule| rule.enabled);
    let metrics = enabled
        .flat_map(|rule| rule.inputs())
        .map(|input| (input.metric, ()));
    metrics.collect::<BTreeMap<_, _>>().into_keys().collect()
}

/// Both clocks of a replay; the monotonic one follows the wall clock of the recording.
struct Virtual {
    start: UnixMillis,
}

impl Virtual {
    fn at(&self, wall: UnixMillis) -> Now {
        Now {
            mono: START.after(wall.since(self.start)),
            wall,
        }
    }
}
