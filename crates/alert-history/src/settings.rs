//! Settings of the alert history.

use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, HumanDuration, Size, Spanned, section};

section! {
    /// The alert history: every transition of an alert and each outcome of its notifications.
    pub struct AlertHistorySettings {
        /// Enables the alert history.
        pub enabled: bool = true,
        /// Age at which records are deleted, whole days at a time.
        pub retention: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30 * 86_400)),
        /// Limit of bytes on disk; the oldest records are deleted. An alert that fires and resolves
        /// takes about 2 kB with one channel.
        pub max_bytes: Spanned<Size> = Spanned::nowhere(Size(256_000_000)),
        /// Folder, which only one Bellwether may use. By default `alert_history` in the state directory.
        pub path: Option<Spanned<PathBuf>> = None,
    }
}

/// Smallest limit: a few segments.
const MIN_BYTES: Size = Size(1_000_000);
const MIN_RETENTION: HumanDuration = HumanDuration::minutes(60);

impl AlertHistorySettings {
    /// Validates the limits.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        if self.retention.0 < MIN_RETENTION.0 {
            diagnostics
                .error(
                    &self.retention.at,
                    format!("too short: {}", self.retention.value),
                )
                .hint("at least 1h; alert_history: {enabled: false} disables it");
        }
        if self.max_bytes.value < MIN_BYTES {
            diagnostics
                .error(
                    &self.max_bytes.at,
                    format!("too small: {}", self.max_bytes.value),
                )
                .hint(format!("at least {MIN_BYTES}"));
        }
    }

    /// Returns the folder, by default in the `state` directory. `None`: in memory.
    #[must_use]
    pub fn folder(&self, state: Option<&Path>) -> Option<PathBuf> {
        match &self.path {
            Some(path) => Some(path.value.clone()),
            None => state.map(|state| state.join("alert_history")),
        }
    }
}
