//! Processors: how busy, how many, how fast.

use std::fs;
use std::path::PathBuf;

use crate::model::MetricId;

use super::super::catalogue::{CpuFigure, Figure};
use super::super::file::HostFile;
use super::super::parse::{CpuTimes, MODES, cpu_times, mean_megahertz, number_file};
use super::super::resolve::Declared;
use super::{Group, Metric, Roots, Run};

struct Cpu {
    file: HostFile,
    metrics: Vec<Metric<CpuFigure>>,
    times: CpuTimes,
    /// Empty before the first collection: shares have no value then. The mean since the boot
    /// would be one, but of another time than the rules ask about.
    before: CpuTimes,
    ticks_per_second: f64,
}

pub(super) fn group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Cpu(figure) => Some(figure),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Cpu {
        file: roots.proc("stat"),
        metrics,
        times: CpuTimes::default(),
        before: CpuTimes::default(),
        ticks_per_second: procfs::ticks_per_second() as f64,
    }))
}

impl Group for Cpu {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.required(&mut self.file) else { return };
        if let Err(malformed) = cpu_times(bytes, &mut self.times) {
            return run.malformed(path, &malformed);
        }
        for metric in &mut self.metrics {
            match metric.pick {
                CpuFigure::Percent => percent(metric, &self.times, &self.before, run),
                CpuFigure::CorePercent => core_percents(metric, &self.times, &self.before, run),
                CpuFigure::Seconds => seconds(metric, &self.times, self.ticks_per_second, run),
                CpuFigure::IoWaitPercent => waiting(metric, &self.times, &self.before, run),
                CpuFigure::Running => tasks(metric, self.times.running, run),
                CpuFigure::Blocked => tasks(metric, self.times.blocked, run),
                CpuFigure::Count => metric.push(&[], self.times.cores.len() as f64, run),
            }
            metric.finish(run);
        }
        // Two collections within one tick measure nothing; the older reading stays.
        if self.times.all != self.before.all {
            std::mem::swap(&mut self.times, &mut self.before);
        }
    }
}

type CpuMetric = Metric<CpuFigure>;

fn percent(metric: &mut CpuMetric, times: &CpuTimes, before: &CpuTimes, run: &mut Run<'_>) {
    if before.cores.is_empty() {
        return;
    }
    if let Some(busy) = times.all.busy_percent(&before.all) {
        metric.push(&[], busy, run);
    }
}

fn waiting(metric: &mut CpuMetric, times: &CpuTimes, before: &CpuTimes, run: &mut Run<'_>) {
    if before.cores.is_empty() {
        return;
    }
    if let Some(waited) = times.all.waiting_percent(&before.all) {
        metric.push(&[], waited, run);
    }
}

fn tasks(metric: &mut CpuMetric, count: Option<u64>, run: &mut Run<'_>) {
    if let Some(count) = count {
        metric.push(&[], count as f64, run);
    }
}

fn core_percents(metric: &mut CpuMetric, times: &CpuTimes, before: &CpuTimes, run: &mut Run<'_>) {
    for (id, core) in &times.cores {
        // A core that was offline before starts anew.
        let Ok(known) = before.cores.binary_search_by_key(id, |(id, _)| *id) else { continue };
        if let Some(busy) = core.busy_percent(&before.cores[known].1) {
            metric.push_if_admitted(&[&id.to_string()], busy, run);
        }
    }
}

fn seconds(metric: &mut CpuMetric, times: &CpuTimes, ticks_per_second: f64, run: &mut Run<'_>) {
    for (mode, ticks) in MODES.iter().zip(times.all.ticks) {
        metric.push_if_admitted(&[mode], ticks as f64 / ticks_per_second, run);
    }
}

struct Frequency {
    /// Holds one folder for each set of cores that change their frequency together.
    folder: PathBuf,
    policies: Vec<HostFile>,
    /// Asked where the machine leaves frequencies to nobody, as virtual ones do.
    cpuinfo: HostFile,
    metrics: Vec<Metric<()>>,
}

pub(super) fn frequency_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| matches!(figure, Figure::Frequency).then_some(()));
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
        let megahertz =
            if self.policies.is_empty() { self.read_cpuinfo(run) } else { self.read_policies() };
        if let Some(megahertz) = megahertz {
            for metric in &mut self.metrics {
                metric.push(&[], megahertz, run);
            }
        }
    }
}

impl Frequency {
    fn find_policies(&mut self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let policies = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("policy"));
        self.policies =
            policies.map(|entry| HostFile::new(entry.path().join("scaling_cur_freq"))).collect();
    }

    /// Those that can be read; a policy whose cores are all offline cannot.
    fn read_policies(&mut self) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_u32);
        for file in &mut self.policies {
            if let Some(kilohertz) = file.read().ok().and_then(|bytes| number_file(bytes).ok()) {
                sum += kilohertz / 1000.0;
                count += 1;
            }
        }
        if count as usize != self.policies.len() {
            // Cores come and go: look again next time.
            self.policies.clear();
        }
        (count > 0).then(|| sum / f64::from(count))
    }

    fn read_cpuinfo(&mut self, run: &mut Run<'_>) -> Option<f64> {
        let (bytes, path) = run.optional(&mut self.cpuinfo)?;
        mean_megahertz(bytes).unwrap_or_else(|malformed| {
            run.malformed(path, &malformed);
            None
        })
    }
}
