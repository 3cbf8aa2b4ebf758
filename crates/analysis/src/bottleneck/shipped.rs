//! The shipped bottlenecks. Each is evaluated if its metrics are configured under the names of the
//! catalogue.

use super::Resource;

/// Shipped bottleneck.
pub(super) struct Shipped {
    pub(super) name: &'static str,
    pub(super) resource: Resource,
    /// PromQL template; `{mean:x}` is the mean of metric x over 5 minutes, `{rate:x}` its change
    /// per second for a counter or gauge, `{x}` its exported name. `x|a=b,c=d` selects labels.
    pub(super) promql: &'static str,
    pub(super) warning: f64,
    pub(super) critical: f64,
    pub(super) unit: &'static str,
    pub(super) component: &'static str,
    pub(super) advice: &'static str,
}

/// Sources of the thresholds: pressure as Facebook's oomd acts on it (memory, full, 10 %), and half
/// and twice of that; a processor is saturated when tasks wait for it, not when it is busy, hence
/// its high thresholds; durations are those that people notice.
#[rustfmt::skip]
pub(super) const SHIPPED: &[Shipped] = &[
    Shipped { name: "cpu_busy", resource: Resource::Cpu, promql: "{mean:cpu_percent}", warning: 85.0, critical: 98.0, unit: "% busy", component: "host",
        advice: "find the busiest processes (top), spread or postpone their work, or add cores" },
    Shipped { name: "cpu_run_queue", resource: Resource::Cpu, promql: "{mean:load_average_1m} / {mean:cpu_count}", warning: 1.5, critical: 4.0, unit: "tasks per core", component: "host",
        advice: "more tasks want to run, or wait for disks, than there are cores: with cpu_iowait low run fewer at once (thread pools, cron jobs at one time), with it high look at the disks first" },
    Shipped { name: "cpu_pressure", resource: Resource::Cpu, promql: "{mean:pressure_percent|resource=cpu,scope=some,window=60s}", warning: 25.0, critical: 75.0, unit: "% of the time a task waited", component: "host",
        advice: "tasks are ready and wait for a core: lower their number or priority (nice, CPUWeight=), or add cores; in a container look at its CPU limit" },
    Shipped { name: "memory_used", resource: Resource::Memory, promql: "{mean:memory_percent}", warning: 85.0, critical: 95.0, unit: "% used", component: "host",
        advice: "find what grew (top, bellwether trends memory_percent), limit it (MemoryHigh=), or add memory before the kernel kills" },
    Shipped { name: "memory_pressure_some", resource: Resource::Memory, promql: "{mean:pressure_percent|resource=memory,scope=some,window=60s}", warning: 10.0, critical: 40.0, unit: "% of the time a task waited", component: "host",
        advice: "some tasks wait for memory to be freed or read back: the working set does not fit any more; shrink caches and heaps or move a service away" },
    Shipped { name: "memory_pressure_full", resource: Resource::Memory, promql: "{mean:pressure_percent|resource=memory,scope=full,window=60s}", warning: 5.0, critical: 20.0, unit: "% of the time all tasks waited", component: "host",
        advice: "all tasks wait for memory at once, nothing is done meanwhile: stop or restart the largest process now, then find why it grew" },
    Shipped { name: "swap_in", resource: Resource::Memory, promql: "{rate:swap_in_bytes}", warning: 1e6, critical: 2e7, unit: "bytes/s swapped in", component: "host",
        advice: "memory in use comes back from swap space: it is wanted, so memory is short; swapping out alone would be harmless" },
    Shipped { name: "disk_full", resource: Resource::Io, promql: "{mean:disk_usage_percent}", warning: 85.0, critical: 95.0, unit: "% full", component: "file system",
        advice: "delete or rotate (journalctl --vacuum-size, old releases), or grow it; bellwether forecast tells when it is full" },
    Shipped { name: "io_wait", resource: Resource::Io, promql: "{mean:cpu_iowait_percent}", warning: 20.0, critical: 50.0, unit: "% of CPU time idle for a disk", component: "host",
        advice: "cores idle because a disk does not answer: find who reads and writes (iotop), batch or cache it; it understates on busy cores, where pressure tells more" },
    Shipped { name: "io_pressure_some", resource: Resource::Io, promql: "{mean:pressure_percent|resource=io,scope=some,window=60s}", warning: 25.0, critical: 70.0, unit: "% of the time a task waited", component: "host",
        advice: "some tasks wait for disks: put the heavy one on a disk of its own or limit it (IOWeight=, ionice)" },
    Shipped { name: "io_pressure_full", resource: Resource::Io, promql: "{mean:pressure_percent|resource=io,scope=full,window=60s}", warning: 10.0, critical: 40.0, unit: "% of the time all tasks waited", component: "host",
        advice: "all tasks wait for disks at once: stop the heaviest reader or writer (iotop -o), then look whether the disk itself is slow (dmesg, smartctl)" },
    Shipped { name: "disk_busy", resource: Resource::Io, promql: "{rate:disk_io_seconds}", warning: 0.8, critical: 1.5, unit: "disks busy all the time", component: "disks",
        advice: "a disk has work all the time: fewer and larger requests, a cache, or a faster disk; a solid-state disk may still take more, pressure tells" },
    Shipped { name: "network_drops_in", resource: Resource::Network, promql: "{rate:network_dropped_in}", warning: 10.0, critical: 500.0, unit: "packets/s dropped", component: "interface",
        advice: "received packets find no room: raise the ring (ethtool -G) and net.core.netdev_max_backlog, spread interrupts over cores, or the receiver is too slow" },
    Shipped { name: "network_drops_out", resource: Resource::Network, promql: "{rate:network_dropped_out}", warning: 10.0, critical: 500.0, unit: "packets/s dropped", component: "interface",
        advice: "packets to be sent are dropped: the link is full or shaped (tc -s qdisc); send less or take a faster one" },
    Shipped { name: "network_errors_in", resource: Resource::Network, promql: "{rate:network_errors_in}", warning: 1.0, critical: 50.0, unit: "errors/s", component: "interface",
        advice: "packets arrive broken: look at cable, transceiver, duplex and driver (ethtool -S)" },
    Shipped { name: "network_errors_out", resource: Resource::Network, promql: "{rate:network_errors_out}", warning: 1.0, critical: 50.0, unit: "errors/s", component: "interface",
        advice: "packets cannot be sent: look at carrier, duplex and driver (ethtool -S)" },
    Shipped { name: "queue_wait", resource: Resource::Queue, promql: "{mean:queue_length} / {rate:queue_items_processed}", warning: 60.0, critical: 600.0, unit: "s from arrival to done", component: "workers",
        advice: "an item waits this long, by Little's law (items waiting / items done a second): add workers, or make items cheaper; no item done at all makes it endless" },
    Shipped { name: "queue_growth", resource: Resource::Queue, promql: "deriv({queue_length}[10m]) / {rate:queue_items_processed}", warning: 0.1, critical: 1.0, unit: "items left over for each one done", component: "workers",
        advice: "more comes than is done, so the wait grows without end: add this share of workers, or let fewer in (back-pressure)" },
    Shipped { name: "api_response", resource: Resource::Response, promql: "histogram_quantile(0.95, sum by (le, endpoint) (rate({api_request_duration}_bucket[5m])))", warning: 1.0, critical: 3.0, unit: "s for 95 % of requests", component: "application",
        advice: "see what moved with it (bellwether correlate), then profile the slowest endpoint; a long tail with a good median is usually waiting: locks, pools, disks, garbage collection" },
    Shipped { name: "agent_response", resource: Resource::Response, promql: "histogram_quantile(0.95, sum by (le, agent_name) (rate({agent_execution_time}_bucket[5m])))", warning: 10.0, critical: 30.0, unit: "s for 95 % of executions", component: "agent",
        advice: "look at what the agent waits for, pass fewer messages, and run what does not depend on each other at once" },
    Shipped { name: "neo4j_response", resource: Resource::Response, promql: "{mean:neo4j_query_duration_p95}", warning: 1000.0, critical: 5000.0, unit: "ms for 95 % of queries", component: "neo4j",
        advice: "PROFILE the slowest queries, add the missing index, return less; if all are slow look at heap and page cache" },
];
