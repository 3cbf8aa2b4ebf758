//! Frequencies of processors, from `/sys/devices/system/cpu/cpu*/cpufreq`.

use std::path::PathBuf;

use super::super::directory::{Directory, numbered, read};
use super::super::part::{GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

/// Metrics and their files, which are in kilohertz.
const FREQUENCIES: [(&str, &str, &str); 7] = [
    (
        "frequency_hertz",
        "Current CPU thread frequency in hertz.",
        "cpuinfo_cur_freq",
    ),
    (
        "frequency_avg_hertz",
        "Average CPU thread frequency in hertz.",
        "cpuinfo_avg_freq",
    ),
    (
        "frequency_min_hertz",
        "Minimum CPU thread frequency in hertz.",
        "cpuinfo_min_freq",
    ),
    (
        "frequency_max_hertz",
        "Maximum CPU thread frequency in hertz.",
        "cpuinfo_max_freq",
    ),
    (
        "scaling_frequency_hertz",
        "Current scaled CPU thread frequency in hertz.",
        "scaling_cur_freq",
    ),
    (
        "scaling_frequency_min_hertz",
        "Minimum scaled CPU thread frequency in hertz.",
        "scaling_min_freq",
    ),
    (
        "scaling_frequency_max_hertz",
        "Maximum scaled CPU thread frequency in hertz.",
        "scaling_max_freq",
    ),
];

struct Cpufreq(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Cpufreq(setup.sys("devices/system/cpu")))
}

impl Part for Cpufreq {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let offline = read(&self.0.join("offline")).unwrap_or_default();
        let processors = numbered(&self.0, "cpu")
            .map_err(|error| PartError::optional(&self.0, &error))?
            .into_iter()
            .filter(|(_, number)| range(&offline).all(|off| off.to_string() != *number))
            .filter_map(|(name, number)| {
                let directory = self.0.join(name).join("cpufreq");
                Some((number, Directory::open(directory).ok()?))
            });
        let processors: Vec<(String, Directory)> = processors.collect();
        for (name, help, file) in FREQUENCIES {
            run.out.begin(&format!("node_cpu_{name}"), GAUGE, help);
            for (number, directory) in &processors {
                if let Some(kilohertz) = directory.integer(file) {
                    run.out.push(&[("cpu", number)], kilohertz * 1000.0);
                }
            }
        }
        push_governors(&processors, run);
        Ok(())
    }
}

fn push_governors(processors: &[(String, Directory)], run: &mut Run<'_>) {
    let help = "Current enabled CPU frequency governor.";
    run.out.begin("node_cpu_scaling_governor", GAUGE, help);
    for (number, directory) in processors {
        let current = directory.text("scaling_governor").unwrap_or_default();
        let available = directory.text("scaling_available_governors");
        for governor in available.unwrap_or_default().split_whitespace() {
            let is_current = f64::from(u8::from(governor == current));
            run.out
                .push(&[("cpu", number), ("governor", governor)], is_current);
        }
    }
}

/// Parses a list of processors: `0,2-4`.
pub(super) fn range(text: &str) -> impl Iterator<Item = u32> {
    text.trim().split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            // No host has more, whatever the file says.
            (Ok(first), Ok(last)) => first..last.min(1 << 16) + 1,
            _ => 0..0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};
    use super::*;

    #[test]
    fn lists_have_ranges() {
        assert_eq!(range("0,2-4\n").collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert_eq!(
            range("").count() + range("x").count() + range("4-2").count(),
            0
        );
    }

    #[test]
    fn frequencies_are_in_hertz_and_one_governor_is_current() {
        let host = Host::with(&[
            ("sys/devices/system/cpu/offline", "1\n"),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq",
                "800000\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
                "1699981\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                "powersave\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors",
                "performance powersave\n",
            ),
            (
                "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_min_freq",
                "1\n",
            ),
        ]);
        let expected = [
            "node_cpu_frequency_min_hertz{cpu=\"0\"} 800000000",
            "node_cpu_scaling_frequency_hertz{cpu=\"0\"} 1699981000",
            "node_cpu_scaling_governor{cpu=\"0\", governor=\"performance\"} 0",
            "node_cpu_scaling_governor{cpu=\"0\", governor=\"powersave\"} 1",
        ];
        assert_eq!(collect(&host, "cpufreq", "").unwrap(), expected);
    }
}
