//! `bellwether backtest`: what rules would have done over what was recorded.

mod report;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::when::When;
use super::{Global, process_environment};
use crate::clock::Clock;
use crate::config::{self, Plan, Source};
use crate::declare::{Span, Spanned, format_duration};
use crate::history::History;
use crate::model::Wall;
use crate::promql::{Guard, Queryable};
use crate::replay::{self, Outcome, Setup};

#[derive(Args)]
pub(super) struct Options {
    /// The declaration whose rules and channels are tried; also taken from --config.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Another declaration over the same data: shows what would be different with it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Where to begin: -7d, 2026-11-01, 2026-11-01T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "-7d", allow_hyphen_values = true)]
    from: When,
    /// Where to end.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    to: When,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// One declaration, tried.
struct Tried {
    name: String,
    outcome: Outcome,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let now = Clock::start().now().wall;
    let (from, to) = (options.from.at(now), options.to.at(now));
    if from >= to {
        bail!("--from is not before --to");
    }
    let source = open()?;
    let rules = options.rules.clone().map_or_else(|| global.source(), Source::File);
    let first = attempt(&rules, &source, from, to)?;
    let second = match &options.against {
        Some(file) => Some(attempt(&Source::File(file.clone()), &source, from, to)?),
        None => None,
    };
    let span = (from, to);
    let text = match (&second, options.json) {
        (None, false) => report::text(&first, span),
        (None, true) => report::json(&first, span),
        (Some(second), false) => report::difference(&first, second, span),
        (Some(second), true) => report::difference_json(&first, second, span),
    };
    print!("{text}");
    Ok(())
}

fn open() -> anyhow::Result<History> {
    Ok(History::in_memory(0))
}

fn attempt(rules: &Source, source: &dyn Queryable, from: Wall, to: Wall) -> anyhow::Result<Tried> {
    let plan = plan(rules, source, to)?;
    let setup = Setup {
        metrics: plan.metrics,
        rules: plan.rules,
        channels: &plan.root.performance_monitor.value.alerting.notifications.channels,
        matchers: &[],
    };
    let outcome = replay::run(source, setup, from, to, &Guard::default(), &mut |_| {})
        .with_context(|| "cannot read what was recorded")?;
    Ok(Tried { name: rules.to_string(), outcome })
}

/// The plan, with the interval at which was recorded where that is longer than declared: series
/// would come and go otherwise.
fn plan(rules: &Source, source: &dyn Queryable, to: Wall) -> anyhow::Result<Plan> {
    let load = || config::load(rules, &process_environment);
    let plan = config::plan(load()?)?;
    let observed = replay::observed_interval(source, &plan.metrics, &[], to)?;
    // Ticks come a little late now and then; that is no other interval.
    let Some(observed) = observed.filter(|observed| *observed > plan.interval.mul_f64(1.2)) else {
        return Ok(plan);
    };
    eprintln!(
        "recorded every {}, declared every {}: rules go by what was recorded",
        format_duration(observed),
        format_duration(plan.interval)
    );
    let mut loaded = load()?;
    if let Some(root) = &mut loaded.root {
        root.performance_monitor.value.collection_interval = Spanned::nowhere(Span(observed));
    }
    Ok(config::plan(loaded)?)
}
