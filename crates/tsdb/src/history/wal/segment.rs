//! Segments: the files of the write-ahead log.

use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::LabelSet;
use bellwether_files as files;
use hashbrown::HashMap;

use super::record::Record;
use crate::history::frame::{self, Scan};

/// What a segment begins with.
pub(super) const HEADER: &[u8; 8] = b"BWWAL 1\n";

/// Where the segment with this number is.
pub(in super::super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.wal"))
}

/// Numbers of the segments in `folder`, ascending.
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
    /// Reads a segment, whatever state it is in.
    pub fn read(folder: &Path, number: u64) -> io::Result<Self> {
        let bytes = files::read(&path(folder, number), files::STATE)?;
        let scan = frame::scan(&bytes, HEADER.len().min(bytes.len()));
        Ok(Self {
            number,
            bytes,
            scan,
        })
    }

    /// Places in the middle that are damaged.
    pub fn damaged(&self) -> u64 {
        self.scan.damaged
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Bytes up to the end of the last whole frame.
    pub fn whole(&self) -> u64 {
        self.scan.end as u64
    }

    /// What its frames hold, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.scan
            .contents
            .iter()
            .filter_map(|content| Record::read(&self.bytes[content.clone()]))
    }

    /// The series that its numbers stand for. Each is written twice, before and behind its first
    /// samples, so that one damaged place does not take the meaning of all that follows.
    pub fn definitions(&self) -> HashMap<u32, LabelSet> {
        let definitions = self.records().filter_map(|record| match record {
            Record::Definitions(definitions) => Some(definitions),
            Record::Samples(_) => None,
        });
        definitions.flatten().collect()
    }
}

/// Cuts what was never finished off the end of a segment.
pub(in super::super) fn truncate(folder: &Path, number: u64, length: u64) -> io::Result<()> {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path(folder, number))?;
    file.set_len(length)?;
    file.sync_data()
}
