//! Figures of the running process, from /proc/self.

use procfs::WithCurrentSystemInfo;
use procfs::process::{LimitValue, Process as Entry};

/// The standard process figures; `None` where /proc does not tell.
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
    /// Most file descriptors the process may open.
    pub max_fds: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Start, seconds since the Unix epoch.
    pub start_seconds: Option<f64>,
}

impl Process {
    /// Reads them now.
    #[must_use]
    pub fn read() -> Self {
        let Ok(entry) = Entry::myself() else { return Self::default() };
        let max_fds =
            entry.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most as f64),
                LimitValue::Unlimited => None,
            });
        let mut process = Self {
            open_fds: entry.fd_count().ok().map(|count| count as f64),
            max_fds,
            ..Self::default()
        };
        if let Ok(stat) = entry.stat() {
            let tick = procfs::ticks_per_second() as f64;
            process.cpu_seconds = Some((stat.utime + stat.stime) as f64 / tick);
            process.resident_bytes = Some(stat.rss_bytes().get() as f64);
            process.virtual_bytes = Some(stat.vsize as f64);
            process.threads = Some(stat.num_threads as f64);
            process.start_seconds = procfs::boot_time_secs()
                .ok()
                .map(|boot| boot as f64 + stat.starttime as f64 / tick);
        }
        process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_this_very_process() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1e6), "{process:?}");
        assert!(process.virtual_bytes > process.resident_bytes);
        assert!(process.open_fds.is_some_and(|count| count >= 3.0));
        assert!(process.threads.is_some_and(|count| count >= 1.0));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.as_secs_f64() - process.start_seconds.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
