//! /proc/meminfo and /proc/vmstat.

use rustix::param::page_size;

use super::{BadLines, Malformed, fields, lines, number, percent, total};

/// Memory and swap space in bytes; `None` if the line is missing, bad or not credible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Memory {
    pub(in super::super) total: Option<u64>,
    pub(in super::super) available: Option<u64>,
    pub(in super::super) swap_total: Option<u64>,
    pub(in super::super) swap_free: Option<u64>,
}

impl Memory {
    /// Returns the memory that is not available, as `free` does since procps 4.
    pub(in super::super) fn used(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.available?))
    }

    pub(in super::super) fn used_percent(&self) -> Option<f64> {
        Some(percent(self.used()? as f64, self.total? as f64))
    }

    /// Returns the used swap space; 0 if there is none, whatever the free size is.
    pub(in super::super) fn swap_used(&self) -> Option<u64> {
        match self.swap_total? {
            0 => Some(0),
            total => Some(total - self.swap_free?),
        }
    }

    pub(in super::super) fn swap_percent(&self) -> Option<f64> {
        Some(percent(self.swap_used()? as f64, self.swap_total? as f64))
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

/// Reads /proc/meminfo; `None` if it has no usable line.
pub(in super::super) fn memory(bytes: &[u8], bad: &mut BadLines) -> Option<Memory> {
    let (sizes, spoilt) = sizes(bytes, bad);
    let [
        total,
        available,
        swap_total,
        swap_free,
        free,
        buffers,
        cached,
        reclaimable,
        shared,
    ] = sizes;
    if total.is_none() && !spoilt[0] {
        bad.add(Malformed::missing("MemTotal"));
    }
    sizes.iter().any(Option::is_some).then_some(())?;
    let total = total.filter(|total| *total > 0);
    // Kernels before 3.14 and some containers have no MemAvailable; this is the fallback of
    // procps.
    // In some containers the total is theirs and MemAvailable is the host's; procps and psutil
    // use MemFree then.
    let fits = |size: &u64| total.is_none_or(|total| *size <= total);
    let available = available
        .or_else(|| {
            let reusable = buffers?
                .saturating_add(cached?)
                .saturating_add(reclaimable.unwrap_or(0));
            Some(free?.saturating_add(reusable.saturating_sub(shared.unwrap_or(0))))
        })
        .filter(fits)
        .or(free)
        .filter(fits);
    if available.is_none() && !spoilt[1] {
        bad.add(Malformed::missing("credible MemAvailable"));
    }
    let [swap_total, swap_free] = swap([swap_total, swap_free], [spoilt[2], spoilt[3]], bad);
    Some(Memory {
        total,
        available,
        swap_total,
        swap_free,
    })
}

/// Reads the sizes of [`KEYS`], in bytes, and which of their lines are malformed.
fn sizes(bytes: &[u8], bad: &mut BadLines) -> ([Option<u64>; KEYS.len()], [bool; KEYS.len()]) {
    let mut sizes = [None; KEYS.len()];
    let mut spoilt = [false; KEYS.len()];
    for (at, line) in lines(bytes) {
        let mut columns = fields(line);
        let key = columns.next().unwrap_or_default();
        let Some(index) = KEYS.iter().position(|known| *known == key) else {
            continue;
        };
        let kibibytes = columns.next().and_then(number);
        let value = kibibytes.and_then(|value| value.checked_mul(1024));
        // The unit ends the line: without it the line is truncated, and so may be its number.
        if value.is_some() && columns.next() == Some(b"kB") {
            sizes[index] = value;
        } else {
            spoilt[index] = true;
            bad.add(Malformed::line(at, "a size in kB", line));
        }
    }
    (sizes, spoilt)
}

/// Returns the total and the free swap space, if they are credible.
fn swap(sizes: [Option<u64>; 2], spoilt: [bool; 2], bad: &mut BadLines) -> [Option<u64>; 2] {
    let [total, free] = match sizes {
        // A kernel without swap space may leave both out.
        [None, None] if spoilt == [false; 2] => [Some(0), Some(0)],
        [total, free] => [
            total,
            free.filter(|free| total.is_none_or(|total| *free <= total)),
        ],
    };
    if total.is_none() && !spoilt[0] {
        bad.add(Malformed::missing("SwapTotal"));
    }
    if free.is_none() && !spoilt[1] && total != Some(0) {
        bad.add(Malformed::missing("credible SwapFree"));
    }
    [total, free]
}

/// Traffic with the swap space since the boot, in bytes; `None` if its line is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Paging {
    pub(in super::super) swapped_in: Option<f64>,
    pub(in super::super) swapped_out: Option<f64>,
}

/// Reads /proc/vmstat. A kernel without swapping has no such lines, which counts as zero.
pub(in super::super) fn paging(bytes: &[u8], bad: &mut BadLines) -> Option<Paging> {
    let page = page_size() as f64;
    let mut paging = Paging {
        swapped_in: None,
        swapped_out: None,
    };
    let (mut known, mut swaps) = (false, false);
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
        swaps = true;
        *slot = fields(line)
            .nth(1)
            .and_then(total)
            .map(|pages| page * pages as f64);
        known |= slot.is_some();
        if slot.is_none() {
            bad.add(Malformed::line(at, "a number", line));
        }
    }
    if !swaps {
        paging = Paging {
            swapped_in: Some(0.0),
            swapped_out: Some(0.0),
        };
    } else if bad.is_empty() && (paging.swapped_in.is_none() || paging.swapped_out.is_none()) {
        bad.add(Malformed::missing("line \"pswpin\" or \"pswpout\""));
    }
    if !known {
        bad.add(Malformed::missing("line \"nr_free_pages\""));
    }
    known.then_some(paging)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Memory, u64) {
        let mut bad = BadLines::default();
        (
            memory(text.as_bytes(), &mut bad).unwrap_or_default(),
            bad.count(),
        )
    }

    fn about(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 0.05)
    }

    #[test]
    fn used_is_what_is_not_available() {
        let (memory, bad) = read(
            "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nSwapTotal: 8 kB\n\
             SwapFree: 6 kB\n",
        );
        assert_eq!(
            (memory.total, memory.used(), bad),
            (Some(1_024_000), Some(768_000), 0)
        );
        assert!(about(memory.used_percent(), 75.0) && about(memory.swap_percent(), 25.0));
    }

    #[test]
    fn without_available_it_is_estimated_and_without_swap_nothing_is_used() {
        let (memory, bad) = read(
            "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n\
             Shmem: 4 kB\nSReclaimable: 3 kB\n",
        );
        assert_eq!((memory.available, bad), (Some(34 * 1024), 0));
        assert_eq!(
            (memory.swap_used(), memory.swap_percent()),
            (Some(0), Some(0.0))
        );
    }

    #[test]
    fn in_a_container_the_host_s_available_memory_is_not_its_own() {
        let text = "MemTotal: 1048576 kB\nMemFree: 200000 kB\nMemAvailable: 9000000 kB\n\
                    Buffers: 0 kB\nCached: 100000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let (memory, bad) = read(text);
        assert!(about(memory.used_percent(), 80.9), "{memory:?}");
        assert_eq!(bad, 0);
        // An estimate that is not credible is no better.
        let (memory, _) = read(
            &text
                .replace("MemAvailable", "Other")
                .replace("100000", "9000000"),
        );
        assert!(about(memory.used_percent(), 80.9), "{memory:?}");
        let (memory, bad) = read(&text.replace("200000", "2000000"));
        assert_eq!(
            (memory.used(), memory.total.is_some(), bad),
            (None, true, 1)
        );
    }

    #[test]
    fn a_line_costs_the_metrics_that_need_it() {
        let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 411 kB\n\
                    SwapTotal: 0 kB\nSwapFree: 18446744073709346016 kB\n";
        let (memory, bad) = read(text);
        assert!(about(memory.used_percent(), 58.9), "{memory:?}");
        assert_eq!(
            (memory.swap_used(), memory.swap_percent(), bad),
            (Some(0), Some(0.0), 1)
        );
        let (memory, bad) = read(&text.replace("SwapTotal: 0", "SwapTotal: 8"));
        assert_eq!(
            (memory.swap_total, memory.swap_used(), bad),
            (Some(8192), None, 1)
        );
        let (memory, bad) = read(&text.replace("SwapTotal: 0 kB", "SwapTotal: -1 kB"));
        assert_eq!(
            (memory.swap_total, memory.swap_percent(), bad),
            (None, None, 2)
        );
        assert!(about(memory.used_percent(), 58.9), "{memory:?}");
        let (memory, bad) =
            read("MemTotal: 9 kB\nMemAvailable: 1 kB\nSwapTotal: 2 kB\nSwapFree: 3 kB\n");
        assert_eq!(
            (memory.swap_used(), bad),
            (None, 1),
            "more is free than there is"
        );
        let (memory, bad) = read("MemTotal: x kB\nMemAvailable: 1 kB\n");
        assert_eq!(
            (memory.available, memory.used(), bad),
            (Some(1024), None, 1)
        );
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected, usable) in [
            ("", "no MemTotal in it", false),
            ("MemTotal: 5 kB\n", "no credible MemAvailable in it", true),
            (
                "MemTotal: 12",
                "line 1: expected a size in kB, found \"MemTotal: 12\"",
                false,
            ),
            (
                "MemTotal: 18446744073709551615 kB",
                "line 1: expected a size in kB, found \"MemTotal: 18446744073709551615 kB\"",
                false,
            ),
        ] {
            let mut bad = BadLines::default();
            assert_eq!(
                memory(text.as_bytes(), &mut bad).is_some(),
                usable,
                "{text}"
            );
            assert_eq!(bad.first().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn swapped_pages_are_bytes() {
        let page = page_size() as f64;
        let read = |text: &[u8]| {
            let mut bad = BadLines::default();
            let paging = paging(text, &mut bad);
            (
                paging.map(|paging| (paging.swapped_in, paging.swapped_out)),
                bad.count(),
            )
        };
        let both = (Some(2.0 * page), Some(3.0 * page));
        assert_eq!(
            read(b"nr_free_pages 9\npswpin 2\npswpout 3\n"),
            (Some(both), 0)
        );
        assert_eq!(
            read(b"nr_free_pages 9\n"),
            (Some((Some(0.0), Some(0.0))), 0)
        );
        assert_eq!(read(b""), (None, 1));
        let one = (None, Some(3.0 * page));
        assert_eq!(
            read(b"nr_free_pages 9\npswpin x\npswpout 3\n"),
            (Some(one), 1)
        );
    }
}
