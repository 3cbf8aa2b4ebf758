//! Traffic of the disks, summed over whole disks.

use std::collections::HashMap;

use bellwether_core::MetricId;

use super::super::catalogue::Measurement;
use super::super::file::HostFile;
use super::super::parse::{BadLines, Disk, TOTALS, disks, is_partition, multipath_head};
use super::super::resolve::ResolvedMetric;
use super::super::totals::Total;
use super::{Group, Metric, Roots, Run};

/// Factor of each total; the last one is in milliseconds.
const UNITS: [f64; TOTALS] = [1.0, 1.0, 1.0, 1.0, 1e-3];

struct Disks {
    file: HostFile,
    /// Metrics, each with the index of its total.
    metrics: Vec<Metric<usize>>,
    /// Sum of each metric, including disks that are gone and resets of a disk's
    /// counters. Otherwise a sum would decrease when a disk is removed, and every reader would take
    /// that for a reset.
    sums: Vec<f64>,
    devices: Devices,
}

#[derive(Default)]
struct Devices {
    /// Devices of the file in its order, then those that are gone.
    all: Vec<Device>,
    present: usize,
    /// Set if a line was bad the last time: a device that is new now may have been there before, so
    /// its total is no increase.
    incomplete: bool,
}

struct Device {
    name: Box<[u8]>,
    /// `None` until the first good line.
    totals: Option<[Total; TOTALS]>,
    /// For a path of NVMe multipath: the index of its disk.
    head: Option<usize>,
    /// Set for a disk that has such paths.
    has_paths: bool,
    /// For each metric, the condition under which it counts this device.
    counted: Box<[Counted]>,
}

/// Condition under which a metric counts a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Never,
    Always,
    /// A path of a selected disk: counts while the disk itself counts nothing.
    ForItsHead,
}

pub(super) fn group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Disk(total) => Some(total),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    let file = roots.proc("diskstats");
    let sums = vec![0.0; metrics.len()];
    Some(Box::new(Disks {
        file,
        metrics,
        sums,
        devices: Devices::default(),
    }))
}

impl Group for Disks {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.optional(&mut self.file) else {
            return;
        };
        let mut bad = BadLines::default();
        let found = disks(bytes, &mut bad);
        let usable = found.iter().any(|disk| disk.totals.is_some());
        run.record_bad_lines(path, &bad, usable);
        if !usable {
            return;
        }
        self.devices.follow(&self.metrics, &found);
        self.devices.add_up(&mut self.sums, &self.metrics, &found);
        self.devices.incomplete = !bad.is_empty();
        for (sum, metric) in self.sums.iter().zip(&mut self.metrics) {
            metric.push(&[], sum * UNITS[metric.pick], run);
            metric.finish(run, true);
        }
    }
}

impl Devices {
    /// Brings the devices into the order of the file; known ones keep their totals, also after an
    /// absence.
    fn follow(&mut self, metrics: &[Metric<usize>], found: &[Disk<'_>]) {
        let same = found.len() == self.present
            && found
                .iter()
                .zip(&self.all)
                .all(|(disk, device)| disk.name == &*device.name);
        if same {
            return;
        }
        self.present = found.len();
        let places: HashMap<&[u8], usize> = found
            .iter()
            .enumerate()
            .map(|(place, disk)| (disk.name, place))
            .collect();
        let mut before: HashMap<Box<[u8]>, Device> = self
            .all
            .drain(..)
            .map(|device| (device.name.clone(), device))
            .collect();
        for disk in found {
            let mut device = Device::new(disk.name, metrics, &places);
            if let Some(known) = before.remove(disk.name) {
                device.totals = known.totals;
            }
            self.all.push(device);
        }
        let heads: Vec<usize> = self.all.iter().filter_map(|device| device.head).collect();
        heads
            .into_iter()
            .for_each(|head| self.all[head].has_paths = true);
        self.all.extend(before.into_values());
    }

    fn add_up(&mut self, sums: &mut [f64], metrics: &[Metric<usize>], found: &[Disk<'_>]) {
        // Decided by the reading before, so that a disk that begins to count itself is not counted
        // twice.
        let silent: Vec<bool> = found
            .iter()
            .zip(&self.all)
            .map(|(disk, device)| device.is_silent(disk))
            .collect();
        for (place, (disk, device)) in found.iter().zip(&mut self.all).enumerate() {
            let Some(totals) = disk.totals else { continue };
            let added = device.advance(totals, !self.incomplete);
            let for_head = device.head.is_none_or(|head| silent[head]);
            let by_paths = device.has_paths && silent[place];
            for (index, metric) in metrics.iter().enumerate() {
                let counts = match device.counted[index] {
                    Counted::Never => false,
                    Counted::Always => !by_paths,
                    Counted::ForItsHead => for_head,
                };
                sums[index] += if counts { added[metric.pick] } else { 0.0 };
            }
        }
    }
}

impl Device {
    fn new(name: &[u8], metrics: &[Metric<usize>], places: &HashMap<&[u8], usize>) -> Self {
        let whole = !is_partition(name, |other| places.contains_key(other));
        let head = multipath_head(name);
        let label = String::from_utf8_lossy(name);
        let head_label = head.as_deref().map(String::from_utf8_lossy);
        let counted = metrics.iter().map(|metric| match &head_label {
            Some(head) if metric.filter.admits(&[head]) && !metric.filter.excludes(&[&label]) => {
                Counted::ForItsHead
            }
            _ if whole && metric.filter.admits(&[&label]) => Counted::Always,
            _ => Counted::Never,
        });
        Self {
            name: name.into(),
            totals: None,
            counted: counted.collect(),
            head: head.as_deref().and_then(|head| places.get(head).copied()),
            has_paths: false,
        }
    }

    /// Returns whether the device has counted nothing so far, or in its first reading.
    fn is_silent(&self, disk: &Disk<'_>) -> bool {
        match (&self.totals, disk.totals) {
            (Some(before), _) => before.iter().all(Total::is_zero),
            (None, Some(first)) => first == [0; TOTALS],
            (None, None) => false,
        }
    }

    /// Returns the increase of each total. The total of a new device counts as a whole, unless it may
    /// have been there before: then `complete` is false.
    fn advance(&mut self, totals: [u64; TOTALS], complete: bool) -> [f64; TOTALS] {
        let read = totals.map(|total| total as f64);
        match &mut self.totals {
            None if !complete => {
                self.totals = Some(read.map(Total::new));
                [0.0; TOTALS]
            }
            known => {
                let known = known.get_or_insert_default();
                let mut added = [0.0; TOTALS];
                for ((total, read), added) in known.iter_mut().zip(read).zip(&mut added) {
                    *added = total.advance(read);
                }
                added
            }
        }
    }
}
