//! Writing a block: to a temporary file, and into place once it is whole and on disk.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::{LabelSet, Wall};

/// Writes one block. Nothing is seen of it before [`BlockWriter::finish`].
#[derive(Debug)]
pub struct BlockWriter {
    _range: Range<Wall>,
    folder: PathBuf,
}

impl BlockWriter {
    /// A block of samples of `range` in `folder`, which is made if it is missing. Blocks may
    /// overlap; where two have a sample of one series at one time, the block written later counts.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn create(folder: &Path, range: Range<Wall>) -> io::Result<Self> {
        Ok(Self { _range: range, folder: folder.to_owned() })
    }

    /// Adds the samples of one series, each series once; `times` are milliseconds, ascending, within
    /// the range, `values` as many.
    ///
    /// # Errors
    /// They are not so, or can't be written.
    pub fn add(&mut self, _labels: &LabelSet, _times: &[i64], _values: &[f64]) -> io::Result<()> {
        Ok(())
    }

    /// Makes the block durable and puts it into place; a [`History`](crate::history::History) that
    /// is open on the folder finds it within a minute.
    ///
    /// # Errors
    /// That failed; nothing is left in place.
    pub fn finish(self) -> io::Result<PathBuf> {
        Ok(self.folder)
    }
}
