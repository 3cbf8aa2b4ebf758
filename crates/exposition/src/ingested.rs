//! Families whose series came with their names and labels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bellwether_core::{Kind, Labels, METRIC_NAME, MetricDef, MetricId};

use super::escape::push_label_value;
use super::format::Format;
use super::number::push_value;
use super::render::push_header;

/// Text of the series of one family, in the order of the exposition: `name{label="value"}`. It is shared by all
/// snapshots while the series stay the same, so that a scrape escapes nothing.
#[derive(Debug)]
pub struct IngestedLayout {
    name: Arc<str>,
    help: Arc<str>,
    kind: Option<Kind>,
    text: String,
    /// End of the text and slot of the value, by series.
    places: Vec<(u32, u32)>,
}

impl IngestedLayout {
    /// Creates the layout of a family without series.
    #[must_use]
    pub fn new(name: Arc<str>, kind: Option<Kind>, help: Arc<str>) -> Self {
        Self {
            name,
            help,
            kind,
            text: String::new(),
            places: Vec::new(),
        }
    }

    /// Appends a series, whose value is in `slot`. `labels` has all of it, the name included. Of `defaults`, it
    /// gets the labels that it has not.
    pub fn push<'a>(
        &mut self,
        slot: u32,
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        defaults: &'a Labels,
    ) {
        let name = labels.clone().find(|(label, _)| *label == METRIC_NAME);
        self.text.push_str(name.map_or("", |(_, name)| name));
        let own = labels.clone().filter(|(label, _)| *label != METRIC_NAME);
        let absent = defaults
            .iter()
            .map(|(label, value)| (label.as_str(), value.as_str()))
            .filter(|(default, _)| !labels.clone().any(|(label, _)| label == *default));
        let mut separator = '{';
        for (label, value) in own.chain(absent) {
            self.text.push(separator);
            self.text.push_str(label);
            self.text.push_str("=\"");
            push_label_value(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.places.push((self.text.len() as u32, slot));
    }

    /// Returns the name of the family.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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

    /// Returns text and slot of the series at `index`.
    fn series(&self, index: usize) -> (&str, usize) {
        let before = index.checked_sub(1);
        let start = before.map_or(0, |before| self.places[before].0);
        let (end, slot) = self.places[index];
        (&self.text[start as usize..end as usize], slot as usize)
    }
}

/// Ingested families of a snapshot. They are behind the configured metrics; one that has the name of a configured
/// metric joins its series. All snapshots share them while they stay the same.
#[derive(Debug, Default)]
pub struct IngestedFamilies {
    /// Configured metrics that have series.
    configured: Vec<MetricId>,
    layouts: Vec<Arc<IngestedLayout>>,
    /// Families in the order of the exposition, without those that join another.
    apart: Vec<IngestedShot>,
    /// The family that joins, by index of the configured one.
    joined: Vec<Option<IngestedShot>>,
}

impl IngestedFamilies {
    /// Returns whether these are the families of `layouts` behind the `configured` ones.
    pub(super) fn is_of(
        &self,
        configured: impl Iterator<Item = MetricId>,
        layouts: &[Arc<IngestedLayout>],
    ) -> bool {
        let mut pairs = self.layouts.iter().zip(layouts);
        self.layouts.len() == layouts.len()
            && pairs.all(|(own, other)| Arc::ptr_eq(own, other))
            && configured.eq(self.configured.iter().copied())
    }

    /// Arranges `layouts`, which are in the order of the exposition, behind the `configured` ones of `metrics`.
    pub(super) fn arrange(
        metrics: &[MetricDef],
        configured: impl Iterator<Item = MetricId>,
        layouts: Vec<Arc<IngestedLayout>>,
    ) -> Self {
        let configured: Vec<MetricId> = configured.collect();
        let defs = configured.iter().map(|id| &metrics[id.0 as usize]);
        let by_name: HashMap<&str, usize> =
            defs.clone().map(|def| &*def.exported).zip(0..).collect();
        let mut joined: Vec<Option<IngestedShot>> = Vec::new();
        joined.resize_with(configured.len(), || None);
        let mut apart = Vec::new();
        for layout in &layouts {
            let shot = IngestedShot {
                layout: Arc::clone(layout),
                clash: false,
            };
            match by_name.get(layout.name()) {
                Some(home) => joined[*home] = Some(shot),
                None => apart.push(shot),
            }
        }
        mark_clashes(defs, &mut apart);
        Self {
            configured,
            layouts,
            apart,
            joined,
        }
    }

    /// Returns the number of series.
    pub(super) fn series(&self) -> usize {
        self.layouts.iter().map(|layout| layout.len()).sum()
    }

    /// Returns the family at `index` of those that join no other.
    pub(super) fn apart(&self, index: usize) -> Option<&IngestedShot> {
        self.apart.get(index)
    }

    /// Returns the family that joins the configured one at `index`.
    pub(super) fn joined(&self, index: usize) -> Option<&IngestedShot> {
        self.joined.get(index)?.as_ref()
    }
}

/// Marks each family whose name in OpenMetrics an earlier one has, where a counter `x_total` takes the name `x`, and
/// `x_created` is reserved for types that count.
fn mark_clashes<'a>(
    configured: impl Iterator<Item = &'a MetricDef>,
    families: &mut [IngestedShot],
) {
    let layouts: Vec<Arc<IngestedLayout>> = families
        .iter()
        .map(|family| family.layout.clone())
        .collect();
    let others = layouts
        .iter()
        .map(|layout| (layout.name(), layout.kind))
        // Gauges keep their names; a counter gives way.
        .filter(|(_, kind)| *kind != Some(Kind::Counter));
    let mut taken: HashSet<&str> = configured
        .map(|def| (&*def.exported, Some(def.kind)))
        .chain(others)
        .map(|(name, kind)| stem(name, kind))
        .collect();
    for (family, layout) in families.iter_mut().zip(&layouts) {
        let is_counter = layout.kind == Some(Kind::Counter);
        family.clash = is_counter && !taken.insert(stem(layout.name(), layout.kind));
    }
    for (family, layout) in families.iter_mut().zip(&layouts) {
        let stem = layout.name().strip_suffix("_created");
        family.clash |= stem.is_some_and(|stem| taken.contains(stem));
    }
}

/// A family of a snapshot.
#[derive(Debug)]
pub(super) struct IngestedShot {
    pub(super) layout: Arc<IngestedLayout>,
    /// Set if another family takes its name in OpenMetrics.
    pub(super) clash: bool,
}

impl IngestedShot {
    /// Returns whether the family is left out: parsers of OpenMetrics reject the whole exposition for a family
    /// `x_created` beside a counter `x`.
    pub(super) fn is_omitted(&self, format: Format) -> bool {
        format == Format::OpenMetrics && self.clash && self.layout.name.ends_with("_created")
    }

    pub(super) fn push_header(&self, out: &mut Vec<u8>, format: Format) {
        let layout = &*self.layout;
        let open = format == Format::OpenMetrics;
        let name = match open && !self.clash {
            true => stem(&layout.name, layout.kind),
            false => layout.name(),
        };
        let kind = match layout.kind {
            Some(kind) if !(open && self.clash) => kind.as_str(),
            _ if open => "unknown",
            _ => "untyped",
        };
        push_header(out, format, name, kind, &layout.help);
    }

    /// Appends the line of the series at `index`.
    pub(super) fn push_line(
        &self,
        out: &mut Vec<u8>,
        index: usize,
        values: &[f64],
        format: Format,
    ) {
        let layout = &*self.layout;
        let (series, slot) = layout.series(index);
        let counter = layout.kind == Some(Kind::Counter) && !self.clash;
        if format == Format::OpenMetrics && counter && !layout.name.ends_with("_total") {
            let (name, labels) = series.split_at(layout.name.len());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"_total");
            out.extend_from_slice(labels.as_bytes());
        } else {
            out.extend_from_slice(series.as_bytes());
        }
        out.push(b' ');
        push_value(out, values[slot]);
        out.push(b'\n');
    }
}

/// Returns the name that a family has in OpenMetrics, by which families must differ there.
pub(super) fn stem(name: &str, kind: Option<Kind>) -> &str {
    match kind {
        Some(Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    }
}
