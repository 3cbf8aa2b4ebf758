//! External sort of samples by block, series and time: in memory up to a limit, beyond it in sorted runs on
//! disk that are merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::UnixMillis;

use crate::history::History;

/// A sample to be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// Start of the block.
    pub(super) block: UnixMillis,
    /// Index of the series.
    pub(super) series: u32,
    /// Timestamp.
    pub(super) at: UnixMillis,
    /// Position in the input. Of two samples at the same time the later one counts.
    nth: u64,
    /// Bits of the value.
    pub(super) bits: u64,
}

/// Bytes of a record in a run.
const SIZE: usize = 28;

impl Record {
    pub(super) fn new(series: u32, at: UnixMillis, value: f64, nth: u64) -> Self {
        Self {
            block: History::block_range(at).start,
            series,
            at,
            nth,
            bits: value.to_bits(),
        }
    }

    fn put(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.series.to_le_bytes())?;
        for word in [self.at.0 as u64, self.nth, self.bits] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads the next record of a run; `None` at its end.
    fn read(run: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; SIZE];
        match run.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut series = [0; 4];
        series.copy_from_slice(&bytes[..4]);
        let [at, nth, bits] = [0, 1, 2].map(|index| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[4 + 8 * index..12 + 8 * index]);
            u64::from_le_bytes(word)
        });
        Ok(Some(Self::new(
            u32::from_le_bytes(series),
            UnixMillis(at as i64),
            f64::from_bits(bits),
            nth,
        )))
    }
}

/// Sorter that accepts samples in any order.
pub(super) struct Sorter {
    ceiling: usize,
    buffer: Vec<Record>,
    runs: Vec<File>,
}

impl Sorter {
    /// Creates a sorter with at most `ceiling` samples in memory.
    pub(super) fn new(ceiling: usize) -> Self {
        Self {
            ceiling: ceiling.max(1),
            buffer: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Adds a sample.
    pub(super) fn push(&mut self, record: Record) -> io::Result<()> {
        self.buffer.push(record);
        if self.buffer.len() >= self.ceiling {
            self.spill()
        } else {
            Ok(())
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort_unstable();
        let mut file = BufWriter::new(unnamed_file(&std::env::temp_dir())?);
        for record in &self.buffer {
            record.put(&mut file)?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        self.buffer.clear();
        Ok(())
    }

    /// Returns all samples in order.
    pub(super) fn into_sorted(mut self) -> io::Result<Sorted> {
        self.buffer.sort_unstable();
        let mut sorted = Sorted {
            heads: BinaryHeap::new(),
            runs: self.runs.into_iter().map(BufReader::new).collect(),
            rest: self.buffer.into_iter(),
        };
        for run in 0..=sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// All samples in order of block, series and time.
pub(super) struct Sorted {
    /// Next sample of each run.
    heads: BinaryHeap<Reverse<(Record, usize)>>,
    runs: Vec<BufReader<File>>,
    /// Samples that are only in memory, as the last run.
    rest: std::vec::IntoIter<Record>,
}

impl Sorted {
    /// Returns the next sample.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        let Some(Reverse((record, run))) = self.heads.pop() else {
            return Ok(None);
        };
        self.refill(run)?;
        Ok(Some(record))
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let next = match self.runs.get_mut(run) {
            Some(run) => Record::read(run)?,
            None => self.rest.next(),
        };
        self.heads.extend(next.map(|record| Reverse((record, run))));
        Ok(())
    }
}

/// Creates a file in `folder` that is deleted with the process, however that ends.
fn unnamed_file(folder: &Path) -> io::Result<File> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let path = folder.join(format!("bellwether-import-{}-{number}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(samples: &[Record], ceiling: usize) -> Vec<Record> {
        let mut sorter = Sorter::new(ceiling);
        for record in samples {
            sorter.push(*record).unwrap();
        }
        let mut sorted = sorter.into_sorted().unwrap();
        std::iter::from_fn(|| sorted.next().unwrap()).collect()
    }

    #[test]
    fn samples_on_disk_are_in_the_same_order_as_in_memory() {
        let samples: Vec<Record> = (0..1000_u64)
            .map(|nth| {
                let mixed = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                Record::new(
                    (mixed % 7) as u32,
                    UnixMillis((mixed >> 40) as i64 - 5_000_000),
                    nth as f64,
                    nth,
                )
            })
            .collect();
        let expected = sorted(&samples, usize::MAX);
        assert_eq!(expected.len(), 1000);
        assert!(expected.is_sorted_by_key(|record| (record.block, record.series, record.at)));
        for ceiling in [1, 7, 100, 1000] {
            assert_eq!(sorted(&samples, ceiling), expected, "{ceiling}");
        }
    }
}
