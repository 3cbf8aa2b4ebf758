//! Files of a host that does not exist, for tests.

use std::path::PathBuf;

use bellwether_collector::{Collector, EntryType, Memory, System};
use bellwether_core::{Batch, Now, SeriesBatch};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

use super::NodeExporter;
use super::part::{Part, PartError, ProcFile, Run, Shared};
use super::registry::NodeCollector;
use bellwether_collector::testing::with_context;

/// Directories `proc`, `sys` and `root` of a host.
pub(super) struct Host(tempfile::TempDir);

impl Host {
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for directory in ["proc", "sys", "root"] {
            std::fs::create_dir(host.path(directory)).unwrap();
        }
        for (file, content) in files {
            host.write(file, content);
        }
        host
    }

    /// Returns a host with files below a directory.
    pub(super) fn below(directory: &str, files: &[(&str, &str)]) -> Self {
        let host = Self::with(&[]);
        for (file, content) in files {
            host.write(&format!("{directory}/{file}"), content);
        }
        host
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(super) fn write(&self, file: &str, content: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn link(&self, file: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.path(file)).unwrap();
    }

    pub(super) fn system(&self) -> System {
        System {
            procfs: self.path("proc"),
            sysfs: self.path("sys"),
            rootfs: self.path("root"),
            ..System::default()
        }
    }
}

/// A part with the file that it shares.
pub(super) struct Parts {
    part: Box<dyn Part>,
    stat: Shared,
}

impl Parts {
    /// Builds the part `collector` with the settings in YAML.
    pub(super) fn new(host: &Host, collector: &str, yaml: &str) -> Self {
        let settings = if yaml.is_empty() { "{}" } else { yaml };
        let mut problems = Diagnostics::default();
        let mut decoding = DecodeContext::new(&mut problems, &|_| None);
        let settings = NodeExporter::decode(&parse(settings).unwrap(), &mut decoding).unwrap();
        let setup = with_context(&host.system(), &mut problems, |context| {
            settings.setup(context)
        });
        assert!(problems.is_empty(), "{yaml}");
        let words = NodeCollector::WORDS.iter();
        let (_, collector) = words.copied().find(|(word, _)| *word == collector).unwrap();
        Self {
            part: collector.part(&setup),
            stat: Shared::new(ProcFile::new(setup.proc("stat"))),
        }
    }

    /// Collects once, and returns the series with their values.
    pub(super) fn collect(&mut self) -> Result<Vec<String>, PartError> {
        self.stat.reset();
        run(&mut *self.part, &mut self.stat)
    }

    /// Collects a part that needs no shared file.
    pub(super) fn collect_part(part: &mut dyn Part) -> Result<Vec<String>, PartError> {
        run(part, &mut Shared::new(ProcFile::new("/none".into())))
    }
}

fn run(part: &mut dyn Part, stat: &mut Shared) -> Result<Vec<String>, PartError> {
    let mut out = SeriesBatch::default();
    part.collect(&mut Run {
        now: Now::default(),
        out: &mut out,
        stat,
    })?;
    Ok(out.lines().collect())
}

/// Builds the part `collector`, and collects once.
pub(super) fn collect(host: &Host, collector: &str, yaml: &str) -> Result<Vec<String>, PartError> {
    Parts::new(host, collector, yaml).collect()
}

/// Builds the collector with the settings in YAML.
///
/// # Errors
/// Returns the errors of the settings with their hints.
pub(super) fn resolve(host: &System, yaml: &str) -> Result<Box<dyn Collector>, Vec<String>> {
    let mut problems = Diagnostics::default();
    let mut decoding = DecodeContext::new(&mut problems, &|_| None);
    let settings = NodeExporter::decode(&parse(yaml).unwrap(), &mut decoding);
    let build = settings.and_then(|settings| {
        with_context(host, &mut problems, |context| settings.resolve(context))
    });
    let problems = problems.into_sorted();
    match build {
        Some(build) if problems.is_empty() => Ok(build(&Memory::default())),
        _ => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// Result of one collection.
pub(super) struct Collected {
    /// Series with their values, in their order.
    pub(super) lines: Vec<String>,
    /// Reason and detail of the failure.
    pub(super) failure: Option<(&'static str, String)>,
}

impl Collected {
    /// Collects once.
    pub(super) async fn of(collector: &mut dyn Collector) -> Self {
        let mut batch = Batch::default();
        let result = collector.collect(&mut batch, Now::default()).await;
        Self {
            lines: batch.series.lines().collect(),
            failure: result.err().map(|failure| (failure.reason, failure.detail)),
        }
    }

    /// Returns the value of a series.
    pub(super) fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.lines.iter();
        lines
            .find_map(|line| line.strip_prefix(series))?
            .trim()
            .parse()
            .ok()
    }
}
