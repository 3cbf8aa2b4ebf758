//! Text of a response, written straight from the result, chunk by chunk.
//!
//! Owns the JSON of Prometheus's responses. Never builds a tree of JSON values of a result.

use std::sync::Arc;
use std::vec::IntoIter;

use bellwether_core::LabelSet;
use bellwether_promql::{Answer, Guard, Sample, SampledSeries, Value};

use super::number::{push_plain, push_time, push_value};
use crate::net::body::Chunks;

/// Minimum size of a chunk in bytes.
const PIECE: usize = 64 * 1024;
/// Samples of one series between two checks of the chunk's size.
const SAMPLES_PER_RUN: usize = 1024;
/// Size below which a response is written at once, in bytes.
const SMALL: usize = 64 * 1024;

/// Response that is serialized in chunks.
pub(crate) struct Text {
    before: Vec<u8>,
    parts: Parts,
    /// Separator before the next part.
    separator: &'static [u8],
    after: Vec<u8>,
    done: bool,
    /// Charged for the result until it is sent.
    guard: Option<Arc<Guard>>,
}

enum Parts {
    /// Everything is in `before`.
    None,
    Vector(IntoIter<Sample>),
    Matrix {
        series: IntoIter<SampledSeries>,
        current: Option<(SampledSeries, usize)>,
    },
    Labels(IntoIter<LabelSet>),
    Texts(IntoIter<String>),
}

/// Warnings and infos of a response; left out if they are empty.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl Text {
    /// Response to a query.
    pub(super) fn answer(answer: Answer) -> Self {
        let notes = Notes {
            warnings: answer.warnings,
            infos: answer.infos,
        };
        let of = |kind: &str, parts| Self::new(&result_type(kind), parts, "]}", &notes);
        match answer.value {
            Value::Vector(samples) => of("vector", Parts::Vector(samples.into_iter())),
            Value::Matrix(series) => of(
                "matrix",
                Parts::Matrix {
                    series: series.into_iter(),
                    current: None,
                },
            ),
            Value::Scalar { at, value } => {
                let mut text = of("scalar", Parts::None);
                push_time(&mut text.before, at.0);
                text.before.extend_from_slice(b",\"");
                push_plain(&mut text.before, value);
                text.before.push(b'"');
                text
            }
            Value::String { at, text: value } => {
                let mut text = of("string", Parts::None);
                push_time(&mut text.before, at.0);
                text.before.push(b',');
                push_string(&mut text.before, &value);
                text
            }
        }
    }

    /// Adds the statistics of the query, if there are some.
    pub(super) fn with_stats(mut self, stats: Option<serde_json::Value>) -> Self {
        if let Some(stats) = stats {
            // Behind the result, within `data`.
            self.after
                .splice(..2, format!("],\"stats\":{stats}}}").into_bytes());
        }
        self
    }

    /// Response of a list of series.
    pub(super) fn series(series: Vec<LabelSet>, notes: &Notes) -> Self {
        Self::new("[", Parts::Labels(series.into_iter()), "]", notes)
    }

    /// Response of a list of texts.
    pub(super) fn texts(texts: Vec<String>, notes: &Notes) -> Self {
        Self::new("[", Parts::Texts(texts.into_iter()), "]", notes)
    }

    fn new(opening: &str, parts: Parts, closing: &str, notes: &Notes) -> Self {
        let before = format!("{{\"status\":\"success\",\"data\":{opening}").into_bytes();
        let mut after = closing.as_bytes().to_vec();
        for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
            if !texts.is_empty() {
                after.extend_from_slice(format!(",\"{name}\":").as_bytes());
                let mut opening = b'[';
                for text in texts {
                    after.push(std::mem::replace(&mut opening, b','));
                    push_string(&mut after, text);
                }
                after.push(b']');
            }
        }
        after.push(b'}');
        Self {
            before,
            parts,
            separator: b"",
            after,
            done: false,
            guard: None,
        }
    }

    /// Keeps `guard` charged until everything is sent.
    pub(crate) fn charged_to(self, guard: Arc<Guard>) -> Self {
        Self {
            guard: Some(guard),
            ..self
        }
    }

    /// Returns true if it is certainly shorter than [`SMALL`].
    pub(super) fn is_small(&self) -> bool {
        let labels = |labels: &LabelSet| labels.packed().len() * 2;
        let length: usize = match &self.parts {
            Parts::None => 0,
            Parts::Vector(samples) => samples
                .as_slice()
                .iter()
                .map(|sample| labels(&sample.labels) + 64)
                .sum(),
            Parts::Matrix { series, .. } => {
                let length =
                    |series: &SampledSeries| labels(&series.labels) + series.times.len() * 40;
                series.as_slice().iter().map(length).sum()
            }
            Parts::Labels(series) => series.as_slice().iter().map(labels).sum(),
            Parts::Texts(texts) => texts.as_slice().iter().map(String::len).sum(),
        };
        length < SMALL
    }

    /// Serializes all of it.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.next_chunk(&mut out) {}
        out
    }

    /// Writes the next part, or a run of samples of it; false where there is none.
    fn write_part(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.parts {
            Parts::None => return false,
            Parts::Matrix {
                current: current @ Some(_),
                ..
            } => {
                if let Some((series, from)) = current
                    && !write_samples(out, series, from)
                {
                    *current = None;
                }
                return true;
            }
            Parts::Matrix { series, current } => {
                let Some(next) = series.next() else {
                    return false;
                };
                out.extend_from_slice(self.separator);
                out.extend_from_slice(b"{\"metric\":");
                push_labels(out, &next.labels);
                out.extend_from_slice(b",\"values\":[");
                *current = Some((next, 0));
            }
            Parts::Vector(samples) => {
                let Some(sample) = samples.next() else {
                    return false;
                };
                out.extend_from_slice(self.separator);
                out.extend_from_slice(b"{\"metric\":");
                push_labels(out, &sample.labels);
                out.extend_from_slice(b",\"value\":");
                push_sample(out, sample.at.0, sample.value);
                out.push(b'}');
            }
            Parts::Labels(series) => {
                let Some(labels) = series.next() else {
                    return false;
                };
                out.extend_from_slice(self.separator);
                push_labels(out, &labels);
            }
            Parts::Texts(texts) => {
                let Some(text) = texts.next() else {
                    return false;
                };
                out.extend_from_slice(self.separator);
                push_string(out, &text);
            }
        }
        self.separator = b",";
        true
    }
}

impl Chunks for Text {
    fn next_chunk(&mut self, out: &mut Vec<u8>) -> bool {
        if self.done {
            return false;
        }
        let end = out.len() + PIECE;
        out.append(&mut self.before);
        while out.len() < end {
            if !self.write_part(out) {
                out.append(&mut self.after);
                self.done = true;
                self.guard = None;
                break;
            }
        }
        true
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn result_type(kind: &str) -> String {
    format!("{{\"resultType\":\"{kind}\",\"result\":[")
}

/// Writes a run of samples and moves `from` on; false once all are written.
fn write_samples(out: &mut Vec<u8>, series: &SampledSeries, from: &mut usize) -> bool {
    let end = (*from + SAMPLES_PER_RUN).min(series.times.len());
    for index in *from..end {
        if index > 0 {
            out.push(b',');
        }
        push_sample(out, series.times[index], series.values[index]);
    }
    *from = end;
    let more = end < series.times.len();
    if !more {
        out.extend_from_slice(b"]}");
    }
    more
}

fn push_sample(out: &mut Vec<u8>, at: i64, value: f64) {
    out.push(b'[');
    push_time(out, at);
    out.extend_from_slice(b",\"");
    push_value(out, value);
    out.extend_from_slice(b"\"]");
}

fn push_labels(out: &mut Vec<u8>, labels: &LabelSet) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, name);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::new(pairs.iter().copied())
    }

    fn text(value: Value) -> String {
        let answer = Answer {
            value,
            warnings: Vec::new(),
            infos: Vec::new(),
        };
        String::from_utf8(Text::answer(answer).into_bytes()).unwrap()
    }

    #[test]
    fn the_forms_of_prometheus() {
        let at = UnixMillis(1_435_781_430_781);
        let up = labels(&[("__name__", "up"), ("path", "a\\b \"c\"\n\u{1}é")]);
        assert_eq!(
            text(Value::Vector(vec![
                Sample {
                    labels: up.clone(),
                    at,
                    value: 1.0
                },
                Sample {
                    labels: LabelSet::default(),
                    at,
                    value: f64::NAN
                },
            ])),
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","path":"a\\b \"c\"\n\u0001é"},"value":[1435781430.781,"1"]},{"metric":{},"value":[1435781430.781,"NaN"]}]}}"#
        );
        assert_eq!(
            text(Value::Scalar { at, value: 1e-10 }),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1435781430.781,"0.0000000001"]}}"#
        );
        assert_eq!(
            text(Value::String {
                at: UnixMillis(0),
                text: "a\"b".into()
            }),
            r#"{"status":"success","data":{"resultType":"string","result":[0,"a\"b"]}}"#
        );
        let matrix = vec![
            SampledSeries {
                labels: up,
                times: vec![1000, 2500],
                values: vec![1.5, f64::INFINITY],
            },
            SampledSeries {
                labels: LabelSet::default(),
                times: vec![0],
                values: vec![1e-9],
            },
        ];
        assert_eq!(
            text(Value::Matrix(matrix)),
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","path":"a\\b \"c\"\n\u0001é"},"values":[[1,"1.5"],[2.500,"+Inf"]]},{"metric":{},"values":[[0,"1e-09"]]}]}}"#
        );
        assert_eq!(
            text(Value::Matrix(Vec::new())),
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#
        );
    }

    #[test]
    fn lists_and_notes() {
        let notes = Notes {
            warnings: vec!["a\"".into(), "b".into()],
            infos: vec!["c".into()],
        };
        let json = |text: Text| String::from_utf8(text.into_bytes()).unwrap();
        assert_eq!(
            json(Text::texts(vec!["x".into(), "y".into()], &notes)),
            r#"{"status":"success","data":["x","y"],"warnings":["a\"","b"],"infos":["c"]}"#
        );
        assert_eq!(
            json(Text::series(vec![labels(&[("a", "1")])], &Notes::default())),
            r#"{"status":"success","data":[{"a":"1"}]}"#
        );
    }

    #[test]
    fn a_long_answer_comes_in_pieces_of_bounded_size() {
        let series: Vec<SampledSeries> = (0..20)
            .map(|index| SampledSeries {
                labels: labels(&[("n", &index.to_string())]),
                times: (0..20_000).map(|time| time * 1000).collect(),
                values: vec![0.125; 20_000],
            })
            .collect();
        let answer = |series| Answer {
            value: Value::Matrix(series),
            warnings: Vec::new(),
            infos: Vec::new(),
        };
        let mut text = Text::answer(answer(series.clone()));
        assert!(!text.is_small());
        let (mut all, mut pieces) = (Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            if !text.next_chunk(&mut piece) {
                break;
            }
            assert!(piece.len() < 2 * PIECE, "{}", piece.len());
            all.extend(piece);
            pieces += 1;
        }
        assert!(pieces > 50, "{pieces}");
        let read: serde_json::Value = serde_json::from_slice(&all).unwrap();
        let result = read["data"]["result"].as_array().unwrap();
        assert_eq!(result.len(), 20);
        assert_eq!(result[19]["values"].as_array().unwrap().len(), 20_000);
        assert_eq!(all, Text::answer(answer(series)).into_bytes());
    }
}
