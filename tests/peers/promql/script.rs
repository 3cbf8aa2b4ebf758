//! The language of Prometheus's test scripts (promql/promqltest/README.md): commands, series and
//! their values.

use bellwether_core::{LabelSet, METRIC_NAME};
use bellwether_schema::parse_duration;
use regex::Regex;

/// A sample of a series in a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// None.
    Missing,
    /// A float.
    Float(f64),
    /// The end of the series.
    Stale,
    /// A native histogram.
    Histogram,
}

/// A series with its values.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: LabelSet,
    /// True if these are the start times of its samples (`name@st`).
    pub start_times: bool,
    pub points: Vec<Point>,
}

/// Time or range of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// Expected result of a query.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub fail: bool,
    pub fail_texts: Vec<Text>,
    pub warn: Noted,
    pub info: Noted,
    pub ordered: bool,
    pub string: Option<String>,
    /// Times of a range vector: start and step.
    pub times: Option<(i64, i64)>,
    pub scalar: Option<f64>,
    pub series: Vec<Series>,
}

/// A text that must occur: exact, or a regular expression.
#[derive(Clone, Debug)]
pub enum Text {
    Exact(String),
    Regex(Regex),
}

/// Expected warnings or infos.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    pub none: bool,
    pub some: bool,
    /// Each must occur, and no other.
    pub texts: Vec<Text>,
}

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    Clear,
    Load {
        step: i64,
        series: Vec<Series>,
        native_too: bool,
    },
    Eval {
        line: usize,
        when: When,
        query: String,
        expected: Box<Expected>,
    },
}

/// Reads a script.
pub fn read(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let body = || {
            lines[at + 1..]
                .iter()
                .take_while(|line| !line.is_empty())
                .copied()
        };
        let word = line.split_whitespace().next().unwrap_or_default();
        at += match word {
            "" => 1,
            "clear" => {
                commands.push(Command::Clear);
                1
            }
            "load" | "load_with_nhcb" => {
                let step = time(line.split_whitespace().nth(1).expect("a step"));
                let series: Vec<Series> = body().map(series).collect();
                let taken = series.len() + 1;
                commands.push(Command::Load {
                    step,
                    series,
                    native_too: word != "load",
                });
                taken
            }
            word if word.starts_with("eval") => {
                let (when, query) = question(line);
                let mut expected = Expected {
                    fail: word == "eval_fail",
                    ordered: word == "eval_ordered",
                    ..Expected::default()
                };
                let body: Vec<&str> = body().collect();
                body.iter().for_each(|line| expect(&mut expected, line));
                let expected = Box::new(expected);
                commands.push(Command::Eval {
                    line: at + 1,
                    when,
                    query,
                    expected,
                });
                body.len() + 1
            }
            other => panic!("line {}: unknown command {other:?}", at + 1),
        };
    }
    commands
}

/// `eval instant at 5m QUERY`, `eval range from 0 to 5m step 1m QUERY`.
fn question(line: &str) -> (When, String) {
    let mut rest = line;
    let mut next = || {
        let (word, after) = rest
            .trim_start()
            .split_once(char::is_whitespace)
            .unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    next();
    let when = if next() == "instant" {
        next();
        When::Instant(time(next()))
    } else {
        let mut number = || {
            next();
            time(next())
        };
        When::Range {
            start: number(),
            end: number(),
            step: number(),
        }
    };
    (when, rest.to_owned())
}

fn expect(expected: &mut Expected, line: &str) {
    let Some(rest) = line.strip_prefix("expect ") else {
        match float(line) {
            Some(number) => expected.scalar = Some(number),
            None => expected.series.push(series(line)),
        }
        return;
    };
    let (kind, text) = rest.split_once(' ').unwrap_or((rest, ""));
    match kind {
        "fail" => {
            expected.fail = true;
            expected.fail_texts.extend(Text::read(text));
        }
        "warn" => expected.warn.expect(text),
        "no_warn" => expected.warn.none = true,
        "info" => expected.info.expect(text),
        "no_info" => expected.info.none = true,
        "ordered" => expected.ordered = true,
        "string" => expected.string = Some(unquoted(text)),
        "range" => {
            let words: Vec<&str> = text.split_whitespace().collect();
            expected.times = Some((time(words[2]), time(words[6])));
        }
        other => panic!("unknown expectation {other:?}"),
    }
}

impl Text {
    /// `msg: TEXT` or `regex: TEXT`.
    fn read(text: &str) -> Option<Self> {
        let Some(regex) = text.strip_prefix("regex:") else {
            let text = text.strip_prefix("msg:")?.trim();
            let quoted = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'));
            return Some(Self::Exact(quoted.unwrap_or(text).to_owned()));
        };
        let regex = regex.trim().trim_matches('"');
        Some(Self::Regex(
            Regex::new(regex).expect("a regular expression"),
        ))
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl Noted {
    fn expect(&mut self, text: &str) {
        self.some = true;
        self.texts.extend(Text::read(text));
    }

    /// Returns whether `notes` are the expected ones.
    pub fn fits(&self, notes: &[String]) -> bool {
        let met = |text: &Text| notes.iter().any(|note| text.fits(note));
        let meant = |note: &String| self.texts.iter().any(|text| text.fits(note));
        !(self.none && !notes.is_empty() || self.some && notes.is_empty())
            && self.texts.iter().all(met)
            && (self.texts.is_empty() || notes.iter().all(meant))
    }
}

impl Expected {
    /// The text among those of the failure that `error` is not.
    pub fn unlike(&self, error: &str) -> Option<&Text> {
        self.fail_texts.iter().find(|text| !text.fits(error))
    }
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('`') {
        Some(raw) => raw.trim_end_matches('`').to_owned(),
        None => serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned()),
    }
}

/// Milliseconds; a number without a unit is seconds.
fn time(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let span = parse_duration(text).unwrap_or_else(|| panic!("no time: {text}"));
    sign * span.as_millis() as i64
}

/// A number as Go reads it.
fn float(text: &str) -> Option<f64> {
    match text.trim_start_matches('+') {
        "Inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        number => number
            .parse()
            .ok()
            .filter(|_| number.starts_with(|c: char| c.is_ascii_digit() || "-.".contains(c))),
    }
}

/// `name{label="value"} 1 2+1x3 _ stale`.
fn series(line: &str) -> Series {
    let (labels, rest) = labels(line);
    let mut points = Vec::new();
    let start_times = rest.starts_with('@');
    let mut rest = if start_times { "" } else { rest.trim() };
    while !rest.is_empty() {
        let end = match rest.starts_with("{{") {
            true => {
                let close = rest.find("}}").expect("an end of the histogram") + 2;
                close
                    + rest[close..]
                        .find(|c: char| c.is_whitespace())
                        .unwrap_or(rest.len() - close)
            }
            false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        // `{{...}}+{{...}}x5` is one word.
        let mut end = end;
        while rest[..end].ends_with("+")
            || rest[..end].matches("{{").count() > rest[..end].matches("}}").count()
        {
            let close = end + rest[end..].find("}}").expect("an end of the histogram") + 2;
            end = close
                + rest[close..]
                    .find(char::is_whitespace)
                    .unwrap_or(rest.len() - close);
        }
        expand(&rest[..end], &mut points);
        rest = rest[end..].trim_start();
    }
    Series {
        labels,
        start_times,
        points,
    }
}

fn expand(word: &str, points: &mut Vec<Point>) {
    if word.starts_with("{{") {
        let times = word
            .rsplit_once("}}x")
            .and_then(|(_, times)| times.parse::<usize>().ok());
        points.extend(vec![Point::Histogram; times.map_or(1, |times| times + 1)]);
        return;
    }
    if word == "stale" {
        points.push(Point::Stale);
        return;
    }
    let (value, times) = match word.rsplit_once('x') {
        Some((value, times)) if times.parse::<usize>().is_ok() => (value, times.parse().ok()),
        _ => (word, None),
    };
    if value == "_" {
        points.extend(vec![Point::Missing; times.unwrap_or(1)]);
        return;
    }
    if value == "stale" {
        points.extend(vec![
            Point::Stale;
            times.map_or(1, |times: usize| times + 1)
        ]);
        return;
    }
    let (start, step) = progression(value);
    let count = times.map_or(1, |times: usize| times + 1);
    let mut value = start;
    for _ in 0..count {
        points.push(Point::Float(value));
        value += step;
    }
}

/// `1+2` is 1, 3, 5; `1-2` is 1, -1, -3.
fn progression(text: &str) -> (f64, f64) {
    if let Some(number) = float(text) {
        return (number, 0.0);
    }
    let signs = text
        .char_indices()
        .skip(1)
        .filter(|(at, c)| "+-".contains(*c) && !text[..*at].ends_with(['e', 'E']));
    for (at, sign) in signs {
        if let (Some(start), Some(step)) = (float(&text[..at]), float(&text[at + 1..])) {
            return (start, if sign == '-' { -step } else { step });
        }
    }
    panic!("no value: {text:?}")
}

/// The labels in front of a line, and what follows them.
fn labels(line: &str) -> (LabelSet, &str) {
    let end = line
        .find(|c: char| "{@".contains(c) || c.is_whitespace())
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let mut pairs = vec![(METRIC_NAME.to_owned(), name.to_owned())];
    let Some(mut rest) = rest.strip_prefix('{') else {
        return (LabelSet::new(pairs), rest);
    };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = rest.strip_prefix('}') {
            return (LabelSet::new(pairs), after);
        }
        let (name, after) = match rest.starts_with('"') {
            true => quoted(rest),
            false => {
                let end = rest.find(['=', ' ', '}', ',']).expect("a label");
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        let after = after.trim_start();
        match after.strip_prefix('=') {
            Some(value) => {
                let (value, after) = quoted(value.trim_start());
                pairs.push((name, value));
                rest = after;
            }
            // A quoted name of the series.
            None => {
                pairs.push((METRIC_NAME.to_owned(), name));
                rest = after;
            }
        }
    }
}

/// A quoted text in front, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let quote = text.chars().next().expect("a quote");
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return (value, &text[at + 1..]),
            '\\' if quote != '`' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'x')) => {
                    let digits: String = (0..2)
                        .filter_map(|_| chars.next())
                        .map(|(_, c)| c)
                        .collect();
                    let byte = u8::from_str_radix(&digits, 16).expect("hexadecimal");
                    value.push(char::from(byte));
                }
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("a quote without an end: {text:?}")
}
