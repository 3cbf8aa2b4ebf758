//! Register of all kinds of collectors.
//!
//! To add a kind: write one file in this folder with its section of settings, for which it implements
//! [`CollectorKind`], and its [`Collector`](bellwether_collector::Collector); add its `mod` line to `lib.rs`, and its
//! line to `collector_kinds!`: name, title, settings.

use std::sync::Arc;

use bellwether_collector::{CollectorKind, KindSelfMetrics, Memory};
use bellwether_core::{Origin, SelfMetric, SelfMetrics};
use bellwether_schema::{Decode, Shape, section, string_enum};

macro_rules! collector_kinds {
    ($( $(#[doc = $doc:literal])* $variant:ident = $name:literal, $title:literal, $module:ident :: $settings:ident; )+) => {
        string_enum! {
            /// A collector that can be enabled.
            pub enum CollectorName { $( $(#[doc = $doc])* $variant = $name ),+ }
        }

        section! {
            /// Settings of the collectors.
            pub struct Collectors {
                $( $(#[doc = $doc])* #[serde(flatten)] pub $module: crate::$module::$settings ),+
            }
        }

        /// Settings of one collector.
        #[derive(Clone, Copy, Debug, serde::Serialize)]
        #[serde(untagged)]
        pub enum CollectorSettings<'a> { $( $(#[doc = $doc])* $variant(&'a crate::$module::$settings) ),+ }

        impl Collectors {
            /// Returns the settings of each collector.
            pub fn all(&self) -> impl Iterator<Item = CollectorSettings<'_>> {
                [ $( CollectorSettings::$variant(&self.$module) ),+ ].into_iter()
            }
        }

        impl CollectorName {
            /// Returns the title of its metrics, in the reference and on the dashboard.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $( Self::$variant => $title ),+ }
            }
        }

        /// Returns the self-metrics of the kinds that have some.
        fn self_metrics_of_kinds() -> impl Iterator<Item = KindSelfMetrics> {
            [ $( <crate::$module::$settings as CollectorKind>::self_metrics() ),+ ].into_iter().flatten()
        }

        impl<'a> CollectorSettings<'a> {
            /// Returns the name of the collector.
            #[must_use]
            pub fn name(self) -> CollectorName {
                match self { $( Self::$variant(_) => CollectorName::$variant ),+ }
            }

            /// Returns the form of the settings.
            #[must_use]
            pub fn shape(self) -> Shape {
                match self { $( Self::$variant(_) => <crate::$module::$settings as Decode>::shape() ),+ }
            }

            /// Returns the settings as those of any kind.
            #[must_use]
            pub fn kind(self) -> &'a dyn CollectorKind {
                match self { $( Self::$variant(settings) => settings ),+ }
            }
        }
    };
}

collector_kinds! {
    /// /proc and /sys.
    System = "system", "Host", system::SystemSettings;
    /// Metrics that applications record.
    Application = "application", "Applications", application::ApplicationSettings;
    /// Neo4j.
    Neo4j = "neo4j", "Neo4j", neo4j::Neo4jSettings;
}

/// Returns the metrics of the kinds about themselves.
pub fn self_metrics() -> impl Iterator<Item = &'static SelfMetric> {
    self_metrics_of_kinds().flat_map(|kind| kind.metrics.iter().copied())
}

/// Returns the sources of [`self_metrics`].
pub fn self_metrics_sources(memory: &Memory) -> impl Iterator<Item = Arc<dyn SelfMetrics>> {
    self_metrics_of_kinds().map(|kind| (kind.source)(memory))
}

impl<'a> CollectorSettings<'a> {
    /// Returns whether an error at `path` of the configuration costs metrics of this collector.
    #[must_use]
    pub fn loses_metrics(self, path: &str) -> bool {
        let mut keys = path.split(['.', '[']);
        keys.any(|key| self.kind().metric_keys().contains(&key))
    }
}

impl CollectorName {
    /// Returns the collector whose metrics have this origin.
    #[must_use]
    pub fn from_origin(origin: Origin) -> Option<Self> {
        let found = Self::WORDS
            .iter()
            .find(|(word, _)| *word == origin.as_str());
        found.map(|(_, name)| *name)
    }

    /// Returns the origin of its metrics.
    #[must_use]
    pub fn origin(self) -> Origin {
        Origin::from_static(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{DecodeContext, Diagnostics, parse};

    use super::*;

    fn collectors() -> Collectors {
        let mut problems = Diagnostics::default();
        let node = parse("{}").unwrap();
        Collectors::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap()
    }

    #[test]
    fn only_an_error_in_metrics_costs_metrics() {
        let all = collectors();
        let loses_metrics = |path| all.all().any(|kind| kind.loses_metrics(path));
        assert!(loses_metrics("performance_monitor.system_metrics[3].type"));
        assert!(loses_metrics("performance_monitor.neo4j_metrics"));
        assert!(!loses_metrics("performance_monitor.system.procfs"));
        assert!(!loses_metrics("trend_analysis.self_metrics_interval"));
    }

    #[test]
    fn every_kind_is_found_by_the_origin_of_its_metrics() {
        for (_, name) in CollectorName::WORDS {
            assert_eq!(CollectorName::from_origin(name.origin()), Some(*name));
        }
        assert_eq!(CollectorName::from_origin(Origin::SELF_METRICS), None);
    }

    #[test]
    fn kinds_bring_their_own_self_metrics_with_a_source() {
        let memory = Memory::default();
        assert_eq!(
            self_metrics_of_kinds().count(),
            self_metrics_sources(&memory).count()
        );
        let names: Vec<&str> = self_metrics().map(|metric| metric.name).collect();
        assert!(
            names.contains(&"bellwether_system_skipped_total"),
            "{names:?}"
        );
    }
}
