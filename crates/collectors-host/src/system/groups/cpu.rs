//! Processors: how busy, how many, how fast.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use bellwether_core::MetricId;
use rustix::param::clock_ticks_per_second;

use super::super::catalogue::{CpuMeasurement, Measurement};
use super::super::file::HostFile;
use super::super::parse::{
    BadLines, Core, CpuTimes, MODES, cpu_times, fields, mean_megahertz, number_file,
};
use super::super::resolve::ResolvedMetric;
use super::{Group, Metric, Roots, Run};

struct Cpu {
    file: HostFile,
    metrics: Vec<Metric<CpuMeasurement>>,
    times: CpuTimes,
    before: Before,
    ticks_per_second: f64,
}

/// Ticks of the last good reading. Before the first collection there are none, and shares have no
/// value: the mean since the boot is not what rules expect.
#[derive(Default)]
struct Before {
    all: Option<Core>,
    cores: HashMap<u32, Core>,
}

impl Before {
    /// Sets the reading. After a bad line, or if no tick has passed, the older reading stays. A core
    /// that was offline starts again.
    fn follow(&mut self, times: &CpuTimes) {
        self.all = times.all.or(self.all);
        let online = |id: &u32| times.cores.binary_search_by_key(id, |(id, _)| *id).is_ok();
        self.cores.retain(|id, _| online(id));
        self.cores.extend(
            times
                .cores
                .iter()
                .filter_map(|(id, core)| Some((*id, (*core)?))),
        );
    }
}

pub(super) fn group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Cpu(measurement) => Some(measurement),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Cpu {
        file: roots.proc("stat"),
        metrics,
        times: CpuTimes::default(),
        before: Before::default(),
        ticks_per_second: clock_ticks_per_second() as f64,
    }))
}

impl Group for Cpu {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.required(&mut self.file) else {
            return;
        };
        let mut bad = BadLines::default();
        cpu_times(bytes, &mut self.times, &mut bad);
        let (times, before) = (&self.times, &self.before);
        run.record_bad_lines(path, &bad, times.all.is_some() || !times.cores.is_empty());
        for metric in &mut self.metrics {
            match metric.pick {
                CpuMeasurement::Percent => {
                    push(metric, share(times, before, Core::busy_percent), run)
                }
                CpuMeasurement::IoWaitPercent => {
                    push(metric, share(times, before, Core::waiting_percent), run);
                }
                CpuMeasurement::CorePercent => core_percents(metric, times, before, run),
                CpuMeasurement::Seconds => seconds(metric, times, self.ticks_per_second, run),
                CpuMeasurement::Running => {
                    push(metric, times.running.map(|count| count as f64), run)
                }
                CpuMeasurement::Blocked => {
                    push(metric, times.blocked.map(|count| count as f64), run)
                }
                CpuMeasurement::Count => {
                    let count = times.cores.len();
                    push(metric, (count > 0).then_some(count as f64), run);
                }
            }
            metric.finish(run, bad.is_empty());
        }
        self.before.follow(&self.times);
    }
}

type CpuMetric = Metric<CpuMeasurement>;

fn push(metric: &mut CpuMetric, value: Option<f64>, run: &mut Run<'_>) {
    if let Some(value) = value {
        metric.push(&[], value, run);
    }
}

fn share(
    times: &CpuTimes,
    before: &Before,
    of: impl Fn(&Core, &Core) -> Option<f64>,
) -> Option<f64> {
    of(&times.all?, &before.all?)
}

fn core_percents(metric: &mut CpuMetric, times: &CpuTimes, before: &Before, run: &mut Run<'_>) {
    for (id, core) in &times.cores {
        let busy = core
            .zip(before.cores.get(id))
            .and_then(|(core, then)| core.busy_percent(then));
        if let Some(busy) = busy {
            metric.push_if_admitted(&[&id.to_string()], busy, run);
        }
    }
}

fn seconds(metric: &mut CpuMetric, times: &CpuTimes, ticks_per_second: f64, run: &mut Run<'_>) {
    let Some(all) = times.all else { return };
    for (mode, ticks) in MODES.iter().zip(all.ticks) {
        metric.push_if_admitted(&[mode], ticks as f64 / ticks_per_second, run);
    }
}

struct Frequency {
    /// Directory with one entry for each set of cores that change their frequency together.
    folder: PathBuf,
    policies: Vec<Policy>,
    /// Read on machines without frequency scaling, such as virtual ones.
    cpuinfo: HostFile,
    metrics: Vec<Metric<()>>,
}

struct Policy {
    frequency: HostFile,
    /// Cores to which it applies now.
    cores: HostFile,
}

impl Policy {
    /// Returns its frequency in MHz and the number of its cores; `None` if all of them are offline.
    fn read(&mut self) -> Option<(f64, usize)> {
        let kilohertz = number_file(self.frequency.read().ok()?).ok()?;
        let cores = self.cores.read().map_or(1, |text| fields(text).count());
        (kilohertz > 0.0).then_some((kilohertz / 1000.0, cores.max(1)))
    }
}

pub(super) fn frequency_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| {
        matches!(measurement, Measurement::Frequency).then_some(())
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Frequency {
        folder: roots.sysfs.join("devices/system/cpu/cpufreq"),
        policies: Vec::new(),
        cpuinfo: roots.proc("cpuinfo"),
        metrics,
    }))
}

impl Group for Frequency {
    fn collect(&mut self, run: &mut Run<'_>) {
        if self.policies.is_empty() {
            self.find_policies();
        }
        let megahertz = self.read_policies().or_else(|| self.read_cpuinfo(run));
        if let Some(megahertz) = megahertz {
            for metric in &mut self.metrics {
                metric.push(&[], megahertz, run);
            }
        }
    }
}

impl Frequency {
    fn find_policies(&mut self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let policies = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("policy"));
        let policies = policies.map(|entry| Policy {
            frequency: HostFile::new(entry.path().join("scaling_cur_freq")),
            cores: HostFile::new(entry.path().join("affected_cpus")),
        });
        self.policies = policies.collect();
    }

    /// Returns the mean over the cores of all readable policies.
    fn read_policies(&mut self) -> Option<f64> {
        let read: Vec<_> = self.policies.iter_mut().filter_map(Policy::read).collect();
        if read.len() != self.policies.len() {
            // Cores come and go: read the directory again next time.
            self.policies.clear();
        }
        let cores: usize = read.iter().map(|(_, cores)| cores).sum();
        let sum: f64 = read
            .iter()
            .map(|(megahertz, cores)| megahertz * *cores as f64)
            .sum();
        (cores > 0).then(|| sum / cores as f64)
    }

    fn read_cpuinfo(&mut self, run: &mut Run<'_>) -> Option<f64> {
        let (bytes, path) = run.optional(&mut self.cpuinfo)?;
        let mut bad = BadLines::default();
        let mean = mean_megahertz(bytes, &mut bad);
        run.record_bad_lines(path, &bad, mean.is_some());
        mean
    }
}
