//! Interrupts, context switches, forks, tasks and the time of the boot, from `/proc/stat`.

use bellwether_core::Kind;

use super::super::part::{COUNTER, GAUGE, Part, PartError, Run, total};
use super::super::settings::Setup;

/// Metrics, with the first word of their line.
const METRICS: [(&str, &str, Option<Kind>, &str); 6] = [
    (
        "intr",
        "node_intr_total",
        COUNTER,
        "Total number of interrupts serviced.",
    ),
    (
        "ctxt",
        "node_context_switches_total",
        COUNTER,
        "Total number of context switches.",
    ),
    (
        "btime",
        "node_boot_time_seconds",
        GAUGE,
        "Node boot time, in unixtime.",
    ),
    (
        "processes",
        "node_forks_total",
        COUNTER,
        "Total number of forks.",
    ),
    (
        "procs_running",
        "node_procs_running",
        GAUGE,
        "Number of processes in runnable state.",
    ),
    (
        "procs_blocked",
        "node_procs_blocked",
        GAUGE,
        "Number of processes blocked waiting for I/O to complete.",
    ),
];
/// Vectors in the line `softirq`, behind its sum.
const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

struct Stat {
    softirq: bool,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Stat {
        softirq: setup.softirq,
    })
}

impl Part for Stat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = run.stat.text()?;
        let mut count = 0;
        for line in text.lines() {
            let (word, values) = line.split_once(' ').unwrap_or_default();
            if self.softirq && word == "softirq" {
                push_softirq(values, run.out);
            }
            let metric = METRICS.iter().find(|(known, ..)| *known == word);
            // The line of interrupts goes on with each of them.
            let value = values.split(' ').next().and_then(total);
            if let (Some((_, name, kind, help)), Some(value)) = (metric, value) {
                run.out.begin(name, *kind, help);
                run.out.push(&[], value);
                count += 1;
            }
        }
        match count {
            0 => Err(text.malformed("totals", &text)),
            _ => Ok(()),
        }
    }
}

fn push_softirq(values: &str, out: &mut bellwether_core::SeriesBatch) {
    let help = "Number of softirq calls.";
    out.begin("node_softirqs_total", COUNTER, help);
    for (vector, value) in VECTORS.iter().zip(values.split(' ').skip(1)) {
        if let Some(value) = total(value) {
            out.push(&[("vector", vector)], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    const STAT: &str = "cpu  1 2 3\ncpu0 1 2 3\nintr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\nprocesses 26442\nprocs_running 2\nprocs_blocked 1\nsoftirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444\n";

    #[test]
    fn totals_have_their_names() {
        let host = Host::with(&[("proc/stat", STAT)]);
        let expected = [
            "node_intr_total 8885917",
            "node_context_switches_total 38014093",
            "node_boot_time_seconds 1418183276",
            "node_forks_total 26442",
            "node_procs_running 2",
            "node_procs_blocked 1",
        ];
        assert_eq!(collect(&host, "stat", "").unwrap(), expected);
        let lines = collect(&host, "stat", "stat: {softirq: true}").unwrap();
        assert_eq!(lines.len(), 16);
        assert_eq!(lines[6], "node_softirqs_total{vector=\"hi\"} 250191");
        assert_eq!(lines[15], "node_softirqs_total{vector=\"rcu\"} 508444");
    }
}
