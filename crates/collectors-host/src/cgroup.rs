//! Cgroups of both versions, and the containers among them, under the metric names of cAdvisor.

mod figures;
mod names;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_collector::Globs;
use bellwether_collector::{Blocking, Source};
use bellwether_collector::{Build, EntryContext, EntryType};
use bellwether_core::{Failure, Kind, Now, SeriesBatch};
use bellwether_schema::{Diagnostic, Spanned, section};
use figures::{Device, Figures, PRESSURES, version_1, version_2};
use names::{Container, Names};
use rustix::param::clock_ticks_per_second;

section! {
    /// Collector of type `cgroup`: CPU time, throttling, memory, OOM kills, I/O and pressure of cgroups, under the metric
    /// names of cAdvisor (`container_*`). The label `id` is the path of the cgroup; that of a container of Docker, Podman
    /// or containerd also has `name` and `image`, and in Kubernetes `pod` and `namespace`, where Bellwether may read the
    /// files of the engine.
    pub struct Cgroup {
        /// Glob or globs of paths, such as `/system.slice/*.service`. `*` also matches `/`.
        pub include: Spanned<Globs>,
        /// Glob or globs of paths that are left out.
        pub exclude: Option<Spanned<Globs>>,
    }
}

/// Largest number of cgroups that are looked at.
const MAX_CGROUPS: usize = 20_000;
/// Largest file of a cgroup.
const LARGEST: u64 = 1 << 20;
/// Controllers of version 1, whose hierarchies have the files that begin with their names.
const CONTROLLERS: [(&str, &str); 5] = [
    ("cpuacct.", "cpuacct"),
    ("cpu.", "cpu"),
    ("memory.", "memory"),
    ("blkio.", "blkio"),
    ("pids.", "pids"),
];

impl EntryType for Cgroup {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        warn_of_relative(&self.include, context);
        if let Some(exclude) = &self.exclude {
            warn_of_relative(exclude, context);
        }
        let host = context.host;
        let (sysfs, rootfs) = (host.sysfs.clone(), host.rootfs.clone());
        let include = self.include.value.clone();
        let exclude = self.exclude.as_deref().cloned();
        context.build(move |_| {
            Blocking::new(Cgroups {
                mount: sysfs.join("fs/cgroup"),
                blocks: sysfs.join("dev/block"),
                include: include.clone(),
                exclude: exclude.clone(),
                names: Names::new(rootfs.clone()),
                devices: HashMap::new(),
            })
        })
    }
}

/// Warns of globs that match no cgroup, because they do not begin with `/`.
pub(crate) fn warn_of_relative(globs: &Spanned<Globs>, context: &mut EntryContext<'_>) {
    let patterns = globs.patterns().iter();
    let relative = patterns.filter(|pattern| !pattern.starts_with(['/', '*', '?', '[', '{', '\\']));
    context.warnings.extend(relative.map(|pattern| Diagnostic {
        location: globs.at.clone(),
        message: format!("matches no cgroup: {pattern:?}"),
        help: Some(format!(
            "their paths begin with /: write {:?}",
            format!("/{pattern}")
        )),
    }));
}

/// Cgroups of a host.
struct Cgroups {
    mount: PathBuf,
    blocks: PathBuf,
    include: Globs,
    exclude: Option<Globs>,
    names: Names,
    /// Names of block devices by their numbers.
    devices: HashMap<String, String>,
}

/// Version of the cgroups, with the directories of their hierarchies.
#[derive(Debug, PartialEq)]
enum Version {
    One(Vec<(&'static str, PathBuf)>),
    Two(PathBuf),
}

impl Source for Cgroups {
    fn read(&mut self, _: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        let version = self
            .version()
            .map_err(|error| Failure::new("io", format!("{}: {error}", self.mount.display())))?;
        let roots: Vec<&Path> = match &version {
            Version::Two(root) => vec![root],
            Version::One(hierarchies) => {
                hierarchies.iter().map(|(_, root)| root.as_path()).collect()
            }
        };
        let mut paths = BTreeSet::new();
        for root in roots {
            walk(root, &mut paths);
        }
        let selects = |path: &String| {
            let is_excluded = self
                .exclude
                .as_ref()
                .is_some_and(|globs| globs.matches(path));
            self.include.matches(path) && !is_excluded
        };
        let paths: Vec<String> = paths.into_iter().filter(selects).collect();
        let cgroups: Vec<Read> = paths
            .iter()
            .map(|path| Read {
                path,
                container: self.names.container(path).unwrap_or_default(),
                figures: version.figures(path),
            })
            .collect();
        self.names.retain(&paths);
        push(&cgroups, &mut |number| self.device(number), out);
        Ok(())
    }
}

/// A cgroup that was read.
struct Read<'p> {
    path: &'p str,
    container: Container,
    figures: Figures,
}

impl Cgroups {
    fn version(&self) -> io::Result<Version> {
        fs::metadata(&self.mount)?;
        if self.mount.join("cgroup.controllers").exists() {
            return Ok(Version::Two(self.mount.clone()));
        }
        let hierarchies = CONTROLLERS.iter().filter_map(|(prefix, name)| {
            // Some are mounted together, with links for each.
            let names = [(*name).to_owned(), "cpu,cpuacct".to_owned()];
            let is_joint = name.starts_with("cpu");
            let candidates = names.iter().take(if is_joint { 2 } else { 1 });
            let mut roots = candidates
                .map(|name| self.mount.join(name))
                .filter(|root| root.exists());
            Some((*prefix, roots.next()?))
        });
        let hierarchies: Vec<_> = hierarchies.collect();
        match hierarchies.is_empty() {
            true => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no cgroups of version 1 or 2",
            )),
            false => Ok(Version::One(hierarchies)),
        }
    }

    /// Returns the name of a device, or else its number.
    fn device(&mut self, number: &str) -> String {
        if let Some(name) = self.devices.get(number) {
            return name.clone();
        }
        let link = fs::read_link(self.blocks.join(number));
        let name = link
            .ok()
            .and_then(|link| Some(link.file_name()?.to_str()?.to_owned()));
        match name {
            Some(name) => {
                let path = format!("/dev/{name}");
                self.devices.insert(number.to_owned(), path.clone());
                path
            }
            None => number.to_owned(),
        }
    }
}

impl Version {
    fn figures(&self, path: &str) -> Figures {
        let read = |root: &Path, file: &str| {
            let path = root.join(path.trim_start_matches('/')).join(file);
            let content = bellwether_files::read(&path, LARGEST).ok()?;
            Some(String::from_utf8_lossy(&content).into_owned())
        };
        match self {
            Self::Two(root) => version_2(&mut |file| read(root, file)),
            Self::One(hierarchies) => {
                let mut read = |file: &str| {
                    let mut roots = hierarchies
                        .iter()
                        .filter(|(prefix, _)| file.starts_with(prefix));
                    read(&roots.next()?.1, file)
                };
                version_1(&mut read, clock_ticks_per_second() as f64)
            }
        }
    }
}

/// Adds the paths of all cgroups below a directory, with `/` for the directory itself.
fn walk(root: &Path, paths: &mut BTreeSet<String>) {
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        if paths.len() >= MAX_CGROUPS {
            return;
        }
        // A cgroup that was removed meanwhile has no entries.
        let entries = fs::read_dir(root.join(path.trim_start_matches('/')));
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && let Some(name) = entry.file_name().to_str()
            {
                pending.push(format!("{path}/{name}"));
            }
        }
        paths.insert(if path.is_empty() {
            "/".to_owned()
        } else {
            path
        });
    }
}

/// Adds the series of the cgroups to `out`.
fn push(cgroups: &[Read<'_>], device: &mut dyn FnMut(&str) -> String, out: &mut SeriesBatch) {
    type Get = fn(&Figures) -> Option<f64>;
    let families: [(&str, Kind, &str, Get); 17] = [
        (
            "container_cpu_usage_seconds_total",
            Kind::Counter,
            "CPU time.",
            |f| f.cpu_seconds,
        ),
        (
            "container_cpu_user_seconds_total",
            Kind::Counter,
            "CPU time in user mode.",
            |f| f.cpu_user_seconds,
        ),
        (
            "container_cpu_system_seconds_total",
            Kind::Counter,
            "CPU time in the kernel.",
            |f| f.cpu_system_seconds,
        ),
        (
            "container_cpu_cfs_periods_total",
            Kind::Counter,
            "Periods with a limit of CPU time.",
            |f| f.periods,
        ),
        (
            "container_cpu_cfs_throttled_periods_total",
            Kind::Counter,
            "Periods in which the limit was reached.",
            |f| f.throttled_periods,
        ),
        (
            "container_cpu_cfs_throttled_seconds_total",
            Kind::Counter,
            "Time that tasks waited because of the limit.",
            |f| f.throttled_seconds,
        ),
        (
            "container_spec_cpu_quota",
            Kind::Gauge,
            "CPU time per period, in microseconds.",
            |f| f.quota,
        ),
        (
            "container_spec_cpu_period",
            Kind::Gauge,
            "Period of the CPU limit, in microseconds.",
            |f| f.period,
        ),
        (
            "container_memory_usage_bytes",
            Kind::Gauge,
            "Memory, page cache included.",
            |f| f.memory,
        ),
        (
            "container_memory_working_set_bytes",
            Kind::Gauge,
            "Memory without inactive page cache: what the OOM killer looks at.",
            |f| {
                let inactive = f.inactive_cache.unwrap_or(0.0);
                f.memory.map(|memory| (memory - inactive).max(0.0))
            },
        ),
        (
            "container_memory_max_usage_bytes",
            Kind::Gauge,
            "Largest memory so far.",
            |f| f.memory_peak,
        ),
        (
            "container_spec_memory_limit_bytes",
            Kind::Gauge,
            "Limit of memory; 0: none.",
            |f| f.memory_limit,
        ),
        (
            "container_memory_rss",
            Kind::Gauge,
            "Anonymous memory.",
            |f| f.anonymous,
        ),
        ("container_memory_cache", Kind::Gauge, "Page cache.", |f| {
            f.cache
        }),
        (
            "container_memory_swap",
            Kind::Gauge,
            "Swapped memory.",
            |f| f.swap,
        ),
        (
            "container_oom_events_total",
            Kind::Counter,
            "Processes that the OOM killer ended.",
            |f| f.oom_kills,
        ),
        ("container_threads", Kind::Gauge, "Tasks.", |f| f.tasks),
    ];
    for (name, kind, help, get) in families {
        out.begin(name, Some(kind), help);
        for cgroup in cgroups {
            if let Some(value) = get(&cgroup.figures) {
                out.push(&cgroup.labels(), value);
            }
        }
    }
    for (at, resource) in PRESSURES.iter().enumerate() {
        for (word, help) in [("waiting", "some"), ("stalled", "all")] {
            let name = format!("container_pressure_{resource}_{word}_seconds_total");
            let help = format!("Time that {help} tasks waited for the resource.");
            out.begin(&name, Some(Kind::Counter), &help);
            for cgroup in cgroups {
                if let Some((some, full)) = cgroup.figures.pressure[at] {
                    out.push(
                        &cgroup.labels(),
                        if word == "waiting" { some } else { full },
                    );
                }
            }
        }
    }
    type GetIo = fn(&Device) -> f64;
    let io: [(&str, &str, GetIo); 4] = [
        ("container_fs_reads_bytes_total", "Bytes read.", |device| {
            device.read_bytes
        }),
        (
            "container_fs_writes_bytes_total",
            "Bytes written.",
            |device| device.written_bytes,
        ),
        ("container_fs_reads_total", "Reads.", |device| device.reads),
        ("container_fs_writes_total", "Writes.", |device| {
            device.writes
        }),
    ];
    for (name, help, get) in io {
        out.begin(name, Some(Kind::Counter), help);
        for cgroup in cgroups {
            for of in &cgroup.figures.devices {
                let name = device(&of.number);
                let mut labels = cgroup.labels().to_vec();
                labels.push(("device", &name));
                out.push(&labels, get(of));
            }
        }
    }
}

impl Read<'_> {
    fn labels(&self) -> [(&str, &str); 5] {
        [
            ("id", self.path),
            ("name", &self.container.name),
            ("image", &self.container.image),
            ("pod", &self.container.pod),
            ("namespace", &self.container.namespace),
        ]
    }
}

#[cfg(test)]
mod tests;
