//! Files of a host that does not exist, for tests.

use std::path::PathBuf;

use bellwether_core::{Now, SeriesBatch};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

use super::NodeExporter;
use super::part::{Part, PartError, ProcFile, Run, Shared};
use super::registry::NodeCollector;
use crate::entry::testing::with_context;
use crate::system::System;

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
