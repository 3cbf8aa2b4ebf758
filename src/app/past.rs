//! Opens the history that a plan declares, and says what became of it.

use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::config::Plan;
use crate::history::History;

/// The history of `plan`, which by default is in the state directory. `None`: it declares none.
pub(super) async fn open(plan: &Plan, _state: Option<&Path>) -> Option<Arc<History>> {
    let settings = &plan.root.trend_analysis;
    let storage = &settings.storage;
    settings.enabled.then(|| Arc::new(History::in_memory(storage.max_series.value as usize)))
}

/// History lives as long as the process, so a change waits for the next one.
pub(super) fn warn_of_change(old: &Plan, new: &Plan) {
    let (old, new) = (&old.root.trend_analysis, &new.root.trend_analysis);
    if (old.enabled, &old.storage) != (new.enabled, &new.storage) {
        warn!("a change of `trend_analysis.storage` takes effect at the next start");
    }
}
