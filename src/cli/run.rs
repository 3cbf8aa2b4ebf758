//! `bellwether run`: the service itself.

use super::Global;
use crate::app;

pub(super) fn run(global: &Global) -> anyhow::Result<()> {
    app::run(global.source(), global.overrides())
}
