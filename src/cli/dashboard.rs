//! `bellwether dashboard`: a Grafana dashboard for the configured metrics.

use super::Global;
use crate::dashboard;

pub(super) fn run(global: &Global) -> anyhow::Result<()> {
    println!("{:#}", dashboard::render(&global.plan()?));
    Ok(())
}
