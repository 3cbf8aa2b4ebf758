//! `bellwether config`: the declaration in effect, or the reference of all keys.

use clap::Args;

use super::Global;
use crate::config::{print, reference};

#[derive(Args)]
pub(super) struct Options {
    /// Print the reference of every key instead, as Markdown.
    #[arg(long)]
    reference: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    if options.reference {
        print!("{}", reference());
    } else {
        print!("{}", print(&global.plan()?.root)?);
    }
    Ok(())
}
