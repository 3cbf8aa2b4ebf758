//! `bellwether test-collector NAME`: runs collectors once, and prints what they bring.

use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_collector::{Build, Collector, CollectorPlan, Input, Memory, UNSEEN};
use bellwether_config::Plan;
use bellwether_core::{Batch, Failure, Now, counted};
use bellwether_exposition::{Format, Renderer};
use bellwether_runtime::Clock;
use bellwether_schema::{HumanDuration, did_you_mean};
use bellwether_tsdb::store::{Options as StoreOptions, Store};
use clap::Args;
use tokio::time::{Instant, sleep, timeout};

use super::Global;
use super::running_agents::hint_at_its_configuration;

#[derive(Args)]
pub(super) struct Options {
    /// Names of collectors; default: all that fetch their samples.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print the summary of each collector alone, without its series.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    hint_at_its_configuration(global);
    let plan = global.plan()?;
    let chosen = choose(&plan, &options.names)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut failed = 0;
    for (collector, build) in chosen {
        let store = store(&plan);
        let run = runtime.block_on(collect(collector, build, &store));
        if !options.quiet {
            print_series(&store);
        }
        failed += usize::from(run.failed());
        run.report(collector, store.series());
    }
    // A collector that hangs must not keep the command from ending.
    runtime.shutdown_background();
    match failed {
        0 => Ok(()),
        count => bail!("{} failed", counted(count, "collector")),
    }
}

/// Returns the collectors of these names; without names, all that fetch their samples.
fn choose<'p>(
    plan: &'p Plan,
    names: &[String],
) -> anyhow::Result<Vec<(&'p CollectorPlan, &'p Build)>> {
    let all = plan.collectors.iter();
    if names.is_empty() {
        return Ok(all
            .filter_map(|plan| Some((plan, fetches(plan)?)))
            .collect());
    }
    let chosen = names.iter().map(|name| {
        let Some(found) = all.clone().find(|plan| plan.origin.as_str() == name) else {
            let known = all.clone().map(|plan| plan.origin.as_str());
            let hint = did_you_mean(name, known).map(|hint| format!("; {hint}"));
            bail!(
                "there is no enabled collector {name:?}{}",
                hint.unwrap_or_default()
            );
        };
        match fetches(found) {
            Some(build) => Ok((found, build)),
            None => bail!("collector {name:?} fetches nothing: applications send its samples"),
        }
    });
    chosen.collect()
}

fn fetches(plan: &CollectorPlan) -> Option<&Build> {
    match &plan.input {
        Input::Pull(build) => Some(build),
        Input::Record(_) => None,
    }
}

/// Returns a store for one collector, so that only its series are printed.
fn store(plan: &Plan) -> Store {
    let options = StoreOptions {
        default_labels: plan.default_labels.clone(),
        ..StoreOptions::default()
    };
    Store::new(plan.metrics.clone(), options)
}

/// Result of a run.
struct Run {
    duration: Duration,
    failure: Option<Failure>,
    notes: Vec<String>,
}

/// Runs a collector as the agent does: twice where its metrics need two readings.
async fn collect(plan: &CollectorPlan, build: &Build, store: &Store) -> Run {
    let clock = Clock::start();
    let mut collector = build(&Memory::default());
    let mut run = once(plan, &mut *collector, store, clock.now()).await;
    if let Some(settle) = plan.schedule.settle {
        sleep(settle).await;
        run = once(plan, &mut *collector, store, clock.now()).await;
    }
    run
}

async fn once(plan: &CollectorPlan, collector: &mut dyn Collector, store: &Store, now: Now) -> Run {
    let mut batch = Batch::default();
    let started = Instant::now();
    let ended = timeout(plan.schedule.deadline, collector.collect(&mut batch, now)).await;
    let duration = started.elapsed();
    let failure = match ended {
        Ok(result) => result.err(),
        Err(_) => {
            let detail = format!("not done after {}", HumanDuration(plan.schedule.deadline));
            Some(Failure::new("timeout", detail))
        }
    };
    let mut notes = collector.notes();
    store.commit(&batch, now);
    if let Some(limits) = plan.series_limits {
        notes.extend(
            store
                .ingest(plan.origin, &batch.series, limits, now)
                .notes(),
        );
    }
    Run {
        duration,
        failure,
        notes,
    }
}

fn print_series(store: &Store) {
    let mut renderer = Renderer::new(store.snapshot(), Format::Text);
    let mut chunk = Vec::new();
    while renderer.next_chunk(&mut chunk) {
        print!("{}", String::from_utf8_lossy(&chunk));
        chunk.clear();
    }
}

impl Run {
    /// Returns whether the agent would count the run as a failure.
    fn failed(&self) -> bool {
        let failure = self.failure.as_ref();
        failure.is_some_and(|failure| failure.reason != UNSEEN)
    }

    /// Prints the summary to the standard error, so that the series can be piped.
    fn report(&self, plan: &CollectorPlan, series: usize) {
        let name = plan.origin.as_str();
        let millis = self.duration.as_secs_f64() * 1000.0;
        let interval = HumanDuration(plan.schedule.interval);
        eprintln!("{name}: {series} series in {millis:.1} ms, every {interval}");
        match &self.failure {
            Some(failure) if self.failed() => {
                eprintln!("{name}: failed ({}): {}", failure.reason, failure.detail);
            }
            Some(unseen) => eprintln!(
                "{name}: source was never seen; not counted as a failure: {}",
                unseen.detail
            ),
            None => {}
        }
        for note in &self.notes {
            eprintln!("{name}: {note}");
        }
        if self.failure.is_none() && self.duration * 2 > plan.schedule.interval {
            eprintln!("{name}: takes more than half of its interval; hint: set a longer interval");
        }
    }
}
