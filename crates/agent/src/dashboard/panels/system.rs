//! Panels on the host.

use bellwether_dashboards::Unit;

use super::{Panel, Query, View, line, lines, named, number, scaled};

pub(super) const PANELS: &[Panel] = &[
    number(
        "Processors",
        Unit::None,
        &[line("cpu_count", Query::Value, &[])],
        "Processors online.",
    ),
    number(
        "Processor frequency",
        Unit::Hertz,
        &[scaled(1e6, line("cpu_freq_current", Query::Value, &[]))],
        "Current frequency, mean over the processors.",
    ),
    number(
        "Uptime",
        Unit::Seconds,
        &[line("uptime_seconds", Query::Value, &[])],
        "Time since the host was booted.",
    ),
    lines(
        "CPU usage",
        Unit::Percent,
        &[line("cpu_percent", Query::Value, &[])],
        "Share of the time in which the processors were busy.",
    ),
    lines(
        "Memory usage",
        Unit::Percent,
        &[line("memory_percent", Query::Value, &[])],
        "Share of the memory that is not available to new work.",
    ),
    lines(
        "Swap usage",
        Unit::Percent,
        &[line("swap_percent", Query::Value, &[])],
        "Share of the swap space in use.",
    ),
    lines(
        "Memory",
        Unit::Bytes,
        &[
            named("used", "memory_used_bytes", Query::Value, &[]),
            named("available", "memory_available_bytes", Query::Value, &[]),
            named("total", "memory_total_bytes", Query::Value, &[]),
        ],
        "Memory used, and available without swapping.",
    ),
    Panel {
        view: View::Bars,
        ..lines(
            "Disk usage",
            Unit::Percent,
            &[line("disk_usage_percent", Query::Value, &[])],
            "Share of each file system in use.",
        )
    },
    lines(
        "Disk throughput",
        Unit::BytesPerSecond,
        &[
            named("read", "disk_io_read_bytes", Query::Rate, &[]),
            named("write", "disk_io_write_bytes", Query::Rate, &[]),
        ],
        "Bytes read from and written to disks per second.",
    ),
    lines(
        "Disk operations",
        Unit::IoPerSecond,
        &[
            named("read", "disk_io_read_count", Query::Rate, &[]),
            named("write", "disk_io_write_count", Query::Rate, &[]),
        ],
        "Reads and writes that disks completed per second.",
    ),
    lines(
        "Network traffic",
        Unit::BytesPerSecond,
        &[
            named("sent", "network_bytes_sent", Query::Rate, &["interface"]),
            named(
                "received",
                "network_bytes_recv",
                Query::Rate,
                &["interface"],
            ),
        ],
        "Bytes per second by interface.",
    ),
    lines(
        "Network packets",
        Unit::PacketsPerSecond,
        &[
            named("sent", "network_packets_sent", Query::Rate, &["interface"]),
            named(
                "received",
                "network_packets_recv",
                Query::Rate,
                &["interface"],
            ),
        ],
        "Packets per second by interface.",
    ),
    lines(
        "Network errors",
        Unit::PacketsPerSecond,
        &[
            named(
                "receiving",
                "network_errors_in",
                Query::Rate,
                &["interface"],
            ),
            named("sending", "network_errors_out", Query::Rate, &["interface"]),
        ],
        "Packets per second that could not be received or sent, by interface.",
    ),
    lines(
        "Load average",
        Unit::None,
        &[
            named("1 minute", "load_average_1m", Query::Value, &[]),
            named("5 minutes", "load_average_5m", Query::Value, &[]),
            named("15 minutes", "load_average_15m", Query::Value, &[]),
        ],
        "Tasks running or waiting for processor or disk.",
    ),
    lines(
        "CPU usage by core",
        Unit::Percent,
        &[line("cpu_core_percent", Query::Value, &[])],
        "Share of the time in which each core was busy.",
    ),
    lines(
        "Processor time by mode",
        Unit::Ratio,
        &[line("cpu_seconds", Query::Rate, &["mode"])],
        "Processor time per second in each mode; 1 is one core.",
    ),
    lines(
        "Swap space",
        Unit::Bytes,
        &[
            named("used", "swap_used_bytes", Query::Value, &[]),
            named("total", "swap_total_bytes", Query::Value, &[]),
        ],
        "Used and total swap space.",
    ),
    Panel {
        view: View::Bars,
        ..lines(
            "Inode usage",
            Unit::Percent,
            &[line("disk_inodes_percent", Query::Value, &[])],
            "Share of each file system's inodes in use.",
        )
    },
    lines(
        "Disk space",
        Unit::Bytes,
        &[
            named("available", "disk_available_bytes", Query::Value, &[]),
            named("total", "disk_total_bytes", Query::Value, &[]),
        ],
        "Size of each file system, and space that ordinary users can still fill.",
    ),
    lines(
        "TCP connections",
        Unit::None,
        &[line("network_connections", Query::Value, &[])],
        "TCP sockets by state.",
    ),
    lines(
        "Temperatures",
        Unit::Celsius,
        &[line("temperature_celsius", Query::Value, &[])],
        "Temperatures of the hardware's sensors.",
    ),
    lines(
        "Pressure",
        Unit::Percent,
        &[line("pressure_percent", Query::Value, &[])],
        "Share of the time in which tasks waited for a resource.",
    ),
    lines(
        "Stalled time",
        Unit::Ratio,
        &[line(
            "pressure_stalled_seconds",
            Query::Rate,
            &["resource", "scope"],
        )],
        "Time per second in which tasks waited for a resource.",
    ),
    lines(
        "File handles",
        Unit::None,
        &[
            named("open", "file_descriptors_open", Query::Value, &[]),
            named("most", "file_descriptors_max", Query::Value, &[]),
        ],
        "File handles that the kernel has allocated, and their limit.",
    ),
];
