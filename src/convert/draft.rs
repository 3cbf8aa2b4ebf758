//! The configuration that is being written, section by section.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_schema::{Pos, YamlError, is_file_name};

use super::fields::Fields;
use super::source::Source;
use super::yaml::{Map, NoteKind, Yaml};
use crate::init::PRESETS;

/// Collection interval without a setting.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest interval of a collector.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Settings of the files so far.
#[derive(Default)]
pub(super) struct Draft {
    /// Settings of the source that belong to no entry, and are without a counterpart.
    pub(super) general: Map,
    pub(super) collection_interval: Option<Duration>,
    pub(super) default_labels: Map,
    /// Host and port of `/metrics`.
    pub(super) listen: Option<(String, u16)>,
    pub(super) system_metrics: Vec<Map>,
    /// True if a program is started.
    pub(super) starts_programs: bool,
    presets: Vec<&'static str>,
    collectors: Vec<Map>,
    names: BTreeSet<String>,
    /// Entries of the source that were converted.
    pub(super) converted: usize,
}

impl Draft {
    /// Converts each entry of `modules` of the files, and notes their other keys.
    ///
    /// # Errors
    /// A file is not YAML.
    pub(super) fn modules(
        &mut self,
        sources: &[Source<'_>],
        convert: impl Fn(&Source<'_>, &str, Fields<'_>, &mut Self),
    ) -> Result<(), YamlError> {
        for source in sources {
            let mut fields = Fields::of(source.yaml()?);
            for (name, module) in fields.named_maps("modules") {
                convert(source, name, module, self);
            }
            fields.finish(&mut self.general);
        }
        Ok(())
    }

    /// Returns a collector with a name that no other has; `wanted` may have any characters.
    pub(super) fn collector(&mut self, wanted: &str, r#type: &str) -> (String, Map) {
        let name = self.name(wanted);
        let map = Map::of([("name", &name), ("type", r#type)]);
        (name, map)
    }

    fn name(&mut self, wanted: &str) -> String {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String = wanted
            .chars()
            .take(50)
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        let name = name.trim_matches(['-', '.']);
        let name = if is_file_name(name) {
            name
        } else {
            "converted"
        };
        let mut candidates = (2..).map(|number| format!("{name}-{number}"));
        let mut candidate = name.to_owned();
        while !self.names.insert(candidate.clone()) {
            candidate = candidates.next().unwrap_or_default();
        }
        candidate
    }

    /// Returns whether there is a collector of a type.
    pub(super) fn has_type(&self, r#type: &str) -> bool {
        let mut types = self.collectors.iter().flat_map(|map| map.fields.get(1));
        types.any(|(_, own)| *own == Yaml::text(r#type))
    }

    /// Adds a collector.
    pub(super) fn push(&mut self, collector: Map) {
        self.collectors.push(collector);
    }

    /// Leaves a collector out: of its notes only what is lost remains.
    pub(super) fn give_up(&mut self, collector: Map) {
        let lost = collector
            .notes
            .into_iter()
            .filter(|note| note.kind == NoteKind::Lost);
        self.general.notes.extend(lost);
    }

    /// Includes a file of the package; returns false if it is included already.
    pub(super) fn include(&mut self, file: &'static str) -> bool {
        let is_new = !self.presets.contains(&file);
        if is_new {
            self.presets.push(file);
        }
        is_new
    }

    /// Adds a metric of the host, once.
    pub(super) fn system_metric(&mut self, metric: Map) {
        if !self
            .system_metrics
            .iter()
            .any(|known| known.fields.first() == metric.fields.first())
        {
            self.system_metrics.push(metric);
        }
    }

    /// Sets interval and timeout of a collector, and returns the interval. A timeout longer than the interval is not
    /// allowed.
    pub(super) fn schedule(
        &self,
        map: &mut Map,
        interval: Option<(Duration, Pos)>,
        timeout: Option<(Duration, Pos)>,
    ) -> Duration {
        let usual = self.collection_interval.unwrap_or(DEFAULT_INTERVAL);
        let mut chosen = interval.map(|(interval, _)| interval);
        if let Some((_, at)) = interval.filter(|(interval, _)| *interval < SHORTEST_INTERVAL) {
            map.lose(at, "intervals below 100ms");
            chosen = Some(SHORTEST_INTERVAL);
        }
        let timeout = timeout.filter(|(timeout, _)| *timeout >= Duration::from_millis(1));
        if let Some((timeout, at)) =
            timeout.filter(|(timeout, _)| *timeout > chosen.unwrap_or(usual))
        {
            map.remark(at, "the interval is the timeout, which cannot be longer");
            chosen = Some(timeout);
        }
        map.put_some("interval", chosen.map(Yaml::duration));
        map.put_some(
            "timeout",
            timeout.map(|(timeout, _)| Yaml::duration(timeout)),
        );
        chosen.unwrap_or(usual)
    }

    /// Returns the document.
    pub(super) fn finish(self) -> Map {
        let mut document = self.general;
        if !self.presets.is_empty() {
            let paths: Vec<String> = self
                .presets
                .iter()
                .map(|file| format!("{PRESETS}/{file}"))
                .collect();
            document.put("include", Yaml::texts(paths.iter().map(String::as_str)));
        }
        let mut monitor = Map::default();
        monitor.put_some(
            "collection_interval",
            self.collection_interval.map(Yaml::duration),
        );
        monitor.put_filled("system_metrics", self.system_metrics);
        monitor.put_filled("collectors", self.collectors);
        if self.starts_programs {
            let mut alerting = Map::default();
            alerting.remark(
                Pos::default(),
                "programs are started only if nobody but root and Bellwether may write this file",
            );
            alerting.put("allow_exec", Yaml::word(true));
            monitor.put("alerting", alerting.into());
        }
        let mut prometheus = Map::default();
        if let Some((host, port)) = self.listen {
            prometheus.put_some("host", (!host.is_empty()).then(|| Yaml::text(&host)));
            prometheus.put("port", Yaml::word(port));
        }
        prometheus.put_filled("default_labels", self.default_labels);
        monitor.put_filled("prometheus", prometheus);
        document.put("performance_monitor", monitor.into());
        document
    }
}
