//! Inputs about the host, as metrics of the catalogue.

use super::super::yaml::{Map, Yaml};
use super::{Inputs, Instance};

/// Adds metrics of the catalogue with globs of devices, which are those of Telegraf.
fn add(
    names: &[&str],
    filters: &[(&str, &str, Vec<&str>)],
    instance: &mut Instance<'_, '_>,
    inputs: &mut Inputs<'_>,
) {
    for name in names {
        let mut metric = Map::of([("name", name)]);
        for (setting, dimension, globs) in filters {
            if !globs.is_empty() {
                let map =
                    Map::from_iter([((*dimension).to_owned(), Yaml::texts(globs.iter().copied()))]);
                metric.put(setting, map.into());
            }
        }
        inputs.draft.system_metric(metric);
    }
    let tags = std::mem::take(&mut instance.tags);
    if !tags.fields.is_empty() {
        let reason = "tags: metrics of the host have `default_labels` alone";
        instance.notes.lose(instance.fields.at, reason);
    }
    if let Some((_, at)) = instance
        .interval
        .take()
        .filter(|(interval, _)| Some(*interval) != inputs.draft.collection_interval)
    {
        instance.notes.lose(
            at,
            "interval: `system: {interval: ...}` is that of all metrics of the host",
        );
    }
}

fn set_aside(instance: &mut Instance<'_, '_>, keys: &[&str]) {
    let reason = "the metrics are the same ones always";
    instance.fields.set_aside(keys, reason, &mut instance.notes);
}

fn globs<'n>(instance: &mut Instance<'n, '_>, key: &str) -> Vec<&'n str> {
    let (valid, invalid): (Vec<_>, Vec<_>) = instance
        .fields
        .texts(key)
        .into_iter()
        .partition(|(glob, _)| globset::Glob::new(glob).is_ok());
    for (glob, at) in invalid {
        instance
            .notes
            .lose(at, format!("{key}: the pattern {glob}"));
    }
    valid.into_iter().map(|(glob, _)| glob).collect()
}

pub(super) fn cpu(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let fields = &mut instance.fields;
    let mut names = Vec::new();
    if fields.flag("totalcpu") != Some(false) {
        names.extend(["cpu_percent", "cpu_iowait_percent", "cpu_seconds"]);
    }
    if fields.flag("percpu") != Some(false) {
        names.push("cpu_core_percent");
    }
    set_aside(
        instance,
        &["collect_cpu_time", "report_active", "core_tags"],
    );
    add(&names, &[], instance, inputs);
}

pub(super) fn memory(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "memory_percent",
        "memory_used_bytes",
        "memory_available_bytes",
        "memory_total_bytes",
    ];
    set_aside(instance, &["collect_extended"]);
    add(&names, &[], instance, inputs);
}

pub(super) fn swap(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "swap_percent",
        "swap_used_bytes",
        "swap_total_bytes",
        "swap_in_bytes",
        "swap_out_bytes",
    ];
    add(&names, &[], instance, inputs);
}

pub(super) fn disk(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "disk_usage_percent",
        "disk_available_bytes",
        "disk_total_bytes",
        "disk_inodes_percent",
    ];
    let mounts = globs(instance, "mount_points");
    let types = globs(instance, "ignore_fs");
    instance.fields.skip_if("ignore_mount_opts", &[]);
    add(
        &names,
        &[
            ("include", "mount_point", mounts),
            ("exclude", "fs_type", types),
        ],
        instance,
        inputs,
    );
}

pub(super) fn disk_io(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "disk_io_read_bytes",
        "disk_io_write_bytes",
        "disk_io_read_count",
        "disk_io_write_count",
        "disk_io_seconds",
    ];
    let disks = globs(instance, "devices");
    instance.notes.remark(
        instance.fields.at,
        "these metrics are summed over the disks",
    );
    set_aside(instance, &["skip_serial_number"]);
    add(&names, &[("include", "disk", disks)], instance, inputs);
}

pub(super) fn net(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "network_bytes_sent",
        "network_bytes_recv",
        "network_packets_sent",
        "network_packets_recv",
        "network_errors_in",
        "network_errors_out",
        "network_dropped_in",
        "network_dropped_out",
    ];
    let interfaces = globs(instance, "interfaces");
    set_aside(instance, &["ignore_protocol_stats"]);
    add(
        &names,
        &[("include", "interface", interfaces)],
        instance,
        inputs,
    );
}

pub(super) fn netstat(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    add(&["network_connections"], &[], instance, inputs);
}

pub(super) fn processes(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    set_aside(instance, &["use_sudo"]);
    add(
        &["processes_running", "processes_blocked"],
        &[],
        instance,
        inputs,
    );
}

pub(super) fn system(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    let names = [
        "load_average_1m",
        "load_average_5m",
        "load_average_15m",
        "cpu_count",
        "uptime_seconds",
    ];
    add(&names, &[], instance, inputs);
}

pub(super) fn temperature(instance: &mut Instance<'_, '_>, inputs: &mut Inputs<'_>) {
    set_aside(
        instance,
        &["metric_format", "add_device_tag", "always_gather_zones"],
    );
    add(&["temperature_celsius"], &[], instance, inputs);
}
