//! `bellwether backtest`: runs rules over recorded samples.

mod prometheus;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_config::{self as config, Source};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable};
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use bellwether_tsdb::transfer::{CEILING, Import};
use clap::Args;
use prometheus::Server;
use serde_json::{Value, json};

use super::client::Target;
use super::form::{Form, Layout, format_data};
use super::history_directory::{Folder, bar};
use super::range::Range;
use super::{Global, import, process_environment, selector};
use bellwether_agent::backtest::Recording;
use bellwether_agent::replay::{Outcome, view};

/// Length of the time range by default.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[derive(Args)]
pub(super) struct Options {
    /// Configuration whose rules, routes and channels are evaluated. Default: that of --config.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Second configuration to run over the same samples; prints the differences.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    range: Range,
    /// Selector of the recorded series to use, such as '{instance="a"}'. Default: all.
    #[arg(long = "match", value_name = "SELECTOR")]
    matching: Option<String>,
    #[command(flatten)]
    folder: Folder,
    /// Read samples from a file: OpenMetrics with timestamps, output of `promtool tsdb dump`, or
    /// JSON lines of VictoriaMetrics.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "url"])]
    openmetrics: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
    /// Read from the API of the server at --url: Prometheus, VictoriaMetrics or Bellwether.
    #[command(flatten)]
    server: Target,
}

/// Outcome for one configuration.
struct BacktestRun {
    name: String,
    outcome: Outcome,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let now = Clock::start().now().wall;
    let range = options.range.times(now, |to| to.before(WEEK))?;
    if range.0 == range.1 {
        bail!("--from is not before --to");
    }
    let matchers = match &options.matching {
        Some(selector) => selected(selector)?,
        None => Vec::new(),
    };
    // The folder that a file is imported into lives as long as it is read.
    let scratch;
    let source: Box<dyn Queryable + '_> = match &options.openmetrics {
        Some(file) => {
            scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
            import::into(scratch.path(), file, Import::new(None, false, CEILING))?;
            Box::new(History::open_read_only(scratch.path()).0)
        }
        None if options.server.is_named() && options.folder.is_default() => Box::new(Server {
            global,
            target: &options.server,
        }),
        // A configuration that is run names its own state directory.
        None => {
            let config = global.config.clone().or_else(|| options.rules.clone());
            Box::new(options.folder.open(&Global {
                config,
                ..global.clone()
            })?)
        }
    };
    let recording = Recording {
        source: &*source,
        matchers: &matchers,
        range,
    };
    let rules = options
        .rules
        .clone()
        .map_or_else(|| global.source(), Source::File);
    if rules == Source::Embedded
        && options.openmetrics.is_none()
        && !options.server.is_named()
        && let Source::File(path) = options.folder.global(global).source()
    {
        eprintln!(
            "hint: the rules are those of {rules}; --rules {} takes those of the running agent",
            path.display()
        );
    }
    let first = run_rules(&recording, &rules)?;
    let second = options
        .against
        .clone()
        .map(|file| run_rules(&recording, &Source::File(file)))
        .transpose()?;
    let text = match (&second, options.form.layout()) {
        (None, Layout::Text(_)) => report::text(&first, range),
        (None, layout) => format_data(layout, &data(&first, range)),
        (Some(second), Layout::Text(_)) => report::difference(&first, second, range),
        (Some(second), layout) => format_data(layout, &difference(&first, second, range)),
    };
    print!("{text}");
    Ok(())
}

fn data(run: &BacktestRun, range: view::Range) -> Value {
    view::outcome(&run.name, &run.outcome, range)
}

fn difference(before: &BacktestRun, after: &BacktestRun, range: view::Range) -> Value {
    json!({
        "before": data(before, range),
        "after": data(after, range),
        "changes": view::changes(&before.outcome, &after.outcome, range),
    })
}

fn selected(selector: &str) -> anyhow::Result<Vec<LabelMatcher>> {
    let mut alternatives = selector::parse("--match", selector)?;
    match alternatives.len() {
        1 => Ok(alternatives.remove(0)),
        _ => bail!("--match {selector}: one selector without `or`"),
    }
}

/// Runs the rules of a configuration over what was recorded.
fn run_rules(recording: &Recording<'_>, rules: &Source) -> anyhow::Result<BacktestRun> {
    let (from, to) = recording.range;
    let bar = bar(
        to.since(from).as_secs(),
        "{wide_bar} {percent}% of the time, {eta} left",
    );
    let load = || config::load(rules, &process_environment);
    let outcome = recording.run(&load, &Guard::default(), &mut |at| {
        bar.set_position(at.since(from).as_secs());
    });
    bar.finish_and_clear();
    Ok(BacktestRun {
        name: rules.to_string(),
        outcome: outcome?,
    })
}
