//! Isolation, thermal throttling and state of processors, from `/sys/devices/system/cpu`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::super::directory::{Device, Devices, Directory, read};
use super::super::super::part::{COUNTER, GAUGE, Run};
use super::super::cpufreq::range;

/// Processors whose files are kept open.
const KEPT: usize = 64;

pub(super) struct Topology {
    isolated: PathBuf,
    devices: Devices,
}

impl Topology {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            isolated: directory.join("isolated"),
            devices: Devices::new(directory, KEPT),
        }
    }

    /// Adds what there is.
    pub(super) fn push(&mut self, run: &mut Run<'_>) {
        let isolated = read(&self.isolated).unwrap_or_default();
        let help =
            "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
        run.out.begin("node_cpu_isolated", GAUGE, help);
        for cpu in range(&isolated) {
            run.out.push(&[("cpu", &cpu.to_string())], 1.0);
        }
        let processors = processors(&mut self.devices);
        push_throttling(&processors, run);
        push_online(&processors, run);
    }
}

/// Returns the processors in the order of their numbers.
fn processors(devices: &mut Devices) -> Vec<(&str, &Directory)> {
    let number = |name: &str| name.strip_prefix("cpu")?.parse::<u32>().ok();
    let found = devices.update(|name| number(name).is_some());
    let mut processors: Vec<&Device> = found.unwrap_or_default().iter().collect();
    processors.sort_by_key(|cpu| number(&cpu.name));
    let shown = processors.into_iter();
    shown
        .map(|cpu| (&cpu.name["cpu".len()..], &cpu.directory))
        .collect()
}

/// Processors of one core have one count, and cores of one package have one, so that of the first one is taken.
fn push_throttling(processors: &[(&str, &Directory)], run: &mut Run<'_>) {
    let (mut packages, mut cores) = (BTreeMap::new(), BTreeMap::new());
    for (_, cpu) in processors {
        let (Some(package), Some(core)) = (
            cpu.text("topology/physical_package_id"),
            cpu.text("topology/core_id"),
        ) else {
            continue;
        };
        if let Some(count) = cpu.integer("thermal_throttle/package_throttle_count") {
            packages.entry(package.clone()).or_insert(count);
        }
        if let Some(count) = cpu.integer("thermal_throttle/core_throttle_count") {
            cores.entry((package, core)).or_insert(count);
        }
    }
    let help = "Number of times this CPU package has been throttled.";
    run.out
        .begin("node_cpu_package_throttles_total", COUNTER, help);
    for (package, count) in &packages {
        run.out.push(&[("package", package)], *count);
    }
    let help = "Number of times this CPU core has been throttled.";
    run.out
        .begin("node_cpu_core_throttles_total", COUNTER, help);
    for ((package, core), count) in &cores {
        run.out
            .push(&[("package", package), ("core", core)], *count);
    }
}

/// A kernel that cannot switch the first processor off has no state for it, and then there are none.
fn push_online(processors: &[(&str, &Directory)], run: &mut Run<'_>) {
    let first = processors.first().and_then(|(_, cpu)| cpu.text("online"));
    if first.is_none() {
        return;
    }
    let help = "CPUs that are online and being scheduled.";
    run.out.begin("node_cpu_online", GAUGE, help);
    for (number, cpu) in processors {
        let is_on = cpu.text("online").as_deref() == Some("1");
        run.out.push(&[("cpu", number)], f64::from(u8::from(is_on)));
    }
}
