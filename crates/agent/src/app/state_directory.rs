//! The state directory, and the default directory of what is on disk beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_config::{self as config, Plan};
use bellwether_files::durable::StateDirectory;
use tracing::warn;

use super::Launch;

/// Opens and claims the state directory; without one all state is in memory.
pub(super) async fn open(launch: &Launch, plan: &Plan) -> Option<Arc<StateDirectory>> {
    let path = config::state_directory(&plan.root, &|name| launch.environment(name))?;
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
    /// Reason for which there is no directory; `None` if there is one, or none is wanted.
    pub(super) missing: Option<String>,
}

impl DefaultFolder {
    /// Nothing is on disk, and that is intended.
    pub(super) fn in_memory() -> Self {
        Self {
            folder: None,
            missing: None,
        }
    }

    pub(super) fn from_state(state: Option<&StateDirectory>) -> Self {
        match state {
            None => Self {
                folder: None,
                missing: Some("there is no state directory".into()),
            },
            Some(state) if state.is_locked_by_other() => Self {
                folder: None,
                missing: Some(format!(
                    "another Bellwether has the state directory {}",
                    state.path().display()
                )),
            },
            Some(state) => Self {
                folder: Some(state.path().to_owned()),
                missing: None,
            },
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}
