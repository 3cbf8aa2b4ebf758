//! Time that tasks ran on and waited for each processor, from `/proc/schedstat`.

use super::super::part::{COUNTER, Part, PartError, ProcFile, Run, total};
use super::super::settings::Setup;

/// Metrics with their column behind the name of the processor, and the factor to their unit.
const METRICS: [(&str, &str, usize, f64); 3] = [
    (
        "running_seconds_total",
        "Number of seconds CPU spent running a process.",
        6,
        1e9,
    ),
    (
        "waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.",
        7,
        1e9,
    ),
    (
        "timeslices_total",
        "Number of timeslices executed by CPU.",
        8,
        1.0,
    ),
];

struct Schedstat(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Schedstat(ProcFile::new(setup.proc("schedstat"))))
}

impl Part for Schedstat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.optional()?;
        let rows = text.lines().filter_map(|line| line.strip_prefix("cpu"));
        let rows: Vec<Vec<&str>> = rows
            .map(|row| row.split_ascii_whitespace().collect())
            .collect();
        for (name, help, column, divisor) in METRICS {
            run.out
                .begin(&format!("node_schedstat_{name}"), COUNTER, help);
            for row in &rows {
                let value = row.get(column + 1).and_then(|field| total(field));
                if let (Some(cpu), Some(value)) = (row.first(), value) {
                    run.out.push(&[("cpu", cpu)], value / divisor);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn the_last_three_columns_are_times_and_slices() {
        let schedstat = "version 15\ntimestamp 15819019232\ncpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\ndomain0 00000000,00000003 212499247\ncpu1 1 2\n";
        let host = Host::with(&[("proc/schedstat", schedstat)]);
        let expected = [
            "node_schedstat_running_seconds_total{cpu=\"0\"} 2045936.778163039",
            "node_schedstat_waiting_seconds_total{cpu=\"0\"} 343796.328169361",
            "node_schedstat_timeslices_total{cpu=\"0\"} 4767485306",
        ];
        assert_eq!(collect(&host, "schedstat", "").unwrap(), expected);
    }
}
