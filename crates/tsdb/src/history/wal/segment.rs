//! Segments: files of the write-ahead log.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::LabelSet;
use bellwether_files as files;
use hashbrown::HashMap;

use super::record::Record;
use crate::history::SeriesId;
use crate::history::frame::{self, Scan};

/// First bytes of a segment.
pub(super) const HEADER: &[u8; 8] = b"BWWAL 1\n";

/// Returns the path of the segment with this number.
pub(in super::super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.wal"))
}

/// Returns the numbers of the segments in `folder`, ascending.
pub(in super::super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".wal"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A segment in memory.
#[derive(Debug)]
pub(in super::super) struct Segment {
    pub number: u64,
    bytes: Vec<u8>,
    scan: Scan,
}

impl Segment {
    /// Reads a segment, damaged or not.
    pub fn read(folder: &Path, number: u64) -> io::Result<Self> {
        let bytes = files::read(&path(folder, number), files::STATE)?;
        let scan = frame::scan(&bytes, HEADER.len().min(bytes.len()));
        Ok(Self {
            number,
            bytes,
            scan,
        })
    }

    /// Returns the number of damaged places before the last whole frame.
    pub fn damaged(&self) -> u64 {
        self.scan.damaged
    }

    /// Returns the bytes of the file.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns the bytes up to the end of the last whole frame.
    pub fn whole(&self) -> u64 {
        self.scan.end as u64
    }

    /// Returns the records in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.scan
            .contents
            .iter()
            .filter_map(|content| Record::read(&self.bytes[content.clone()]))
    }

    /// Returns the labels of the series ids of the segment. Each definition is written twice, before and
    /// behind the first samples of the series, so that one damaged place does not make all further samples
    /// unreadable.
    pub fn definitions(&self) -> HashMap<SeriesId, LabelSet> {
        let definitions = self.records().filter_map(|record| match record {
            Record::Definitions(definitions) => Some(definitions),
            Record::Samples(_) => None,
        });
        definitions.flatten().collect()
    }
}

/// Truncates an unfinished write at the end of a segment.
pub(in super::super) fn truncate(folder: &Path, number: u64, length: u64) -> io::Result<()> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path(folder, number))?;
    file.set_len(length)?;
    file.sync_data()
}
