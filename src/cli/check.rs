//! `bellwether check FILE`: everything that is wrong with a declaration, or that it is right.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::{Global, process_environment};
use crate::config::{self, Source};
use crate::server::Access;

#[derive(Args)]
pub(super) struct Options {
    /// The declaration; also taken from --config.
    file: Option<PathBuf>,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let source = options.file.clone().map_or_else(|| global.source(), Source::File);
    match config::load(&source, &process_environment).and_then(config::plan) {
        Ok(plan) => {
            // The files that are read only when the page is served.
            let web = &plan.root.performance_monitor.prometheus;
            if let Err(problems) = Access::load(web) {
                eprintln!("{problems}");
                bail!("the page could not be served as declared");
            }
            for warning in &plan.warnings {
                println!("{}", warning.told(&source));
            }
            let recordings = match plan.rules.recordings.len() {
                0 => String::new(),
                count => format!(", {count} recording rules"),
            };
            println!(
                "{source}: good: {} metrics, {} rules{recordings}, {} channels",
                plan.metrics.len(),
                plan.rules.rules.len(),
                plan.root.performance_monitor.alerting.notifications.channels.len(),
            );
            Ok(())
        }
        Err(report) => {
            eprintln!("{report}");
            match report.problems.len() {
                1 => bail!("1 problem"),
                count => bail!("{count} problems"),
            }
        }
    }
}
