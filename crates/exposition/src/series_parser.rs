//! Reads an exposition of others into a batch of series, as Prometheus reads a scrape.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, METRIC_NAME, SeriesBatch};

use super::error::{LineError, ParseError};
use super::format::Format;
use super::protobuf::{ProtobufError, families};
use super::scanner::{Scanner, number, quoted_end, unescape_leniently};

const BLANK: [char; 2] = [' ', '\t'];

/// Reads expositions of one source into batches. Series that come again are known by their text, so that their
/// labels are parsed once.
///
/// As tolerant as Prometheus: families need no type and need not be contiguous, and other escapes than those of
/// the format are literal. Exemplars are ignored, and so are the series `_created` of OpenMetrics, and timestamps unless
/// [`SeriesParser::accept_times`] limits them.
#[derive(Default)]
pub struct SeriesParser {
    /// Series by their text, or, in protocol buffers, by their packed labels.
    known: HashMap<Box<[u8]>, Series>,
    round: u64,
    rewrite: Option<Arc<Rewrite>>,
    /// Timestamps of samples that are not left out, as Unix milliseconds.
    times: Option<RangeInclusive<i64>>,
}

type Rewrite = dyn Fn(LabelSet) -> Option<LabelSet> + Send + Sync;

/// Numbers of an exposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParsedSeries {
    /// Samples in the text.
    pub samples: usize,
    /// Samples of series that neither of the last two expositions had.
    pub added: usize,
    /// Samples whose timestamp is not accepted.
    pub left_out: usize,
}

struct Series {
    /// Labels after the rewrite; `None`: dropped.
    labels: Option<LabelSet>,
    /// Number of the exposition that had it last.
    round: u64,
}

/// Family of the lines that follow.
#[derive(Default)]
struct Family<'t> {
    /// Name behind `# TYPE` and `# HELP`.
    name: &'t str,
    kind: &'t str,
    help: Option<Cow<'t, str>>,
    /// Name with which it was begun in the batch; empty: not yet.
    begun: String,
}

impl SeriesParser {
    /// Creates a parser that replaces the labels of each series, its name among them, by what `rewrite` returns, and
    /// drops the series for `None`. It is called once for each series.
    pub fn with_rewrite(
        rewrite: impl Fn(LabelSet) -> Option<LabelSet> + Send + Sync + 'static,
    ) -> Self {
        Self {
            rewrite: Some(Arc::new(rewrite)),
            ..Self::default()
        }
    }

    /// Leaves out samples with a timestamp outside of `times` from now on, in Unix milliseconds.
    pub fn accept_times(&mut self, times: RangeInclusive<i64>) {
        self.times = Some(times);
    }

    fn accepts(&self, time: i64) -> bool {
        self.times
            .as_ref()
            .is_none_or(|times| times.contains(&time))
    }

    /// Appends the samples of a body in protocol buffers to `batch`, as [`parse_protobuf`](crate::parse_protobuf).
    ///
    /// # Errors
    /// A message is invalid or cut. Samples of the messages before are in the batch.
    pub fn parse_protobuf(
        &mut self,
        body: &[u8],
        batch: &mut SeriesBatch,
    ) -> Result<ParsedSeries, ProtobufError> {
        self.round += 1;
        let mut parsed = ParsedSeries::default();
        let mut read = SeriesBatch::default();
        for (at, message) in families(body).enumerate() {
            read.clear();
            parsed.left_out += message?.read(at + 1, |time| self.accepts(time), &mut read)?;
            for own in read.families() {
                let mut family = Family {
                    name: own.name,
                    help: Some(Cow::Borrowed(own.help)),
                    ..Family::default()
                };
                for (packed, value) in own.samples() {
                    let labels = || {
                        LabelSet::from_packed(packed).ok_or_else(|| ProtobufError {
                            message: at + 1,
                            reason: format!("a label of {:?} is there twice", own.name),
                        })
                    };
                    self.sample(packed, labels, &mut parsed, |labels| {
                        family.push(own.name, own.kind, labels, value, batch);
                    })?;
                }
            }
        }
        self.forget(&parsed);
        Ok(parsed)
    }

    /// Appends the samples of `text` to `batch`.
    ///
    /// # Errors
    /// The first line that is invalid, and a text in OpenMetrics that does not end with `# EOF`. Samples of
    /// the lines before are in the batch.
    pub fn parse(
        &mut self,
        text: &str,
        format: Format,
        batch: &mut SeriesBatch,
    ) -> Result<ParsedSeries, ParseError> {
        self.round += 1;
        let mut parsed = ParsedSeries::default();
        let mut family = Family::default();
        let mut lines = 0;
        let mut ended = false;
        for line in text.lines() {
            lines += 1;
            if format == Format::OpenMetrics && line == "# EOF" {
                ended = true;
                break;
            }
            self.line(line, format, &mut family, batch, &mut parsed)
                .map_err(|reason| ParseError {
                    line: lines,
                    reason,
                })?;
        }
        if format == Format::OpenMetrics && !ended {
            let reason = LineError::new("no # EOF at the end: the text is cut");
            return Err(ParseError {
                line: lines + 1,
                reason,
            });
        }
        self.forget(&parsed);
        Ok(parsed)
    }

    /// Forgets series that are gone, once they are more than half.
    fn forget(&mut self, parsed: &ParsedSeries) {
        if self.known.len() > 2 * parsed.samples + 1000 {
            let round = self.round;
            self.known.retain(|_, series| series.round == round);
        }
    }

    /// Counts a sample of the series `key`, and hands its labels after the rewrite to `push`. `read` is called once for
    /// each series.
    fn sample<E>(
        &mut self,
        key: &[u8],
        read: impl FnOnce() -> Result<LabelSet, E>,
        parsed: &mut ParsedSeries,
        push: impl FnOnce(Option<&LabelSet>),
    ) -> Result<(), E> {
        parsed.samples += 1;
        let round = self.round;
        if let Some(known) = self.known.get_mut(key) {
            parsed.added += usize::from(known.round + 2 < round);
            known.round = round;
            push(known.labels.as_ref());
            return Ok(());
        }
        parsed.added += 1;
        let labels = read()?;
        let labels = match &self.rewrite {
            Some(rewrite) => rewrite(labels),
            None => Some(labels),
        };
        push(labels.as_ref());
        self.known.insert(key.into(), Series { labels, round });
        Ok(())
    }

    fn line<'t>(
        &mut self,
        line: &'t str,
        format: Format,
        family: &mut Family<'t>,
        batch: &mut SeriesBatch,
        parsed: &mut ParsedSeries,
    ) -> Result<(), LineError> {
        let line = line.trim_start_matches(BLANK);
        if line.is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            family.read(comment);
            return Ok(());
        }
        let (series, rest) = line.split_at(series_end(line)?);
        let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
        let value = words.next().unwrap_or_default();
        let value =
            number(value).ok_or_else(|| LineError::new(format!("bad number: {value:?}")))?;
        let time = timestamp(words, rest, format)?;
        let name = series
            .find('{')
            .map_or(series, |brace| &series[..brace])
            .trim_end_matches(BLANK);
        let Some(kind) = family.kind_of(name, format) else {
            return Ok(());
        };
        if time.is_some_and(|time| !self.accepts(time)) {
            parsed.left_out += 1;
            return Ok(());
        }
        let labels = || read_labels(&mut Scanner::for_ingestion(series));
        self.sample(series.as_bytes(), labels, parsed, |labels| {
            family.push(name, kind, labels, value, batch);
        })
    }
}

/// Reads what follows the value: a timestamp, an exemplar, both or nothing. Returns the timestamp in Unix milliseconds.
fn timestamp<'w>(
    mut words: impl Iterator<Item = &'w str>,
    rest: &str,
    format: Format,
) -> Result<Option<i64>, LineError> {
    let mut next = words.next();
    let time = next.and_then(number);
    if time.is_some() {
        next = words.next();
    }
    let unit = match format {
        Format::Text => 1.0,
        Format::OpenMetrics => 1000.0,
    };
    match next {
        Some(word) if !word.starts_with('#') => {
            Err(LineError::new(format!("text after the value: {rest:?}")))
        }
        _ => Ok(time.map(|time| (time * unit) as i64)),
    }
}

fn read_labels(scanner: &mut Scanner<'_>) -> Result<LabelSet, LineError> {
    if scanner.rest().starts_with('{') {
        let labels = scanner.utf8_labels()?;
        if !labels.contains_key(METRIC_NAME) {
            return Err(LineError::new("no metric name"));
        }
        return Ok(LabelSet::new(labels));
    }
    let name = scanner.metric_name()?.to_owned();
    let mut labels = scanner.utf8_labels()?;
    if labels.insert(METRIC_NAME.to_owned(), name).is_some() {
        return Err(LineError::new("the metric is named twice"));
    }
    Ok(LabelSet::new(labels))
}

/// Returns the length of the series at the beginning of a line: up to the closing brace or the first blank.
fn series_end(line: &str) -> Result<usize, LineError> {
    let bytes = line.as_bytes();
    let brace = match memchr::memchr3(b'{', b' ', b'\t', bytes) {
        None => return Err(LineError::new("no value")),
        Some(at) if bytes[at] == b'{' => at,
        Some(at) => {
            // A blank may precede the braces.
            let behind = line[at..].trim_start_matches(BLANK);
            if !behind.starts_with('{') {
                return Ok(at);
            }
            line.len() - behind.len()
        }
    };
    let mut at = brace + 1;
    while let Some(next) = memchr::memchr2(b'"', b'}', &bytes[at..]) {
        at += next + 1;
        if bytes[at - 1] == b'}' {
            return Ok(at);
        }
        let quoted = quoted_end(&line[at..]);
        at += quoted.ok_or_else(|| LineError::new("label value without an end"))? + 1;
    }
    Err(LineError::new("labels without a closing brace"))
}

impl<'t> Family<'t> {
    /// Reads the text behind `#`. Other comments than metadata are ignored.
    fn read(&mut self, comment: &'t str) {
        let Some((keyword, rest)) = split_word(comment) else {
            return;
        };
        if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
            return;
        }
        let (name, text) = split_word(rest).unwrap_or((rest, ""));
        if name != self.name {
            *self = Self {
                name,
                ..Self::default()
            };
        }
        match keyword {
            "HELP" => self.help = Some(unescape_leniently(text).into()),
            "TYPE" => {
                self.kind = text.trim_end();
                // Samples before it have another type.
                self.begun.clear();
            }
            _ => {}
        }
    }

    /// Returns the type of the series `name`, if it is known; `None` if the series is left out.
    fn kind_of(&self, name: &str, format: Format) -> Option<Option<Kind>> {
        let open = format == Format::OpenMetrics;
        Some(match (self.kind, self.suffix(name)) {
            ("counter" | "histogram" | "summary", Some("_created")) if open => return None,
            ("counter", Some("_total")) if open => Some(Kind::Counter),
            ("counter", Some("")) => Some(Kind::Counter),
            ("gauge" | "stateset", Some("")) => Some(Kind::Gauge),
            ("info", Some("_info")) if open => Some(Kind::Gauge),
            ("histogram", Some("_bucket" | "_sum" | "_count")) => Some(Kind::Histogram),
            ("summary", Some("" | "_sum" | "_count")) => Some(Kind::Summary),
            _ => None,
        })
    }

    fn suffix<'n>(&self, name: &'n str) -> Option<&'n str> {
        let suffix = name.strip_prefix(self.name);
        suffix.filter(|_| !self.name.is_empty())
    }

    /// Adds a sample of the series `name`, after its family was begun.
    fn push(
        &mut self,
        name: &str,
        kind: Option<Kind>,
        labels: Option<&LabelSet>,
        value: f64,
        batch: &mut SeriesBatch,
    ) {
        let Some(labels) = labels else { return };
        let family = match kind {
            Some(Kind::Histogram | Kind::Summary) => self.name,
            // A name in quotes is among the labels.
            _ if name.is_empty() => labels.name(),
            _ => name,
        };
        let renamed = labels.name();
        let (family, kind) = match renamed.starts_with(family) {
            true => (family, kind),
            // Parts of a histogram can be renamed apart.
            false => (
                renamed,
                kind.filter(|kind| matches!(kind, Kind::Counter | Kind::Gauge)),
            ),
        };
        if self.begun != family {
            let help = self.help.as_deref();
            let help = help.filter(|_| self.suffix(name).is_some());
            batch.begin(family, kind, help.unwrap_or_default());
            family.clone_into(&mut self.begun);
        }
        batch.push_packed(labels.packed(), value);
    }
}

/// Splits the first word off, blanks around it left out.
fn split_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(BLANK);
    let (word, rest) = text.split_once(BLANK)?;
    Some((word, rest.trim_start_matches(BLANK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format) -> Result<Vec<String>, String> {
        let mut batch = SeriesBatch::default();
        let parsed = SeriesParser::default().parse(text, format, &mut batch);
        parsed.map_err(|error| error.to_string())?;
        let mut lines = Vec::new();
        for family in batch.families() {
            let kind = family.kind.map_or("-", Kind::as_str);
            lines.push(format!("{} {kind} {}", family.name, family.help));
            for (packed, value) in family.samples() {
                let set = LabelSet::from_packed(packed).unwrap();
                lines.push(format!("  {set} {value}"));
            }
        }
        Ok(lines)
    }

    #[test]
    fn text_is_read_as_prometheus_reads_it() {
        let text = "# HELP up Is it\\nup.\n# TYPE up gauge\nup{job=\"a}b\\\"\", x=\"C:\\dir\",} 1 1700000000000\r\n\
                    # a comment\n\n  plain\t3\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 0.5\nh_count 2\nh_other 1\n\
                    # TYPE c counter\nc 5\nspaced {a=\"b\"} NaN\n";
        assert_eq!(
            read(text, Format::Text).unwrap(),
            [
                "up gauge Is it\nup.",
                "  up{job=\"a}b\\\"\", x=\"C:\\\\dir\"} 1",
                "plain - ",
                "  plain 3",
                "h histogram ",
                "  h_bucket{le=\"+Inf\"} 2",
                "  h_sum 0.5",
                "  h_count 2",
                "h_other - ",
                "  h_other 1",
                "c counter ",
                "  c 5",
                "spaced - ",
                "  spaced{a=\"b\"} NaN",
            ]
        );
    }

    #[test]
    fn open_metrics_has_the_names_of_its_series() {
        let text = "# TYPE c counter\n# HELP c Calls.\nc_total{a=\"1\"} 3 # {trace=\"x\"} 1 1.5\nc_created{a=\"1\"} 1.7e9\n\
                    # TYPE v info\nv_info{version=\"1\"} 1\n# TYPE u unknown\nu 4 1.5\n# EOF\n";
        assert_eq!(
            read(text, Format::OpenMetrics).unwrap(),
            [
                "c_total counter Calls.",
                "  c_total{a=\"1\"} 3",
                "v_info gauge ",
                "  v_info{version=\"1\"} 1",
                "u - ",
                "  u 4",
            ]
        );
        let cut = read("a 1\n", Format::OpenMetrics).unwrap_err();
        assert_eq!(cut, "line 2: no # EOF at the end: the text is cut");
    }

    #[test]
    fn samples_with_other_times_than_accepted_are_left_out() {
        let mut parser = SeriesParser::default();
        let read = |parser: &mut SeriesParser, text: &str, format| {
            let mut batch = SeriesBatch::default();
            let parsed = parser.parse(text, format, &mut batch).unwrap();
            (parsed.samples, parsed.left_out, batch.len())
        };
        let text = "a 1 1000\nb 1 2001\nc 1\nd 1 999\n";
        assert_eq!(read(&mut parser, text, Format::Text), (4, 0, 4));
        parser.accept_times(1000..=2000);
        assert_eq!(read(&mut parser, text, Format::Text), (2, 2, 2));
        let open = "a 1 1.5\nb 1 2.5\nc 1 NaN\n# EOF\n";
        assert_eq!(read(&mut parser, open, Format::OpenMetrics), (1, 2, 1));
    }

    #[test]
    fn an_invalid_line_is_reported_with_its_number() {
        for (line, reason) in [
            ("a", "no value"),
            ("a x", "bad number: \"x\""),
            ("a{b=\"c\" 1", "labels without a closing brace"),
            ("a{b=\"c} 1", "label value without an end"),
            ("a{1=\"c\"} 1", "bad label name: \"1\""),
            ("1a 1", "bad metric name: \"1a\""),
            ("a 1 2 x", "text after the value: \" 1 2 x\""),
            ("a 1 x", "text after the value: \" 1 x\""),
            ("<html> 1", "bad metric name: \"<html>\""),
            ("{a=\"b\"} 1", "no metric name"),
        ] {
            let error = read(&format!("ok 1\n{line}\n"), Format::Text).unwrap_err();
            assert_eq!(error, format!("line 2: {reason}"), "{line}");
        }
    }

    #[test]
    fn labels_are_known_by_their_text_and_forgotten_when_they_are_gone() {
        let mut parser = SeriesParser::default();
        let mut batch = SeriesBatch::default();
        for round in 0..5 {
            batch.clear();
            let text: String = (0..1500)
                .map(|series| format!("a{{i=\"{round}-{series}\"}} 1\n"))
                .collect();
            let samples = parser.parse(&text, Format::Text, &mut batch).unwrap();
            assert_eq!(
                (samples.samples, samples.added, batch.len()),
                (1500, 1500, 1500)
            );
            assert!(parser.known.len() <= 4000, "{}", parser.known.len());
        }
    }

    #[test]
    fn a_series_that_comes_back_after_two_expositions_is_added_again() {
        let mut parser = SeriesParser::default();
        let texts = [
            "a 1\nb 1\n",
            "a 1\n",
            "a 1\n",
            "a 1\nb 1\n",
            "a 1\n",
            "a 1\nb 1\n",
        ];
        let added = texts.map(|text| {
            let parsed = parser.parse(text, Format::Text, &mut SeriesBatch::default());
            parsed.unwrap().added
        });
        assert_eq!(added, [2, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn rewritten_series_are_in_the_family_of_their_new_name_or_dropped() {
        let mut parser = SeriesParser::with_rewrite(|labels| match labels.name() {
            "a_total" => Some(LabelSet::new([("__name__", "b_total"), ("x", "1")])),
            "h_sum" => None,
            _ => Some(labels),
        });
        let text = "# TYPE a_total counter\na_total 1\na_total{y=\"1\"} 2\n\
                    # TYPE h histogram\nh_count 1\nh_sum 2\nh_bucket{le=\"+Inf\"} 1\n";
        for _ in 0..2 {
            let mut batch = SeriesBatch::default();
            let parsed = parser.parse(text, Format::Text, &mut batch).unwrap();
            assert_eq!((parsed.samples, batch.len()), (5, 4));
            let families: Vec<_> = batch
                .families()
                .map(|family| (family.name, family.kind, family.samples().count()))
                .collect();
            assert_eq!(
                families,
                [
                    ("b_total", Some(Kind::Counter), 2),
                    ("h", Some(Kind::Histogram), 2)
                ]
            );
        }
    }

    #[test]
    fn a_name_in_quotes_and_another_type_begin_a_family() {
        let text = "{\"x\", a=\"1\"} 1\n# TYPE t gauge\nt 1\n# TYPE t counter\nt{a=\"b\"} 2\n";
        assert_eq!(
            read(text, Format::Text).unwrap(),
            [
                "x - ",
                "  x{a=\"1\"} 1",
                "t gauge ",
                "  t 1",
                "t counter ",
                "  t{a=\"b\"} 2"
            ]
        );
    }
}
