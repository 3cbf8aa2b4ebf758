//! `bellwether config`: the effective configuration, or the reference of all settings.

use bellwether_config::{metrics, plan, print, print_with_origins, reference};
use clap::Args;

use super::Global;
use super::running_agents::hint_at_its_configuration;

#[derive(Args)]
pub(super) struct Options {
    /// Print the reference of all settings as Markdown instead.
    #[arg(long)]
    reference: bool,
    /// Print the table of all metrics as Markdown instead.
    #[arg(long, conflicts_with = "reference")]
    metrics: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    if options.reference {
        print!("{}", reference());
    } else if options.metrics {
        print!("{}", metrics());
    } else {
        hint_at_its_configuration(global);
        let mut loaded = global.loaded()?;
        let tree = loaded.tree.take();
        let plan = plan(loaded)?;
        let text = match &tree {
            Some(tree) => print_with_origins(&plan.root, tree, &plan.files)?,
            None => print(&plan.root)?,
        };
        print!("{text}");
    }
    Ok(())
}
