//! Where the history of alerts is kept, and how much of it.

use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, HumanDuration, Size, Spanned, section};

section! {
    /// The history of alerts: every change of an alert, and what became of each notification.
    pub struct AlertHistorySettings {
        /// Whether it is kept.
        pub enabled: bool = true,
        /// For how long. Whole days go, the oldest first.
        pub retention: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(30 * 86_400)),
        /// Most bytes on disk; beyond it the oldest go. An alert that fires and resolves takes
        /// about 2 kB with one channel.
        pub max_bytes: Spanned<Size> = Spanned::nowhere(Size(256_000_000)),
        /// Folder, of one Bellwether alone. By default `alert_history` in the state directory.
        pub path: Option<Spanned<PathBuf>> = None,
    }
}

/// Least room: a few segments.
const LEAST_BYTES: Size = Size(1_000_000);
const LEAST_RETENTION: HumanDuration = HumanDuration::minutes(60);

impl AlertHistorySettings {
    /// Notes what makes no sense.
    pub fn check(&self, problems: &mut Diagnostics) {
        if self.retention.0 < LEAST_RETENTION.0 {
            problems
                .error(
                    &self.retention.at,
                    format!("too short: {}", self.retention.value),
                )
                .hint("1h at the least; alert_history: {enabled: false} keeps none");
        }
        if self.max_bytes.value < LEAST_BYTES {
            problems
                .error(
                    &self.max_bytes.at,
                    format!("too small: {}", self.max_bytes.value),
                )
                .hint(format!("{LEAST_BYTES} at the least"));
        }
    }

    /// Its folder, by default in the `state` directory. `None`: in memory.
    #[must_use]
    pub fn folder(&self, state: Option<&Path>) -> Option<PathBuf> {
        match &self.path {
            Some(path) => Some(path.value.clone()),
            None => state.map(|state| state.join("alert_history")),
        }
    }
}
