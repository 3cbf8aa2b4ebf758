//! The history directory of a command, and its progress bar.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellwether_tsdb::history::History;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, process_environment};
use crate::config;

/// Selection of a history directory.
#[derive(Args)]
pub(super) struct Folder {
    /// History directory. Default: that of the configuration.
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

impl Folder {
    /// Returns whether no directory was given, so that the configuration's is used.
    pub(super) fn is_default(&self) -> bool {
        self.history.is_none()
    }

    /// Returns the path of the directory.
    pub(super) fn path(&self, global: &Global) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.history {
            return Ok(folder.clone());
        }
        config::history_folder(&global.plan()?.root, &process_environment)
            .context("the configuration has no history on disk; hint: --history DIR")
    }

    /// Opens it read-only; a running Bellwether is not affected.
    pub(super) fn open(&self, global: &Global) -> anyhow::Result<History> {
        let folder = self.path(global)?;
        let (history, recovery) = History::open_read_only(&folder);
        if let Some(error) = recovery.error {
            bail!("cannot read the history in {}: {error}", folder.display());
        }
        Ok(history)
    }
}

/// Gives files that root created in `folder` to the owner of the directory: the service could not
/// read them otherwise.
pub(super) fn give_to_owner(folder: &Path) -> std::io::Result<()> {
    let owner = std::fs::metadata(folder)?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.uid() == 0 {
            std::os::unix::fs::lchown(entry.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}

/// Returns a progress bar on standard error, if that is a terminal.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
