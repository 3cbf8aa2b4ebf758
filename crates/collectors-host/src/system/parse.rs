//! Parsers of the files of /proc and /sys. Pure: nothing here opens a file.
//!
//! Kernel files may have any byte (mount points, interface names), so the parsers work on bytes.
//! `procfs` parses some of the same files, but would fail for a whole host because of one bad line:
//! it panics on a cut `some` line and on non-ASCII keys of meminfo, rejects
//! meminfo without fields that containers leave out, mountinfo and diskstats that are not UTF-8,
//! and CPU pressure without a `full` line, and it loses the numbers of the cores.

mod cpu;
mod disks;
mod memory;
mod mounts;
mod network;
mod plain;
mod pressure;

use std::fmt;

pub(super) use cpu::{Core, CpuTimes, MODES, cpu_times, mean_megahertz};
pub(super) use disks::{Disk, TOTALS, disks, is_partition, multipath_head};
pub(super) use memory::{Memory, Paging, memory, paging};
pub(super) use mounts::mounts;
pub(crate) use mounts::{Mount, all_mounts};
pub(super) use network::{Interface, STATES, TcpStates, interfaces};
pub(super) use plain::{Descriptors, Load, number_file, uptime};
pub(crate) use plain::{descriptors, load};
pub(super) use pressure::{SCOPES, WINDOWS};
pub(crate) use pressure::{Stall, pressure};

/// Parse error: `line 3: expected a number, found "x"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Number from 1; 0 for the file as a whole.
    line: usize,
    text: String,
}

impl Malformed {
    /// Creates the error of a line; `line` counts from 1.
    pub(super) fn line(line: usize, expected: &str, found: &[u8]) -> Self {
        const SHOWN: usize = 60;
        let shown = String::from_utf8_lossy(&found[..found.len().min(SHOWN)]);
        Self {
            line,
            text: format!("line {line}: expected {expected}, found {shown:?}"),
        }
    }

    fn missing(what: &str) -> Self {
        Self {
            line: 0,
            text: format!("no {what} in it"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Bad lines of a file: their number, and the first few of them. A bad line costs the metrics that
/// need it and no others.
#[derive(Debug, Default)]
pub(crate) struct BadLines {
    count: u64,
    first: Vec<Malformed>,
}

impl BadLines {
    /// Maximum number of lines with a message.
    const MOST: usize = 3;

    pub(super) fn add(&mut self, malformed: Malformed) {
        self.count += 1;
        if self.first.len() < Self::MOST {
            self.first.push(malformed);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the error of the first bad line.
    pub(super) fn first(&self) -> Option<&Malformed> {
        self.first.first()
    }

    /// Returns the first errors with their line numbers.
    pub(super) fn named(&self) -> impl Iterator<Item = (usize, &Malformed)> {
        self.first
            .iter()
            .map(|malformed| (malformed.line, malformed))
    }
}

/// Iterates over lines with their number from 1; empty lines are left out.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let numbered = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    numbered.filter(|(_, line)| !line.is_empty())
}

/// Iterates over fields between blanks.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
}

/// Parses a whole decimal number.
fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |total, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        total.checked_mul(10)?.checked_add(digit)
    })
}

/// Parses a total. Numbers from 2^63 on are negative ones that were printed as unsigned.
fn total(field: &[u8]) -> Option<u64> {
    number(field).filter(|total| *total <= i64::MAX as u64)
}

/// Parses a decimal number with a fraction.
fn decimal(field: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Parses consecutive fields that are totals.
fn totals<'a, const N: usize>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<[u64; N]> {
    let mut into = [0; N];
    for slot in &mut into {
        *slot = total(fields.next()?)?;
    }
    Some(into)
}

/// Returns the share of `part` in `whole` in percent; 0 if `whole` is 0.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole * 100.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_decimal_and_fit() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for text in [
            &b"18446744073709551616"[..],
            b"",
            b"-1",
            b"+1",
            b"1x",
            b"\xff",
            b"0x1",
        ] {
            assert_eq!(number(text), None);
        }
        assert_eq!(decimal(b"0.57"), Some(0.57));
        for text in [&b"nan"[..], b"inf", b"", b"1e999", b"\xff"] {
            assert_eq!(decimal(text), None);
        }
    }

    proptest! {
        /// Parsing any content ends with values or with an error.
        #[test]
        fn no_parser_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..2000) {
            let healthy: [&[u8]; 10] = [
                include_bytes!("../../../../tests/fixtures/healthy/proc/stat"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/meminfo"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/vmstat"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/diskstats"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/net/dev"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/self/mountinfo"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/pressure/io"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/loadavg"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/net/tcp"),
                include_bytes!("../../../../tests/fixtures/healthy/proc/cpuinfo"),
            ];
            for sample in healthy {
                let cut = cut.min(sample.len());
                let spoilt = [&sample[..cut], &bytes, &sample[cut..]].concat();
                for input in [&sample[..cut], &spoilt, &bytes] {
                    parse_all(input);
                }
            }
        }
    }

    fn parse_all(input: &[u8]) {
        let bad = &mut BadLines::default();
        cpu_times(input, &mut CpuTimes::default(), bad);
        let _ = (
            memory(input, bad),
            paging(input, bad),
            mean_megahertz(input, bad),
        );
        let _ = (mounts(input, bad), pressure(input, bad), disks(input, bad));
        let _ = (
            load(input, bad),
            uptime(input, bad),
            descriptors(input, bad),
        );
        let _ = (number_file(input), interfaces(input).count());
        let mut states = TcpStates::default();
        let _ = lines(input).try_for_each(|(at, line)| states.add_line(at, line));
    }

    #[test]
    fn a_bad_line_is_counted_and_only_a_few_are_named() {
        let mut bad = BadLines::default();
        for line in 1..=5 {
            bad.add(Malformed::line(line, "a number", b"x"));
        }
        assert_eq!((bad.count(), bad.named().count()), (5, BadLines::MOST));
        assert_eq!(
            bad.first().unwrap().to_string(),
            "line 1: expected a number, found \"x\""
        );
    }
}
