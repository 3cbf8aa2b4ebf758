//! /proc/stat and the frequencies of /proc/cpuinfo.

use super::super::totals::increase;
use super::{BadLines, Malformed, decimal, fields, lines, number, percent, total};

/// Names of the modes in the order of /proc/stat. The time of guests is already in `user` and `nice`,
/// so the two further columns are not used.
pub(in super::super) const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Ticks in each mode since the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Core {
    /// In the order of [`MODES`].
    pub(in super::super) ticks: [u64; MODES.len()],
}

impl Core {
    /// Returns the percentage of the time since `before` that was neither idle nor waiting for a disk, as top
    /// and psutil count it; `None` if no time has passed. A mode that decreases a little, as idle
    /// and iowait do on some kernels, counts as unchanged.
    pub(in super::super) fn busy_percent(&self, before: &Core) -> Option<f64> {
        self.percent_in(before, |mode| mode != IDLE && mode != IOWAIT)
    }

    /// Returns the percentage of the time since `before` that was idle while a task waited for a disk.
    pub(in super::super) fn waiting_percent(&self, before: &Core) -> Option<f64> {
        self.percent_in(before, |mode| mode == IOWAIT)
    }

    fn percent_in(&self, before: &Core, counts: impl Fn(usize) -> bool) -> Option<f64> {
        let (mut counted, mut total) = (0.0, 0.0);
        for (mode, (now, then)) in self.ticks.iter().zip(&before.ticks).enumerate() {
            let passed = increase(*then as f64, *now as f64);
            total += passed;
            counted += if counts(mode) { passed } else { 0.0 };
        }
        (total > 0.0).then(|| percent(counted, total))
    }
}

/// Values of /proc/stat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct CpuTimes {
    /// All processors together.
    pub(in super::super) all: Option<Core>,
    /// Each online core by its number, ascending; `None` if its ticks are bad.
    pub(in super::super) cores: Vec<(u32, Option<Core>)>,
    /// Running and runnable tasks; containers leave it out.
    pub(in super::super) running: Option<u64>,
    /// Tasks that wait for a disk.
    pub(in super::super) blocked: Option<u64>,
}

/// Reads /proc/stat into `times`, whose buffer is reused.
pub(in super::super) fn cpu_times(bytes: &[u8], times: &mut CpuTimes, bad: &mut BadLines) {
    times.cores.clear();
    times.all = None;
    // The processors come first; what follows, long lists of interrupts, is not split.
    let processors = lines(bytes).take_while(|(_, line)| !line.starts_with(b"intr"));
    for (at, line) in processors.filter(|(_, line)| line.starts_with(b"cpu")) {
        let mut columns = fields(line);
        let name = columns.next().unwrap_or_default();
        let id = number(&name[3..]).and_then(|id| u32::try_from(id).ok());
        let core = ticks(columns);
        let known = id.is_some_and(|id| times.cores.iter().any(|(known, _)| *known == id));
        match id {
            None if name == b"cpu" && core.is_some() => times.all = core,
            Some(id) if !known => times.cores.push((id, core)),
            _ => {}
        }
        if core.is_none() || known || (id.is_none() && name != b"cpu") {
            bad.add(Malformed::line(at, "a processor and its ticks", line));
        }
    }
    times.cores.sort_unstable_by_key(|(id, _)| *id);
    times.running = value_of(bytes, b"\nprocs_running ", bad);
    times.blocked = value_of(bytes, b"\nprocs_blocked ", bad);
    if bad.is_empty() && times.all.is_none() {
        bad.add(Malformed::missing("line \"cpu\""));
    }
    if bad.is_empty() && times.cores.is_empty() {
        bad.add(Malformed::missing("line \"cpu0\""));
    }
}

/// Returns the number after `key` in one of the last lines; `None` if the line is truncated.
fn value_of(bytes: &[u8], key: &[u8], bad: &mut BadLines) -> Option<u64> {
    let at = memchr::memmem::rfind(bytes, key)? + key.len();
    let end = memchr::memchr(b'\n', &bytes[at..])?;
    let found = number(&bytes[at..at + end]);
    if found.is_none() {
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = at + 1 - key.len();
        bad.add(Malformed::line(
            line,
            "a number of tasks",
            &bytes[start..at + end],
        ));
    }
    found
}

/// Parses the ticks. The first four modes are as old as the file; the others were added later.
fn ticks<'a>(mut columns: impl Iterator<Item = &'a [u8]>) -> Option<Core> {
    let mut core = Core::default();
    for (index, slot) in core.ticks.iter_mut().enumerate() {
        match columns.next() {
            Some(column) => *slot = total(column)?,
            None if index > IDLE => break,
            None => return None,
        }
    }
    Some(core)
}

/// Returns the mean of the `cpu MHz` lines of /proc/cpuinfo; `None` if the architecture has none.
pub(in super::super) fn mean_megahertz(bytes: &[u8], bad: &mut BadLines) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for (at, line) in lines(bytes).filter(|(_, line)| line.starts_with(b"cpu MHz")) {
        match fields(line)
            .last()
            .and_then(decimal)
            .filter(|value| *value >= 0.0)
        {
            Some(value) => {
                sum += value;
                count += 1;
            }
            None => bad.add(Malformed::line(at, "a frequency", line)),
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(ticks: [u64; 8]) -> Core {
        Core { ticks }
    }

    fn read(text: &[u8]) -> (CpuTimes, BadLines) {
        let (mut times, mut bad) = (CpuTimes::default(), BadLines::default());
        cpu_times(text, &mut times, &mut bad);
        (times, bad)
    }

    #[test]
    fn guest_time_is_not_counted_twice() {
        let text = b"cpu  100 10 5 50 5 0 0 0 90 9\ncpu0 100 10 5 50 5 0 0 0 90 9\n";
        // 115 of 170 ticks, not 214 of 269.
        let busy = read(text)
            .0
            .all
            .unwrap()
            .busy_percent(&Core::default())
            .unwrap();
        assert!((busy - 115.0 / 170.0 * 100.0).abs() < 1e-9, "{busy}");
    }

    #[test]
    fn busy_is_bounded_whatever_runs_backwards() {
        let before = core([100, 0, 100, 1000, 500, 0, 0, 0]);
        let waited = core([110, 0, 110, 1020, 540, 0, 0, 0]).waiting_percent(&before);
        assert_eq!(waited, Some(50.0));
        let steps: [([u64; 8], Option<f64>); 4] = [
            ([110, 0, 110, 1020, 500, 0, 0, 0], Some(50.0)),
            ([110, 0, 100, 990, 400, 0, 0, 0], Some(100.0)),
            ([100, 0, 100, 1000, 500, 0, 0, 0], None),
            ([0, 0, 0, 0, 0, 0, 0, 0], None),
        ];
        for (after, expected) in steps {
            assert_eq!(core(after).busy_percent(&before), expected);
        }
    }

    #[test]
    fn a_view_that_began_again_is_a_share_of_its_new_ticks() {
        let before = core([1000, 0, 1000, 90_000, 500, 0, 0, 0]);
        assert_eq!(
            core([30, 0, 20, 50, 0, 0, 0, 0]).busy_percent(&before),
            Some(50.0)
        );
    }

    #[test]
    fn cores_keep_their_numbers() {
        let (times, bad) = read(b"cpu 1 2 3 4\ncpu2 0 0 0 0\ncpu0 1 2 3 4\nintr 5\ncpux\nprocs_running 3\nprocs_blocked 12");
        assert_eq!(
            (times.running, times.blocked),
            (Some(3), None),
            "a cut number is not believed"
        );
        assert_eq!(
            times.cores.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [0, 2]
        );
        assert_eq!(times.all.unwrap().ticks, [1, 2, 3, 4, 0, 0, 0, 0]);
        assert!(bad.is_empty());
    }

    #[test]
    fn a_bad_line_costs_its_own_processor() {
        let (times, bad) = read(
            b"cpu 1 2 3 4\ncpu0 1 2\nwhat is this\ncpu1 18446744073709551615 2 3 4\ncpu2 1 2 3 4\n\
              cpu2 9 9 9 9\nprocs_running x\nprocs_blocked 4\n",
        );
        assert!(times.all.is_some());
        let cores: Vec<_> = times
            .cores
            .iter()
            .map(|(id, core)| (*id, core.is_some()))
            .collect();
        assert_eq!(cores, [(0, false), (1, false), (2, true)]);
        assert_eq!(
            (times.running, times.blocked, bad.count()),
            (None, Some(4), 4)
        );
        let (times, bad) = read(b"cpu 1 x 3 4\ncpu0 1 2 3 4\n");
        assert_eq!((times.all, times.cores.len(), bad.count()), (None, 1, 1));
    }

    #[test]
    fn what_is_cut_or_garbled_is_named() {
        for (text, expected) in [
            ("", "no line \"cpu\" in it"),
            ("intr 1\ncpu 1 2 3 4\n", "no line \"cpu\" in it"),
            ("cpu 1 2 3 4\n", "no line \"cpu0\" in it"),
            (
                "cpu 1 2 3 4\ncpu0 1 2",
                "line 2: expected a processor and its ticks, found \"cpu0 1 2\"",
            ),
            (
                "cpu 1 x 3 4\n",
                "line 1: expected a processor and its ticks, found \"cpu 1 x 3 4\"",
            ),
            (
                "cpu 1 2 3 4\ncpu0 1 2 3 4\nprocs_running -1\n",
                "line 3: expected a number of tasks, found \"procs_running -1\"",
            ),
        ] {
            assert_eq!(
                read(text.as_bytes()).1.first().unwrap().to_string(),
                expected
            );
        }
    }

    #[test]
    fn frequencies_are_averaged() {
        let mut bad = BadLines::default();
        let text = b"processor\t: 0\ncpu MHz\t\t: 1000.000\nprocessor: 1\ncpu MHz\t\t: 2000.500\n";
        assert_eq!(mean_megahertz(text, &mut bad), Some(1500.25));
        assert_eq!(mean_megahertz(b"processor: 0\n", &mut bad), None);
        assert!(bad.is_empty());
        assert_eq!(
            mean_megahertz(b"cpu MHz : fast\ncpu MHz : 5\n", &mut bad),
            Some(5.0)
        );
        assert_eq!(bad.count(), 1);
    }
}
