//! Self-metrics of the process from `/proc/self`, named as in all Prometheus clients. They are read for
//! each scrape, so few files are read, none of which block.

use std::fs;
use std::sync::OnceLock;

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::process::parse;

self_metrics! {
    CPU = "process_cpu_seconds_total" Counter []
        "Total user and system CPU time spent in seconds.";
    RESIDENT = "process_resident_memory_bytes" Gauge []
        "Resident memory size in bytes.";
    VIRTUAL = "process_virtual_memory_bytes" Gauge []
        "Virtual memory size in bytes.";
    OPEN_FDS = "process_open_fds" Gauge []
        "Number of open file descriptors.";
    MAX_FDS = "process_max_fds" Gauge []
        "Maximum number of open file descriptors.";
    THREADS = "process_threads" Gauge []
        "Number of operating system threads in the process.";
    START = "process_start_time_seconds" Gauge []
        "Start time of the process since unix epoch in seconds.";
}

/// Source of the metrics of this process.
pub struct ProcessMetrics;

impl SelfMetrics for ProcessMetrics {
    /// Values that /proc does not have are left out.
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let process = Process::read();
        for (metric, value) in [
            (&CPU, process.cpu_seconds),
            (&RESIDENT, process.resident_bytes),
            (&VIRTUAL, process.virtual_bytes),
            (&OPEN_FDS, process.open_fds),
            (&MAX_FDS, process.max_fds),
            (&THREADS, process.threads),
            (&START, process.start_seconds),
        ] {
            if let Some(value) = value {
                batch.push(metric, &[], value);
            }
        }
    }
}

/// The standard metrics of a process; `None` if /proc does not have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time, seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory, bytes.
    pub resident_bytes: Option<f64>,
    /// Virtual memory, bytes.
    pub virtual_bytes: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<f64>,
    /// Maximum number of file descriptors the process may open.
    pub max_fds: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Start, seconds since the Unix epoch.
    pub start_seconds: Option<f64>,
}

impl Process {
    /// Reads the current values.
    #[must_use]
    pub fn read() -> Self {
        let mut process = Self {
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current.map(|most| most as f64),
            ..Self::default()
        };
        let stat = fs::read("/proc/self/stat").ok();
        if let Some(stat) = stat.as_deref().and_then(parse::stat) {
            let tick = clock_ticks_per_second() as f64;
            process.cpu_seconds = Some((stat.user + stat.system) as f64 / tick);
            process.resident_bytes = Some((stat.resident_pages * page_size() as u64) as f64);
            process.virtual_bytes = Some(stat.virtual_bytes as f64);
            process.threads = Some(stat.threads as f64);
            process.start_seconds = boot_seconds().map(|boot| boot + stat.start as f64 / tick);
        }
        process
    }
}

/// Returns the number of open files. Since Linux 6.2 it is the size of the directory; before, the
/// entries are counted.
fn open_fds() -> Option<f64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // The directory is open itself while it is read.
        0 => Some(
            fs::read_dir("/proc/self/fd")
                .ok()?
                .count()
                .saturating_sub(1) as f64,
        ),
        count => Some(count as f64),
    }
}

/// Returns the boot time. It is read once, since /proc/stat is long.
fn boot_seconds() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| parse::boot(&fs::read("/proc/stat").ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn values_are_those_of_this_process() {
        let process = Process::read();
        assert!(
            process.resident_bytes.is_some_and(|bytes| bytes > 1e6),
            "{process:?}"
        );
        assert!(process.virtual_bytes > process.resident_bytes);
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds >= 0.0));
        assert!(process.threads.is_some_and(|count| count >= 1.0));
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - process.start_seconds.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }

    #[test]
    fn descriptors_are_counted_against_their_limit() {
        // Other tests open and close files meanwhile: many more are needed to see a rise.
        let before = Process::read();
        let held: Vec<File> = (0..200)
            .map(|_| File::open("/proc/self/stat").unwrap())
            .collect();
        let after = Process::read();
        assert!(
            after.open_fds.unwrap() >= before.open_fds.unwrap() + 100.0,
            "{before:?} {after:?}"
        );
        assert!(after.max_fds.is_none_or(|most| most >= held.len() as f64));
    }
}
