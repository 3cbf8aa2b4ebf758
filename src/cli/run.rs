//! `bellwether run`: the service itself.

use super::{AgentFlags, Global};
use bellwether_agent::app;

pub(super) fn run(global: &Global, flags: &AgentFlags) -> anyhow::Result<()> {
    app::run(global.source(), flags.overrides())
}
