//! Families whose series came with their names and labels.

use std::sync::Arc;

use bellwether_core::{Kind, Labels, METRIC_NAME};

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

    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind
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
