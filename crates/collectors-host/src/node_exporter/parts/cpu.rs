//! Processors, from `/proc/stat`, `/proc/cpuinfo` and `/sys/devices/system/cpu`.

mod info;
mod topology;

use info::Info;
use topology::Topology;

use super::super::part::{COUNTER, Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

/// Names of the columns of `/proc/stat`. The time of guests, in two further ones, is in the first two as well.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const IDLE: usize = 3;
/// Columns, those of guests included.
const COLUMNS: usize = 10;
/// Ticks per second of `/proc/stat`, which do not depend on the kernel's own.
const TICKS_PER_SECOND: f64 = 100.0;
/// If the idle time falls by so many seconds, the processor was off meanwhile, and its times begin anew.
const JUMP_BACK: f64 = 3.0;

/// A processor that is on.
struct Processor {
    number: String,
    /// Seconds, none of which falls: the kernel lets some jitter.
    seconds: [f64; COLUMNS],
}

struct Cpu {
    processors: Vec<Processor>,
    guest: bool,
    info: Option<Info>,
    topology: Topology,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let info = || Info::new(ProcFile::new(setup.proc("cpuinfo")));
    Box::new(Cpu {
        processors: Vec::new(),
        guest: setup.cpu.guest,
        info: setup.cpu.info.then(info),
        topology: Topology::new(setup.sys("devices/system/cpu")),
    })
}

impl Part for Cpu {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        if let Some(info) = &mut self.info {
            info.push(run)?;
        }
        let text = run.stat.text()?;
        self.update(&text);
        if self.processors.is_empty() {
            return Err(text.malformed("processors", &text));
        }
        self.push(run);
        self.topology.push(run);
        Ok(())
    }
}

impl Cpu {
    /// Takes the times of the processors that are on.
    fn update(&mut self, text: &str) {
        let mut at = 0;
        for line in text.lines() {
            let Some(columns) = line.strip_prefix("cpu") else {
                // Long lists of interrupts follow.
                break;
            };
            let mut columns = columns.split(' ');
            let number = columns.next().unwrap_or_default();
            if number.is_empty() {
                continue;
            }
            if self
                .processors
                .get(at)
                .is_none_or(|known| known.number != number)
            {
                self.move_to(at, number);
            }
            self.processors[at].update(columns);
            at += 1;
        }
        self.processors.truncate(at);
    }

    /// Puts the processor `number` at `at`; processors before it that went off are removed later.
    fn move_to(&mut self, at: usize, number: &str) {
        let known = self
            .processors
            .iter()
            .position(|known| known.number == number);
        let processor = match known {
            Some(known) => self.processors.remove(known),
            None => Processor {
                number: number.to_owned(),
                seconds: [0.0; COLUMNS],
            },
        };
        self.processors.insert(at, processor);
    }

    fn push(&self, run: &mut Run<'_>) {
        let help = "Seconds the CPUs spent in each mode.";
        run.out.begin("node_cpu_seconds_total", COUNTER, help);
        for cpu in &self.processors {
            for (mode, seconds) in MODES.iter().zip(cpu.seconds) {
                run.out
                    .push(&[("cpu", &cpu.number), ("mode", mode)], seconds);
            }
        }
        if !self.guest {
            return;
        }
        let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
        run.out.begin("node_cpu_guest_seconds_total", COUNTER, help);
        for cpu in &self.processors {
            for (mode, seconds) in ["user", "nice"].iter().zip(&cpu.seconds[MODES.len()..]) {
                run.out
                    .push(&[("cpu", &cpu.number), ("mode", mode)], *seconds);
            }
        }
    }
}

impl Processor {
    fn update<'t>(&mut self, columns: impl Iterator<Item = &'t str>) {
        let mut seconds = [0.0; COLUMNS];
        for (slot, column) in seconds.iter_mut().zip(columns) {
            *slot = column.parse::<u64>().unwrap_or_default() as f64 / TICKS_PER_SECOND;
        }
        if self.seconds[IDLE] - seconds[IDLE] >= JUMP_BACK {
            self.seconds = [0.0; COLUMNS];
        }
        for (known, new) in self.seconds.iter_mut().zip(seconds) {
            *known = known.max(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, Parts, collect};

    const STAT: &str = "cpu 300 1 2 3 4 5 6 7 8 9\ncpu0 100 0 200 1000 50 0 10 5 7 1\ncpu2 200 0 100 2000 0 0 0 0 0 0\nintr 1\n";

    #[test]
    fn times_are_seconds_by_processor_and_mode() {
        let host = Host::with(&[("proc/stat", STAT)]);
        let lines = collect(&host, "cpu", "").unwrap();
        assert_eq!(lines.len(), 20);
        for expected in [
            "node_cpu_seconds_total{cpu=\"0\", mode=\"user\"} 1",
            "node_cpu_seconds_total{cpu=\"0\", mode=\"steal\"} 0.05",
            "node_cpu_seconds_total{cpu=\"2\", mode=\"idle\"} 20",
            "node_cpu_guest_seconds_total{cpu=\"0\", mode=\"user\"} 0.07",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        let without = collect(&host, "cpu", "cpu: {guest: false}").unwrap();
        assert_eq!(without.len(), 16);
    }

    #[test]
    fn a_time_never_falls_unless_its_processor_was_off() {
        let host = Host::with(&[("proc/stat", STAT)]);
        let mut parts = Parts::new(&host, "cpu", "");
        parts.collect().unwrap();
        let idle = |lines: &[String], cpu: &str| {
            let series = format!("node_cpu_seconds_total{{cpu=\"{cpu}\", mode=\"idle\"}} ");
            lines
                .iter()
                .find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok())
        };
        host.write(
            "proc/stat",
            &STAT.replace(" 1000 ", " 990 ").replace(" 2000 ", " 500 "),
        );
        let lines = parts.collect().unwrap();
        assert_eq!(
            (idle(&lines, "0"), idle(&lines, "2")),
            (Some(10.0), Some(5.0))
        );
        host.write("proc/stat", "cpu 1\ncpu1 1 2 3 400\ncpu2 200 0 100 600\n");
        let lines = parts.collect().unwrap();
        let found: Vec<_> = ["0", "1", "2"].map(|cpu| idle(&lines, cpu)).into();
        assert_eq!(found, [None, Some(4.0), Some(6.0)]);
    }

    #[test]
    fn throttling_is_that_of_a_core_and_a_package_once() {
        let mut files = vec![
            ("proc/stat", STAT),
            ("sys/devices/system/cpu/isolated", "1,3-4\n"),
        ];
        for file in [
            (
                "sys/devices/system/cpu/cpu0/topology/physical_package_id",
                "0\n",
            ),
            ("sys/devices/system/cpu/cpu0/topology/core_id", "0\n"),
            (
                "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
                "5\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
                "30\n",
            ),
            (
                "sys/devices/system/cpu/cpu1/topology/physical_package_id",
                "0\n",
            ),
            ("sys/devices/system/cpu/cpu1/topology/core_id", "0\n"),
            (
                "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count",
                "9\n",
            ),
            ("sys/devices/system/cpu/cpu1/online", "1\n"),
        ] {
            files.push(file);
        }
        let lines = collect(&Host::with(&files), "cpu", "").unwrap();
        let expected = [
            "node_cpu_isolated{cpu=\"1\"} 1",
            "node_cpu_isolated{cpu=\"3\"} 1",
            "node_cpu_isolated{cpu=\"4\"} 1",
            "node_cpu_package_throttles_total{package=\"0\"} 30",
            "node_cpu_core_throttles_total{core=\"0\", package=\"0\"} 5",
        ];
        assert_eq!(lines[20..], expected);
    }

    #[test]
    fn information_has_the_fields_of_cpuinfo() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: Intel(R) Core(TM)\nstepping\t: 10\nmicrocode\t: 0xb4\ncpu MHz\t\t: 799.998\ncache size\t: 8192 KB\nphysical id\t: 0\ncore id\t\t: 3\n\n";
        let host = Host::with(&[("proc/stat", STAT), ("proc/cpuinfo", cpuinfo)]);
        let lines = collect(&host, "cpu", "cpu: {info: true}").unwrap();
        let expected = [
            "node_cpu_info{cachesize=\"8192 KB\", core=\"3\", cpu=\"0\", family=\"6\", microcode=\"0xb4\", model=\"142\", model_name=\"Intel(R) Core(TM)\", package=\"0\", stepping=\"10\", vendor=\"GenuineIntel\"} 1",
            "node_cpu_frequency_hertz{core=\"3\", cpu=\"0\", package=\"0\"} 799998000",
        ];
        assert_eq!(lines[..2], expected);
    }
}
