//! Rules run again over what was recorded: what would have fired, when, and who would have heard.
//!
//! Recorded series become collections again ([`feed`]), which go to a store and the engine just as
//! live ones do, on virtual time. Nothing is sent. Owns the loop and its result; knows neither
//! where samples come from nor how the result is shown.

mod ahead;
mod compare;
mod episode;
mod feed;
mod metronome;
mod page;
mod part;
mod pipeline;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ahead::Ahead;
use bellwether_core::{MetricDef, MetricId, MonoMillis, Now, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_notify::ChannelSettings;
use bellwether_promql::{Guard, Queryable, StorageError};
use bellwether_routing::Routing;
use bellwether_rules::{Engine, RecordingOverlay, RuleSet};
use bellwether_tsdb::store::{Options, Store};
pub use compare::{Change, compare};
use episode::Episodes;
pub use episode::{Episode, Told};
use feed::Feed;
pub use feed::observed_interval;
use metronome::Metronome;
use page::Pages;
pub use part::Part;
pub use pipeline::{Pipeline, Sent};

/// Where the monotonic clock of a replay begins, so that "an hour ago" can be said from the start.
const START: MonoMillis = MonoMillis(3_600_000);

/// Intervals of data before the first judgement beside the longest window, for what is collected
/// rarely.
const WARM_INTERVALS: u32 = 3;

/// What is replayed.
pub struct Setup<'a> {
    /// The metrics of the declaration; a [`MetricId`] is an index into it.
    pub metrics: Arc<[MetricDef]>,
    /// The rules, compiled against `metrics`.
    pub rules: RuleSet,
    /// Who would be told, and when.
    pub routing: Arc<Routing>,
    /// The channels it names.
    pub channels: &'a [ChannelSettings],
    /// Which recorded series count, where several hosts were recorded.
    pub matchers: &'a [LabelMatcher],
}

/// What a replay showed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of each rule that is enabled, in the order of the declaration.
    pub rules: Vec<RuleOutcome>,
    /// Series read.
    pub series: usize,
    /// Samples read.
    pub samples: u64,
    /// Collections made of them, each judged.
    pub ticks: u64,
    /// What is odd: metrics without data, series that could not be told apart.
    pub warnings: Vec<String>,
}

/// What one rule did.
#[derive(Debug)]
pub struct RuleOutcome {
    /// Its name.
    pub name: Arc<str>,
    /// What it judges, in words.
    pub condition: String,
    /// Its alerts that fired, by the time they did.
    pub episodes: Vec<Episode>,
    /// Alerts that were pending and did not fire.
    pub averted: u64,
    /// Why its last evaluation failed, if it did.
    pub error: Option<String>,
}

impl RuleOutcome {
    /// Times it fired in a week, of `span`.
    #[must_use]
    pub fn per_week(&self, span: Duration) -> f64 {
        const WEEK: f64 = 7.0 * 86_400.0;
        self.episodes.len() as f64 * WEEK / span.as_secs_f64().max(1.0)
    }
}

/// Runs the rules over `from..=to` of `source`. `progress` is told how far it is, now and then.
///
/// # Errors
/// `source` cannot be read, or `guard` ended it.
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
    let mut feed = Feed::new(&setup, wanted);
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
    let ahead = Ahead::new(source, to);
    let memory = RecordingOverlay::new(&ahead);
    let mut metronome = Metronome::new(&setup.rules, &feed.origins(), from);
    let mut engine = Engine::new(setup.rules, clock.at(from));
    let mut judge = |origin, at: UnixMillis| {
        let tick = engine.tick(&store, Some(&memory), clock.at(at), Some(origin));
        episodes.take(&tick.transitions);
        episodes.told(pipeline.advance(&tick.transitions, clock.at(at)));
        outcome.ticks += 1;
    };
    while let Some(page) = pages.next(&mut feed)? {
        loop {
            let fed = feed.collect();
            while let Some(at) = metronome.beat(fed.map_or(page, |(_, at)| at)) {
                metronome
                    .origins
                    .iter()
                    .for_each(|origin| judge(*origin, at));
            }
            let Some((origin, at)) = fed else { break };
            store.commit(feed.batch(), clock.at(at));
            store.expire(clock.at(at));
            if at >= from {
                judge(origin, at);
            }
        }
        guard.check()?;
        progress(page);
    }
    episodes.told(pipeline.advance(&[], clock.at(to)));
    outcome.series = feed.series();
    outcome.samples = feed.samples();
    outcome.warnings = feed.warnings();
    outcome.rules = episodes.finish(&engine);
    Ok(outcome)
}

/// The metrics that enabled rules look at.
fn wanted(rules: &RuleSet) -> Vec<MetricId> {
    let enabled = rules.rules.iter().filter(|rule| rule.enabled);
    let metrics = enabled
        .flat_map(|rule| rule.inputs())
        .map(|input| (input.metric, ()));
    metrics.collect::<BTreeMap<_, _>>().into_keys().collect()
}

/// Both clocks of a replay, which never step: the wall clock of the recording is all there is.
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
