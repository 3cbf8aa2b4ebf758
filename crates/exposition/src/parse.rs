//! Parses an exposition into families and samples, strictly: input that a server would tolerate is
//! an error here. For tests and for expositions of other exporters; never panics.

use std::collections::{HashMap, HashSet};

use bellwether_core::{Labels, UnixMillis, is_metric_name};

use super::error::{LineError, ParseError};
use super::format::Format;
use super::scanner::{Scanner, number, unescape};

/// One metric family.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedFamily {
    /// Name in `# TYPE`, or the name of the samples if there is none.
    pub name: String,
    /// Type; [`FamilyKind::Unknown`] if none was given.
    pub kind: FamilyKind,
    /// Help text, unescaped.
    pub help: Option<String>,
    /// Unit, only in OpenMetrics.
    pub unit: Option<String>,
    /// Samples in their order.
    pub samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name as written, with suffixes such as `_bucket`.
    pub name: String,
    /// All labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
    /// Timestamp, if there is one.
    pub timestamp: Option<UnixMillis>,
}

/// Metric types of both formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// `counter`
    Counter,
    /// `gauge`
    Gauge,
    /// `histogram`
    Histogram,
    /// `summary`
    Summary,
    /// `info`, OpenMetrics only
    Info,
    /// `stateset`, OpenMetrics only
    StateSet,
    /// `gaugehistogram`, OpenMetrics only
    GaugeHistogram,
    /// `untyped` in text, `unknown` in OpenMetrics
    Unknown,
}

/// Parses a whole exposition.
///
/// # Errors
/// The first line that violates the format: invalid syntax, unknown or repeated metadata, samples
/// that do not match the type of their family, a family that is not contiguous, a repeated series,
/// or a missing `# EOF`.
pub fn parse(text: &str, format: Format) -> Result<Vec<ParsedFamily>, ParseError> {
    let mut parser = Parser::new(format);
    let mut last = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        last = index + 1;
        parser
            .line(line)
            .map_err(|reason| ParseError { line: last, reason })?;
    }
    if format == Format::OpenMetrics && !parser.ended {
        return Err(ParseError {
            line: last + 1,
            reason: LineError::new("no # EOF at the end"),
        });
    }
    Ok(parser.families)
}

struct Parser {
    format: Format,
    families: Vec<ParsedFamily>,
    names: HashSet<String>,
    /// The current family has its `# TYPE`.
    typed: bool,
    /// Series of the current family, with the timestamp of their last sample.
    series: HashMap<(String, Labels), Option<UnixMillis>>,
    ended: bool,
}

impl Parser {
    fn new(format: Format) -> Self {
        Self {
            format,
            families: Vec::new(),
            names: HashSet::new(),
            typed: false,
            series: HashMap::new(),
            ended: false,
        }
    }

    fn line(&mut self, line: &str) -> Result<(), LineError> {
        if self.ended {
            return Err(LineError::new("text after # EOF"));
        }
        let open = self.format == Format::OpenMetrics;
        let Some(line) = line
            .strip_suffix('\n')
            .or_else(|| (open && line == EOF).then_some(line))
        else {
            return Err(LineError::new("no line feed at the end"));
        };
        if open && line == EOF {
            self.ended = true;
            return Ok(());
        }
        let scanner = Scanner::new(line, self.format);
        match scanner.rest() {
            "" if open => Err(LineError::new("empty line")),
            "" => Ok(()),
            rest if rest.starts_with('#') => self.comment(scanner),
            _ => self.sample(scanner),
        }
    }

    fn comment(&mut self, mut line: Scanner<'_>) -> Result<(), LineError> {
        line.eat("#");
        let keyword = line.gap().map(|()| line.word()).unwrap_or_default();
        let open = self.format == Format::OpenMetrics;
        match keyword {
            "HELP" | "TYPE" => {}
            "UNIT" if open => {}
            _ if open => {
                return Err(LineError::new(
                    "a comment that is neither HELP, TYPE nor UNIT",
                ));
            }
            _ => return Ok(()),
        }
        line.gap()?;
        let name = line.word();
        if !is_metric_name(name) {
            return Err(LineError::new(format!("bad metric name: {name:?}")));
        }
        if !line.at_end() {
            line.gap()?;
        }
        let text = line.rest();
        let family = self.metadata_family(name)?;
        match keyword {
            "HELP" => once(&mut family.help, unescape(text, open)?, "HELP", name),
            "UNIT" => {
                if !text.is_empty() && !name.ends_with(&format!("_{text}")) {
                    return Err(LineError::new(format!(
                        "{name} does not end in its unit: {text}"
                    )));
                }
                once(&mut family.unit, text.to_owned(), "UNIT", name)
            }
            _ => self.set_kind(text, name),
        }
    }

    /// Returns the family that metadata for `name` belongs to, and starts it if needed.
    fn metadata_family(&mut self, name: &str) -> Result<&mut ParsedFamily, LineError> {
        if self
            .families
            .last()
            .is_none_or(|family| family.name != name)
        {
            self.start_family(name)?;
        }
        match self.families.last_mut() {
            Some(family) if family.samples.is_empty() => Ok(family),
            _ => Err(LineError::new(format!(
                "metadata after the samples of {name}"
            ))),
        }
    }

    fn start_family(&mut self, name: &str) -> Result<(), LineError> {
        if !self.names.insert(name.to_owned()) {
            return Err(LineError::new(format!("the family came before: {name}")));
        }
        self.series.clear();
        self.typed = false;
        self.families.push(ParsedFamily {
            name: name.to_owned(),
            kind: FamilyKind::Unknown,
            help: None,
            unit: None,
            samples: Vec::new(),
        });
        Ok(())
    }

    fn set_kind(&mut self, text: &str, name: &str) -> Result<(), LineError> {
        let kind = kind(text.trim_end(), self.format)
            .ok_or_else(|| LineError::new(format!("bad type: {text:?}")))?;
        if std::mem::replace(&mut self.typed, true) {
            return Err(LineError::new(format!("TYPE given twice: {name}")));
        }
        if let Some(family) = self.families.last_mut() {
            family.kind = kind;
        }
        Ok(())
    }

    fn sample(&mut self, mut line: Scanner<'_>) -> Result<(), LineError> {
        let name = line.metric_name()?;
        let labels = line.labels()?;
        line.gap()?;
        let value = line.value()?;
        let timestamp = optional_timestamp(&mut line)?;
        if self.format == Format::OpenMetrics && line.eat(" # ") {
            exemplar(&mut line)?;
        }
        if !line.at_end() {
            return Err(LineError::new(format!(
                "text after the value: {:?}",
                line.rest()
            )));
        }
        let current = self
            .families
            .last()
            .is_some_and(|family| family.contains(name, self.format));
        if !current {
            self.start_family(name)?;
        }
        self.check_series(name, &labels, timestamp)?;
        if let Some(family) = self.families.last_mut() {
            family.check_type_label(name, &labels)?;
            family.samples.push(Sample {
                name: name.to_owned(),
                labels,
                value,
                timestamp,
            });
        }
        Ok(())
    }

    /// Rejects a repeated series, unless it is OpenMetrics and has a later timestamp.
    fn check_series(
        &mut self,
        name: &str,
        labels: &Labels,
        at: Option<UnixMillis>,
    ) -> Result<(), LineError> {
        match self.series.insert((name.to_owned(), labels.clone()), at) {
            None => Ok(()),
            Some(previous)
                if self.format == Format::OpenMetrics && previous.is_some() && at > previous =>
            {
                Ok(())
            }
            Some(_) => Err(LineError::new(format!("series given twice: {name}"))),
        }
    }
}

const EOF: &str = "# EOF";

fn once(field: &mut Option<String>, text: String, what: &str, name: &str) -> Result<(), LineError> {
    match field.replace(text) {
        None => Ok(()),
        Some(_) => Err(LineError::new(format!("{what} given twice: {name}"))),
    }
}

fn optional_timestamp(line: &mut Scanner<'_>) -> Result<Option<UnixMillis>, LineError> {
    if line.at_end() || line.rest().starts_with(" # ") {
        return Ok(None);
    }
    line.gap()?;
    line.timestamp().map(Some)
}

/// Checks an exemplar and discards it.
pub(super) fn exemplar(line: &mut Scanner<'_>) -> Result<(), LineError> {
    if !line.rest().starts_with('{') {
        return Err(LineError::new("exemplar without labels"));
    }
    line.labels()?;
    line.gap()?;
    line.value()?;
    optional_timestamp(line).map(drop)
}

fn kind(text: &str, format: Format) -> Option<FamilyKind> {
    Some(match (text, format) {
        ("counter", _) => FamilyKind::Counter,
        ("gauge", _) => FamilyKind::Gauge,
        ("histogram", _) => FamilyKind::Histogram,
        ("summary", _) => FamilyKind::Summary,
        ("untyped", Format::Text) | ("unknown", Format::OpenMetrics) => FamilyKind::Unknown,
        ("info", Format::OpenMetrics) => FamilyKind::Info,
        ("stateset", Format::OpenMetrics) => FamilyKind::StateSet,
        ("gaugehistogram", Format::OpenMetrics) => FamilyKind::GaugeHistogram,
        _ => return None,
    })
}

impl ParsedFamily {
    /// Returns whether a sample with this name belongs to the family.
    fn contains(&self, name: &str, format: Format) -> bool {
        let Some(suffix) = name.strip_prefix(self.name.as_str()) else {
            return false;
        };
        let suffixes: &[&str] = match (self.kind, format) {
            (FamilyKind::Counter, Format::OpenMetrics) => &["_total", "_created"],
            (FamilyKind::Histogram, Format::Text) => &["_bucket", "_sum", "_count"],
            (FamilyKind::Histogram, _) => &["_bucket", "_sum", "_count", "_created"],
            (FamilyKind::Summary, Format::Text) => &["", "_sum", "_count"],
            (FamilyKind::Summary, _) => &["", "_sum", "_count", "_created"],
            (FamilyKind::GaugeHistogram, _) => &["_bucket", "_gsum", "_gcount"],
            (FamilyKind::Info, _) => &["_info"],
            _ => &[""],
        };
        suffixes.contains(&suffix)
    }

    /// Checks that buckets have a numeric `le`, and quantiles a numeric `quantile`.
    fn check_type_label(&self, name: &str, labels: &Labels) -> Result<(), LineError> {
        let label = match self.kind {
            FamilyKind::Histogram | FamilyKind::GaugeHistogram if name.ends_with("_bucket") => "le",
            FamilyKind::Summary if name == self.name => "quantile",
            _ => return Ok(()),
        };
        match labels.get(label).map(|value| number(value)) {
            Some(Some(_)) => Ok(()),
            Some(None) => Err(LineError::new(format!("{label} is not a number"))),
            None => Err(LineError::new(format!("{name} without {label}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> Result<Vec<ParsedFamily>, String> {
        parse(input, Format::Text).map_err(|error| error.to_string())
    }

    fn open(input: &str) -> Result<Vec<ParsedFamily>, String> {
        parse(input, Format::OpenMetrics).map_err(|error| error.to_string())
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn reads_loosely_spaced_text() {
        let input = "\n# just a comment\n#HELP ignored\n# HELP a A \\\\ \"q\"\\n.\n\t# TYPE a counter \n  a { x = \"1,}\\\"\" , y=\"\", }\t+1.5e3  -7 \nb NaN\n";
        let families = text(input).unwrap();
        assert_eq!(families.len(), 2);
        assert_eq!(families[0].kind, FamilyKind::Counter);
        assert_eq!(families[0].help.as_deref(), Some("A \\ \"q\"\n."));
        let sample = &families[0].samples[0];
        assert_eq!(sample.labels, labels(&[("x", "1,}\""), ("y", "")]));
        assert_eq!(
            (sample.value, sample.timestamp),
            (1500.0, Some(UnixMillis(-7)))
        );
        assert_eq!(families[1].kind, FamilyKind::Unknown);
        assert!(families[1].samples[0].value.is_nan());
    }

    #[test]
    fn reads_openmetrics() {
        let input = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds \\\"A\\\"\na_seconds_total{x=\"y\"} 2 1.5 # {trace=\"z\"} 0.5 3\na_seconds_created{x=\"y\"} 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1 # {} 2\nh_sum 1\nh_count 1\n# TYPE i info\ni_info{v=\"1\"} 1\nloose 1 1\nloose 2 2\n# EOF\n";
        let families = open(input).unwrap();
        let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["a_seconds", "h", "i", "loose"]);
        assert_eq!(families[0].unit.as_deref(), Some("seconds"));
        assert_eq!(families[0].help.as_deref(), Some("\"A\""));
        assert_eq!(families[0].samples[0].timestamp, Some(UnixMillis(1500)));
        assert_eq!(families[1].samples.len(), 3);
        assert_eq!(families[3].samples[1].value, 2.0);
        assert_eq!(open("# EOF"), Ok(vec![]));
    }

    #[test]
    fn rejects_broken_text() {
        for (input, message) in [
            ("a 1", "line 1: no line feed at the end"),
            ("\n9a 1\n", "line 2: bad metric name: \"9a\""),
            ("a\n", "line 1: expected a space before: \"\""),
            ("a x\n", "line 1: bad number: \"x\""),
            ("a 1 2.5\n", "line 1: bad timestamp: \"2.5\""),
            ("a 1 2 3\n", "line 1: text after the value: \" 3\""),
            ("a{b=\"c} 1\n", "line 1: label value without an end"),
            ("a{b=\"\\t\"} 1\n", "line 1: bad escape: \\t"),
            (
                "a{b} 1\n",
                "line 1: expected =\"value\" after the label name: b",
            ),
            ("a{b:c=\"\"} 1\n", "line 1: bad label name: \"b:c\""),
            (
                "a{b=\"1\" c=\"2\"} 1\n",
                "line 1: expected ',' or '}' before: \"c=\\\"2\\\"} 1\"",
            ),
            ("a{b=\"1\",b=\"2\"} 1\n", "line 1: label given twice: b"),
            ("a{,} 1\n", "line 1: bad label name: \",\""),
            ("# TYPE a gauges\n", "line 1: bad type: \"gauges\""),
            ("# TYPE a info\n", "line 1: bad type: \"info\""),
            (
                "# TYPE a gauge\n# TYPE a gauge\n",
                "line 2: TYPE given twice: a",
            ),
            ("# HELP a x\n# HELP a x\n", "line 2: HELP given twice: a"),
            (
                "a 1\n# TYPE a gauge\n",
                "line 2: metadata after the samples of a",
            ),
            (
                "a 1\nb 1\na{x=\"\"} 1\n",
                "line 3: the family came before: a",
            ),
            ("a 1\na 2\n", "line 2: series given twice: a"),
            (
                "# TYPE a histogram\na 1\n",
                "line 2: the family came before: a",
            ),
            (
                "# TYPE a histogram\na_bucket 1\n",
                "line 2: a_bucket without le",
            ),
            (
                "# TYPE a histogram\na_bucket{le=\"x\"} 1\n",
                "line 2: le is not a number",
            ),
            ("# TYPE a summary\na 1\n", "line 2: a without quantile"),
            ("a 1 # {} 1\n", "line 1: text after the value: \" # {} 1\""),
        ] {
            assert_eq!(text(input), Err(message.to_owned()), "{input:?}");
        }
    }

    #[test]
    fn rejects_broken_openmetrics() {
        for (input, message) in [
            ("", "line 1: no # EOF at the end"),
            ("a 1\n", "line 2: no # EOF at the end"),
            ("# EOF\na 1\n", "line 2: text after # EOF"),
            ("\n# EOF\n", "line 1: empty line"),
            (
                "# free text\n# EOF\n",
                "line 1: a comment that is neither HELP, TYPE nor UNIT",
            ),
            ("a  1\n# EOF\n", "line 1: bad number: \"\""),
            ("a 1 \n# EOF\n", "line 1: bad timestamp: \"\""),
            ("a{b=\"\",} 1\n# EOF\n", "line 1: bad label name: \"\""),
            ("# TYPE a untyped\n# EOF\n", "line 1: bad type: \"untyped\""),
            (
                "# TYPE a counter\na 1\n# EOF\n",
                "line 2: the family came before: a",
            ),
            (
                "# UNIT a seconds\n# EOF\n",
                "line 1: a does not end in its unit: seconds",
            ),
            ("a 1 2\na 1 2\n# EOF\n", "line 2: series given twice: a"),
            ("a 1 2\na 1\n# EOF\n", "line 2: series given twice: a"),
            ("a 1 # 1\n# EOF\n", "line 1: exemplar without labels"),
        ] {
            assert_eq!(open(input), Err(message.to_owned()), "{input:?}");
        }
    }

    #[test]
    fn numbers_as_go_reads_them() {
        for (word, value) in [
            ("1", 1.0),
            ("+.5", 0.5),
            ("-1.", -1.0),
            ("1E3", 1000.0),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
        ] {
            assert_eq!(number(word), Some(value), "{word}");
        }
        for word in ["", "+", "-", ".", "e5", "0x1", "1_0", "info", "++1"] {
            assert_eq!(number(word), None, "{word}");
        }
    }
}
