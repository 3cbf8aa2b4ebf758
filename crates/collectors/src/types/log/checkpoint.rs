//! Positions and values, which outlive a reload and a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use bellwether_collector::Memory;
use bellwether_core::Origin;
use bellwether_files::durable::{JsonFile, JsonState};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::families::SavedFamily;
use super::segments::Position;
use super::tail::Place;
use super::totals::Totals;

/// Positions in the logs, and the values as of them: what one has is in the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Globs whose files were looked for.
    pub(super) patterns: BTreeSet<String>,
    /// Places by the path of the log.
    pub(super) files: BTreeMap<String, Place>,
    /// Positions in rotated files that may still grow, by the path of the log.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) late: BTreeMap<String, Vec<Position>>,
    /// Cursor of the last entry of the journal.
    pub(super) cursor: Option<String>,
    pub(super) totals: Totals,
    pub(super) families: Vec<SavedFamily>,
}

impl JsonState for Checkpoint {
    const VERSION: u32 = 1;
}

/// Last checkpoint of a collector, in memory and in a file.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    last: Mutex<Last>,
    file: Option<JsonFile<Checkpoint>>,
}

#[derive(Debug, Default)]
struct Last {
    checkpoint: Checkpoint,
    /// True if it is on disk.
    is_saved: bool,
    /// Number of the reader that writes it.
    reader: u64,
}

/// A reader of logs that writes checkpoints, until the next one begins.
#[derive(Debug)]
pub(super) struct Writer {
    checkpoints: Arc<Checkpoints>,
    reader: u64,
}

impl Checkpoints {
    /// Returns those of the collector `origin`. Reads a file at the first call.
    pub(super) fn of(memory: &Memory, origin: Origin) -> Arc<Self> {
        memory.get_or_load(origin, |directory| Self::load(directory, origin))
    }

    fn load(directory: Option<&Path>, origin: Origin) -> Self {
        let name = format!("log-{}.json", origin.as_str());
        let file = directory.map(|directory| JsonFile::<Checkpoint>::new(directory.join(name)));
        let loaded = file.as_ref().map_or(Ok(None), JsonFile::load_optional);
        let checkpoint = loaded.unwrap_or_else(|error| {
            warn!(%error, "the metrics of logs begin anew");
            None
        });
        Self {
            last: Mutex::new(Last {
                checkpoint: checkpoint.unwrap_or_default(),
                ..Last::default()
            }),
            file,
        }
    }

    /// Returns a writer, and the checkpoint from which it continues. A reader that was replaced by a reload may still
    /// run for a moment; what it writes from now on is discarded, so that no line is counted twice.
    pub(super) fn begin(self: &Arc<Self>) -> (Writer, Checkpoint) {
        let mut last = self.last.lock();
        last.reader += 1;
        let writer = Writer {
            checkpoints: self.clone(),
            reader: last.reader,
        };
        (writer, last.checkpoint.clone())
    }
}

impl Writer {
    /// Replaces the checkpoint. It is on disk when this returns.
    pub(super) fn save(&self, checkpoint: Checkpoint) -> io::Result<()> {
        let mut last = self.checkpoints.last.lock();
        let is_same = last.is_saved && last.checkpoint == checkpoint;
        if last.reader != self.reader || is_same {
            return Ok(());
        }
        last.checkpoint = checkpoint;
        let file = self.checkpoints.file.as_ref();
        let saved = file.map_or(Ok(()), |file| file.save(&last.checkpoint));
        last.is_saved = saved.is_ok();
        saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(lines: u64) -> Checkpoint {
        Checkpoint {
            totals: Totals {
                lines,
                ..Totals::default()
            },
            ..Checkpoint::default()
        }
    }

    #[test]
    fn only_the_newest_reader_writes_and_a_restart_continues() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Arc::new(Checkpoints::load(Some(folder.path()), Origin::new("a")));
        let checkpoints = load();
        let (old, first) = checkpoints.begin();
        assert_eq!(first, Checkpoint::default());
        old.save(checkpoint(1)).unwrap();
        let (new, second) = checkpoints.begin();
        assert_eq!(second, checkpoint(1));
        old.save(checkpoint(2)).unwrap();
        assert_eq!(load().begin().1, checkpoint(1));
        new.save(checkpoint(3)).unwrap();
        assert_eq!(load().begin().1, checkpoint(3));
    }
}
