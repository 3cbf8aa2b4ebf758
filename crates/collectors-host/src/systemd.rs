//! Units of systemd, under the metric names of node_exporter.
//!
//! They are asked of `systemctl show`, which has the properties of all units in one answer. Over D-Bus that is a call
//! per unit, and zbus brings an asynchronous executor and dozens of crates.

mod units;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_collector::Globs;
use bellwether_collector::output;
use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Now};
use bellwether_schema::section;

section! {
    /// Collector of type `systemd`: units under the metric names of node_exporter (`node_systemd_*`), and the memory and
    /// CPU time of their cgroups. Runs `systemctl show`, which has to reach the host's systemd.
    pub struct Systemd {
        /// Glob or globs of units. Default: all that `exclude` leaves.
        pub include: Option<Globs>,
        /// Glob or globs of units that are left out.
        pub exclude: Option<Globs>,
    }
}

/// Units that are left out without `exclude`, as in node_exporter.
const EXCLUDED: [&str; 5] = ["*.automount", "*.device", "*.mount", "*.scope", "*.slice"];
/// Paths of the program. They are no setting: it would start programs of the configuration.
const PROGRAMS: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

impl EntryType for Systemd {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let selection = Selection {
            include: self.include.clone(),
            exclude: match &self.exclude {
                Some(globs) => globs.clone(),
                None => Globs::new(EXCLUDED.map(str::to_owned).into()).ok()?,
            },
        };
        let program = PROGRAMS.into_iter().find(|path| Path::new(path).exists());
        let collector = SystemdCollector {
            program: program.unwrap_or(PROGRAMS[0]).into(),
            procfs: context.host.procfs.clone(),
            selection,
            limit: context.timeout() * 2 / 5,
            output_limit: context.limits.bytes.0,
        };
        context.build(move |_| collector.clone())
    }
}

/// Units that are collected.
#[derive(Clone, Debug)]
struct Selection {
    include: Option<Globs>,
    exclude: Globs,
}

impl Selection {
    fn selects(&self, unit: &str) -> bool {
        let is_included = self
            .include
            .as_ref()
            .is_none_or(|globs| globs.matches(unit));
        is_included && !self.exclude.matches(unit)
    }
}

/// Collects the units.
#[derive(Clone, Debug)]
struct SystemdCollector {
    program: String,
    procfs: PathBuf,
    selection: Selection,
    /// Timeout of each of the two runs of `systemctl`.
    limit: Duration,
    output_limit: u64,
}

impl SystemdCollector {
    /// Returns what `systemctl show` prints.
    async fn show(&self, properties: &str, more: &[&str]) -> Result<String, Failure> {
        let property = format!("--property={properties}");
        let arguments = [self.program.as_str(), "show", "--no-pager", &property];
        let command = arguments.iter().chain(more).map(|part| (*part).to_owned());
        output(command.collect(), self.limit, self.output_limit).await
    }
}

impl Collector for SystemdCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let text = self.show(units::PROPERTIES, &["*"]).await?;
            let stat = std::fs::read_to_string(self.procfs.join("stat")).unwrap_or_default();
            let mut boots = stat.lines().filter_map(|line| line.strip_prefix("btime "));
            let boot = boots.next().and_then(|boot| boot.trim().parse().ok());
            let count = units::push(&text, &self.selection, boot, &mut batch.series);
            if count == 0 {
                let detail = format!("{}: no unit in its output", self.program);
                return Err(Failure::new("parse", detail));
            }
            let manager = self.show("Version,SystemState", &[]).await?;
            units::push_manager(&manager, &mut batch.series);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
