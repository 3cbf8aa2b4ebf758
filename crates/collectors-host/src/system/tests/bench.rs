//! A host on a copy of a fixture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use bellwether_collector::{MetricDefaults, System};
use bellwether_core::{Batch, Failure, LabelValues, MetricId, MonoMillis, Now, Origin};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, HumanDuration, parse};

use super::super::collector::{Host, Setup};
use super::super::groups::Usage;
use super::super::probe::Probe;
use super::super::*;

pub(super) const STEP: Duration = Duration::from_secs(10);

/// A host on a copy of a fixture, and the time there.
pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    host: Host,
    names: Vec<(String, Vec<String>)>,
    skipped: Arc<Skipped>,
    now: Now,
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_symlink() => {
                let link = fs::read_link(entry.path()).unwrap();
                std::os::unix::fs::symlink(link, target).unwrap();
            }
            _ => {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

/// A list of metrics, resolved.
pub(super) fn configured(configuration: &str) -> Vec<ResolvedMetric> {
    let mut problems = Diagnostics::default();
    let tree = parse(configuration).unwrap();
    let metrics =
        Vec::<SystemMetric>::decode(&tree, &mut DecodeContext::new(&mut problems, &|_| None));
    let defaults = MetricDefaults {
        origin: Origin::new("system"),
        prefix: "",
        interval: STEP,
    };
    let configured = resolve(&metrics.unwrap_or_default(), defaults, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    configured
}

/// Fixed metrics, and trouble by name.
pub(super) fn statvfs(path: &Path) -> io::Result<Usage> {
    if path.ends_with("denied") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let inodes = if path.ends_with("boot") { 0 } else { 1000 };
    let (block_size, blocks, free, available) = (4096, 1_000_000, 300_000, 250_000);
    Ok(Usage {
        block_size,
        blocks,
        free,
        available,
        inodes,
        inodes_free: inodes / 4,
    })
}

impl Bench {
    pub(super) fn new(fixture_name: &str, configuration: &str) -> Self {
        Self::with(fixture_name, configuration, "/", Arc::new(statvfs))
    }

    pub(super) fn with(
        fixture_name: &str,
        configuration: &str,
        rootfs: &str,
        statvfs: Probe<Usage>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(fixture_name), folder.path());
        let configured = configured(configuration);
        let names = configured.iter().map(|metric| {
            let labels = metric
                .def
                .labels
                .iter()
                .map(|label| label.to_string())
                .collect();
            (metric.def.name.to_string(), labels)
        });
        let names = names.collect();
        let skipped = Arc::new(Skipped::default());
        let setup = Setup {
            settings: System {
                procfs: folder.path().join("proc"),
                sysfs: folder.path().join("sys"),
                rootfs: rootfs.into(),
                probe_timeout: HumanDuration::millis(500),
                ..System::default()
            },
            configured: (0..).map(MetricId).zip(configured).collect(),
            skipped: Arc::clone(&skipped),
            statvfs,
        };
        let now = Now {
            mono: MonoMillis(1_000),
            ..Now::default()
        };
        Self {
            host: Host::new(&setup),
            folder,
            names,
            skipped,
            now,
        }
    }

    /// Collects, ten seconds after the last time.
    pub(super) fn collect(&mut self) -> (BTreeMap<String, f64>, Result<(), Failure>) {
        let mut batch = Batch::default();
        let result = self.host.collect(&mut batch, self.now);
        self.now = self.now.after(STEP);
        let mut values = BTreeMap::new();
        for sample in batch.iter() {
            let (name, labels) = &self.names[sample.metric.0 as usize];
            let held = LabelValues::from_packed(sample.labels);
            let pairs: Vec<_> = labels
                .iter()
                .zip(held.iter())
                .map(|(k, v)| format!("{k}={v:?}"))
                .collect();
            let series = match pairs.as_slice() {
                [] => name.clone(),
                pairs => format!("{name}{{{}}}", pairs.join(",")),
            };
            assert!(
                values.insert(series, sample.values[0]).is_none(),
                "a series twice"
            );
        }
        (values, result)
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(path), text).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    pub(super) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{from} is not in {path}");
        self.write(path, text.replace(from, to));
    }

    pub(super) fn skips(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.skipped
            .counts()
            .filter(|(_, _, count)| *count > 0)
            .collect()
    }
}
