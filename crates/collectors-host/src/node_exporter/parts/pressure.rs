//! Pressure stall information, from `/proc/pressure`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;
use crate::system::parse::{BadLines, Stall, pressure};

/// Metrics of a file: that of `some` tasks, and that of all.
type Metrics = [Option<(&'static str, &'static str)>; 2];

const FILES: [(&str, Metrics); 4] = [
    (
        "pressure/cpu",
        [
            Some((
                "node_pressure_cpu_waiting_seconds_total",
                "Total time in seconds that processes have waited for CPU time",
            )),
            None,
        ],
    ),
    (
        "pressure/io",
        [
            Some((
                "node_pressure_io_waiting_seconds_total",
                "Total time in seconds that processes have waited due to IO congestion",
            )),
            Some((
                "node_pressure_io_stalled_seconds_total",
                "Total time in seconds no process could make progress due to IO congestion",
            )),
        ],
    ),
    (
        "pressure/memory",
        [
            Some((
                "node_pressure_memory_waiting_seconds_total",
                "Total time in seconds that processes have waited for memory",
            )),
            Some((
                "node_pressure_memory_stalled_seconds_total",
                "Total time in seconds no process could make progress due to memory congestion",
            )),
        ],
    ),
    (
        "pressure/irq",
        [
            None,
            Some((
                "node_pressure_irq_stalled_seconds_total",
                "Total time in seconds no process could make progress due to IRQ congestion",
            )),
        ],
    ),
];

struct Pressure(Vec<(ProcFile, Metrics)>);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let files = FILES.map(|(file, metrics)| (ProcFile::new(setup.proc(file)), metrics));
    Box::new(Pressure(files.into()))
}

impl Part for Pressure {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let mut count = 0;
        for (file, metrics) in &mut self.0 {
            let stalls = match file.bytes() {
                Ok(bytes) => pressure(bytes, &mut BadLines::default()),
                Err(PartError::NoData) => continue,
                Err(error) => return Err(error),
            };
            for (metric, stall) in metrics.iter().zip(stalls) {
                if let (Some((name, help)), Some(Stall { total, .. })) = (metric, stall) {
                    run.out.counter(name, help, &[], total as f64 / 1e6);
                    count += 1;
                }
            }
        }
        match count {
            0 => Err(PartError::NoData),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::part::PartError;
    use super::super::super::testing::{Host, collect};

    #[test]
    fn totals_are_in_seconds() {
        let some = "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n";
        let full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
        let both = format!("{some}{full}");
        let host = Host::with(&[
            ("proc/pressure/cpu", both.as_str()),
            ("proc/pressure/memory", both.as_str()),
            ("proc/pressure/irq", full),
        ]);
        let expected = [
            "node_pressure_cpu_waiting_seconds_total 14.036781",
            "node_pressure_memory_waiting_seconds_total 14.036781",
            "node_pressure_memory_stalled_seconds_total 0.000001",
            "node_pressure_irq_stalled_seconds_total 0.000001",
        ];
        assert_eq!(collect(&host, "pressure", "").unwrap(), expected);
        let none = collect(&Host::with(&[]), "pressure", "");
        assert_eq!(none.unwrap_err(), PartError::NoData);
    }
}
