//! Filter of the series of a metric.

use bellwether_collector::Globs;

use super::catalogue::Source;
use super::settings::Selection;

/// `include` and `exclude` of one metric, or the defaults of the catalogue without either.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Index of the dimension, globs of which one must match, globs of which none may match.
    tests: Vec<(usize, Option<Globs>, Option<Globs>)>,
}

impl Filter {
    pub(super) fn new(source: &Source, include: &Selection, exclude: &Selection) -> Self {
        let tests = source
            .dimensions()
            .enumerate()
            .filter_map(|(index, dimension)| {
                let included = include.get(dimension).map(|globs| globs.value.clone());
                let excluded = exclude.get(dimension).map(|globs| globs.value.clone());
                let excluded = match (&included, excluded) {
                    (None, None) => source.default_exclude(dimension),
                    (_, configured) => configured,
                };
                (included.is_some() || excluded.is_some()).then_some((index, included, excluded))
            });
        Self {
            tests: tests.collect(),
        }
    }

    /// Returns whether the series with these values is collected. The values are those of the labels,
    /// then those of the selectors, in the order of the catalogue.
    pub(super) fn admits(&self, values: &[&str]) -> bool {
        self.tests.iter().all(|(index, included, excluded)| {
            let value = values.get(*index).copied().unwrap_or_default();
            included.as_ref().is_none_or(|globs| globs.matches(value))
                && !excluded.as_ref().is_some_and(|globs| globs.matches(value))
        })
    }

    /// Returns whether one of these values is excluded, whatever is included.
    pub(super) fn excludes(&self, values: &[&str]) -> bool {
        self.tests.iter().any(|(index, _, excluded)| {
            let value = values.get(*index).copied().unwrap_or_default();
            excluded.as_ref().is_some_and(|globs| globs.matches(value))
        })
    }

    /// Returns whether the configuration includes values of the dimension `index` by name.
    pub(super) fn includes(&self, index: usize) -> bool {
        self.tests
            .iter()
            .any(|(tested, included, _)| *tested == index && included.is_some())
    }
}
