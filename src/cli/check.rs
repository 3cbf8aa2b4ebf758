//! `bellwether check FILE`: prints every problem of a configuration.

mod slow;

use std::path::PathBuf;

use anyhow::bail;
use bellwether_config::{self as config, Plan, Source};
use bellwether_core::counted;
use bellwether_schema::Diagnostic;
use bellwether_server::Access;
use clap::Args;
use slow::slow_collectors;

use super::{AgentFlags, Global, installation, process_environment};

#[derive(Args)]
pub(super) struct Options {
    /// Configuration file. Default: that of --config.
    file: Option<PathBuf>,
    #[command(flatten)]
    agent: AgentFlags,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let source = options
        .file
        .clone()
        .map_or_else(|| global.source(), Source::File);
    let mut loaded = match config::load(&source, &process_environment) {
        Ok(loaded) => loaded,
        Err(report) => return reject(&report.problems, &source),
    };
    // What `run` would take of the flags is looked at too.
    options.agent.overrides().apply(&mut loaded)?;
    let named_files = std::mem::take(&mut loaded.named_files);
    let plan = match config::plan(loaded) {
        Ok(plan) => plan,
        Err(report) => return reject(&report.problems, &source),
    };
    let mut outside = config::check_external(&plan);
    if let Err(error) = Access::load(&plan.root.performance_monitor.prometheus) {
        outside.extend(error.problems);
    }
    if !outside.is_empty() {
        return reject(&outside, &source);
    }
    print_summary(&plan, &source);
    print_files(&plan, &named_files);
    Ok(())
}

fn reject(problems: &[Diagnostic], source: &Source) -> anyhow::Result<()> {
    for problem in problems {
        eprintln!("{}", problem.render(source));
    }
    let mut hints = problems
        .iter()
        .filter_map(|problem| installation::variable_hint(&problem.message));
    if let Some(hint) = hints.next() {
        eprintln!("{hint}");
    }
    bail!(counted(problems.len(), "error"))
}

fn print_summary(plan: &Plan, source: &Source) {
    let slow = match source {
        Source::File(path) => slow_collectors(plan, path),
        Source::Embedded | Source::Demo => Vec::new(),
    };
    for warning in plan.warnings.iter().chain(&slow) {
        println!("{}", warning.render(source));
    }
    let recordings = match plan.rules.recordings.len() {
        0 => String::new(),
        count => format!(", {}", counted(count, "recording rule")),
    };
    let channels = &plan
        .root
        .performance_monitor
        .alerting
        .notifications
        .channels;
    println!(
        "{source}: good: {}, {}{recordings}, {}",
        plan.collected(),
        counted(plan.rules.rules.len(), "rule"),
        counted(channels.len(), "channel"),
    );
}

/// Prints the files that were read, if there are several.
fn print_files(plan: &Plan, named: &[PathBuf]) {
    let paths = plan.files.iter().map(|file| &file.path).chain(named);
    let paths: Vec<&PathBuf> = paths.collect();
    if paths.len() > 1 {
        println!("files read:");
        for path in paths {
            println!("  {}", path.display());
        }
    }
}
