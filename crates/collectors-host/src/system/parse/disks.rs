//! /proc/diskstats.

use std::collections::HashSet;

use super::{BadLines, Malformed, fields, lines, totals};

/// Bytes of a sector of /proc/diskstats, whatever the sectors of the disk are.
const SECTOR: u64 = 512;

/// Number of totals of a disk.
pub(in super::super) const TOTALS: usize = 5;

/// A block device: a disk, a partition, or a virtual device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Disk<'a> {
    pub(in super::super) name: &'a [u8],
    /// Bytes read, bytes written, reads, writes, milliseconds with work; `None` if the
    /// line is bad.
    pub(in super::super) totals: Option<[u64; TOTALS]>,
}

/// Parses /proc/diskstats; each device is returned once.
pub(in super::super) fn disks<'a>(bytes: &'a [u8], bad: &mut BadLines) -> Vec<Disk<'a>> {
    let mut names = HashSet::new();
    let mut found = Vec::new();
    for (at, line) in lines(bytes) {
        let mut columns = fields(line).skip(2);
        let name = columns.next().unwrap_or_default();
        let disk = Disk {
            name,
            totals: counters(columns),
        };
        let new = !name.is_empty() && names.insert(name);
        if new {
            found.push(disk);
        }
        if !new || disk.totals.is_none() {
            bad.add(Malformed::line(at, "a block device and its counters", line));
        }
    }
    found
}

fn counters<'a>(mut columns: impl Iterator<Item = &'a [u8]>) -> Option<[u64; TOTALS]> {
    let [reads, _, sectors_read, _, writes, _, sectors_written]: [u64; 7] = totals(&mut columns)?;
    // Before the time with work come the time of writes and how many requests are under way,
    // which some kernels let fall below zero.
    let working = super::total(columns.nth(2)?)?;
    columns.next()?;
    let read = sectors_read.checked_mul(SECTOR)?;
    let written = sectors_written.checked_mul(SECTOR)?;
    Some([read, written, reads, writes, working])
}

/// Returns the disk of the path `name`: `nvme0n1` for `nvme0c1n1`. With native multipath the kernel
/// counts at one of both, depending on its version.
pub(in super::super) fn multipath_head(name: &[u8]) -> Option<Vec<u8>> {
    let (subsystem, rest) = digits(name.strip_prefix(b"nvme")?)?;
    let (_, rest) = digits(rest.strip_prefix(b"c")?)?;
    let (_, end) = digits(rest.strip_prefix(b"n")?)?;
    end.is_empty().then(|| [b"nvme", subsystem, rest].concat())
}

/// Splits off the leading digits, at least one.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| text.split_at(count))
}

/// Returns whether `name` is a partition: without its number, and without a `p` that follows another
/// digit, it is the name of an existing device. `sda1` is one of `sda`, `nvme0n1p2` of `nvme0n1`; but
/// `dm-0`, `md127`, and an `xvda1` without an `xvda` are disks.
pub(in super::super) fn is_partition(name: &[u8], exists: impl Fn(&[u8]) -> bool) -> bool {
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
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
    fn partitions_are_distinguished_from_disks() {
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
            [
                &b"sda1"[..],
                b"sda10",
                b"nvme0n1p1",
                b"md127p1",
                b"mmcblk0p2",
                b"cciss/c0d0p1"
            ]
        );
    }

    #[test]
    fn paths_of_nvme_have_a_head() {
        for (path, head) in [
            ("nvme0c1n2", Some("nvme0n2")),
            ("nvme12c34n56", Some("nvme12n56")),
            ("nvme0n1", None),
            ("nvme0c1n1p1", None),
            ("nvme0c1", None),
            ("nvmec1n1", None),
            ("sda", None),
        ] {
            assert_eq!(
                multipath_head(path.as_bytes()),
                head.map(|head| head.into()),
                "{path}"
            );
        }
    }

    #[test]
    fn sectors_are_512_bytes() {
        let mut bad = BadLines::default();
        let line = b" 8 0 sda 10 0 4 0 20 0 8 0 4294967295 7 0\n";
        let found = disks(line, &mut bad);
        assert_eq!(
            found,
            [Disk {
                name: b"sda",
                totals: Some([2048, 4096, 10, 20, 7])
            }]
        );
        assert!(bad.is_empty());
    }

    #[test]
    fn a_bad_line_leaves_the_others_and_its_name() {
        let text = b" 8 0 sda 10 0 4 0 20 0 8 0 0 0 0\n 8 16 sdb 1 2\n 8 32 s\xffc 1 0 0 0 0 0 0 0 0 0 0\n\
            8 0 sda 1 1 1 1 1 1 1 1 1 1 1\n8 48 sdd 18446744073709551615 0 4 0 20 0 8 0 0 7 0\n8\n";
        let mut bad = BadLines::default();
        let found = disks(text, &mut bad);
        let read: Vec<_> = found
            .iter()
            .map(|disk| (disk.name, disk.totals.is_some()))
            .collect();
        assert_eq!(
            read,
            [
                (&b"sda"[..], true),
                (b"sdb", false),
                (b"s\xffc", true),
                (b"sdd", false)
            ]
        );
        assert_eq!(bad.count(), 4);
        assert_eq!(
            bad.first().unwrap().to_string(),
            "line 2: expected a block device and its counters, found \" 8 16 sdb 1 2\""
        );
    }
}
