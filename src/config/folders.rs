//! Directories of the state, of history and of the alert history.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bellwether_schema::Environment;

use super::sections::Root;

/// Returns the state directory, if there is one.
#[must_use]
pub fn state_directory(root: &Root, environment: Environment<'_>) -> Option<PathBuf> {
    root.performance_monitor
        .state_directory
        .clone()
        // systemd may name several, separated by colons.
        .or_else(|| {
            let list = set(environment, "STATE_DIRECTORY")?.into_encoded_bytes();
            let first = list.split(|byte| *byte == b':').next()?;
            Some(PathBuf::from(OsStr::from_bytes(first)))
        })
        .or_else(|| {
            set(environment, "XDG_STATE_HOME").map(|home| PathBuf::from(home).join("bellwether"))
        })
        .or_else(|| {
            set(environment, "HOME").map(|home| PathBuf::from(home).join(".local/state/bellwether"))
        })
}

/// Returns the directory of history, if it is on disk.
#[must_use]
pub fn history_folder(root: &Root, environment: Environment<'_>) -> Option<PathBuf> {
    let settings = root
        .trend_analysis
        .enabled
        .then_some(&root.trend_analysis.storage)?;
    settings.folder(state_directory(root, environment).as_deref())
}

/// Returns the directory of the alert history, if it is on disk.
#[must_use]
pub fn alert_history_folder(root: &Root, environment: Environment<'_>) -> Option<PathBuf> {
    let settings = root.alert_history.enabled.then_some(&root.alert_history)?;
    settings.folder(state_directory(root, environment).as_deref())
}

/// Returns the value of a variable that is set and not empty.
fn set(environment: Environment<'_>, name: &str) -> Option<OsString> {
    environment(name).filter(|value| !value.is_empty())
}
