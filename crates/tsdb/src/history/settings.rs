//! Settings of the storage of history.

use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, Size, Spanned, section, string_enum};

string_enum! {
    /// Storage of history.
    pub enum Backend {
        /// Files in a directory.
        File = "file",
        /// Memory of the process.
        Memory = "memory",
    }
}

section! {
    /// Storage of history, and its limits. Beyond a limit the oldest samples are deleted.
    pub struct TrendStorage {
        /// Storage. With `memory`, history ends with the process.
        pub backend: Backend = Backend::File,
        /// Directory, which no other process may use. By default `history` in the state directory.
        pub path: Option<Spanned<PathBuf>> = None,
        /// Retention in days.
        pub retention_days: Spanned<u32> = Spanned::nowhere(15),
        /// Maximum number of bytes on disk.
        pub max_bytes: Spanned<Size> = Spanned::nowhere(Size(1_000_000_000)),
        /// Maximum number of series. A new series beyond it is on `/metrics` but not in history, and is counted.
        pub max_series: Spanned<u32> = Spanned::nowhere(100_000),
        /// Maximum memory for samples that are not yet in a block.
        pub max_memory: Spanned<Size> = Spanned::nowhere(Size(64_000_000)),
    }
}

/// Smallest limit of disk: the write-ahead log and one block.
const LEAST_BYTES: Size = Size(10_000_000);
/// Smallest limit of memory: below it every collection would end in a block of its own.
const LEAST_MEMORY: Size = Size(4_000_000);

impl TrendStorage {
    /// Reports invalid settings.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        for (what, limit) in [("days", &self.retention_days), ("series", &self.max_series)] {
            if limit.value == 0 {
                diagnostics
                    .error(&limit.at, format!("0 {what}: history needs at least 1"))
                    .hint("trend_analysis: {enabled: false} turns history off");
            }
        }
        for (limit, least) in [
            (&self.max_bytes, LEAST_BYTES),
            (&self.max_memory, LEAST_MEMORY),
        ] {
            if limit.value < least {
                diagnostics
                    .error(&limit.at, format!("too small: {}", limit.value))
                    .hint(format!("at least {least}"));
            }
        }
        if let (Backend::Memory, Some(path)) = (self.backend, &self.path) {
            diagnostics
                .error(&path.at, "path is set, but backend is memory")
                .hint("leave it out, or set backend: file");
        }
    }
}

impl TrendStorage {
    /// Returns the directory of the history, by default in the `state` directory; `None` if history is in
    /// memory.
    #[must_use]
    pub fn folder(&self, state: Option<&Path>) -> Option<PathBuf> {
        match (self.backend, &self.path) {
            (Backend::Memory, _) => None,
            (Backend::File, Some(path)) => Some(path.value.clone()),
            (Backend::File, None) => state.map(|state| state.join("history")),
        }
    }
}
