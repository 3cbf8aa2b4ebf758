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
        .as_deref()
        .cloned()
        .or_else(|| service_directory(environment, "STATE_DIRECTORY"))
        .or_else(|| user_state_directory(environment))
}

/// Returns the state directory of agents that no service manager started.
#[must_use]
pub fn user_state_directory(environment: Environment<'_>) -> Option<PathBuf> {
    let under = |name: &str, rest: &str| Some(PathBuf::from(set(environment, name)?).join(rest));
    under("XDG_STATE_HOME", "bellwether").or_else(|| under("HOME", ".local/state/bellwether"))
}

/// Returns the runtime directory that systemd created for the service, if there is one.
#[must_use]
pub fn runtime_directory(environment: Environment<'_>) -> Option<PathBuf> {
    service_directory(environment, "RUNTIME_DIRECTORY")
}

/// Returns the directory of a variable of systemd, which may name several, separated by colons.
fn service_directory(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    let list = set(environment, name)?.into_encoded_bytes();
    let first = list.split(|byte| *byte == b':').next()?;
    Some(PathBuf::from(OsStr::from_bytes(first)))
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
