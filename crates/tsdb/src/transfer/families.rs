//! Families of OpenMetrics: grouping of series, and their types.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, METRIC_NAME, MetricDef};

/// Labels that distinguish the parts of one histogram or summary: a bucket, a quantile.
const PARTS: [&str; 2] = ["le", "quantile"];

/// Families of metrics whose types are known. Series of any other name are a family of type `unknown` each.
#[derive(Clone, Debug, Default)]
pub struct Families {
    by_series: HashMap<String, Family>,
}

#[derive(Clone, Debug)]
struct Family {
    name: Arc<str>,
    kind: Kind,
}

impl Families {
    /// Creates the families of `metrics`. Counters without `_total` and histograms with negative bounds are not valid
    /// in OpenMetrics, and become `unknown`.
    #[must_use]
    pub fn new(metrics: &[MetricDef]) -> Self {
        let mut families = Self::default();
        let mut taken = HashSet::new();
        for metric in metrics {
            let name: &str = match metric.kind {
                Kind::Counter => metric.exported.strip_suffix("_total").unwrap_or_default(),
                _ => &metric.exported,
            };
            let below_zero = metric.buckets.first().is_some_and(|bound| *bound < 0.0);
            if name.is_empty() || below_zero || !taken.insert(name) {
                continue;
            }
            for suffix in metric.kind.suffixes() {
                let family = Family {
                    name: name.into(),
                    kind: metric.kind,
                };
                families
                    .by_series
                    .insert(format!("{}{suffix}", metric.exported), family);
            }
        }
        families
    }

    /// Returns the families whose names do not collide with other names in `series`.
    pub(super) fn without_collisions(&self, series: &[LabelSet]) -> Self {
        let taken: HashSet<&str> = series
            .iter()
            .map(LabelSet::name)
            .filter(|name| {
                let own = self.by_series.get(*name);
                own.is_none_or(|own| *own.name != **name)
            })
            .collect();
        Self {
            by_series: self
                .by_series
                .iter()
                .filter(|(_, family)| !taken.contains(&*family.name))
                .map(|(name, family)| (name.clone(), family.clone()))
                .collect(),
        }
    }

    /// Returns the family of the series named `name`, and its type in OpenMetrics.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> (&'a str, &'static str) {
        match self.by_series.get(name) {
            Some(family) => (&family.name, family.kind.as_str()),
            None => (name, "unknown"),
        }
    }

    /// Compares series in the order of an exposition: families by name, in a family each histogram by itself with its
    /// buckets ascending.
    pub(super) fn order(&self, a: &LabelSet, b: &LabelSet) -> Ordering {
        let (family_a, kind) = self.of(a.name());
        let (family_b, _) = self.of(b.name());
        let by_family = family_a.cmp(family_b);
        if !matches!(kind, "histogram" | "summary") || by_family.is_ne() {
            return by_family.then_with(|| a.cmp(b));
        }
        whole(a)
            .cmp(&whole(b))
            .then_with(|| part(a).total_cmp(&part(b)))
            .then_with(|| a.cmp(b))
    }
}

/// Returns the labels that all parts of a histogram or summary share.
fn whole(labels: &LabelSet) -> LabelSet {
    LabelSet::new(
        labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME && !PARTS.contains(name)),
    )
}

/// Returns the bound of a bucket, or the quantile; NaN if there is none.
fn part(labels: &LabelSet) -> f64 {
    PARTS
        .iter()
        .find_map(|part| labels.get(part).parse().ok())
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::Origin;

    use super::*;

    fn metric(name: &str, kind: Kind, buckets: &[f64]) -> MetricDef {
        MetricDef {
            name: name.into(),
            exported: name.into(),
            help: "".into(),
            kind,
            labels: [].into(),
            buckets: buckets.into(),
            quantiles: [].into(),
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(1),
        }
    }

    #[test]
    fn types_are_reported_where_openmetrics_has_them() {
        let families = Families::new(&[
            metric("hits_total", Kind::Counter, &[]),
            metric("hits", Kind::Counter, &[]),
            metric("load", Kind::Gauge, &[]),
            metric("took", Kind::Histogram, &[0.5]),
            metric("drift", Kind::Histogram, &[-0.5]),
            metric("asked_total", Kind::Counter, &[]),
        ]);
        let series = [
            "hits_total",
            "load",
            "asked",
            "asked_total",
            "took_sum",
            "took",
        ];
        let series = series.map(|name| LabelSet::new([(METRIC_NAME, name)]));
        let families_without = families.without_collisions(&series);
        for (name, family) in [
            ("hits_total", ("hits", "counter")),
            ("hits", ("hits", "unknown")),
            ("load", ("load", "gauge")),
            ("drift_bucket", ("drift_bucket", "unknown")),
            // Names of others.
            ("asked_total", ("asked_total", "unknown")),
            ("took_bucket", ("took_bucket", "unknown")),
        ] {
            assert_eq!(families_without.of(name), family, "{name}");
        }
        assert_eq!(families.of("took_bucket"), ("took", "histogram"));
        assert_eq!(families.of("took_count"), ("took", "histogram"));
    }

    #[test]
    fn a_histogram_stays_together() {
        let families = Families::new(&[metric("took", Kind::Histogram, &[0.5])]);
        let mut series = [
            LabelSet::new([(METRIC_NAME, "took_sum"), ("a", "1")]),
            LabelSet::new([(METRIC_NAME, "took_bytes")]),
            LabelSet::new([(METRIC_NAME, "took_bucket"), ("a", "2"), ("le", "+Inf")]),
            LabelSet::new([(METRIC_NAME, "took_bucket"), ("a", "1"), ("le", "+Inf")]),
            LabelSet::new([(METRIC_NAME, "took_bucket"), ("a", "1"), ("le", "10")]),
            LabelSet::new([(METRIC_NAME, "took_bucket"), ("a", "1"), ("le", "2.5")]),
            LabelSet::new([(METRIC_NAME, "took_count"), ("a", "1")]),
        ];
        series.sort_by(|a, b| families.order(a, b));
        let shown: Vec<String> = series.iter().map(LabelSet::to_string).collect();
        assert_eq!(
            shown,
            [
                "took_bucket{a=\"1\", le=\"2.5\"}",
                "took_bucket{a=\"1\", le=\"10\"}",
                "took_bucket{a=\"1\", le=\"+Inf\"}",
                "took_count{a=\"1\"}",
                "took_sum{a=\"1\"}",
                "took_bucket{a=\"2\", le=\"+Inf\"}",
                "took_bytes",
            ]
        );
    }
}
