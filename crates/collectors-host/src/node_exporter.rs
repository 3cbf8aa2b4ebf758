//! Figures of the host under the metric names of node_exporter.

mod directory;
mod guarded;
mod part;
mod parts;
mod registry;
mod settings;
#[cfg(test)]
mod testing;

use std::time::{Duration, Instant};

use bellwether_collector::{Blocking, Source};
use bellwether_collector::{Build, EntryContext, EntryType};
use bellwether_core::{Failure, Now, SeriesBatch};
use bellwether_schema::section;
use guarded::Guarded;
use part::{GAUGE, Part, PartError, ProcFile, Run, Shared};
pub use registry::NodeCollector;
use settings::{
    CpuSettings, DeviceSettings, FieldSettings, FilesystemSettings, Filters, HwmonSettings,
    NetclassSettings, PowerSupplySettings, RaplSettings, Setup, StatSettings, TapeSettings,
};

section! {
    /// Collector of type `node_exporter`: the host under the metric names of node_exporter (`node_*`), with the series of
    /// all collectors that it runs by default, except for `textfile`, which is a type of its own. Its dashboards and rules
    /// work unchanged. The flag `--collector.filesystem.fs-types-exclude=X` is
    /// `filesystem: {fs_types_exclude: X}`, and so on. Directories of the host's files are those of `system`.
    pub struct NodeExporter {
        /// Collectors that run. Default: all.
        pub collectors: Option<Vec<NodeCollector>> = None,
        /// Collectors that do not run.
        pub exclude_collectors: Vec<NodeCollector> = Vec::new(),
        /// Interfaces of the collector `arp`.
        pub arp: DeviceSettings = DeviceSettings::default(),
        /// Settings of the collector `cpu`.
        pub cpu: CpuSettings = CpuSettings::default(),
        /// Devices of the collector `diskstats`. Default: no partitions, RAM disks and loop devices, as in node_exporter.
        pub diskstats: DeviceSettings = DeviceSettings::default(),
        /// File systems of the collector `filesystem`.
        pub filesystem: FilesystemSettings = FilesystemSettings::default(),
        /// Chips and sensors of the collector `hwmon`.
        pub hwmon: HwmonSettings = HwmonSettings::default(),
        /// Adapters of the collector `infiniband`.
        pub infiniband: DeviceSettings = DeviceSettings::default(),
        /// Settings of the collector `netclass`.
        pub netclass: NetclassSettings = NetclassSettings::default(),
        /// Interfaces of the collector `netdev`.
        pub netdev: DeviceSettings = DeviceSettings::default(),
        /// Fields of the collector `netstat`, such as `Tcp_CurrEstab`.
        pub netstat: FieldSettings = FieldSettings::default(),
        /// Power supplies of the collector `powersupplyclass`.
        pub powersupply: PowerSupplySettings = PowerSupplySettings::default(),
        /// Settings of the collector `rapl`.
        pub rapl: RaplSettings = RaplSettings::default(),
        /// Settings of the collector `stat`.
        pub stat: StatSettings = StatSettings::default(),
        /// Drives of the collector `tapestats`.
        pub tapestats: TapeSettings = TapeSettings::default(),
        /// Fields of the collector `vmstat`, such as `pgpgin`.
        pub vmstat: FieldSettings = FieldSettings::default(),
    }
}

/// Part of a collection that one driver or mount point may take. Up to three of them may hang in one.
const PROBES_PER_COLLECTION: u32 = 8;

impl EntryType for NodeExporter {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let collectors = self.collectors();
        if collectors.is_empty() {
            context
                .problems
                .error(context.at, "no collectors")
                .hint("leave `collectors` out, or take a collector out of `exclude_collectors`");
        }
        let deadline = context.timeout() / PROBES_PER_COLLECTION;
        let setup = self.setup(context);
        context.build(move |_| Blocking::new(Reader::new(&collectors, &setup, deadline)))
    }
}

impl NodeExporter {
    /// Returns the collectors that run, each once, in the order of the register.
    fn collectors(&self) -> Vec<NodeCollector> {
        let all = NodeCollector::WORDS.iter().map(|(_, collector)| *collector);
        let is_chosen = |collector: &NodeCollector| {
            let chosen = self.collectors.as_ref();
            chosen.is_none_or(|chosen| chosen.contains(collector))
        };
        all.filter(is_chosen)
            .filter(|collector| !self.exclude_collectors.contains(collector))
            .collect()
    }

    /// Returns what the parts are built from, and reports expressions that are invalid.
    fn setup(&self, context: &mut EntryContext<'_>) -> Setup {
        let host = context.host.clone();
        let longest = context.timeout() / PROBES_PER_COLLECTION;
        Setup {
            mount_timeout: host.probe_timeout.0.min(longest),
            host,
            filters: Filters::new(self, context),
            cpu: self.cpu.clone(),
            ignore_invalid_speed: self.netclass.ignore_invalid_speed,
            rapl_zone_label: self.rapl.enable_zone_label,
            softirq: self.stat.softirq,
        }
    }
}

/// Collects all parts.
struct Reader {
    parts: Vec<(NodeCollector, Box<dyn Part>)>,
    guarded: Guarded,
    stat: Shared,
}

impl Reader {
    fn new(collectors: &[NodeCollector], setup: &Setup, deadline: Duration) -> Self {
        let parts = collectors
            .iter()
            .map(|collector| (*collector, collector.part(setup)));
        let (guarded, parts) = parts.partition(|(collector, _)| collector.may_hang());
        Self {
            parts,
            guarded: Guarded::new(guarded, deadline),
            stat: Shared::new(ProcFile::new(setup.proc("stat"))),
        }
    }
}

impl Source for Reader {
    fn read(&mut self, now: Now, out: &mut SeriesBatch) -> Result<(), Failure> {
        self.stat.reset();
        let mut report = Report::default();
        for (collector, part) in &mut self.parts {
            let started = Instant::now();
            let result = part.collect(&mut Run {
                now,
                out: &mut *out,
                stat: &mut self.stat,
            });
            report.add(*collector, started.elapsed(), result);
        }
        self.guarded.collect(now, |collector, collected| {
            let Some(collected) = collected else {
                let error = PartError::Failed(format!("{}: no answer", collector.as_str()));
                return report.add(collector, Duration::ZERO, Err(error));
            };
            out.append(&collected.series);
            report.add(collector, collected.duration, collected.result);
        });
        report.push(out);
        report.result()
    }
}

/// Outcome of the parts.
#[derive(Default)]
struct Report {
    parts: Vec<(NodeCollector, Duration, bool)>,
    errors: Vec<String>,
}

impl Report {
    fn add(&mut self, collector: NodeCollector, duration: Duration, result: Result<(), PartError>) {
        self.parts.push((collector, duration, result.is_ok()));
        if let Err(PartError::Failed(error)) = result {
            self.errors.push(error);
        }
    }

    fn push(&self, out: &mut SeriesBatch) {
        let help = "node_exporter: Duration of a collector scrape.";
        out.begin("node_scrape_collector_duration_seconds", GAUGE, help);
        for (collector, duration, _) in &self.parts {
            let labels = [("collector", collector.as_str())];
            out.push(&labels, duration.as_secs_f64());
        }
        let help = "node_exporter: Whether a collector succeeded.";
        out.begin("node_scrape_collector_success", GAUGE, help);
        for (collector, _, success) in &self.parts {
            let labels = [("collector", collector.as_str())];
            out.push(&labels, f64::from(u8::from(*success)));
        }
        // Dashboards list the hosts that have it.
        let help = "Version of the program that has these series, which is Bellwether.";
        out.gauge(
            "node_exporter_build_info",
            help,
            &[("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        );
    }

    fn result(self) -> Result<(), Failure> {
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("io", self.errors.join("; "))),
        }
    }
}

#[cfg(test)]
mod tests;
