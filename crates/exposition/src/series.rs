//! Names and labels of the series that a row of values represents.

use bellwether_core::{Kind, LabelSet, Labels, METRIC_NAME, MetricDef, PackedLabels, bound};
use bellwether_matcher::LabelMatcher;

/// One series of a row.
pub(super) struct Line {
    /// Suffix of the metric name, such as `_bucket`.
    pub(super) suffix: &'static str,
    /// Label of the metric type with its value: `le` or `quantile`.
    pub(super) bound: Option<(&'static str, f64)>,
    /// Index of the series' value in the row.
    pub(super) number: usize,
}

impl Line {
    fn new(suffix: &'static str, bound: Option<(&'static str, f64)>, number: usize) -> Self {
        Self {
            suffix,
            bound,
            number,
        }
    }
}

/// Returns the series of one row of `def`, in the order of the exposition.
pub(super) fn lines(def: &MetricDef) -> Vec<Line> {
    let mut lines: Vec<Line> = match def.kind {
        Kind::Counter | Kind::Gauge => return vec![Line::new("", None, 0)],
        Kind::Histogram => {
            let bounds = def.buckets.iter().chain([&f64::INFINITY]).enumerate();
            bounds
                .map(|(index, le)| Line::new("_bucket", Some(("le", *le)), index))
                .collect()
        }
        Kind::Summary => {
            let quantiles = def.quantiles.iter().enumerate();
            quantiles
                .map(|(index, q)| Line::new("", Some(("quantile", *q)), index))
                .collect()
        }
    };
    let width = def.width();
    lines.push(Line::new("_sum", None, width - 1));
    lines.push(Line::new("_count", None, width - 2));
    lines
}

/// Returns the default labels that the series of `def` have. The metric's own label takes precedence
/// over a default label of the same name, and so does the label of the type (`le`, `quantile`).
pub(super) fn default_labels<'a>(
    defaults: &'a Labels,
    def: &'a MetricDef,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let type_label = match def.kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        Kind::Counter | Kind::Gauge => "",
    };
    defaults
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(move |(name, _)| {
            *name != type_label && !def.labels.iter().any(|label| **label == **name)
        })
}

/// Names and labels of the series of one metric, as in the exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesNames {
    named: Vec<Named>,
    labels: Vec<String>,
    defaults: Vec<(String, String)>,
}

/// A [`Line`] with its texts formatted.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    bound: Option<(&'static str, String)>,
    number: usize,
}

impl Named {
    fn new(def: &MetricDef, line: &Line) -> Self {
        Self {
            name: format!("{}{}", def.exported, line.suffix),
            bound: line
                .bound
                .map(|(label, value)| (label, bound(value, false))),
            number: line.number,
        }
    }
}

impl SeriesNames {
    /// Creates the names for `def` in an exposition with these default labels.
    #[must_use]
    pub fn new(defaults: &Labels, def: &MetricDef) -> Self {
        Self {
            named: lines(def)
                .into_iter()
                .map(|line| Named::new(def, &line))
                .collect(),
            labels: def.labels.iter().map(|label| label.to_string()).collect(),
            defaults: default_labels(defaults, def)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Returns, for each series of a row, the index of its value in the row.
    pub fn value_indices(&self) -> impl ExactSizeIterator<Item = usize> {
        self.named.iter().map(|named| named.number)
    }

    /// Returns matchers that select the series at `index` of [`SeriesNames::value_indices`] of all rows.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn matchers(&self, index: usize) -> Vec<LabelMatcher> {
        let Named { name, bound, .. } = &self.named[index];
        let bound = bound
            .iter()
            .map(|(label, value)| LabelMatcher::equal(label, value.as_str()));
        [LabelMatcher::equal(METRIC_NAME, name.as_str())]
            .into_iter()
            .chain(bound)
            .collect()
    }

    /// Returns all labels of the series at `index` of [`SeriesNames::value_indices`], in the row with these
    /// label values.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn label_set(&self, index: usize, values: PackedLabels<'_>) -> LabelSet {
        let Named { name, bound, .. } = &self.named[index];
        let bound = bound.iter().map(|(label, value)| (*label, value.as_str()));
        let declared = self.labels.iter().map(String::as_str).zip(values.iter());
        let defaults = self
            .defaults
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let name = [(METRIC_NAME, name.as_str())].into_iter();
        LabelSet::new(name.chain(bound).chain(declared).chain(defaults))
    }
}
