//! What a page is rendered from: label text that is ready to copy, and the values of one moment.
//!
//! A [`Layout`] is shared by all snapshots taken while the set of series stays the same, so a
//! scrape escapes nothing and copies only numbers.

use std::sync::Arc;

use bellwether_core::{LabelValues, Labels, MetricDef, MetricId};

use super::escape::push_label_value;
use super::series::kept_defaults;

/// Label text of one family's series in page order, escaped, without braces and without the
/// labels that all series share: `agent_name="cv",status="ok"`.
#[derive(Debug, Default)]
pub struct Layout {
    text: String,
    /// Per series, where its text ends, and where its numbers lie (in units of the width).
    places: Vec<(u32, u32)>,
}

impl Layout {
    /// Lays out `series`, which come in page order with the slot of their numbers; `names` are the
    /// metric's label names.
    pub fn new<'a>(
        names: &[Arc<str>],
        series: impl Iterator<Item = (u32, &'a LabelValues)> + Clone,
    ) -> Self {
        let names_length: usize = names.iter().map(|name| name.len() + r#"="","#.len()).sum();
        let (count, length) = series.clone().fold((0, 0), |(count, length), (_, labels)| {
            (count + 1, length + labels.packed().len() + names_length)
        });
        let mut layout = Self {
            text: String::with_capacity(length),
            places: Vec::with_capacity(count),
        };
        for (slot, labels) in series {
            push_pairs(
                &mut layout.text,
                names.iter().map(AsRef::as_ref).zip(labels.iter()),
            );
            layout.places.push((layout.text.len() as u32, slot));
        }
        layout.text.shrink_to_fit();
        layout
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The slots in page order.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.places.iter().map(|place| place.1)
    }

    /// Label text and slot of the series at `index`.
    pub(super) fn series(&self, index: usize) -> (&str, usize) {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.places[before].0);
        let (end, slot) = self.places[index];
        (&self.text[start as usize..end as usize], slot as usize)
    }
}

/// The default labels of `def`'s series as text, without those that the series have themselves.
#[must_use]
pub fn constant_labels(defaults: &Labels, def: &MetricDef) -> Arc<str> {
    let mut text = String::new();
    push_pairs(&mut text, kept_defaults(defaults, def));
    text.into()
}

fn push_pairs<'a>(text: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (name, value)) in pairs.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        push_label_value(text, value);
        text.push('"');
    }
}

/// All series at one moment. Owns its numbers and shares the rest, so no lock is held while it is
/// rendered.
#[derive(Debug)]
pub struct Snapshot {
    metrics: Arc<[MetricDef]>,
    families: Vec<FamilyShot>,
    numbers: Vec<f64>,
}

/// One family with at least one series.
#[derive(Debug)]
struct FamilyShot {
    metric: MetricId,
    constant: Arc<str>,
    layout: Arc<Layout>,
    /// Where its numbers start in the snapshot's.
    start: usize,
}

/// One family, as the page reads it.
pub(super) struct FamilyView<'a> {
    pub(super) def: &'a MetricDef,
    pub(super) constant: &'a str,
    pub(super) layout: &'a Layout,
    pub(super) numbers: &'a [f64],
}

impl Snapshot {
    /// An empty one over `metrics`, with room for `numbers`.
    #[must_use]
    pub fn new(metrics: Arc<[MetricDef]>, numbers: usize) -> Self {
        Self {
            metrics,
            families: Vec::new(),
            numbers: Vec::with_capacity(numbers),
        }
    }

    /// Adds a family after those added before. `constant` as [`constant_labels`] makes it;
    /// `numbers` hold a row of the metric's width for each slot, at least up to the layout's
    /// highest. A family without series is left out, as Prometheus' client libraries do.
    pub fn push(
        &mut self,
        metric: MetricId,
        constant: &Arc<str>,
        layout: Arc<Layout>,
        numbers: &[f64],
    ) {
        if layout.is_empty() {
            return;
        }
        let start = self.numbers.len();
        self.numbers.extend_from_slice(numbers);
        self.families.push(FamilyShot {
            metric,
            constant: Arc::clone(constant),
            layout,
            start,
        });
    }

    /// Number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.families.iter().map(|family| family.layout.len()).sum()
    }

    /// The family at `index` of the page.
    pub(super) fn family(&self, index: usize) -> Option<FamilyView<'_>> {
        let shot = self.families.get(index)?;
        Some(FamilyView {
            def: &self.metrics[shot.metric.0 as usize],
            constant: &shot.constant,
            layout: &shot.layout,
            numbers: &self.numbers[shot.start..],
        })
    }
}
