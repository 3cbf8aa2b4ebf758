//! The state directory, and the default directory of what is on disk beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_files::durable::StateDirectory;
use tracing::warn;

use crate::config::{self, Plan, process_environment};

/// Opens and claims the state directory; without one all state is in memory.
pub(super) async fn open(plan: &Plan) -> Option<Arc<StateDirectory>> {
    let path = config::state_directory(&plan.root, &process_environment)?;
    let opening = tokio::task::spawn_blocking(move || StateDirectory::open(path));
    let folder = Arc::new(opening.await.ok()?);
    if let Some(problem) = folder.problem() {
        warn!("alerts, silences and queues are in memory for now: {problem}");
    }
    Some(folder)
}

/// Default directory of history and alert history.
pub(super) struct DefaultFolder {
    pub(super) folder: Option<PathBuf>,
    /// Reason for which there is no directory.
    pub(super) missing: String,
}

impl DefaultFolder {
    pub(super) fn from_state(state: Option<&StateDirectory>) -> Self {
        match state {
            None => Self {
                folder: None,
                missing: "there is no state directory".into(),
            },
            Some(state) if state.is_locked_by_other() => Self {
                folder: None,
                missing: format!(
                    "another Bellwether has the state directory {}",
                    state.path().display()
                ),
            },
            Some(state) => Self {
                folder: Some(state.path().to_owned()),
                missing: String::new(),
            },
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}
