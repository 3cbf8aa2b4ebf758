//! Traffic of the disks, summed over whole disks.

use std::collections::HashMap;

use bellwether_core::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::{BadLines, Disk, TOTALS, disks, is_partition, multipath_head};
use super::super::resolve::Declared;
use super::super::totals::Total;
use super::{Group, Metric, Roots, Run};

/// What each total is multiplied with: the last is in milliseconds.
const UNITS: [f64; TOTALS] = [1.0, 1.0, 1.0, 1.0, 1e-3];

struct Disks {
    file: HostFile,
    /// Each with the index of the total that it shows.
    metrics: Vec<Metric<usize>>,
    /// Sum of each metric, over disks that are gone and restarts of a disk's own
    /// counters. Without that a sum would fall when a disk is pulled out, and every reader would
    /// take the fall for a restart.
    sums: Vec<f64>,
    devices: Devices,
}

#[derive(Default)]
struct Devices {
    /// Those of the file in its order, then those that are gone.
    all: Vec<Device>,
    present: usize,
    /// Set where a line could not be read the last time: a device that is new now may have
    /// been there, and what it counted until now is not new.
    incomplete: bool,
}

struct Device {
    name: Box<[u8]>,
    /// `None` until its line could be read once.
    totals: Option<[Total; TOTALS]>,
    /// Of a path of NVMe's multipath: its disk, by its place among the devices.
    head: Option<usize>,
    /// Set for a disk that has such paths.
    has_paths: bool,
    /// For each metric, when it counts this device.
    counted: Box<[Counted]>,
}

/// Condition under which a metric counts a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Never,
    Always,
    /// A path whose disk is wanted: while that one counts nothing itself.
    ForItsHead,
}

pub(super) fn group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Disk(total) => Some(total),
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
        run.account(path, &bad, usable);
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
    /// Puts the devices in the order of the file; known ones keep their totals, also over an
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
        // Decided on what was read before, so that of a disk that begins to count itself both do
        // not count at the same time.
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

    /// Tells whether it has counted nothing until now, or in its first reading.
    fn is_silent(&self, disk: &Disk<'_>) -> bool {
        match (&self.totals, disk.totals) {
            (Some(before), _) => before.iter().all(Total::is_zero),
            (None, Some(first)) => first == [0; TOTALS],
            (None, None) => false,
        }
    }

    /// Returns how much each total rose. All that a new device counted is new, unless it may have been
    /// there before: then `complete` is false.
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
