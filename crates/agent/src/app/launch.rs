//! Source of the plans of an agent: a configuration with the flags, and for a demo its generators.

use std::ffi::OsString;

use super::Overrides;
use crate::demo::Demo;
use bellwether_config::{self as config, Loaded, Plan, Source, process_environment};

/// Everything that an agent is started with.
pub(super) struct Launch {
    pub(super) source: Source,
    pub(super) overrides: Overrides,
    /// Set for a demo.
    pub(super) demo: Option<Demo>,
}

impl Launch {
    /// Loads the configuration and applies the flags. Blocks.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        Ok(self.staged(config::plan(self.loaded()?)?))
    }

    /// Like [`Launch::plan`], but leaves out invalid rule files: at a start nothing else would run.
    /// Blocks.
    pub(super) fn plan_at_start(&self) -> anyhow::Result<Plan> {
        let plan = config::plan_at_start(|| self.loaded())?;
        Ok(self.staged(plan))
    }

    /// Looks up a variable of the environment. That of a demo names no directories.
    pub(super) fn environment(&self, name: &str) -> Option<OsString> {
        match &self.demo {
            Some(demo) => demo.environment(name),
            None => process_environment(name),
        }
    }

    /// Returns the state directory in words.
    pub(super) fn state_text(&self, plan: &Plan) -> String {
        let state = config::state_directory(&plan.root, &|name| self.environment(name));
        state.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    }

    fn loaded(&self) -> anyhow::Result<Loaded> {
        let mut loaded = config::load(&self.source, &|name| self.environment(name))?;
        self.overrides.apply(&mut loaded)?;
        Ok(loaded)
    }

    fn staged(&self, mut plan: Plan) -> Plan {
        if let Some(demo) = &self.demo {
            demo.stage(&mut plan);
        }
        plan
    }
}
