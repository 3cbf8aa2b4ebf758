//! Figures of a cgroup, in base units, from the files of both versions.

/// Figures in the files of a cgroup. `None`: there is no such file, or not that line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) cpu_user_seconds: Option<f64>,
    pub(super) cpu_system_seconds: Option<f64>,
    pub(super) periods: Option<f64>,
    pub(super) throttled_periods: Option<f64>,
    pub(super) throttled_seconds: Option<f64>,
    /// CPU time per period in microseconds; `None`: unlimited.
    pub(super) quota: Option<f64>,
    pub(super) period: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) memory_peak: Option<f64>,
    /// 0: unlimited.
    pub(super) memory_limit: Option<f64>,
    pub(super) anonymous: Option<f64>,
    pub(super) cache: Option<f64>,
    pub(super) inactive_cache: Option<f64>,
    pub(super) swap: Option<f64>,
    pub(super) oom_kills: Option<f64>,
    pub(super) tasks: Option<f64>,
    pub(super) devices: Vec<Device>,
    /// Seconds that some tasks waited, and that all did: of `cpu`, `memory` and `io`.
    pub(super) pressure: [Option<(f64, f64)>; 3],
}

/// I/O of a cgroup on a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Device {
    /// `major:minor`.
    pub(super) number: String,
    pub(super) read_bytes: f64,
    pub(super) written_bytes: f64,
    pub(super) reads: f64,
    pub(super) writes: f64,
}

/// Resources with pressure figures, in the order of [`Figures::pressure`].
pub(super) const PRESSURES: [&str; 3] = ["cpu", "memory", "io"];

/// A limit of version 1 that is none: all pages of the address space.
const V1_UNLIMITED: f64 = 9e18;

/// Parses the files of version 2. `read` returns the content of a file.
pub(super) fn version_2(read: &mut dyn FnMut(&str) -> Option<String>) -> Figures {
    let cpu = read("cpu.stat").unwrap_or_default();
    let seconds = |key| keyed(&cpu, key).map(|microseconds| microseconds / 1e6);
    let limit = read("cpu.max").unwrap_or_default();
    let mut limit = limit.split_whitespace().map(str::parse);
    let quota = limit.next().and_then(Result::ok);
    let period = limit.next().and_then(Result::ok);
    let memory = read("memory.stat").unwrap_or_default();
    let events = read("memory.events").unwrap_or_default();
    let max = read("memory.max");
    let io = read("io.stat").unwrap_or_default();
    let mut number = |file| read(file).and_then(|text| text.trim().parse().ok());
    let mut figures = Figures {
        cpu_seconds: seconds("usage_usec"),
        cpu_user_seconds: seconds("user_usec"),
        cpu_system_seconds: seconds("system_usec"),
        periods: keyed(&cpu, "nr_periods"),
        throttled_periods: keyed(&cpu, "nr_throttled"),
        throttled_seconds: seconds("throttled_usec"),
        quota,
        period,
        memory: number("memory.current"),
        memory_peak: number("memory.peak"),
        memory_limit: max.map(|max| max.trim().parse().unwrap_or(0.0)),
        anonymous: keyed(&memory, "anon"),
        cache: keyed(&memory, "file"),
        inactive_cache: keyed(&memory, "inactive_file"),
        swap: number("memory.swap.current"),
        oom_kills: keyed(&events, "oom_kill"),
        tasks: number("pids.current"),
        devices: io.lines().filter_map(device).collect(),
        pressure: [None; 3],
    };
    for (pressure, resource) in figures.pressure.iter_mut().zip(PRESSURES) {
        let text = read(&format!("{resource}.pressure"));
        *pressure = text.as_deref().and_then(stalls);
    }
    figures
}

/// Parses the files of version 1, which `read` finds in the hierarchies of their controllers.
pub(super) fn version_1(
    read: &mut dyn FnMut(&str) -> Option<String>,
    ticks_per_second: f64,
) -> Figures {
    let usage = read("cpuacct.stat").unwrap_or_default();
    let ticks = |key| keyed(&usage, key).map(|ticks| ticks / ticks_per_second);
    let cpu = read("cpu.stat").unwrap_or_default();
    let memory = read("memory.stat").unwrap_or_default();
    // The totals include the cgroups below, as the figures of version 2 do.
    let memory_of =
        |key: &str| keyed(&memory, &format!("total_{key}")).or_else(|| keyed(&memory, key));
    let events = read("memory.oom_control").unwrap_or_default();
    let bytes = read("blkio.throttle.io_service_bytes_recursive")
        .or_else(|| read("blkio.throttle.io_service_bytes"))
        .unwrap_or_default();
    let operations = read("blkio.throttle.io_serviced_recursive")
        .or_else(|| read("blkio.throttle.io_serviced"))
        .unwrap_or_default();
    let mut number = |file| read(file).and_then(|text| text.trim().parse::<f64>().ok());
    let limit = number("memory.limit_in_bytes");
    Figures {
        cpu_seconds: number("cpuacct.usage").map(|nanoseconds| nanoseconds / 1e9),
        cpu_user_seconds: ticks("user"),
        cpu_system_seconds: ticks("system"),
        periods: keyed(&cpu, "nr_periods"),
        throttled_periods: keyed(&cpu, "nr_throttled"),
        throttled_seconds: keyed(&cpu, "throttled_time").map(|nanoseconds| nanoseconds / 1e9),
        quota: number("cpu.cfs_quota_us").filter(|quota| *quota > 0.0),
        period: number("cpu.cfs_period_us"),
        memory: number("memory.usage_in_bytes"),
        memory_peak: number("memory.max_usage_in_bytes"),
        memory_limit: limit.map(|limit| if limit > V1_UNLIMITED { 0.0 } else { limit }),
        anonymous: memory_of("rss"),
        cache: memory_of("cache"),
        inactive_cache: memory_of("inactive_file"),
        swap: memory_of("swap"),
        oom_kills: keyed(&events, "oom_kill"),
        tasks: number("pids.current"),
        devices: devices(&bytes, &operations),
        pressure: [None; 3],
    }
}

/// Returns the number behind a key at the beginning of a line.
fn keyed(text: &str, key: &str) -> Option<f64> {
    let mut values = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then_some(value)
    });
    values.next()?.trim().parse().ok()
}

/// Parses a line of `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`.
fn device(line: &str) -> Option<Device> {
    let (number, pairs) = line.split_once(' ')?;
    let mut device = Device {
        number: number.to_owned(),
        ..Device::default()
    };
    for pair in pairs.split(' ') {
        let (key, value) = pair.split_once('=')?;
        let value = value.parse().ok()?;
        match key {
            "rbytes" => device.read_bytes = value,
            "wbytes" => device.written_bytes = value,
            "rios" => device.reads = value,
            "wios" => device.writes = value,
            _ => {}
        }
    }
    Some(device)
}

/// Parses the lines of version 1, `8:0 Read 512`, of bytes and of operations.
fn devices(bytes: &str, operations: &str) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    for (text, is_bytes) in [(bytes, true), (operations, false)] {
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(number), Some(operation), Some(value)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Ok(value) = value.parse() else { continue };
            let at = devices.iter().position(|device| device.number == number);
            let at = at.unwrap_or_else(|| {
                devices.push(Device {
                    number: number.to_owned(),
                    ..Device::default()
                });
                devices.len() - 1
            });
            match (operation, is_bytes) {
                ("Read", true) => devices[at].read_bytes = value,
                ("Write", true) => devices[at].written_bytes = value,
                ("Read", false) => devices[at].reads = value,
                ("Write", false) => devices[at].writes = value,
                _ => {}
            }
        }
    }
    devices
}

/// Parses a file of pressure: the totals of `some` and `full`, in seconds. Old kernels have no `full` for the CPU.
fn stalls(text: &str) -> Option<(f64, f64)> {
    let total = |kind: &str| {
        let mut lines = text.lines().filter(|line| line.starts_with(kind));
        let (_, total) = lines.next()?.split_once("total=")?;
        total.trim().parse::<f64>().ok().map(|total| total / 1e6)
    };
    Some((total("some ")?, total("full ").unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_version_2() {
        let mut read = |file: &str| {
            let text = match file {
                "cpu.stat" => {
                    "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 3\nthrottled_usec 700000\n"
                }
                "cpu.max" => "50000 100000\n",
                "memory.current" => "4096\n",
                "memory.max" => "max\n",
                "memory.stat" => "anon 100\nfile 50\ninactive_file 20\n",
                "memory.events" => "low 0\nmax 4\noom 2\noom_kill 1\n",
                "io.stat" => "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\nbroken\n7:0 \n",
                "io.pressure" => {
                    "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
                }
                "cpu.pressure" => "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let figures = version_2(&mut read);
        let expected = Figures {
            cpu_seconds: Some(2.5),
            cpu_user_seconds: Some(2.0),
            cpu_system_seconds: Some(0.5),
            periods: Some(10.0),
            throttled_periods: Some(3.0),
            throttled_seconds: Some(0.7),
            quota: Some(50_000.0),
            period: Some(100_000.0),
            memory: Some(4096.0),
            memory_limit: Some(0.0),
            anonymous: Some(100.0),
            cache: Some(50.0),
            inactive_cache: Some(20.0),
            oom_kills: Some(1.0),
            devices: vec![Device {
                number: "8:0".to_owned(),
                read_bytes: 1.0,
                written_bytes: 2.0,
                reads: 3.0,
                writes: 4.0,
            }],
            pressure: [Some((2.0, 0.0)), None, Some((1.5, 0.5))],
            ..Figures::default()
        };
        assert_eq!(figures, expected);
        assert_eq!(version_2(&mut |_| None), Figures::default());
        let mut garbage = |_: &str| Some("\u{0} x=\n= =\n".to_owned());
        let expected = Figures {
            memory_limit: Some(0.0),
            ..Figures::default()
        };
        assert_eq!(version_2(&mut garbage), expected);
    }

    #[test]
    fn files_of_version_1() {
        let mut read = |file: &str| {
            let text = match file {
                "cpuacct.usage" => "2500000000\n",
                "cpuacct.stat" => "user 200\nsystem 50\n",
                "cpu.stat" => "nr_periods 10\nnr_throttled 3\nthrottled_time 700000000\n",
                "cpu.cfs_quota_us" => "-1\n",
                "cpu.cfs_period_us" => "100000\n",
                "memory.usage_in_bytes" => "4096\n",
                "memory.limit_in_bytes" => "9223372036854771712\n",
                "memory.stat" => "rss 1\ntotal_rss 100\ntotal_cache 50\ntotal_inactive_file 20\n",
                "memory.oom_control" => "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
                "blkio.throttle.io_service_bytes" => {
                    "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n"
                }
                "blkio.throttle.io_serviced" => "8:0 Read 3\n8:0 Write 4\n",
                "pids.current" => "5\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let figures = version_1(&mut read, 100.0);
        let expected = Figures {
            cpu_seconds: Some(2.5),
            cpu_user_seconds: Some(2.0),
            cpu_system_seconds: Some(0.5),
            periods: Some(10.0),
            throttled_periods: Some(3.0),
            throttled_seconds: Some(0.7),
            period: Some(100_000.0),
            memory: Some(4096.0),
            memory_limit: Some(0.0),
            anonymous: Some(100.0),
            cache: Some(50.0),
            inactive_cache: Some(20.0),
            oom_kills: Some(1.0),
            tasks: Some(5.0),
            devices: vec![Device {
                number: "8:0".to_owned(),
                read_bytes: 1.0,
                written_bytes: 2.0,
                reads: 3.0,
                writes: 4.0,
            }],
            ..Figures::default()
        };
        assert_eq!(figures, expected);
    }
}
