//! /proc/diskstats.

use super::{Malformed, fields, lines, numbers};

/// /proc/diskstats counts in these, whatever the disk's own sectors are.
const SECTOR: u64 = 512;

/// How many totals a disk has here.
pub(in super::super) const TOTALS: usize = 5;

/// One block device: a disk, a partition, or something that acts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Disk<'a> {
    pub(in super::super) name: &'a [u8],
    /// Bytes read, bytes written, reads, writes, milliseconds with work.
    pub(in super::super) totals: [u64; TOTALS],
}

/// The devices of /proc/diskstats; a broken line is an error and ends nothing.
pub(in super::super) fn disks(bytes: &[u8]) -> impl Iterator<Item = Result<Disk<'_>, Malformed>> {
    lines(bytes).map(|(at, line)| {
        disk(line).ok_or_else(|| Malformed::line(at, "a block device and its counters", line))
    })
}

fn disk(line: &[u8]) -> Option<Disk<'_>> {
    let mut columns = fields(line).skip(2);
    let name = columns.next()?;
    let [reads, _, sectors_read, _, writes, _, sectors_written, _, _, working, _]: [u64; 11] =
        numbers(&mut columns)?;
    let read = sectors_read.wrapping_mul(SECTOR);
    let written = sectors_written.wrapping_mul(SECTOR);
    Some(Disk { name, totals: [read, written, reads, writes, working] })
}

/// Whether `name` is a partition, which is so when what is left without its number, and without
/// the `p` that follows another digit, is a device as well: `sda1` of `sda`, `nvme0n1p2` of
/// `nvme0n1`; but `dm-0`, `md127`, and an `xvda1` without an `xvda` are disks of their own.
pub(in super::super) fn is_partition(name: &[u8], exists: impl Fn(&[u8]) -> bool) -> bool {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &name[..name.len() - digits];
    if digits == 0 || stem.is_empty() {
        return false;
    }
    match stem {
        [parent @ .., b'p'] if parent.last().is_some_and(u8::is_ascii_digit) => exists(parent),
        stem => exists(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_told_from_disks() {
        let names: Vec<&[u8]> = vec![
            b"sda",
            b"sda1",
            b"sda10",
            b"nvme0n1",
            b"nvme0n1p1",
            b"dm-0",
            b"md127",
            b"md127p1",
            b"xvdb1",
            b"mmcblk0",
            b"mmcblk0p2",
            b"mmcblk0boot0",
            b"cciss/c0d0",
            b"cciss/c0d0p1",
            b"1",
        ];
        let partitions: Vec<&[u8]> = names
            .iter()
            .copied()
            .filter(|name| is_partition(name, |other| names.contains(&other)))
            .collect();
        assert_eq!(
            partitions,
            [&b"sda1"[..], b"sda10", b"nvme0n1p1", b"md127p1", b"mmcblk0p2", b"cciss/c0d0p1"]
        );
    }

    #[test]
    fn sectors_are_512_bytes() {
        let line = b" 8 0 sda 10 0 4 0 20 0 8 0 0 7 0\n";
        let found: Vec<_> = disks(line).collect();
        assert_eq!(found, [Ok(Disk { name: b"sda", totals: [2048, 4096, 10, 20, 7] })]);
    }

    #[test]
    fn a_broken_line_leaves_the_others() {
        let text = b" 8 0 sda 10 0 4 0 20 0 8 0 0 0 0\n 8 16 sdb 1 2\n 8 32 s\xffc 1 0 0 0 0 0 0 0 0 0 0\n";
        let found: Vec<_> = disks(text).collect();
        assert_eq!(found.iter().filter(|disk| disk.is_ok()).count(), 2);
        assert_eq!(
            found[1].as_ref().unwrap_err().to_string(),
            "line 2: expected a block device and its counters, found \" 8 16 sdb 1 2\""
        );
    }
}
