//! Layouts of dashboards: in memory, and in their file of the state directory.

use std::sync::Arc;
use std::time::Duration;

use bellwether_dashboards::{Layouts, SavedLayout, SavedLayouts};
use bellwether_files::durable::{JsonFile, LoadedState, Saver};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::warn;

use super::App;

/// Time between two attempts to save what could not be saved.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks whether the file was deleted.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Layouts that people saved.
pub(super) struct LayoutFile {
    pub(super) layouts: Layouts,
    /// None if all state ends with the process.
    file: Option<Arc<Saver>>,
    /// One save at a time.
    saving: tokio::sync::Mutex<()>,
    failed: Notify,
}

impl LayoutFile {
    /// Reads the file, if there is one.
    pub(super) async fn open(file: Option<Arc<Saver>>) -> Self {
        let layouts = Layouts::default();
        if let Some(file) = file.clone() {
            let path = file.path().to_owned();
            let load = move || file.load(|| JsonFile::<SavedLayouts>::new(file.path()).load());
            let path = path.display();
            match tokio::task::spawn_blocking(load).await {
                Ok(Ok(LoadedState::Loaded(saved))) => layouts.restore(saved),
                Ok(Ok(LoadedState::Absent)) => {}
                Ok(Ok(LoadedState::Corrupt { aside, reason })) => {
                    let aside = aside.display();
                    warn!(%path, %reason, %aside, "the saved layouts of dashboards are corrupt and lost");
                }
                Ok(Err(error)) => warn!(%path, %error, "cannot read the layouts of dashboards"),
                Err(error) => warn!(%path, %error, "cannot read the layouts of dashboards"),
            }
        }
        Self {
            layouts,
            file,
            saving: tokio::sync::Mutex::default(),
            failed: Notify::new(),
        }
    }

    /// Adds a version and saves it.
    ///
    /// # Errors
    /// It could not be saved.
    pub(super) async fn add(&self, dashboard: &str, version: SavedLayout) -> anyhow::Result<()> {
        let _guard = self.saving.lock().await;
        self.layouts.add(dashboard, version);
        self.save().await
    }

    /// Saves versions that could not be saved before, or whose file was deleted.
    async fn save_what_is_due(&self) {
        if self.file.as_ref().is_some_and(|file| file.is_due()) {
            let _guard = self.saving.lock().await;
            // The saver logs a failure.
            self.save().await.ok();
        }
    }

    async fn save(&self) -> anyhow::Result<()> {
        let Some(saver) = self.file.clone() else {
            return Ok(());
        };
        let saved = self.layouts.saved();
        let saving = tokio::task::spawn_blocking(move || {
            saver.save(|| JsonFile::new(saver.path()).save(&saved))
        });
        let result = saving.await?;
        if result.is_err() {
            self.failed.notify_one();
        }
        Ok(result?)
    }

    /// Returns why layouts are not on disk.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref()?.problem()
    }
}

impl App {
    /// Saves layouts again that could not be saved, or whose file was deleted.
    pub(super) async fn keep_layouts(self: Arc<Self>) {
        loop {
            let wait = match self.layouts.problem() {
                Some(_) => RETRY_EVERY,
                None => LOOK_EVERY,
            };
            tokio::select! {
                () = sleep(wait) => self.layouts.save_what_is_due().await,
                () = self.layouts.failed.notified(), if wait == LOOK_EVERY => {}
            }
        }
    }
}
