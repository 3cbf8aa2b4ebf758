//! Traffic of the disks, summed over whole disks.

use crate::model::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::{Disk, TOTALS, disks, is_partition};
use super::super::resolve::Declared;
use super::{Group, Metric, Roots, Run};

/// What each total is multiplied with: the last is in milliseconds.
const UNITS: [f64; TOTALS] = [1.0, 1.0, 1.0, 1.0, 1e-3];

struct Disks {
    file: HostFile,
    /// Each with the index of the total that it shows.
    metrics: Vec<Metric<usize>>,
    /// Those of the file in its order, then those that are gone. Without these a sum would fall
    /// when a disk is pulled out, and every reader would take the fall for a restart.
    devices: Vec<Device>,
    present: usize,
}

struct Device {
    name: Box<[u8]>,
    last: [u64; TOTALS],
    /// Everything counted, over restarts of the device's own counters.
    sums: [f64; TOTALS],
    /// For each metric, whether it counts this device.
    counted: Box<[bool]>,
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
    Some(Box::new(Disks { file, metrics, devices: Vec::new(), present: 0 }))
}

impl Group for Disks {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.optional(&mut self.file) else { return };
        let mut found = Vec::with_capacity(self.present);
        for disk in disks(bytes) {
            match disk {
                Ok(disk) => found.push(disk),
                // Totals without one of the disks would be wrong: better none.
                Err(malformed) => return run.malformed(path, &malformed),
            }
        }
        let same = found.len() == self.present
            && found.iter().zip(&self.devices).all(|(disk, device)| disk.name == &*device.name);
        if !same {
            arrange(&mut self.devices, &self.metrics, &found);
            self.present = found.len();
        }
        for (disk, device) in found.iter().zip(&mut self.devices) {
            device.advance(disk.totals);
        }
        for (index, metric) in self.metrics.iter_mut().enumerate() {
            let counted = self.devices.iter().filter(|device| device.counted[index]);
            let sum: f64 = counted.map(|device| device.sums[metric.pick]).sum();
            metric.push(&[], sum * UNITS[metric.pick], run);
            metric.finish(run);
        }
    }
}

/// Puts the devices in the order of the file; known ones keep their sums, also over an absence.
fn arrange(devices: &mut Vec<Device>, metrics: &[Metric<usize>], found: &[Disk<'_>]) {
    let mut before = std::mem::take(devices);
    for disk in found {
        let known = before.iter().position(|device| *device.name == *disk.name);
        let mut device = Device::new(disk, metrics, found);
        if let Some(known) = known.map(|place| before.swap_remove(place)) {
            (device.last, device.sums) = (known.last, known.sums);
        }
        devices.push(device);
    }
    devices.append(&mut before);
}

impl Device {
    fn new(disk: &Disk<'_>, metrics: &[Metric<usize>], all: &[Disk<'_>]) -> Self {
        let whole = !is_partition(disk.name, |name| all.iter().any(|other| other.name == name));
        let label = String::from_utf8_lossy(disk.name);
        let counted = metrics.iter().map(|metric| whole && metric.filter.admits(&[&label]));
        Self {
            name: disk.name.into(),
            last: [0; TOTALS],
            sums: [0.0; TOTALS],
            counted: counted.collect(),
        }
    }

    fn advance(&mut self, totals: [u64; TOTALS]) {
        for (index, total) in totals.into_iter().enumerate() {
            let added = total.checked_sub(self.last[index]).unwrap_or(total);
            self.sums[index] += added as f64;
            self.last[index] = total;
        }
    }
}
