//! Properties of any query: it never panics, its limits hold, and an instant is a step of a
//! range.

use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Guard, Options, SampledSeries, Stopped, Value};
use bellwether_tsdb::history::History;
use proptest::prelude::*;
use proptest::sample::select;

const MINUTE: i64 = 60_000;

/// Half an hour of five series at 30 s: a counter with a reset, gauges with gaps, NaN and a
/// staleness marker, and a histogram.
fn data() -> History {
    let history = History::in_memory(100);
    let labels: [&[(&str, &str)]; 6] = [
        &[("__name__", "a"), ("x", "1")],
        &[("__name__", "a"), ("x", "2"), ("y", "q")],
        &[("__name__", "b"), ("x", "1"), ("y", "q")],
        &[("__name__", "b"), ("x", "2")],
        &[("__name__", "h_bucket"), ("le", "1")],
        &[("__name__", "h_bucket"), ("le", "+Inf")],
    ];
    let series: Vec<_> = labels
        .iter()
        .map(|labels| {
            history
                .series_id(&LabelSet::new(labels.iter().copied()))
                .expect("room")
        })
        .collect();
    for step in 0..60_i64 {
        let n = step as f64;
        let values = [
            Some((n * 7.0) % 150.0),
            (step % 7 != 3).then_some((n * 0.7).sin() * 10.0),
            Some(if step % 20 == 11 { f64::NAN } else { n - 30.0 }),
            match step {
                0..35 => Some(n * n),
                35 => Some(SampledSeries::stale()),
                _ => None,
            },
            Some(n),
            Some(n * 2.0),
        ];
        let samples = series
            .iter()
            .zip(values)
            .filter_map(|(one, value)| Some((*one, value?)));
        history.append(UnixMillis(step * MINUTE / 2), &samples.collect::<Vec<_>>());
    }
    history
}

/// By labels the bits of the value at `at`; all NaN are alike.
fn at(value: Value, at: i64) -> Vec<(String, u64)> {
    let bits = |value: f64| if value.is_nan() { f64::NAN } else { value }.to_bits();
    let mut all: Vec<(String, u64)> = match value {
        Value::Scalar { value, .. } => vec![("{}".into(), bits(value))],
        Value::Vector(samples) => samples
            .into_iter()
            .map(|one| (one.labels.to_string(), bits(one.value)))
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .filter_map(|one| {
                let index = one.times.binary_search(&at).ok()?;
                Some((one.labels.to_string(), bits(one.values[index])))
            })
            .collect(),
        Value::String { .. } => Vec::new(),
    };
    all.sort();
    all
}

/// Queries over [`data`] that mostly make sense.
fn query() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "a",
        "b",
        "a{x=\"1\"}",
        "{__name__=~\"a|b\",y!=\"q\"}",
        "b offset 3m",
        "a offset -2m",
        "a @ 600",
        "vector(time())",
        "h_bucket",
        "gone",
    ]);
    let over = select(vec![
        "rate",
        "increase",
        "delta",
        "irate",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "sum_over_time",
        "max_over_time",
        "stddev_over_time",
        "last_over_time",
        "absent_over_time",
        "count_over_time",
        "mad_over_time",
    ]);
    let mapped = select(vec![
        "abs",
        "ceil",
        "-",
        "sort",
        "absent",
        "timestamp",
        "day_of_week",
    ]);
    let group = select(vec!["sum", "avg", "min", "max", "count", "stddev", "group"]);
    let by = select(vec!["", " by (x)", " without (x)", " by (__name__, y)"]);
    let op = select(vec![
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        "> bool",
        "<=",
        "and",
        "or",
        "unless",
        "+ on(x)",
        "- ignoring(y)",
        "* on(x) group_left",
        "and on(y)",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(4, 16, 3, move |inner| {
            let range = (
                inner.clone(),
                select(vec!["[5m:1m]", "[4m:]", "[10m:45s] offset 1m"]),
            );
            prop_oneof![
                (over.clone(), range)
                    .prop_map(|(f, (inner, range))| format!("{f}(({inner}){range})")),
                over.clone().prop_map(|f| format!("{f}(a[3m])")),
                (mapped.clone(), inner.clone()).prop_map(|(f, inner)| format!("{f}({inner})")),
                (group.clone(), by.clone(), inner.clone())
                    .prop_map(|(f, by, inner)| format!("{f}{by} ({inner})")),
                (inner.clone(), by.clone())
                    .prop_map(|(inner, by)| format!("topk{by} (2, {inner})")),
                (inner.clone(), op.clone(), inner.clone())
                    .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
                (inner.clone(), op.clone()).prop_map(|(a, op)| format!("({a}) {op} 3")),
                inner.prop_map(|inner| format!("histogram_quantile(0.5, {inner})")),
            ]
        })
}

/// Texts made of pieces of the language.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "`",
        "\\",
        ",",
        ":",
        "@",
        "#",
        "\n",
        "a",
        "x=~",
        "\"(a\"",
        "1",
        "0x",
        "1e400",
        "-",
        "+",
        "NaN",
        "Inf",
        "5m",
        "1y9w",
        "99999999999y",
        "offset",
        "by",
        "on",
        "group_left",
        "bool",
        "sum",
        "topk",
        "rate",
        "start",
        "end",
        "quantile",
        "and",
        "or",
        "é",
        "\u{0}",
        "==",
        "=~",
        "!~",
        "^",
        "atan2",
        "_",
    ]);
    prop_oneof![
        proptest::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat()),
        proptest::collection::vec(any::<char>(), 0..40).prop_map(|all| all.into_iter().collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_instant_is_a_step_of_a_range(text in query(), minute in 0_i64..32) {
        let (history, options) = (data(), Options::default());
        let parsed = bellwether_promql::parse(&text);
        prop_assume!(parsed.is_ok());
        let parsed = parsed.expect("read");
        let time = minute * MINUTE;
        let instant = parsed.instant(&history, UnixMillis(time), &options, &Guard::default());
        let range = |around: i64| {
            let (from, to) = (UnixMillis(time - around), UnixMillis(time + around));
            parsed.range(&history, from, to, Duration::from_secs(60), &options, &Guard::default())
        };
        let alone = range(0).map(|answer| at(answer.value, time));
        let instant = instant.map(|answer| at(answer.value, time));
        prop_assert_eq!(&instant, &alone, "{}", text);
        // A step of its neighbours may fail where this one does not.
        if let (Ok(instant), Ok(among)) = (instant, range(3 * MINUTE)) {
            prop_assert_eq!(instant, at(among.value, time), "{}", text);
        }
    }

    #[test]
    fn what_is_shown_reads_the_same(text in query()) {
        if let Ok(parsed) = bellwether_promql::parse(&text) {
            let shown = parsed.to_string();
            prop_assert_eq!(bellwether_promql::parse(&shown), Ok(parsed), "{}", shown);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in hostile()) {
        if let Ok(parsed) = bellwether_promql::parse(&text) {
            let (history, options) = (data(), Options::default());
            let guard = Guard::new(1_000_000);
            let _ = parsed.instant(&history, UnixMillis(i64::MAX), &options, &guard);
            let _ = parsed.instant(&history, UnixMillis(i64::MIN), &options, &guard);
            let minute = Duration::from_secs(60);
            let _ = parsed.range(&history, UnixMillis(0), UnixMillis(MINUTE), minute, &options, &guard);
        }
    }
}

/// On the stack of an ordinary thread: an overflow would end the process.
#[test]
fn nesting_is_limited_and_never_exhausts_the_stack() {
    for deep in [90, 490, 900, 5_000, 40_000] {
        let wrapped = |open: &str, middle: &str, close: &str| {
            open.repeat(deep) + middle + &close.repeat(deep)
        };
        let texts = [
            wrapped("(", "a", ")"),
            wrapped("-", "a", ""),
            wrapped("abs(", "a", ")"),
            wrapped("sum(", "a", ")"),
            wrapped("", "a", "+a"),
            wrapped("", "a", "^2"),
            wrapped("max_over_time(", "a", "[1m:])"),
            wrapped("(", "", ""),
            wrapped("a{", "", ""),
            wrapped("[", "", "]"),
        ];
        for text in texts {
            let parsed = bellwether_promql::parse(&text);
            let Ok(query) = parsed else { continue };
            assert!(deep < 500, "{deep} levels are read: {}...", &text[..20]);
            let answer = query.instant(
                &data(),
                UnixMillis(10 * MINUTE),
                &Options::default(),
                &Guard::default(),
            );
            assert!(answer.is_ok(), "{answer:?}");
        }
    }
}

#[test]
fn a_query_holds_to_its_guard() {
    let history = data();
    let ask = |text: &str, guard: &Guard| {
        let query = bellwether_promql::parse(text).expect("a query");
        let (from, to) = (UnixMillis(0), UnixMillis(30 * MINUTE));
        let step = Duration::from_secs(1);
        let answer = query.range(&history, from, to, step, &Options::default(), guard);
        answer
            .map(drop)
            .map_err(|error| (error.kind(), error.to_string()))
    };
    let too_many = Stopped::TooManySamples(500).to_string();
    assert_eq!(
        ask("a + b", &Guard::new(500)),
        Err(("execution", too_many.clone()))
    );
    assert_eq!(
        ask("max_over_time(a[5m:1s])", &Guard::new(500)),
        Err(("execution", too_many))
    );
    // More than there is memory for, of nothing that is stored.
    for text in [
        "count_over_time(vector(1)[100y:1ms])",
        "max_over_time((vector(time()))[90y:1s])",
    ] {
        for guard in [Guard::new(1_000_000), Guard::default()] {
            let (kind, _) = ask(text, &guard).expect_err("too many steps");
            assert_eq!(kind, "execution", "{text}");
        }
    }
    let counted = "count_values(\"v\", a * scalar(vector(time())))";
    assert_eq!(
        ask(counted, &Guard::new(100_000)).map_err(|error| error.0),
        Err("execution")
    );
    assert_eq!(
        ask("sum_over_time(vector(1)[10s:1m])", &Guard::default()),
        Ok(())
    );
    let guard = Guard::default();
    guard.cancel();
    assert_eq!(
        ask("a", &guard),
        Err(("canceled", Stopped::Cancelled.to_string()))
    );
    let guard = Guard::default();
    guard.time_out();
    assert_eq!(
        ask("1 + 1", &guard),
        Err(("timeout", Stopped::TimedOut.to_string()))
    );
}
