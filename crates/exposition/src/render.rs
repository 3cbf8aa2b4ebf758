//! Renders a snapshot in chunks.
//!
//! Nothing is allocated per series: the text that the lines of a family have in common is built once
//! per family, and a line is three copies and a number.

use std::ops::Range;

use bellwether_core::{Kind, MetricDef, bound};

use super::escape::push_help;
use super::format::Format;
use super::ingested::stem;
use super::number::push_value;
use super::series::lines;
use super::snapshot::{FamilyView, Snapshot};

/// Bytes after which a chunk ends. With its last line and the frame of HTTP it is one segment of TCP, at most
/// 65,483 bytes on the loopback interface: 64 KiB would send a second one of a few bytes.
const CHUNK: usize = 62 * 1024;

/// Renders a [`Snapshot`] in chunks.
#[derive(Debug)]
pub struct Renderer {
    snapshot: Snapshot,
    format: Format,
    /// Index of the next family of a configured metric, then of the next ingested one.
    family: usize,
    ingested: usize,
    series: usize,
    lines: Lines,
    ended: bool,
}

impl Renderer {
    /// Creates a renderer at the first line of `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, format: Format) -> Self {
        Self {
            snapshot,
            format,
            family: 0,
            ingested: 0,
            series: 0,
            lines: Lines::default(),
            ended: false,
        }
    }

    /// Returns whether no chunk follows; false also while that is not known.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended
    }

    /// Appends the next chunk, about 62 KiB, to `out`. Returns `false` if nothing was left to append.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> bool {
        if self.ended {
            return false;
        }
        let before = out.len();
        let mut full = before + CHUNK;
        while let Some(family) = self.snapshot.family(self.family) {
            if self.series == 0 {
                if out.len() >= full {
                    return true;
                }
                let (def, name) = (family.def, family_name(family.def, self.format));
                push_header(out, self.format, name, def.kind.as_str(), &def.help);
                // A header is in one chunk with its first series, so that it is not appended again.
                full = full.max(out.len() + 1);
                self.lines.prepare(&family, self.format);
            }
            let own = family.layout.len();
            while self.series < own && out.len() < full {
                self.lines.push(out, &family, self.series);
                self.series += 1;
            }
            let all = own + family.joined.map_or(0, |(joined, _)| joined.layout.len());
            if let Some((joined, values)) = family.joined {
                while self.series < all && out.len() < full {
                    joined.push_line(out, self.series - own, values, self.format);
                    self.series += 1;
                }
            }
            if self.series < all {
                return true;
            }
            self.family += 1;
            self.series = 0;
        }
        while let Some((family, values)) = self.snapshot.ingested(self.ingested) {
            if family.is_omitted(self.format) {
                self.ingested += 1;
                continue;
            }
            if self.series == 0 {
                if out.len() >= full {
                    return true;
                }
                family.push_header(out, self.format);
                full = full.max(out.len() + 1);
            }
            while self.series < family.layout.len() && out.len() < full {
                family.push_line(out, self.series, values, self.format);
                self.series += 1;
            }
            if self.series < family.layout.len() {
                return true;
            }
            self.ingested += 1;
            self.series = 0;
        }
        self.ended = true;
        if self.format == Format::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
        out.len() > before
    }
}

/// Name of the family in `# TYPE`, which for a counter in OpenMetrics is without `_total`.
fn family_name(def: &MetricDef, format: Format) -> &str {
    match format {
        Format::OpenMetrics => stem(&def.exported, Some(def.kind)),
        Format::Text => &def.exported,
    }
}

/// Appends the lines `# HELP`, if there is a text, and `# TYPE`.
pub(super) fn push_header(out: &mut Vec<u8>, format: Format, name: &str, kind: &str, help: &str) {
    let push = |out: &mut Vec<u8>, parts: &[&str]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
    };
    if !help.is_empty() {
        push(out, &["# HELP ", name, " "]);
        push_help(out, help, format == Format::OpenMetrics);
        out.push(b'\n');
    }
    push(out, &["# TYPE ", name, " ", kind, "\n"]);
}

/// Condition for writing a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Written always.
    None,
    /// Written while the number at this index is not negative.
    Number(usize),
    /// Never written.
    Omit,
}

/// Returns the condition for writing a line in OpenMetrics, whose parsers reject the whole
/// exposition for a negative sum or quantile, or for a `_count` of a histogram without its `_sum`.
/// The buckets, and the count of a summary, are written in any case.
fn guard(def: &MetricDef, suffix: &str, number: usize) -> Guard {
    let below_zero = def.buckets.first().is_some_and(|bound| *bound < 0.0);
    match (def.kind, suffix) {
        (Kind::Histogram, "_sum" | "_count") if below_zero => Guard::Omit,
        (Kind::Histogram, "_sum" | "_count") => Guard::Number(def.width() - 1),
        (Kind::Summary, "" | "_sum") => Guard::Number(number),
        _ => Guard::None,
    }
}

/// Lines of one series: the text that all series of the family have in common.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// One line: `head`, the labels of the series, `tail` and a number, as in `name_bucket{`,
/// `path="/"`, `,le="0.1"} `, `3`.
#[derive(Debug)]
struct Line {
    head: Range<usize>,
    tail: Range<usize>,
    /// Index of the number.
    number: usize,
    /// Index of the number that must not be negative for the line to be written.
    guard: Option<usize>,
}

impl Lines {
    fn prepare(&mut self, family: &FamilyView<'_>, format: Format) {
        self.text.clear();
        self.lines.clear();
        let def = family.def;
        let canonical = format == Format::OpenMetrics;
        let stem = family_name(def, format);
        for line in lines(def) {
            let guard = if canonical {
                guard(def, line.suffix, line.number)
            } else {
                Guard::None
            };
            if guard == Guard::Omit {
                continue;
            }
            let suffix = match def.kind {
                Kind::Counter if canonical => "_total",
                _ => line.suffix,
            };
            let last = line
                .bound
                .map(|(label, value)| format!("{label}=\"{}\"", bound(value, canonical)));
            self.add(family, stem, suffix, last.as_deref(), line.number);
            if let (Guard::Number(number), Some(line)) = (guard, self.lines.last_mut()) {
                line.guard = Some(number);
            }
        }
    }

    fn add(
        &mut self,
        family: &FamilyView<'_>,
        name: &str,
        suffix: &str,
        last: Option<&str>,
        number: usize,
    ) {
        let labelled = !family.def.labels.is_empty();
        let constant = Some(family.constant).filter(|text| !text.is_empty());
        let braces = labelled || constant.is_some() || last.is_some();
        let start = self.text.len();
        self.extend([name, suffix, if braces { "{" } else { "" }]);
        let middle = self.text.len();
        let mut separate = labelled;
        for label in constant.into_iter().chain(last) {
            self.extend([if separate { "," } else { "" }, label]);
            separate = true;
        }
        self.extend([if braces { "} " } else { " " }]);
        let (head, tail) = (start..middle, middle..self.text.len());
        self.lines.push(Line {
            head,
            tail,
            number,
            guard: None,
        });
    }

    fn extend<const N: usize>(&mut self, parts: [&str; N]) {
        for part in parts {
            self.text.extend_from_slice(part.as_bytes());
        }
    }

    fn push(&self, out: &mut Vec<u8>, family: &FamilyView<'_>, series: usize) {
        let (labels, slot) = family.layout.series(series);
        let values = &family.values[slot * family.def.width()..];
        for line in &self.lines {
            if line.guard.is_some_and(|guard| values[guard] < 0.0) {
                continue;
            }
            out.extend_from_slice(&self.text[line.head.clone()]);
            out.extend_from_slice(labels.as_bytes());
            out.extend_from_slice(&self.text[line.tail.clone()]);
            push_value(out, values[line.number]);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bellwether_core::{LabelValues, Labels, MetricId, Origin};

    use super::super::{Layout, constant_labels};
    use super::*;

    /// Labels and values of one series.
    type Row<'a> = (&'a [&'a str], &'a [f64]);
    type Family<'a> = (MetricDef, &'a [Row<'a>]);

    fn def(name: &str, help: &str, kind: Kind, labels: &[&str]) -> MetricDef {
        MetricDef {
            name: name.into(),
            exported: format!("app_{name}").into(),
            help: help.into(),
            kind,
            labels: labels.iter().map(|label| Arc::from(*label)).collect(),
            buckets: if kind == Kind::Histogram {
                [0.5, 1.0, 1e6].into()
            } else {
                [].into()
            },
            quantiles: if kind == Kind::Summary {
                [0.5, 0.99].into()
            } else {
                [].into()
            },
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(1),
        }
    }

    fn render(format: Format, defaults: &[(&str, &str)], families: &[Family<'_>]) -> String {
        let defaults: Labels = defaults
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let metrics: Arc<[MetricDef]> = families.iter().map(|(def, _)| def.clone()).collect();
        let mut snapshot = Snapshot::new(metrics, 0);
        for (index, (def, series)) in families.iter().enumerate() {
            let labels: Vec<_> = series
                .iter()
                .map(|(values, _)| LabelValues::new(values))
                .collect();
            let slots = labels
                .iter()
                .enumerate()
                .map(|(slot, labels)| (slot as u32, labels.as_packed()));
            let layout = Arc::new(Layout::new(&def.labels, slots));
            let values: Vec<f64> = series
                .iter()
                .flat_map(|(_, values)| values.iter().copied())
                .collect();
            let constant = constant_labels(&defaults, def);
            snapshot.push(MetricId(index as u32), &constant, layout, &values);
        }
        let mut renderer = Renderer::new(snapshot, format);
        let mut out = Vec::new();
        while renderer.next_chunk(&mut out) {}
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_in_both_formats() {
        let families: [Family<'_>; 6] = [
            (def("bare", "", Kind::Gauge, &[]), &[(&[], &[f64::NAN])]),
            (
                def("hits_total", "Hits \\ \"all\"\n.", Kind::Counter, &[]),
                &[(&[], &[3.0])],
            ),
            (
                def("load", "Load.", Kind::Gauge, &["host"]),
                &[(&["a\"\\\n"], &[1.5]), (&["é"], &[f64::NEG_INFINITY])],
            ),
            (def("none", "Nothing yet.", Kind::Histogram, &[]), &[]),
            (
                def("time", "Time.", Kind::Histogram, &["path"]),
                &[(&["/"], &[1.0, 2.0, 2.0, 3.0, 1e9])],
            ),
            (
                def("took", "Took.", Kind::Summary, &[]),
                &[(&[], &[0.25, 1.0, 7.0, 2.5])],
            ),
        ];
        let text = render(Format::Text, &[("env", "t")], &families);
        assert_eq!(text, include_str!("../../../tests/golden/kinds.txt"));
        let open = render(Format::OpenMetrics, &[("env", "t")], &families);
        assert_eq!(
            open,
            include_str!("../../../tests/golden/kinds.openmetrics.txt")
        );
    }

    #[test]
    fn openmetrics_has_no_sum_that_can_fall() {
        let below = MetricDef {
            buckets: [-1.0, 1.0].into(),
            ..def("t", "", Kind::Histogram, &[])
        };
        let families: [Family<'_>; 3] = [
            (
                def("h", "", Kind::Histogram, &["l"]),
                &[
                    (&["a"], &[2.0, 2.0, 2.0, 2.0, -3.0]),
                    (&["b"], &[2.0, 2.0, 2.0, 2.0, 0.5]),
                ],
            ),
            (
                def("s", "", Kind::Summary, &[]),
                &[(&[], &[-5.0, -5.0, 1.0, -5.0])],
            ),
            (below, &[(&[], &[0.0, 1.0, 1.0, 0.5])]),
        ];
        let open = render(Format::OpenMetrics, &[], &families);
        let sums: Vec<_> = open.lines().filter(|line| line.contains("_sum")).collect();
        assert_eq!(sums, ["app_h_sum{l=\"b\"} 0.5"], "{open}");
        let counts: Vec<_> = open
            .lines()
            .filter(|line| line.contains("_count"))
            .collect();
        assert_eq!(
            counts,
            ["app_h_count{l=\"b\"} 2", "app_s_count 1"],
            "a histogram has both"
        );
        assert!(!open.lines().any(|line| line.ends_with("-5")), "{open}");
        let text = render(Format::Text, &[], &families);
        assert_eq!(
            text.lines().filter(|line| line.contains("_sum")).count(),
            4,
            "{text}"
        );
    }

    #[test]
    fn without_any_label_there_are_no_braces() {
        let families: [Family<'_>; 1] = [(def("up", "", Kind::Gauge, &[]), &[(&[], &[1.0])])];
        assert_eq!(
            render(Format::Text, &[], &families),
            "# TYPE app_up gauge\napp_up 1\n"
        );
    }

    #[test]
    fn labels_of_the_metric_take_precedence_over_default_labels() {
        let families: [Family<'_>; 2] = [
            (def("up", "", Kind::Gauge, &["env"]), &[(&["own"], &[1.0])]),
            (
                def("q", "", Kind::Summary, &[]),
                &[(&[], &[0.5, 0.9, 2.0, 3.0])],
            ),
        ];
        let text = render(
            Format::Text,
            &[("env", "default"), ("quantile", "x")],
            &families,
        );
        assert!(
            text.contains("app_up{env=\"own\",quantile=\"x\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("app_q{env=\"default\",quantile=\"0.5\"} 0.5\n"),
            "{text}"
        );
    }

    #[test]
    fn chunks_join_to_the_whole_exposition() {
        let names: Vec<String> = (0..5000)
            .map(|index| format!("series number {index}"))
            .collect();
        let series: Vec<([&str; 1], [f64; 1])> =
            names.iter().map(|name| ([name.as_str()], [1.0])).collect();
        let borrowed: Vec<Row<'_>> = series
            .iter()
            .map(|(labels, values)| (&labels[..], &values[..]))
            .collect();
        let gauge = def("g", "G.", Kind::Gauge, &["name"]);
        let whole = render(Format::OpenMetrics, &[], &[(gauge, &borrowed)]);
        assert_eq!(whole.lines().count(), 5000 + 3);
        assert!(whole.ends_with("# EOF\n"));

        let labels: Vec<_> = names.iter().map(|name| LabelValues::new(&[name])).collect();
        let gauge = def("g", "G.", Kind::Gauge, &["name"]);
        let slots = labels
            .iter()
            .enumerate()
            .map(|(slot, labels)| (slot as u32, labels.as_packed()));
        let layout = Arc::new(Layout::new(&gauge.labels, slots));
        let mut snapshot = Snapshot::new([gauge].into(), 0);
        snapshot.push(MetricId(0), &"".into(), layout, &[1.0; 5000]);
        let mut renderer = Renderer::new(snapshot, Format::OpenMetrics);
        let (mut joined, mut chunk, mut chunks) = (Vec::new(), Vec::new(), 0);
        while renderer.next_chunk(&mut chunk) {
            assert!(chunk.len() < CHUNK + 100, "chunk of {} bytes", chunk.len());
            joined.append(&mut chunk);
            chunks += 1;
        }
        assert_eq!(joined, whole.as_bytes());
        assert_eq!(chunks, whole.len() / CHUNK + 1);
    }
}
