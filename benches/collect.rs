//! Cost of one collection of the host, beside the alternatives of a user.
//!
//! `cargo bench --bench collect`. All sides fetch the figures of the shipped catalogue, from this
//! machine: processors, memory, swap, file systems, disk and network traffic.

// The macros of criterion make undocumented functions, and a bench may end with a message.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Collector, MetricDefaults, System};
use bellwether_collectors::self_process::Process;
use bellwether_collectors::system::{ResolvedMetric, SystemCollector, SystemMetric, resolve};
use bellwether_core::{Batch, MetricId, MonoMillis, Now, Origin};
use bellwether_schema::{Diagnostics, Override, Spanned};
use criterion::{Criterion, criterion_group, criterion_main};
use procfs::{Current, CurrentSI};

const SHIPPED: [&str; 18] = [
    "cpu_percent",
    "cpu_count",
    "cpu_freq_current",
    "memory_percent",
    "memory_used_bytes",
    "memory_available_bytes",
    "swap_percent",
    "disk_usage_percent",
    "disk_io_read_bytes",
    "disk_io_write_bytes",
    "disk_io_read_count",
    "disk_io_write_count",
    "network_bytes_sent",
    "network_bytes_recv",
    "network_packets_sent",
    "network_packets_recv",
    "network_errors_in",
    "network_errors_out",
];

fn declared(names: &[&str]) -> Arc<[(MetricId, ResolvedMetric)]> {
    let metrics: Vec<SystemMetric> = names
        .iter()
        .map(|name| SystemMetric {
            r#override: Override,
            labels: None,
            name: Spanned::nowhere((*name).to_owned()),
            r#type: None,
            enabled: true,
            source: None,
            help: None,
            include: Default::default(),
            exclude: Default::default(),
        })
        .collect();
    let defaults = MetricDefaults {
        origin: Origin::new("system"),
        prefix: "",
        interval: Duration::from_secs(30),
    };
    let resolved = resolve(&metrics, defaults, &mut Diagnostics::default());
    assert_eq!(resolved.len(), names.len());
    (0..).map(MetricId).zip(resolved).collect()
}

/// Ours, the way over the collecting thread and back included.
fn bellwether(criterion: &mut Criterion, name: &str, metrics: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut collector = SystemCollector::new(System::default(), declared(metrics), Arc::default());
    let mut batch = Batch::default();
    let mut now = Now::default();
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            batch.clear();
            now.mono = MonoMillis(now.mono.0 + 30_000);
            runtime
                .block_on(collector.collect(&mut batch, now))
                .expect("a healthy host");
            black_box(batch.len())
        });
    });
}

fn sysinfo_refresh(criterion: &mut Criterion) {
    let mut system = sysinfo::System::new().expect("a known system");
    let mut disks = sysinfo::Disks::new_with_refreshed_list().expect("disks");
    let mut networks = sysinfo::Networks::new_with_refreshed_list().expect("networks");
    criterion.bench_function("host/sysinfo", |bencher| {
        bencher.iter(|| {
            system.refresh_cpu_usage();
            system.refresh_cpu_frequency();
            system.refresh_memory();
            disks.refresh(true);
            networks.refresh(true);
            black_box((
                system.global_cpu_usage(),
                system.available_memory(),
                disks.len(),
            ))
        });
    });
}

/// The same files, opened and parsed by `procfs`, without any asking of file systems.
fn procfs_parsers(criterion: &mut Criterion) {
    criterion.bench_function("host/procfs, no statvfs", |bencher| {
        bencher.iter(|| {
            black_box(procfs::KernelStats::current().expect("stat"));
            black_box(procfs::Meminfo::current().expect("meminfo"));
            black_box(procfs::diskstats().expect("diskstats"));
            black_box(procfs::net::dev_status().expect("net/dev"));
            black_box(procfs::CpuInfo::current().expect("cpuinfo"));
            let myself = procfs::process::Process::myself().expect("self");
            black_box(myself.mountinfo().expect("mountinfo"));
        });
    });
}

fn collect(criterion: &mut Criterion) {
    bellwether(criterion, "host/bellwether", &SHIPPED);
    bellwether(criterion, "host/bellwether, no mounts", &{
        SHIPPED.map(|name| {
            if name == "disk_usage_percent" {
                "uptime_seconds"
            } else {
                name
            }
        })
    });
    sysinfo_refresh(criterion);
    procfs_parsers(criterion);
    criterion.bench_function("process/bellwether", |bencher| bencher.iter(Process::read));
}

criterion_group!(benches, collect);
criterion_main!(benches);
