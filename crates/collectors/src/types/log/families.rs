//! Values of the metrics of a log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, Labels, METRIC_NAME, SeriesBatch};
use serde::{Deserialize, Serialize};

/// A metric, as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FamilyDef {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    /// Upper bounds of the buckets of a histogram.
    pub(super) bounds: Arc<[f64]>,
    pub(super) max_series: usize,
    /// Labels, packed, of the series that are there before the first line.
    pub(super) initial: Vec<Box<[u8]>>,
    /// Labels as they were written. Values of other labels are not restored.
    pub(super) labels: Vec<BTreeMap<String, String>>,
}

/// Outcome of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Counted,
    /// It would be a series above `max_series`.
    TooManySeries,
    /// The number is not finite, or a counter would fall.
    Invalid,
}

/// Series of a metric.
#[derive(Clone, Debug)]
pub(super) struct Family {
    def: FamilyDef,
    /// Values by packed labels.
    series: BTreeMap<Box<[u8]>, Cell>,
    /// Samples of series above `max_series`, and the labels of one of them.
    dropped: u64,
    dropped_example: Option<LabelSet>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cell {
    Number(f64),
    Histogram {
        /// Observations by bucket; the last one is that of `+Inf`.
        buckets: Box<[u64]>,
        sum: f64,
    },
}

/// Content of a family in the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedFamily {
    name: String,
    kind: String,
    bounds: Vec<f64>,
    /// Labels as they were written in the configuration.
    labels: Vec<BTreeMap<String, String>>,
    series: Vec<(Labels, Cell)>,
    dropped: u64,
}

impl Family {
    /// Creates a family with the series that are there before the first line.
    pub(super) fn new(def: FamilyDef) -> Self {
        let initial = def.initial.iter();
        let series = initial.map(|labels| (labels.clone(), def.empty_cell()));
        Self {
            series: series.collect(),
            def,
            dropped: 0,
            dropped_example: None,
        }
    }

    /// Observes a number in the series of `labels`, which are packed and include the name.
    pub(super) fn observe(&mut self, labels: &[u8], number: f64) -> Observed {
        if let Some(cell) = self.series.get_mut(labels) {
            return cell.observe(number, &self.def);
        }
        if self.series.len() >= self.def.max_series {
            self.dropped += 1;
            self.dropped_example = LabelSet::from_packed(labels);
            return Observed::TooManySeries;
        }
        let mut cell = self.def.empty_cell();
        let observed = cell.observe(number, &self.def);
        if observed == Observed::Counted {
            self.series.insert(labels.into(), cell);
        }
        observed
    }

    /// Adds the series to `out`.
    pub(super) fn fill(&self, out: &mut SeriesBatch) {
        out.begin(&self.def.name, Some(self.def.kind), &self.def.help);
        for (packed, cell) in &self.series {
            match cell {
                Cell::Number(number) => out.push_packed(packed, *number),
                Cell::Histogram { buckets, sum } => {
                    let set = LabelSet::from_packed(packed).unwrap_or_default();
                    let labels = set.iter().filter(|(name, _)| *name != METRIC_NAME);
                    let labels: Vec<_> = labels.collect();
                    let mut count = 0;
                    let cumulative = self.def.bounds.iter().zip(buckets);
                    let cumulative = cumulative.map(|(bound, own)| {
                        count += own;
                        (*bound, count as f64)
                    });
                    let total = buckets.iter().sum::<u64>() as f64;
                    out.push_histogram(&labels, cumulative, total, Some(*sum));
                }
            }
        }
    }

    /// Returns a note about samples that were dropped.
    pub(super) fn note(&self) -> Option<String> {
        let example = self.dropped_example.as_ref()?;
        Some(format!(
            "metric {}: samples of series above max_series ({}) are dropped, such as {example}",
            self.def.name, self.def.max_series
        ))
    }

    /// Returns the number of samples of series above `max_series`.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn save(&self) -> SavedFamily {
        let series = self.series.iter().map(|(packed, cell)| {
            let set = LabelSet::from_packed(packed).unwrap_or_default();
            let labels = set.iter().filter(|(name, _)| *name != METRIC_NAME);
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            (labels.collect(), cell.clone())
        });
        SavedFamily {
            name: self.def.name.clone(),
            kind: self.def.kind.as_str().to_owned(),
            bounds: self.def.bounds.to_vec(),
            labels: self.def.labels.clone(),
            series: series.collect(),
            dropped: self.dropped,
        }
    }

    /// Continues with the values of `saved`, unless type, buckets or labels were others.
    pub(super) fn restore(&mut self, saved: &[SavedFamily]) {
        let def = &self.def;
        let Some(saved) = saved.iter().find(|saved| {
            saved.name == def.name
                && saved.kind == def.kind.as_str()
                && saved.bounds == *def.bounds
                && saved.labels == def.labels
        }) else {
            return;
        };
        self.dropped = saved.dropped;
        for (labels, cell) in saved.series.iter().filter(|(_, cell)| cell.fits(def)) {
            let name = [(METRIC_NAME, def.name.as_str())];
            let pairs = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let set = LabelSet::new(pairs.chain(name));
            if self.series.len() < def.max_series || self.series.contains_key(set.packed()) {
                self.series.insert(set.packed().into(), cell.clone());
            }
        }
    }
}

impl FamilyDef {
    fn empty_cell(&self) -> Cell {
        match self.kind {
            Kind::Histogram => Cell::Histogram {
                buckets: vec![0; self.bounds.len() + 1].into(),
                sum: 0.0,
            },
            _ => Cell::Number(0.0),
        }
    }
}

impl Cell {
    fn fits(&self, def: &FamilyDef) -> bool {
        match self {
            Self::Number(_) => def.kind != Kind::Histogram,
            Self::Histogram { buckets, .. } => buckets.len() == def.bounds.len() + 1,
        }
    }

    fn observe(&mut self, number: f64, def: &FamilyDef) -> Observed {
        let value = match self {
            Self::Number(own) | Self::Histogram { sum: own, .. } => own,
        };
        let next = match def.kind {
            Kind::Gauge => number,
            Kind::Counter if number < 0.0 => return Observed::Invalid,
            _ => *value + number,
        };
        // JSON has no infinity, and no sum of finite numbers should become one.
        if !next.is_finite() {
            return Observed::Invalid;
        }
        *value = next;
        if let Self::Histogram { buckets, .. } = self {
            let bucket = def.bounds.partition_point(|bound| *bound < number);
            buckets[bucket] += 1;
        }
        Observed::Counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(pairs: &[(&str, &str)]) -> Box<[u8]> {
        LabelSet::new(pairs.iter().copied()).packed().into()
    }

    fn def(kind: Kind) -> FamilyDef {
        FamilyDef {
            name: "x".into(),
            kind,
            help: String::new(),
            bounds: [0.5, 1.0].into(),
            max_series: 2,
            initial: Vec::new(),
            labels: vec![BTreeMap::from([("a".into(), "{{ a }}".into())])],
        }
    }

    fn lines(family: &Family) -> Vec<String> {
        let mut out = SeriesBatch::default();
        family.fill(&mut out);
        out.lines().collect()
    }

    #[test]
    fn counters_add_gauges_set_and_histograms_count_into_buckets() {
        let labels = packed(&[("__name__", "x"), ("a", "1")]);
        let observed = |kind| {
            let mut family = Family::new(def(kind));
            let results = [0.5, 2.0, -1.0, f64::NAN].map(|number| family.observe(&labels, number));
            (lines(&family), results)
        };
        use Observed::{Counted, Invalid};
        let (counter, results) = observed(Kind::Counter);
        assert_eq!(counter, ["x{a=\"1\"} 2.5"]);
        assert_eq!(results, [Counted, Counted, Invalid, Invalid]);
        let (gauge, results) = observed(Kind::Gauge);
        assert_eq!(gauge, ["x{a=\"1\"} -1"]);
        assert_eq!(results, [Counted, Counted, Counted, Invalid]);
        assert_eq!(
            observed(Kind::Histogram).0,
            [
                "x_bucket{a=\"1\", le=\"0.5\"} 2",
                "x_bucket{a=\"1\", le=\"1\"} 2",
                "x_bucket{a=\"1\", le=\"+Inf\"} 3",
                "x_sum{a=\"1\"} 1.5",
                "x_count{a=\"1\"} 3"
            ]
        );
    }

    #[test]
    fn series_above_the_limit_are_counted_and_named() {
        let mut family = Family::new(def(Kind::Counter));
        for value in ["1", "2", "3", "3", "1"] {
            family.observe(&packed(&[("__name__", "x"), ("a", value)]), 1.0);
        }
        assert_eq!(lines(&family), ["x{a=\"1\"} 2", "x{a=\"2\"} 1"]);
        assert_eq!(family.dropped(), 2);
        assert!(family.note().unwrap().ends_with("such as x{a=\"3\"}"));
    }

    #[test]
    fn saved_values_are_restored_unless_the_metric_is_another() {
        let initial = packed(&[("__name__", "x")]);
        let mut histogram = def(Kind::Histogram);
        histogram.initial = vec![initial.clone()];
        let mut family = Family::new(histogram.clone());
        family.observe(&packed(&[("__name__", "x"), ("a", "1")]), 3.0);
        family.observe(&initial, 0.1);
        let json = serde_json::to_string(&[family.save()]).unwrap();
        let saved: Vec<SavedFamily> = serde_json::from_str(&json).unwrap();
        let restored = |def: FamilyDef| {
            let mut family = Family::new(def);
            family.restore(&saved);
            lines(&family)
        };
        assert_eq!(restored(histogram.clone()), lines(&family));
        let mut others = [histogram.clone(), histogram.clone(), def(Kind::Counter)];
        others[0].bounds = [0.5, 2.0].into();
        others[1].labels.clear();
        for other in others {
            let fresh = lines(&Family::new(other.clone()));
            assert_eq!(restored(other), fresh);
        }
    }
}
