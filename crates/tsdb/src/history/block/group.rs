//! File format of blocks.
//!
//! A block is a sequence of groups and a footer. A group has up to 256 series: a frame with their labels
//! (zstd), a frame with the directory, and the packed columns and chunks that the directory lists, one
//! after the other, with their CRCs in the directory. Series that were collected together share a column
//! of times. The footer is a frame that lists the groups; its length and a magic number end the file.
//! Without the footer all groups are still found by their frames, so that damage costs only the samples
//! that it hits.

use std::ops::Range;

use bellwether_core::{LabelSet, UnixMillis};

use super::super::bytes::{Reader, put_signed, put_varint};
use super::super::frame;
use super::super::time_span::TimeSpan;

/// First bytes of a block.
pub(super) const HEADER: &[u8; 8] = b"BWBLK 1\n";
/// Last bytes of a block, behind the length of the footer.
pub(super) const END: &[u8; 4] = b"BWBE";

/// Maximum number of series of a group.
pub(super) const SERIES: usize = 256;
/// Maximum number of samples of a chunk.
pub(super) const CHUNK: usize = 1024;

const LABELS: u8 = 3;
const DIRECTORY: u8 = 4;
const FOOTER: u8 = 5;

const ZSTD_LEVEL: i32 = 3;
/// Largest size of the labels of a group, uncompressed.
const MAX_LABELS: usize = 1 << 26;

/// A column of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub span: TimeSpan,
    pub count: usize,
    pub bytes: Range<u64>,
    pub sum: u32,
}

/// Values of one series at the times of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Index of the series in the group.
    pub series: usize,
    pub column: usize,
    pub bytes: Range<u64>,
    pub sum: u32,
}

/// Directory of a group. Byte ranges are relative to the end of the frame of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub columns: Vec<Column>,
    pub entries: Vec<Entry>,
}

impl Directory {
    /// Returns the times of the first and the last sample.
    pub fn span(&self) -> TimeSpan {
        self.columns
            .iter()
            .map(|column| column.span)
            .reduce(TimeSpan::join)
            .unwrap_or(UnixMillis(0).into())
    }

    /// Returns the bytes of all columns and chunks.
    pub fn data(&self) -> u64 {
        let last = self.entries.last().map(|entry| entry.bytes.end);
        last.or(self.columns.last().map(|column| column.bytes.end))
            .unwrap_or(0)
    }
}

pub(super) fn put_labels(out: &mut Vec<u8>, series: &[LabelSet]) -> std::io::Result<()> {
    let mut plain = Vec::new();
    for labels in series {
        put_varint(&mut plain, labels.packed().len() as u64);
        plain.extend_from_slice(labels.packed());
    }
    let packed = zstd::bulk::compress(&plain, ZSTD_LEVEL)?;
    frame::put(out, |out| {
        out.push(LABELS);
        out.extend_from_slice(&packed);
    });
    Ok(())
}

/// Reads the labels of a group; `None` if `content` is not a valid frame of labels.
pub(super) fn read_labels(content: &[u8]) -> Option<Vec<LabelSet>> {
    let packed = content.strip_prefix(&[LABELS])?;
    let plain = zstd::bulk::decompress(packed, MAX_LABELS).ok()?;
    let mut reader = Reader(&plain);
    let mut series = Vec::new();
    while !reader.0.is_empty() {
        series.push(LabelSet::from_packed(reader.sized()?)?);
    }
    Some(series)
}

pub(super) fn put_directory(out: &mut Vec<u8>, directory: &Directory) {
    frame::put(out, |out| {
        out.push(DIRECTORY);
        put_varint(out, directory.columns.len() as u64);
        let mut last = 0;
        for column in &directory.columns {
            let (start, end) = (column.span.first.0, column.span.last.0);
            put_signed(out, start.wrapping_sub(last));
            put_signed(out, end.wrapping_sub(start));
            put_varint(out, column.count as u64);
            put_varint(out, column.bytes.end - column.bytes.start);
            out.extend_from_slice(&column.sum.to_le_bytes());
            last = start;
        }
        put_varint(out, directory.entries.len() as u64);
        let (mut series, mut column) = (0, 0);
        for entry in &directory.entries {
            put_varint(out, (entry.series - series) as u64);
            put_signed(out, entry.column as i64 - column);
            put_varint(out, entry.bytes.end - entry.bytes.start);
            out.extend_from_slice(&entry.sum.to_le_bytes());
            (series, column) = (entry.series, entry.column as i64);
        }
    });
}

/// Reads the directory of a group; `None` if `content` is not a valid frame of a directory.
pub(super) fn read_directory(content: &[u8]) -> Option<Directory> {
    let mut reader = Reader(content.strip_prefix(&[DIRECTORY])?);
    let mut directory = Directory::default();
    let (mut offset, mut last) = (0_u64, 0_i64);
    for _ in 0..reader.varint()? {
        let start = last.wrapping_add(reader.signed()?);
        let end = start.wrapping_add(reader.signed()?);
        let count = reader.size()?;
        let bytes = offset..offset.checked_add(reader.varint()?)?;
        (offset, last) = (bytes.end, start);
        directory.columns.push(Column {
            span: TimeSpan {
                first: UnixMillis(start),
                last: UnixMillis(end),
            },
            count,
            bytes,
            sum: reader.u32()?,
        });
    }
    let (mut series, mut column) = (0_usize, 0_i64);
    for _ in 0..reader.varint()? {
        series = series.checked_add(reader.size()?)?;
        column = column.checked_add(reader.signed()?)?;
        let bytes = offset..offset.checked_add(reader.varint()?)?;
        offset = bytes.end;
        let column = usize::try_from(column)
            .ok()
            .filter(|at| *at < directory.columns.len())?;
        directory.entries.push(Entry {
            series,
            column,
            bytes,
            sum: reader.u32()?,
        });
    }
    Some(directory)
}

/// One group of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Byte range of the labels in the file.
    pub labels: Range<u64>,
    /// Byte range of the directory in the file.
    pub directory: Range<u64>,
    /// Times of the first and the last sample.
    pub span: TimeSpan,
}

/// Footer of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub groups: Vec<Group>,
    pub samples: u64,
    /// Time range in which the block has all samples of the segments of the write-ahead log below `segment`.
    pub covers: Range<UnixMillis>,
    pub segment: u64,
}

pub(super) fn put_footer(out: &mut Vec<u8>, footer: &Footer) {
    let start = out.len();
    frame::put(out, |out| {
        out.push(FOOTER);
        put_varint(out, footer.samples);
        put_signed(out, footer.covers.start.0);
        put_signed(out, footer.covers.end.0);
        put_varint(out, footer.segment);
        for group in &footer.groups {
            put_varint(out, group.labels.start);
            put_varint(out, group.labels.end - group.labels.start);
            put_varint(out, group.directory.end - group.directory.start);
            put_signed(out, group.span.first.0);
            put_signed(out, group.span.last.0);
        }
    });
    let length = (out.len() - start) as u32;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(END);
}

/// Reads the footer; `None` if `content` is not a valid frame of a footer.
pub(super) fn read_footer(content: &[u8]) -> Option<Footer> {
    let mut reader = Reader(content.strip_prefix(&[FOOTER])?);
    let samples = reader.varint()?;
    let covers = UnixMillis(reader.signed()?)..UnixMillis(reader.signed()?);
    let segment = reader.varint()?;
    let mut groups = Vec::new();
    while !reader.0.is_empty() {
        let start = reader.varint()?;
        let middle = start.checked_add(reader.varint()?)?;
        let end = middle.checked_add(reader.varint()?)?;
        let (labels, directory) = (start..middle, middle..end);
        groups.push(Group {
            labels,
            directory,
            span: TimeSpan {
                first: UnixMillis(reader.signed()?),
                last: UnixMillis(reader.signed()?),
            },
        });
    }
    Some(Footer {
        groups,
        samples,
        covers,
        segment,
    })
}
