//! Writer of blocks: to a temporary file, which is renamed once it is complete and on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bellwether_core::{LabelSet, UnixMillis};

use super::group::{
    CHUNK, Column, Directory, Entry, Footer, Group, HEADER, SERIES, put_directory, put_footer,
    put_labels,
};
use super::name;
use crate::history::chunk::{pack_times, pack_values};
use crate::history::time_span::TimeSpan;
use crate::history::wal::sync_folder;

/// Number of recent time columns to compare with, a bit more than a series has chunks.
const RECENT_COLUMNS: usize = 16;

/// Writer of one block. The block becomes visible at [`BlockWriter::finish`]; dropping the writer before
/// that leaves nothing behind.
#[derive(Debug)]
pub struct BlockWriter {
    range: Range<UnixMillis>,
    folder: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    offset: u64,
    footer: Footer,
    group: Pending,
}

/// Group under construction.
#[derive(Debug, Default)]
struct Pending {
    series: Vec<LabelSet>,
    /// Times, unpacked and packed.
    columns: Vec<(Vec<i64>, Vec<u8>)>,
    chunks: Vec<PendingChunk>,
}

/// Packed values of one series at the times of one column.
#[derive(Debug)]
struct PendingChunk {
    series: usize,
    column: usize,
    packed: Vec<u8>,
}

impl BlockWriter {
    /// Creates a block for samples of `range` in the directory `folder`, which is created if it is missing.
    /// Blocks may overlap; if two have a sample of a series at the same time, the one of the later block
    /// counts.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(folder: &Path, range: Range<UnixMillis>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let temporary = folder.join(name::temporary());
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&temporary)?;
        let written = file.write_all(HEADER);
        let writer = Self {
            range,
            folder: folder.to_owned(),
            temporary,
            file: Some(file),
            offset: HEADER.len() as u64,
            footer: Footer::default(),
            group: Pending::default(),
        };
        written.map(|()| writer)
    }

    /// Adds the samples of a series; call it once per series. `times` are milliseconds, ascending and in the
    /// range of the block, with one value each.
    ///
    /// # Errors
    /// The samples violate these conditions, or cannot be written.
    pub fn add(&mut self, labels: &LabelSet, times: &[i64], values: &[f64]) -> io::Result<()> {
        let Some(span) = TimeSpan::of(times) else {
            return Ok(());
        };
        let within = self.range.start <= span.first && span.last < self.range.end;
        let ascending = times.windows(2).all(|two| two[0] < two[1]);
        if !within || !ascending || times.len() != values.len() {
            let message = format!("samples of {labels} are not ascending, or not of this block");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let series = self.group.series.len();
        self.group.series.push(labels.clone());
        for (times, values) in times.chunks(CHUNK).zip(values.chunks(CHUNK)) {
            let column = self.group.column(times);
            self.group.chunks.push(PendingChunk {
                series,
                column,
                packed: pack_values(values),
            });
        }
        self.footer.samples += times.len() as u64;
        if self.group.series.len() >= SERIES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Declares that the block has all samples of its range from segments below `segment`.
    pub(in super::super) fn covers(&mut self, segment: u64) {
        self.footer.covers = self.range.clone();
        self.footer.segment = segment;
    }

    /// Makes the block durable and visible, and returns its path. A [`History`](crate::history::History) that
    /// is open on the directory finds it within a minute.
    ///
    /// # Errors
    /// The block cannot be written; nothing is left behind.
    pub fn finish(mut self) -> io::Result<PathBuf> {
        self.flush()?;
        let mut end = Vec::new();
        put_footer(&mut end, &self.footer);
        self.write(&end)?;
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        let path = self.folder.join(name::next(&self.folder)?);
        std::fs::rename(&self.temporary, &path)?;
        sync_folder(&self.folder)?;
        Ok(path)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let group = std::mem::take(&mut self.group);
        if group.series.is_empty() {
            return Ok(());
        }
        let directory = group.directory();
        let mut bytes = Vec::new();
        put_labels(&mut bytes, &group.series)?;
        let middle = self.offset + bytes.len() as u64;
        put_directory(&mut bytes, &directory);
        let end = self.offset + bytes.len() as u64;
        self.footer.groups.push(Group {
            labels: self.offset..middle,
            directory: middle..end,
            span: directory.span(),
        });
        bytes.extend(group.columns.iter().flat_map(|(_, packed)| packed));
        bytes.extend(group.chunks.iter().flat_map(|chunk| &chunk.packed));
        self.write(&bytes)
    }
}

impl Pending {
    /// Returns the column of these times, which a recent series mostly shares.
    fn column(&mut self, times: &[i64]) -> usize {
        let start = self.columns.len().saturating_sub(RECENT_COLUMNS);
        let recent = self.columns[start..]
            .iter()
            .rposition(|(column, _)| column == times);
        match recent {
            Some(index) => start + index,
            None => {
                self.columns.push((times.to_vec(), pack_times(times)));
                self.columns.len() - 1
            }
        }
    }

    fn directory(&self) -> Directory {
        let mut directory = Directory::default();
        let mut offset = 0;
        for (times, packed) in &self.columns {
            directory.columns.push(Column {
                span: TimeSpan::of(times).unwrap_or(TimeSpan::NONE),
                count: times.len(),
                bytes: next_range(&mut offset, packed),
                sum: crc32fast::hash(packed),
            });
        }
        for chunk in &self.chunks {
            directory.entries.push(Entry {
                series: chunk.series,
                column: chunk.column,
                bytes: next_range(&mut offset, &chunk.packed),
                sum: crc32fast::hash(&chunk.packed),
            });
        }
        directory
    }
}

/// Returns the range of `packed` from `offset` on, and moves `offset` behind it.
fn next_range(offset: &mut u64, packed: &[u8]) -> Range<u64> {
    let start = *offset;
    *offset += packed.len() as u64;
    start..*offset
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        // A finished block was renamed.
        std::fs::remove_file(&self.temporary).ok();
    }
}
