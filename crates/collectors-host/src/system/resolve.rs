//! Resolves the host metrics of the configuration against the catalogue. Pure.

use std::sync::Arc;

use bellwether_collector::MetricDefaults;
use bellwether_core::{Kind, MetricDef};
use bellwether_schema::{Diagnostics, Spanned, did_you_mean};

use super::catalogue::{CATALOGUE, Nature, Source, find};
use super::filter::Filter;
use super::settings::{Selection, SystemMetric};

/// A metric to collect: its definition, its source and its filter.
#[derive(Clone, Debug)]
pub struct ResolvedMetric {
    /// Definition for the store.
    pub def: MetricDef,
    /// Metric of the catalogue.
    pub(super) source: &'static Source,
    /// Filter of its series.
    pub(super) filter: Filter,
}

impl ResolvedMetric {
    /// Returns the name in the catalogue.
    #[must_use]
    pub fn source_name(&self) -> &'static str {
        self.source.name
    }
}

/// Resolves the enabled metrics of `configured`, in their order. Every entry is checked, disabled
/// ones too; names are checked with those of all other sections.
pub fn resolve(
    configured: &[SystemMetric],
    defaults: MetricDefaults<'_>,
    problems: &mut Diagnostics,
) -> Vec<ResolvedMetric> {
    configured
        .iter()
        .filter_map(|metric| {
            let resolved = resolve_one(metric, defaults, problems);
            resolved.filter(|_| metric.enabled)
        })
        .collect()
}

fn resolve_one(
    metric: &SystemMetric,
    defaults: MetricDefaults<'_>,
    problems: &mut Diagnostics,
) -> Option<ResolvedMetric> {
    let source = source_of(metric, problems)?;
    let kind = kind_of(metric, source, problems);
    check_labels(metric, source, problems);
    let selections_fit = [&metric.include, &metric.exclude]
        .map(|selection| check_selection(selection, source, problems))
        .into_iter()
        .all(|fits| fits);
    let kind = kind.filter(|_| selections_fit)?;
    let per_second = match (kind, source.nature) {
        (Kind::Gauge, Nature::Total) => ", per second",
        _ => "",
    };
    Some(ResolvedMetric {
        def: MetricDef {
            help: match &metric.help {
                Some(help) => help.as_str().into(),
                None => format!("{}{per_second}", source.help).into(),
            },
            labels: source
                .labels
                .iter()
                .map(|label| Arc::from(*label))
                .collect(),
            ..defaults.define(&metric.name, kind)
        },
        source,
        filter: Filter::new(source, &metric.include, &metric.exclude),
    })
}

fn source_of(metric: &SystemMetric, problems: &mut Diagnostics) -> Option<&'static Source> {
    let named: &Spanned<String> = metric.source.as_ref().unwrap_or(&metric.name);
    let source = find(named);
    if source.is_none() {
        let names = CATALOGUE.iter().map(|source| source.name);
        let hint = did_you_mean(named, names).unwrap_or_else(|| {
            "set `source` to a metric of the catalogue to give it another `name`".into()
        });
        problems
            .error(
                &named.at,
                format!("unknown system metric {:?}", named.value),
            )
            .hint(hint);
    }
    source
}

fn kind_of(metric: &SystemMetric, source: &Source, problems: &mut Diagnostics) -> Option<Kind> {
    let Some(configured) = &metric.r#type else {
        return Some(match source.nature {
            Nature::Level => Kind::Gauge,
            Nature::Total => Kind::Counter,
        });
    };
    let (possible, hint) = match source.nature {
        Nature::Level => (&[Kind::Gauge][..], "it goes up and down: type gauge"),
        Nature::Total => (
            &[Kind::Counter, Kind::Gauge][..],
            "counter for the total, gauge for the rate per second",
        ),
    };
    if possible.contains(&configured.value) {
        return Some(configured.value);
    }
    let message = format!("{} cannot be a {}", source.name, configured.value.as_str());
    problems.error(&configured.at, message).hint(hint);
    None
}

fn check_labels(metric: &SystemMetric, source: &Source, problems: &mut Diagnostics) {
    let Some(labels) = &metric.labels else { return };
    if labels.len() == source.labels.len()
        && labels
            .iter()
            .all(|label| source.labels.contains(&label.as_str()))
    {
        return;
    }
    let hint = match source.labels {
        [] => "leave labels out: it is one series without any".to_owned(),
        labels => format!("labels: [{}], or leave them out", labels.join(", ")),
    };
    problems
        .error(
            &labels.at,
            format!("the labels of {} are fixed", source.name),
        )
        .hint(hint);
}

fn check_selection(selection: &Selection, source: &Source, problems: &mut Diagnostics) -> bool {
    let mut fits = true;
    for (label, globs) in selection {
        if source.dimensions().any(|dimension| dimension == label) {
            continue;
        }
        fits = false;
        let dimensions: Vec<&str> = source.dimensions().collect();
        let hint = match dimensions.as_slice() {
            [] => format!("{} is one series without labels", source.name),
            dimensions => did_you_mean(label, dimensions.iter().copied())
                .unwrap_or_else(|| format!("one of {}", dimensions.join(", "))),
        };
        let message = format!("{} has no label {label:?}", source.name);
        problems.error(&globs.at, message).hint(hint);
    }
    fits
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::Origin;
    use bellwether_schema::{Decode, DecodeContext, parse};

    use super::*;

    fn run(yaml: &str) -> Result<Vec<ResolvedMetric>, String> {
        let mut problems = Diagnostics::default();
        let tree = parse(yaml).unwrap();
        let metrics =
            Vec::<SystemMetric>::decode(&tree, &mut DecodeContext::new(&mut problems, &|_| None));
        let defaults = MetricDefaults {
            origin: Origin::new("system"),
            prefix: "pre",
            interval: Duration::from_secs(30),
        };
        let resolved = resolve(&metrics.unwrap_or_default(), defaults, &mut problems);
        if problems.is_empty() {
            return Ok(resolved);
        }
        let texts: Vec<_> = problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect();
        Err(texts.join("\n"))
    }

    #[test]
    fn every_source_resolves_under_its_own_name_as_what_it_is() {
        for source in CATALOGUE {
            let yaml = format!("- {{name: {}}}", source.name);
            let resolved = run(&yaml).unwrap();
            let expected = match source.nature {
                Nature::Level => Kind::Gauge,
                Nature::Total => Kind::Counter,
            };
            assert_eq!(resolved[0].def.kind, expected);
            assert_eq!(&*resolved[0].def.exported, format!("pre_{}", source.name));
            assert_eq!(&*resolved[0].def.help, source.help);
            assert_eq!(resolved[0].def.labels.len(), source.labels.len());
        }
    }

    #[test]
    fn a_gauge_of_a_total_is_its_rate() {
        let resolved = run("- {name: rx, source: network_bytes_recv, type: gauge}").unwrap();
        assert_eq!(&*resolved[0].def.name, "rx");
        assert_eq!(resolved[0].def.kind, Kind::Gauge);
        assert_eq!(
            &*resolved[0].def.help,
            "Bytes received by a network interface, per second"
        );
    }

    #[test]
    fn labels_may_be_given_as_they_are() {
        for yaml in [
            "- {name: disk_usage_percent, type: Gauge, labels: [mount_point]}",
            "- {name: temperature_celsius, labels: [sensor, chip]}",
            "- {name: cpu_percent, labels: []}",
        ] {
            assert_eq!(run(yaml).unwrap().len(), 1, "{yaml}");
        }
    }

    #[test]
    fn disabled_entries_are_checked_and_left_out() {
        assert!(
            run("- {name: cpu_percent, enabled: false}")
                .unwrap()
                .is_empty()
        );
        assert!(run("- {name: cpu_percnt, enabled: false}").is_err());
    }

    #[test]
    fn problems_name_their_place_and_a_way_out() {
        for (yaml, expected) in [
            (
                "- {name: cpu_percnt, type: gauge}",
                "1:10: [0].name: unknown system metric \"cpu_percnt\"\n  \
                 hint: did you mean \"cpu_percent\"?",
            ),
            (
                "- {name: mine, source: whatever_this_is}",
                "1:24: [0].source: unknown system metric \"whatever_this_is\"\n  hint: set `source` \
                 to a metric of the catalogue to give it another `name`",
            ),
            (
                "- {name: cpu_percent, type: counter}",
                "1:29: [0].type: cpu_percent cannot be a counter\n  \
                 hint: it goes up and down: type gauge",
            ),
            (
                "- {name: network_bytes_sent, type: histogram}",
                "1:36: [0].type: network_bytes_sent cannot be a histogram\n  \
                 hint: counter for the total, gauge for the rate per second",
            ),
            (
                "- {name: disk_usage_percent, include: {mount: /data}}",
                "1:47: [0].include.mount: disk_usage_percent has no label \"mount\"\n  \
                 hint: one of mount_point, device, fs_type",
            ),
            (
                "- {name: uptime_seconds, exclude: {core: '1'}}",
                "1:42: [0].exclude.core: uptime_seconds has no label \"core\"\n  \
                 hint: uptime_seconds is one series without labels",
            ),
            (
                "- {name: disk_usage_percent, include: {mount_point: [/a, '[']}}",
                "1:58: [0].include.mount_point: not a glob: \"[\": \
                 unclosed character class; missing ']'",
            ),
            (
                "- {name: disk_usage_percent, labels: [mount]}",
                "1:38: [0].labels: the labels of disk_usage_percent are fixed\n  \
                 hint: labels: [mount_point], or leave them out",
            ),
            (
                "- {name: cpu_percent, labels: [core]}",
                "1:31: [0].labels: the labels of cpu_percent are fixed\n  \
                 hint: leave labels out: it is one series without any",
            ),
            (
                "- {name: disk_usage_percent, include: {mount_point: []}}",
                "1:53: [0].include.mount_point: \
                 expected a glob or a list of globs, found an empty list",
            ),
        ] {
            assert_eq!(run(yaml).unwrap_err(), expected, "{yaml}");
        }
    }
}
