//! `bellwether dashboard`: a Grafana dashboard for the configured metrics.

use super::Global;
use super::running_agents::hint_at_its_configuration;
use bellwether_agent::dashboard;

pub(super) fn run(global: &Global) -> anyhow::Result<()> {
    hint_at_its_configuration(global);
    println!("{:#}", dashboard::render(&global.plan()?));
    Ok(())
}
