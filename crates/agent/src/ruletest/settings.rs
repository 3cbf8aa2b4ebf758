//! The format of test files: promtool's keys with extensions.
//!
//! Owns the keys, their defaults and their documentation.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Literal, Node, Shape, SourceLocation, Spanned, Value,
    format_duration, json_schema, section,
};
use serde::{Serialize, Serializer};

use super::extensions::{ExpectedMessage, Step};
use super::series;
use super::series_notation::{NotationError, Values};

section! {
    /// Test file. Its keys are those of `promtool test rules`; expected notifications and steps are
    /// extensions.
    pub struct Suite {
        /// Rules under test, relative to this file, with `*` and `?`: Bellwether configurations,
        /// files with only a list of rules, Prometheus rule files. The metrics are those of the
        /// configuration, else those of the shipped one.
        pub rule_files: Items<Spanned<Literal>> = Items::default(),
        /// Interval of rules that query history; rules over collected metrics are evaluated at each
        /// collection.
        pub evaluation_interval: Spanned<Elapsed> = Spanned::nowhere(Elapsed::MINUTE),
        /// Groups of Prometheus rule files that are evaluated first, in this order.
        pub group_eval_order: Items<Spanned<Literal>> = Items::default(),
        /// Ignores the last bit when numbers are compared.
        pub fuzzy_compare: bool = false,
        /// Values of `${NAME}` in configurations; the environment of the process is ignored.
        pub environment: BTreeMap<String, Literal> = BTreeMap::new(),
        /// The tests.
        pub tests: Items<Spanned<Case>> = Items::default(),
    }
}

section! {
    /// One test: input series and expectations.
    pub struct Case {
        /// Name of the test.
        pub name: Option<Literal>,
        /// Time between two values of a series, and between two collections. Default:
        /// `evaluation_interval`.
        pub interval: Option<Spanned<Elapsed>>,
        /// Input series.
        pub input_series: Items<SeriesSettings> = Items::default(),
        /// Expected firing alerts.
        pub alert_rule_test: Items<Spanned<AlertTest>> = Items::default(),
        /// Expected results of queries.
        pub promql_expr_test: Items<Spanned<QueryTest>> = Items::default(),
        /// `$externalLabels` of templates.
        pub external_labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// `$externalURL` of templates.
        pub external_url: Option<Literal>,
        /// Actions during the test, beside the values of its series.
        pub steps: Items<Spanned<Step>> = Items::default(),
        /// Expected notifications; each is a message to one channel.
        pub exp_notifications: Option<Items<Spanned<ExpectedMessage>>>,
        /// Fails the test for any other notification.
        pub exp_notifications_exact: bool = true,
        /// Minimum duration of the test. Default: until the last expectation.
        pub until: Option<Spanned<Elapsed>>,
        /// Start time of the test: `2026-11-01T10:00:00Z`, or Unix seconds.
        pub start_timestamp: Timestamp = Timestamp::default(),
    }
}

section! {
    /// Input series. One with the configured or exported name of a metric is collected as that
    /// metric; history has all of them.
    pub struct SeriesSettings {
        /// Name and labels: `queue_length{queue_name="mail"}`.
        pub series: Spanned<Series>,
        /// Values: `1 2 3`, `0+5x10`, `7x3`, `_` and `_x3` for no sample, `stale` for a staleness
        /// marker.
        pub values: Values,
    }
}

section! {
    /// Expected firing alerts of one name at one time.
    pub struct AlertTest {
        /// Time of the evaluation. Default: the start.
        pub eval_time: Spanned<Elapsed> = Spanned::nowhere(Elapsed::default()),
        /// Name of the alerts.
        pub alertname: Spanned<Literal>,
        /// All firing alerts of this name; empty if none fires.
        pub exp_alerts: Items<Spanned<ExpectedAlert>> = Items::default(),
    }
}

section! {
    /// Firing alert.
    pub struct ExpectedAlert {
        /// All labels. `alertname` may be omitted, and `severity` if the rule does not set it.
        pub exp_labels: Option<BTreeMap<String, Literal>>,
        /// All annotations.
        pub exp_annotations: Option<BTreeMap<String, Literal>>,
        /// Message; any if absent.
        pub exp_message: Option<Literal>,
    }
}

section! {
    /// Expected result of a query at one time.
    pub struct QueryTest {
        /// PromQL query.
        pub expr: Spanned<Literal>,
        /// Time of the query. Default: the start.
        pub eval_time: Spanned<Elapsed> = Spanned::nowhere(Elapsed::default()),
        /// All series of the result; empty if there are none.
        pub exp_samples: Items<ExpectedSample> = Items::default(),
    }
}

section! {
    /// Series of a result.
    pub struct ExpectedSample {
        /// Name and labels: `up{job="x"}`, `{}`.
        pub labels: Series = Series::default(),
        /// Value of the sample.
        pub value: Option<Number>,
        /// Native histograms cannot be tested.
        pub histogram: Option<Unsupported>,
    }
}

/// A list, which may also be left empty: `exp_alerts:`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Items<T>(pub Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Items<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Decode> Decode for Items<T> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(Self::default()),
            _ => Vec::decode(node, cx).map(Self),
        }
    }

    fn shape() -> Shape {
        Vec::<T>::shape()
    }
}

/// Name and labels of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series(pub LabelSet);

impl Decode for Series {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        noted(node, cx, "a series such as up{job=\"x\"}", series::parse).map(Self)
    }

    fn shape() -> Shape {
        Shape::Word("series", json_schema::any)
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Decode for Values {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(Self::default()),
            _ => noted(node, cx, "values of a series", Values::parse),
        }
    }

    fn shape() -> Shape {
        Shape::Word("values", json_schema::any)
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} values", self.len()))
    }
}

/// Applies `read` to a text; a syntax error is reported with its position.
fn noted<T>(
    node: &Node,
    cx: &mut DecodeContext<'_>,
    expected: &str,
    read: impl FnOnce(&str) -> Result<T, NotationError>,
) -> Option<T> {
    let Value::Scalar(text) = &node.value else {
        cx.error(
            node.pos,
            format!("expected {expected}, found {}", node.form()),
        );
        return None;
    };
    match read(text) {
        Ok(value) => Some(value),
        Err(NotationError { at, message, hint }) => {
            let character = text[..at].chars().count() + 1;
            cx.error(node.pos, format!("character {character}: {message}"))
                .hint(hint);
            None
        }
    }
}

/// A time of a test, as promtool writes it: `90s`, `1h30m`, `1y`; a number alone is seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elapsed(pub Duration);

impl Elapsed {
    /// One minute.
    pub const MINUTE: Self = Self(Duration::from_secs(60));

    /// Longer than any other duration of ours: promtool's tests may take 292 years.
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 7] = [
            ("y", 365 * 86_400_000),
            ("w", 7 * 86_400_000),
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ];
        const LONGEST: u64 = 292 * 365 * 86_400_000 + 86_400_000 * 365;
        if let Ok(seconds) = text.parse::<f64>() {
            let fits = (0.0..=(LONGEST / 1000) as f64).contains(&seconds);
            return fits.then(|| Self(Duration::from_secs_f64(seconds)));
        }
        let (mut total, mut rest, mut units) = (0_u64, text, &UNITS[..]);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let end = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let index = units.iter().position(|(unit, _)| *unit == &rest[..end])?;
            total = total.checked_add(number.checked_mul(units[index].1)?)?;
            (rest, units) = (&rest[end..], &units[index + 1..]);
        }
        (!text.is_empty() && total <= LONGEST).then_some(Self(Duration::from_millis(total)))
    }
}

impl Decode for Elapsed {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(
            node,
            "a time such as 30s, 5m, 1h30m or 7d, not negative",
            Self::parse,
        )
    }

    fn shape() -> Shape {
        Shape::Word("duration", json_schema::any)
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&format_duration(self.0))
    }
}

impl Serialize for Elapsed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Number that may be infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl Decode for Number {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(node, "a number", number)
    }

    fn shape() -> Shape {
        Shape::Word("number", json_schema::any)
    }
}

fn number(text: &str) -> Option<Number> {
    let plain = text.replacen(
        '.',
        "",
        usize::from(text.ends_with("inf") || text == ".nan"),
    );
    plain.parse().ok().map(Number)
}

/// Keys of promtool that are not supported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsupported;

impl Decode for Unsupported {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.error(node.pos, "native histograms cannot be tested")
            .hint("ask for a number of it, or take a classic one");
        None
    }

    fn shape() -> Shape {
        Shape::Word("-", json_schema::any)
    }
}

/// A moment of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timestamp(pub UnixMillis);

impl Timestamp {
    fn parse(text: &str) -> Option<Self> {
        /// The year 9999: what is later cannot be shown.
        const LATEST: f64 = 253_370_764_800.0;
        if let Ok(seconds) = text.parse::<f64>() {
            let fits = (0.0..=LATEST).contains(&seconds);
            return fits.then(|| Self(UnixMillis((seconds * 1000.0).round() as i64)));
        }
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Self(UnixMillis(at.as_millisecond())))
    }
}

impl Decode for Timestamp {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(
            node,
            "a time such as 2026-11-01T10:00:00Z, or Unix seconds",
            Self::parse,
        )
    }

    fn shape() -> Shape {
        Shape::Word("time", json_schema::any)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.0 as f64 / 1000.0)
    }
}

/// Maximum number of collections and of evaluations of one test.
const MAX_TICKS: u128 = 1_000_000;
/// Maximum number of input values of one test.
const MAX_VALUES: u128 = 50_000_000;

/// Reports problems that decoding cannot detect.
pub(super) fn check(suite: &Suite, problems: &mut Diagnostics) {
    let evaluation = &suite.evaluation_interval;
    positive(evaluation, problems);
    if suite.tests.is_empty() {
        problems
            .error(&SourceLocation::default(), "no tests")
            .hint("tests: [{interval: 1m, input_series: ...}]");
    }
    let mut groups = BTreeMap::new();
    for group in suite.group_eval_order.iter() {
        once(
            &mut groups,
            &group.value.0,
            &group.at,
            "the group",
            problems,
        );
    }
    for case in suite.tests.iter() {
        case.steps
            .iter()
            .for_each(|step| step.value.check(&step.at, problems));
        let interval = case.interval.as_ref().unwrap_or(evaluation);
        if interval.at != evaluation.at {
            positive(interval, problems);
        }
        let mut series = BTreeMap::new();
        for input in case.input_series.iter() {
            let name = input.series.value.0.to_string();
            once(&mut series, &name, &input.series.at, "the series", problems);
        }
        let shortest = interval.value.min(evaluation.value).0.as_millis().max(1);
        let values = case
            .input_series
            .iter()
            .map(|input| u128::from(input.values.len()));
        for at in case.times() {
            let ticks = at.value.0.as_millis() / shortest;
            let total = values.clone().map(|count| count.min(ticks)).sum::<u128>();
            if ticks > MAX_TICKS || total > MAX_VALUES {
                let what = if ticks > MAX_TICKS {
                    "evaluations"
                } else {
                    "values"
                };
                let (count, most) = if ticks > MAX_TICKS {
                    (ticks, MAX_TICKS)
                } else {
                    (total, MAX_VALUES)
                };
                problems
                    .error(&at.at, format!("{count} {what} until then, {most} at most"))
                    .hint("longer intervals, or an earlier time");
                break;
            }
        }
    }
}

fn positive(span: &Spanned<Elapsed>, problems: &mut Diagnostics) {
    if span.value.0.as_millis() == 0 {
        problems
            .error(&span.at, "an interval of no length")
            .hint("1m is usual");
    }
}

fn once(
    seen: &mut BTreeMap<String, SourceLocation>,
    name: &str,
    at: &SourceLocation,
    what: &str,
    problems: &mut Diagnostics,
) {
    match seen.get(name) {
        Some(first) => {
            let line = first.pos.line;
            problems
                .error(at, format!("{what} {name} is given twice"))
                .hint(format!("the first is on line {line}"));
        }
        None => drop(seen.insert(name.to_owned(), at.clone())),
    }
}

impl Case {
    /// Returns all times of expectations.
    pub(super) fn times(&self) -> impl Iterator<Item = &Spanned<Elapsed>> {
        let alerts = self
            .alert_rule_test
            .iter()
            .map(|test| &test.value.eval_time);
        let queries = self
            .promql_expr_test
            .iter()
            .map(|test| &test.value.eval_time);
        let messages = self
            .exp_notifications
            .iter()
            .flat_map(|list| list.iter())
            .map(|message| &message.value.at);
        let steps = self.steps.iter().map(|step| &step.value.at);
        alerts
            .chain(queries)
            .chain(messages)
            .chain(steps)
            .chain(&self.until)
    }
}
