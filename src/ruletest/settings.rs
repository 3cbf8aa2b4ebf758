//! A file of rule tests as it is written: promtool's keys, and those that only Bellwether has.
//!
//! Owns the keys, their defaults and their documentation.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Literal, Node, Shape, SourceLocation, Spanned, Value,
    format_duration, section,
};
use serde::{Serialize, Serializer};

use super::beyond::{ExpectedMessage, Step};
use super::notation::{Fault, Values};
use super::series;

section! {
    /// A file of rule tests. Its keys are those of `promtool test rules`; those of an expected
    /// notification and of a step are Bellwether's own.
    pub struct Suite {
        /// The rules under test, relative to this file, `*` and `?` allowed: Bellwether
        /// declarations, files with nothing but a list of rules, rule files of Prometheus. Metrics
        /// are those of the declaration among them, else those of the shipped one.
        pub rule_files: Items<Spanned<Literal>> = Items::default(),
        /// How often rules that ask history are judged; those over collected metrics are judged
        /// at each collection, as always.
        pub evaluation_interval: Spanned<Elapsed> = Spanned::nowhere(Elapsed::MINUTE),
        /// Groups of Prometheus rule files that are judged before all others, in this order.
        pub group_eval_order: Items<Spanned<Literal>> = Items::default(),
        /// Whether numbers may differ in their last bit.
        pub fuzzy_compare: bool = false,
        /// What `${NAME}` in declarations stands for; that of the process is not looked at.
        pub environment: BTreeMap<String, Literal> = BTreeMap::new(),
        /// The tests.
        pub tests: Items<Spanned<Case>> = Items::default(),
    }
}

section! {
    /// One test: series, and what rules make of them.
    pub struct Case {
        /// What it is called.
        pub name: Option<Literal>,
        /// Time from one value of a series to the next, and from one collection to the next; by
        /// default `evaluation_interval`.
        pub interval: Option<Spanned<Elapsed>>,
        /// The series.
        pub input_series: Items<SeriesSettings> = Items::default(),
        /// Alerts that fire, at certain times.
        pub alert_rule_test: Items<Spanned<AlertTest>> = Items::default(),
        /// Answers of queries.
        pub promql_expr_test: Items<Spanned<QueryTest>> = Items::default(),
        /// `$externalLabels` of templates.
        pub external_labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// `$externalURL` of templates.
        pub external_url: Option<Literal>,
        /// What is done while the test runs, beside the values of its series.
        pub steps: Items<Spanned<Step>> = Items::default(),
        /// Notifications that channels get; each a message to one channel.
        pub exp_notifications: Option<Items<Spanned<ExpectedMessage>>>,
        /// Whether there must be no others.
        pub exp_notifications_exact: bool = true,
        /// How long the test goes on at the least; by default until the last that is expected.
        pub until: Option<Spanned<Elapsed>>,
        /// The time that all others count from: `2026-11-01T10:00:00Z`, or Unix seconds.
        pub start_timestamp: Timestamp = Timestamp::default(),
    }
}

section! {
    /// A series that is fed. One that is named as a metric is declared, or as it is on the page,
    /// is collected as that metric; history has all of them.
    pub struct SeriesSettings {
        /// Its name and labels: `queue_length{queue_name="mail"}`.
        pub series: Spanned<Series>,
        /// Its values: `1 2 3`, `0+5x10`, `7x3`, `_` and `_x3` for none, `stale` for its end.
        pub values: Values,
    }
}

section! {
    /// The alerts of one name that fire at one time.
    pub struct AlertTest {
        /// When; at the start if it is not said.
        pub eval_time: Spanned<Elapsed> = Spanned::nowhere(Elapsed::default()),
        /// The name of the alerts: that of their rule.
        pub alertname: Spanned<Literal>,
        /// Each of them; none: nothing of this name fires.
        pub exp_alerts: Items<Spanned<ExpectedAlert>> = Items::default(),
    }
}

section! {
    /// An alert that fires.
    pub struct ExpectedAlert {
        /// All its labels. `alertname` may be left out, and so may a `severity` that the rule does
        /// not say.
        pub exp_labels: Option<BTreeMap<String, Literal>>,
        /// All its annotations.
        pub exp_annotations: Option<BTreeMap<String, Literal>>,
        /// Its message; without the key any.
        pub exp_message: Option<Literal>,
    }
}

section! {
    /// The answer of a query at one time.
    pub struct QueryTest {
        /// The query.
        pub expr: Spanned<Literal>,
        /// When; at the start if it is not said.
        pub eval_time: Spanned<Elapsed> = Spanned::nowhere(Elapsed::default()),
        /// Each series of the answer; none: there is none.
        pub exp_samples: Items<ExpectedSample> = Items::default(),
    }
}

section! {
    /// A series of an answer.
    pub struct ExpectedSample {
        /// Its name and labels: `up{job="x"}`, `{}`.
        pub labels: Series = Series::default(),
        /// Its value.
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
        Shape::Word("series")
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
        Shape::Word("values")
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} values", self.len()))
    }
}

/// What `read` makes of a text; what it does not understand is told with its place in the text.
fn noted<T>(
    node: &Node,
    cx: &mut DecodeContext<'_>,
    expected: &str,
    read: impl FnOnce(&str) -> Result<T, Fault>,
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
        Err(Fault { at, message, hint }) => {
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
        Shape::Word("duration")
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

/// A number that need not be finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl Decode for Number {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let number = |text: &str| {
            let plain = text.replacen(
                '.',
                "",
                usize::from(text.ends_with("inf") || text == ".nan"),
            );
            plain.parse().ok().map(Number)
        };
        cx.parsed(node, "a number", number)
    }

    fn shape() -> Shape {
        Shape::Word("number")
    }
}

/// What promtool understands and Bellwether does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsupported;

impl Decode for Unsupported {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.error(node.pos, "native histograms cannot be tested")
            .hint("ask for a number of it, or take a classic one");
        None
    }

    fn shape() -> Shape {
        Shape::Word("-")
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
        Shape::Word("time")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.0 as f64 / 1000.0)
    }
}

/// Most collections and most evaluations of one test.
const MAX_TICKS: u128 = 1_000_000;
/// Most values that are fed in one test.
const MAX_VALUES: u128 = 50_000_000;

/// Notes what decoding cannot see.
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
        for one in case.input_series.iter() {
            let name = one.series.value.0.to_string();
            once(&mut series, &name, &one.series.at, "the series", problems);
        }
        let shortest = interval.value.min(evaluation.value).0.as_millis().max(1);
        let values = case
            .input_series
            .iter()
            .map(|one| u128::from(one.values.len()));
        for at in case.times() {
            let ticks = at.value.0.as_millis() / shortest;
            let fed = values.clone().map(|count| count.min(ticks)).sum::<u128>();
            if ticks > MAX_TICKS || fed > MAX_VALUES {
                let what = if ticks > MAX_TICKS {
                    "evaluations"
                } else {
                    "values"
                };
                let (count, most) = if ticks > MAX_TICKS {
                    (ticks, MAX_TICKS)
                } else {
                    (fed, MAX_VALUES)
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
    /// All times at which something is expected.
    pub(super) fn times(&self) -> impl Iterator<Item = &Spanned<Elapsed>> {
        let alerts = self
            .alert_rule_test
            .iter()
            .map(|test| &test.value.eval_time);
        let queries = self
            .promql_expr_test
            .iter()
            .map(|test| &test.value.eval_time);
        let messages = self.exp_notifications.iter().flat_map(|list| list.iter());
        let messages = messages.map(|message| &message.value.at);
        let steps = self.steps.iter().map(|step| &step.value.at);
        alerts
            .chain(queries)
            .chain(messages)
            .chain(steps)
            .chain(&self.until)
    }
}
