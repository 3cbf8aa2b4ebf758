//! Snapshots: values of all series at one time, with label text that is ready to copy.
//!
//! A [`Layout`] is shared by all snapshots while the set of series stays the same, so that a scrape
//! escapes nothing and copies only values.

use std::sync::Arc;

use bellwether_core::{Labels, MetricDef, MetricId, PackedLabels};

use super::escape::push_label_value;
use super::ingested::{IngestedFamilies, IngestedLayout, IngestedShot};
use super::series::default_labels;

/// Label text of the series of one family in the order of the exposition. The text is escaped and
/// has neither braces nor the labels that all series share: `agent_name="cv",status="ok"`.
#[derive(Debug, Default)]
pub struct Layout {
    text: String,
    /// End of the text and slot of the values (in units of the width), by series.
    places: Vec<(u32, u32)>,
}

impl Layout {
    /// Creates the layout of `series`, which are in the order of the exposition, each with the slot
    /// of its values. `names` are the label names of the metric.
    pub fn new<'a>(
        names: &[Arc<str>],
        series: impl Iterator<Item = (u32, PackedLabels<'a>)> + Clone,
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

    /// Returns the number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the slots in the order of the exposition.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.places.iter().map(|place| place.1)
    }

    /// Returns label text and slot of the series at `index`.
    #[inline]
    pub(super) fn series(&self, index: usize) -> (&str, usize) {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.places[before].0);
        let (end, slot) = self.places[index];
        (&self.text[start as usize..end as usize], slot as usize)
    }
}

/// Formats the default labels of the series of `def`, without labels that the metric has itself.
#[must_use]
pub fn constant_labels(defaults: &Labels, def: &MetricDef) -> Arc<str> {
    let mut text = String::new();
    push_pairs(&mut text, default_labels(defaults, def));
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

/// Values of all series at one time. Owns its values and shares the rest, so that no lock is held
/// while it is rendered.
#[derive(Debug)]
pub struct Snapshot {
    metrics: Arc<[MetricDef]>,
    families: Vec<FamilyShot>,
    values: Vec<f64>,
    ingested: Arc<IngestedFamilies>,
    ingested_values: Vec<f64>,
}

/// One family with at least one series.
#[derive(Debug)]
struct FamilyShot {
    metric: MetricId,
    constant: Arc<str>,
    layout: Arc<Layout>,
    /// Index of the first of its values in the snapshot.
    start: usize,
}

/// One family, as the renderer reads it.
pub(super) struct FamilyView<'a> {
    pub(super) def: &'a MetricDef,
    pub(super) constant: &'a str,
    pub(super) layout: &'a Layout,
    pub(super) values: &'a [f64],
    /// Ingested series of the same name, with the values by slot.
    pub(super) joined: Option<(&'a IngestedShot, &'a [f64])>,
}

impl Snapshot {
    /// Creates an empty snapshot of `metrics`, with room for `capacity` values.
    #[must_use]
    pub fn new(metrics: Arc<[MetricDef]>, capacity: usize) -> Self {
        Self {
            metrics,
            families: Vec::new(),
            values: Vec::with_capacity(capacity),
            ingested: Arc::default(),
            ingested_values: Vec::new(),
        }
    }

    /// Appends a family. `constant` is the result of [`constant_labels`]; `values` has a row of the
    /// metric's width for each slot, at least up to the highest slot of the layout. A family without
    /// series is left out, as in the client libraries of Prometheus.
    pub fn push(
        &mut self,
        metric: MetricId,
        constant: &Arc<str>,
        layout: Arc<Layout>,
        values: &[f64],
    ) {
        if layout.is_empty() {
            return;
        }
        let start = self.values.len();
        self.values.extend_from_slice(values);
        self.families.push(FamilyShot {
            metric,
            constant: Arc::clone(constant),
            layout,
            start,
        });
    }

    /// Sets the families whose series came with their names. `families` are those of the snapshot before, and are
    /// arranged again only if there are others. `values` has the value of each slot of the layouts.
    pub fn set_ingested(
        &mut self,
        families: &mut Arc<IngestedFamilies>,
        layouts: impl Iterator<Item = Arc<IngestedLayout>>,
        values: &[f64],
    ) {
        let layouts: Vec<_> = layouts.filter(|layout| !layout.is_empty()).collect();
        let configured = self.families.iter().map(|family| family.metric);
        if !families.is_of(configured.clone(), &layouts) {
            *families = IngestedFamilies::arrange(&self.metrics, configured, layouts).into();
        }
        self.ingested = Arc::clone(families);
        self.ingested_values.extend_from_slice(values);
    }

    /// Returns the number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        let configured = self.families.iter().map(|family| family.layout.len());
        configured.chain([self.ingested.series()]).sum()
    }

    /// Returns the ingested family at `index`, with the values by slot.
    pub(super) fn ingested(&self, index: usize) -> Option<(&IngestedShot, &[f64])> {
        Some((self.ingested.apart(index)?, &self.ingested_values))
    }

    /// Returns the family at `index`.
    pub(super) fn family(&self, index: usize) -> Option<FamilyView<'_>> {
        let shot = self.families.get(index)?;
        Some(FamilyView {
            def: &self.metrics[shot.metric.0 as usize],
            constant: &shot.constant,
            layout: &shot.layout,
            values: &self.values[shot.start..],
            joined: self
                .ingested
                .joined(index)
                .map(|joined| (joined, &*self.ingested_values)),
        })
    }
}
