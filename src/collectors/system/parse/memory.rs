//! /proc/meminfo and /proc/vmstat.

use super::{Malformed, fields, lines, number, percent};

/// Memory and swap space in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Memory {
    pub(in super::super) total: u64,
    pub(in super::super) available: u64,
    pub(in super::super) swap_total: u64,
    pub(in super::super) swap_free: u64,
}

impl Memory {
    /// What is not available; `free` counts `used` the same way since procps 4.
    pub(in super::super) fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    pub(in super::super) fn used_percent(&self) -> f64 {
        percent(self.used() as f64, self.total as f64)
    }

    pub(in super::super) fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }

    pub(in super::super) fn swap_percent(&self) -> f64 {
        percent(self.swap_used() as f64, self.swap_total as f64)
    }
}

const KEYS: [&[u8]; 9] = [
    b"MemTotal:",
    b"MemAvailable:",
    b"SwapTotal:",
    b"SwapFree:",
    b"MemFree:",
    b"Buffers:",
    b"Cached:",
    b"SReclaimable:",
    b"Shmem:",
];

/// Reads /proc/meminfo.
pub(in super::super) fn memory(bytes: &[u8]) -> Result<Memory, Malformed> {
    let mut found = [None; KEYS.len()];
    for (at, line) in lines(bytes) {
        let mut columns = fields(line);
        let key = columns.next().unwrap_or_default();
        let Some(index) = KEYS.iter().position(|known| *known == key) else { continue };
        let kibibytes = columns.next().and_then(number);
        let value = kibibytes.and_then(|value| value.checked_mul(1024));
        // The unit ends the line: without it the line is cut, and so may be its number.
        if value.is_none() || columns.next() != Some(b"kB") {
            return Err(Malformed::line(at, "a size in kB", line));
        }
        found[index] = value;
    }
    let [total, available, swap_total, swap_free, free, buffers, cached, reclaimable, shared] =
        found;
    let total = total.ok_or_else(|| Malformed::missing("MemTotal"))?;
    // Kernels before 3.14 and some containers do not say what is available; this is what procps
    // falls back to.
    let estimate = || {
        let reusable = buffers?.saturating_add(cached?).saturating_add(reclaimable.unwrap_or(0));
        Some(free?.saturating_add(reusable.saturating_sub(shared.unwrap_or(0))))
    };
    let available =
        available.or_else(estimate).ok_or_else(|| Malformed::missing("MemAvailable"))?;
    Ok(Memory {
        total,
        available: available.min(total),
        swap_total: swap_total.unwrap_or(0),
        swap_free: swap_free.unwrap_or(0),
    })
}

/// Traffic with the swap space since the boot, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Paging {
    pub(in super::super) swapped_in: f64,
    pub(in super::super) swapped_out: f64,
}

/// Reads /proc/vmstat. A kernel without swapping has no such lines: nothing was swapped.
pub(in super::super) fn paging(bytes: &[u8]) -> Result<Paging, Malformed> {
    let page = procfs::page_size() as f64;
    let (mut paging, mut known) = (Paging::default(), false);
    for (at, line) in lines(bytes) {
        let slot = match fields(line).next() {
            Some(b"pswpin") => &mut paging.swapped_in,
            Some(b"pswpout") => &mut paging.swapped_out,
            Some(b"nr_free_pages") => {
                known = true;
                continue;
            }
            _ => continue,
        };
        let pages = fields(line).nth(1).and_then(number);
        *slot = page * pages.ok_or_else(|| Malformed::line(at, "a number", line))? as f64;
    }
    if known { Ok(paging) } else { Err(Malformed::missing("line \"nr_free_pages\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_what_is_not_available() {
        let text = b"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 8 kB\n\
                     SwapFree: 6 kB\n";
        let memory = memory(text).unwrap();
        assert_eq!((memory.total, memory.used()), (1_024_000, 768_000));
        assert!((memory.used_percent() - 75.0).abs() < 1e-9);
        assert!((memory.swap_percent() - 25.0).abs() < 1e-9);
    }

    #[test]
    fn without_available_it_is_estimated_and_without_swap_nothing_is_used() {
        let text = b"MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n\
                     Shmem: 4 kB\nSReclaimable: 3 kB\n";
        let memory = memory(text).unwrap();
        assert_eq!(memory.available, 34 * 1024);
        assert!(memory.swap_percent().abs() < 1e-9);
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected) in [
            ("", "no MemTotal in it"),
            ("MemTotal: 5 kB\n", "no MemAvailable in it"),
            ("MemTotal: 12", "line 1: expected a size in kB, found \"MemTotal: 12\""),
            (
                "MemTotal: 18446744073709551615 kB",
                "line 1: expected a size in kB, found \"MemTotal: 18446744073709551615 kB\"",
            ),
        ] {
            assert_eq!(memory(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn swapped_pages_are_bytes() {
        let page = procfs::page_size() as f64;
        let found = paging(b"nr_free_pages 9\npswpin 2\npswpout 3\n").unwrap();
        assert_eq!(found, Paging { swapped_in: 2.0 * page, swapped_out: 3.0 * page });
        assert_eq!(paging(b"nr_free_pages 9\n"), Ok(Paging::default()));
        assert_eq!(paging(b"").unwrap_err().to_string(), "no line \"nr_free_pages\" in it");
        assert!(paging(b"nr_free_pages 9\npswpin x\n").is_err());
    }
}
