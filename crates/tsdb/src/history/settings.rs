//! Where history is kept, and how much of it.

use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, Size, Spanned, section, string_enum};

string_enum! {
    /// Where history is kept.
    pub enum Backend {
        /// In files.
        File = "file",
        /// In memory, as long as the process lives.
        Memory = "memory",
    }
}

section! {
    /// Where history is kept, and how much of it. What is over a limit goes, the oldest first.
    pub struct TrendStorage {
        /// In what. What is kept in memory ends with the process.
        pub backend: Backend = Backend::File,
        /// Folder, of one Bellwether alone. By default `history` in the state directory.
        pub path: Option<Spanned<PathBuf>> = None,
        /// For how many days.
        pub retention_days: Spanned<u32> = Spanned::nowhere(15),
        /// Most bytes on disk.
        pub max_bytes: Spanned<Size> = Spanned::nowhere(Size(1_000_000_000)),
        /// Most series; a new one over it is on the page and not in history, and is counted.
        pub max_series: Spanned<u32> = Spanned::nowhere(100_000),
        /// Most memory for samples that are not yet in a block.
        pub max_memory: Spanned<Size> = Spanned::nowhere(Size(64_000_000)),
    }
}

/// Least room on disk: the write-ahead log and one block.
const LEAST_BYTES: Size = Size(10_000_000);
/// Least memory: below it every collection would end in a block of its own.
const LEAST_MEMORY: Size = Size(4_000_000);

impl TrendStorage {
    /// Notes what makes no sense.
    pub fn check(&self, problems: &mut Diagnostics) {
        for (what, limit) in [("days", &self.retention_days), ("series", &self.max_series)] {
            if limit.value == 0 {
                problems
                    .error(&limit.at, format!("0 {what} are no history"))
                    .hint("1 at the least; trend_analysis: {enabled: false} keeps none");
            }
        }
        for (limit, least) in [
            (&self.max_bytes, LEAST_BYTES),
            (&self.max_memory, LEAST_MEMORY),
        ] {
            if limit.value < least {
                problems
                    .error(&limit.at, format!("too small: {}", limit.value))
                    .hint(format!("{least} at the least"));
            }
        }
        if let (Backend::Memory, Some(path)) = (self.backend, &self.path) {
            problems
                .error(&path.at, "a path for a history that is kept in memory")
                .hint("leave it out, or take backend: file");
        }
    }
}

impl TrendStorage {
    /// The folder of the history, by default in the `state` directory. `None`: in memory.
    #[must_use]
    pub fn folder(&self, state: Option<&Path>) -> Option<PathBuf> {
        match (self.backend, &self.path) {
            (Backend::Memory, _) => None,
            (Backend::File, Some(path)) => Some(path.value.clone()),
            (Backend::File, None) => state.map(|state| state.join("history")),
        }
    }
}
