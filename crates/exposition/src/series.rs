//! The series that a row of numbers is, as the text page names them.

use bellwether_core::{Kind, LabelSet, LabelValues, Labels, METRIC_NAME, MetricDef};
use bellwether_matcher::LabelMatcher;

use super::number::bound;

/// One series of a row: what follows the metric's name, the label that the type itself writes, and
/// which of the row's numbers is its value.
pub(super) struct Line {
    pub(super) suffix: &'static str,
    pub(super) bound: Option<(&'static str, f64)>,
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

/// The series of one row of `def`, in the order of the page.
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

/// The default labels that `def`'s series carry. A declared label wins over a default one of the
/// same name, and so does the label that the type itself writes (`le`, `quantile`).
pub(super) fn kept_defaults<'a>(
    defaults: &'a Labels,
    def: &'a MetricDef,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let own = match def.kind {
        Kind::Histogram => "le",
        Kind::Summary => "quantile",
        Kind::Counter | Kind::Gauge => "",
    };
    defaults
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(move |(name, _)| *name != own && !def.labels.iter().any(|label| **label == **name))
}

/// What the series of one metric are called: names and labels as on the text page.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesNames {
    named: Vec<Named>,
    labels: Vec<String>,
    defaults: Vec<(String, String)>,
}

/// A [`Line`] with its texts.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    bound: Option<(&'static str, String)>,
    number: usize,
}

impl SeriesNames {
    /// Of `def` on a page with these default labels.
    #[must_use]
    pub fn new(defaults: &Labels, def: &MetricDef) -> Self {
        let named = |line: Line| Named {
            name: format!("{}{}", def.exported, line.suffix),
            bound: line
                .bound
                .map(|(label, value)| (label, bound(value, false))),
            number: line.number,
        };
        Self {
            named: lines(def).into_iter().map(named).collect(),
            labels: def.labels.iter().map(|label| label.to_string()).collect(),
            defaults: kept_defaults(defaults, def)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Which number of the row each of its series has.
    pub fn numbers(&self) -> impl ExactSizeIterator<Item = usize> {
        self.named.iter().map(|named| named.number)
    }

    /// What selects the series at `index` of [`SeriesNames::numbers`] of all rows.
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

    /// All labels of the series at `index` of [`SeriesNames::numbers`], in the row with these
    /// values.
    ///
    /// # Panics
    /// If there is no such series.
    #[must_use]
    pub fn label_set(&self, index: usize, values: &LabelValues) -> LabelSet {
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
