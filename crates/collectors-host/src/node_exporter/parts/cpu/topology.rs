//! Isolation, thermal throttling and state of processors, from `/sys/devices/system/cpu`.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::super::directory::{Directory, numbered, read};
use super::super::super::part::{COUNTER, GAUGE, Run};
use super::super::cpufreq::range;

/// Adds what there is.
pub(super) fn push(directory: &Path, run: &mut Run<'_>) {
    let isolated = read(&directory.join("isolated")).unwrap_or_default();
    let help = "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
    run.out.begin("node_cpu_isolated", GAUGE, help);
    for cpu in range(&isolated) {
        run.out.push(&[("cpu", &cpu.to_string())], 1.0);
    }
    let processors: Vec<(String, Directory)> = numbered(directory, "cpu")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, number)| Some((number, Directory::open(directory.join(name)).ok()?)))
        .collect();
    push_throttling(&processors, run);
    push_online(&processors, run);
}

/// Processors of one core have one count, and cores of one package have one, so that of the first one is taken.
fn push_throttling(processors: &[(String, Directory)], run: &mut Run<'_>) {
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
fn push_online(processors: &[(String, Directory)], run: &mut Run<'_>) {
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
