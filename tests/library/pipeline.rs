//! The way from rules to receivers on virtual time, against its contract: whatever happens, in
//! whatever order.
//!
//! The engine of the rules, the dispatcher and the outboxes are the live ones. Data, channels,
//! crashes and the clocks are this test's, and so is a model of what each receiver saw.

mod configuration;
mod contract;
mod rules;
mod world;

use bellwether_core::Severity;
use configuration::{ALERTS, CHANNELS, ROUTES, SILENCED};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use world::{Crash, World};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The values of an alert's series hold at a level, or at none, from now on.
    Condition(usize, Option<Severity>),
    /// Nothing is collected of an alert's series from now on.
    Missing(usize),
    /// Somebody silences for so many seconds.
    Silence(usize, u64),
    /// All silences end.
    Expire,
    /// Somebody acknowledges an alert, for so many seconds or until it ends.
    Acknowledge(usize, Option<u64>),
    /// Nobody does any more.
    Release(usize),
    /// Other routes hold.
    Reload(usize),
    /// The process dies, and another one starts so many seconds later, whose first data come after
    /// so many more.
    Crash(Crash, u64, u64),
    /// A channel fails from now on, or works again.
    Channel(usize, bool),
    /// The receiver of a channel rejects what is next.
    Reject(usize),
    /// The condition of an alert comes and goes, a few times.
    Flap(usize),
    /// The wall clock is set by so many hours.
    Clock(i64),
    /// Seconds pass.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let alert = || 0..ALERTS.len();
    let level = select(vec![
        None,
        None,
        Some(Severity::Warning),
        Some(Severity::Warning),
        Some(Severity::Critical),
    ]);
    let crash = select(vec![
        Crash::Saved,
        Crash::Unsaved,
        Crash::Untold,
        Crash::Unheard,
    ]);
    prop_oneof![
        8 => (alert(), level).prop_map(|(alert, level)| Step::Condition(alert, level)),
        2 => (0..SILENCED.len(), 1_u64..120).prop_map(|(what, long)| Step::Silence(what, long)),
        1 => alert().prop_map(Step::Missing),
        1 => Just(Step::Expire),
        1 => (alert(), prop::option::of(1_u64..90))
            .prop_map(|(alert, until)| Step::Acknowledge(alert, until)),
        1 => alert().prop_map(Step::Release),
        1 => (0..ROUTES.len()).prop_map(Step::Reload),
        1 => (crash, 0_u64..100, 0_u64..80)
            .prop_map(|(crash, down, data)| Step::Crash(crash, down, data)),
        2 => (0..CHANNELS.len(), any::<bool>())
            .prop_map(|(channel, works)| Step::Channel(channel, works)),
        1 => (0..CHANNELS.len()).prop_map(Step::Reject),
        1 => alert().prop_map(Step::Flap),
        1 => select(vec![-5, -1, 1, 7]).prop_map(Step::Clock),
        8 => (1_u64..12).prop_map(Step::Pass),
        2 => (12_u64..140).prop_map(Step::Pass),
    ]
}

/// Runs the steps, then waits as long as a notification may still be due.
fn run(routes: usize, steps: &[Step]) -> Result<(), String> {
    let mut world = World::new(routes);
    for step in steps {
        match step {
            Step::Condition(alert, level) => world.condition(*alert, *level),
            Step::Missing(alert) => world.missing(*alert),
            Step::Silence(what, long) => world.silence(*what, *long),
            Step::Expire => world.expire(),
            Step::Acknowledge(alert, until) => world.acknowledge(*alert, *until),
            Step::Release(alert) => world.release(*alert),
            Step::Reload(routes) => world.reload(*routes),
            Step::Crash(crash, down, data) => world.crash(*crash, *down, *data)?,
            Step::Channel(channel, works) => world.channel(*channel, *works),
            Step::Reject(channel) => world.reject(*channel),
            Step::Flap(alert) => world.flap(*alert)?,
            Step::Clock(hours) => world.set_clock(*hours),
            Step::Pass(seconds) => world.pass(*seconds)?,
        }
    }
    world.settle()
}

/// A number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

/// `PIPELINE_SEED` and `PIPELINE_CASES` ask for others, and more.
#[test]
fn every_receiver_hears_what_it_must_and_no_more() {
    let (seed, cases) = (number("PIPELINE_SEED", 1), number("PIPELINE_CASES", 400));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: u32::try_from(cases).expect("a number of cases"),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let case = (0..ROUTES.len(), prop::collection::vec(step(), 1..60));
    let result = runner.run(&case, |(routes, steps)| {
        run(routes, &steps).map_err(TestCaseError::fail)
    });
    if let Err(failure) = result {
        panic!("PIPELINE_SEED={seed}: {failure}");
    }
}
