//! Answers that Prometheus 3.16 gives, where ours once were others.

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::{Answer, Guard, Options, Value};
use bellwether_tsdb::history::History;

const MINUTE: i64 = 60_000;

/// Counters that grow by 1 to 3 a second, and gauges.
fn data() -> History {
    let history = History::in_memory(1_000);
    let add = |labels: &[(&str, &str)], value: &dyn Fn(i64) -> f64| {
        let series = history
            .series_id(&LabelSet::new(labels.iter().copied()))
            .expect("room");
        for minute in 0..=10 {
            history.append(UnixMillis(minute * MINUTE), &[(series, value(minute))]);
        }
    };
    let grows = |by: f64| move |minute: i64| 1000.0 + minute as f64 * 60.0 * by;
    add(&[("__name__", "a_total"), ("x", "1")], &grows(1.0));
    add(&[("__name__", "b_total"), ("x", "1")], &grows(2.0));
    add(&[("__name__", "c_total"), ("y", "1")], &grows(2.0));
    add(&[("__name__", "disk_size_bytes"), ("m", "/")], &grows(1.0));
    add(&[("__name__", "disk_free_bytes"), ("m", "/")], &grows(1.0));
    for (job, instance) in [("api", "1"), ("api", "2"), ("web", "1")] {
        add(
            &[("__name__", "up"), ("job", job), ("instance", instance)],
            &|_| 1.0,
        );
    }
    for (job, version) in [("api", "1"), ("api", "2"), ("web", "3")] {
        let labels = [
            ("__name__", "target_info"),
            ("job", job),
            ("instance", "1"),
            ("v", version),
        ];
        add(&labels, &|_| 1.0);
    }
    add(&[("__name__", "target_info"), ("v", "4")], &|_| 1.0);
    for (le, count) in [("1", 10.0), ("2", 9.0), ("4", 7.0), ("+Inf", 10.0)] {
        add(&[("__name__", "lifted_bucket"), ("le", le)], &move |_| {
            count
        });
    }
    for (name, value) in [("p", 1.0), ("q", 1.0), ("r", 2.0), ("s", f64::INFINITY)] {
        add(&[("__name__", "g"), ("n", name)], &move |_| value);
    }
    history
}

fn ask(query: &str) -> Result<Answer, String> {
    let query = bellwether_promql::parse(query).map_err(|error| error.to_string())?;
    let (options, guard) = (Options::default(), Guard::default());
    query
        .instant(&data(), UnixMillis(10 * MINUTE), &options, &guard)
        .map_err(|error| error.to_string())
}

/// The series of an answer and their values, in its order.
fn evaluate(query: &str) -> String {
    let lines: Vec<String> = match ask(query) {
        Err(error) => return error,
        Ok(Answer {
            value: Value::Vector(samples),
            ..
        }) => samples
            .iter()
            .map(|one| format!("{} {:.3}", one.labels, one.value))
            .collect(),
        Ok(answer) => vec![format!("{:?}", answer.value)],
    };
    lines.join("; ")
}

#[test]
fn names_go_as_soon_as_they_do_not_belong() {
    let same = "vector cannot contain metrics with the same labelset";
    for (query, expected) in [
        (
            "rate(a_total[5m]) * on (x, __name__) rate(b_total[5m])",
            "{x=\"1\"} 2.000",
        ),
        (
            "sum by (__name__) (rate({__name__=~\"a_total|c_total\"}[5m]))",
            "{} 3.000",
        ),
        (
            "count_values by (__name__) (\"v\", round(rate(a_total[5m])))",
            "{v=\"1\"} 1.000",
        ),
        (
            "rate(a_total[5m]) unless on (__name__, x) rate(b_total[5m])",
            "",
        ),
        (
            "label_replace(rate(a_total[5m]), \"n\", \"$1\", \"__name__\", \"(.*)\")",
            "{x=\"1\"} 1.000",
        ),
        ("sum(rate({__name__=~\"disk_.*_bytes\"}[5m]))", same),
        ("-{__name__=~\"disk_.*_bytes\"}", same),
        ("last_over_time(a_total[5m])", "a_total{x=\"1\"} 1600.000"),
    ] {
        assert_eq!(evaluate(query), expected, "{query}");
    }
}

#[test]
fn with_one_side_empty_nothing_is_amiss() {
    for query in [
        "up{job=\"zz\"} * on (job) up",
        "up > on (job) up{job=\"zz\"}",
        "(up > 5) == on (job) up",
        "up{job=\"zz\"} / on () up",
        "up{job=\"zz\"} * ignoring (instance) up",
        "(up > 5) * on (job) group_left () up",
        "up * on (job) group_right () (up > 5)",
    ] {
        assert_eq!(evaluate(query), "", "{query}");
    }
    let error = evaluate("up * on (job) up");
    assert!(
        error.starts_with("found duplicate series for the match group {job=\"api\"} on the right"),
        "{error}"
    );
}

#[test]
fn numbers_are_those_of_prometheus() {
    for (query, expected) in [
        ("1_000_000 + vector(0)", "{} 1000000.000"),
        ("clamp_min(g{n=\"s\"}, NaN)", "{n=\"s\"} inf"),
        ("quantile(1, g)", "{} inf"),
        ("quantile(0, g)", "{} 1.000"),
        ("topk(2, g < 5)", "g{n=\"r\"} 2.000; g{n=\"q\"} 1.000"),
        ("bottomk(1, g)", "g{n=\"p\"} 1.000"),
        ("count(up{instance=~`\\d`})", "{} 3.000"),
        (
            "label_replace(up{job=\"web\"}, \"z\", `$1!`, \"job\", `(\\w)\\w+`)",
            "up{instance=\"1\", job=\"web\", z=\"w!\"} 1.000",
        ),
    ] {
        assert_eq!(evaluate(query), expected, "{query}");
    }
}

#[test]
fn what_may_be_no_counter_is_reported() {
    let infos = |query: &str| ask(query).expect("an answer").infos;
    let info = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\"";
    assert_eq!(
        infos("rate(up{job=\"web\"}[5m])"),
        [format!("{info} (1:6)")]
    );
    let two = infos("1 +\n sum(rate({__name__=~\"up|g|a_total\"}[5m]))");
    assert_eq!(
        two,
        [
            info.replace("\"up\"", "\"g\" (2:11)"),
            format!("{info} (2:11)")
        ]
    );
    assert_eq!(infos("increase(a_total[5m])"), Vec::<String>::new());
    assert_eq!(infos("delta(up[5m])"), Vec::<String>::new());
}

#[test]
fn warnings_and_infos_say_where() {
    let noted = |query: &str| {
        let answer = ask(query).expect("an answer");
        [answer.warnings, answer.infos].concat()
    };
    let quantile = "PromQL warning: quantile value should be between 0 and 1, got";
    for (query, expected) in [
        ("quantile(1.5, g)", vec![format!("{quantile} 1.5 (1:10)")]),
        ("quantile_over_time(-1, g[5m])", vec![format!("{quantile} -1 (1:20)")]),
        ("histogram_quantile(\n2, lifted_bucket)", vec![format!("{quantile} 2 (2:1)")]),
        (
            "limit_ratio(1e6, g)",
            vec![
                "PromQL warning: ratio value should be between -1 and 1, got 1e+06, capping to 1 (1:13)"
                    .to_owned(),
            ],
        ),
        (
            "histogram_quantile(0.5, up)",
            vec![
                "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:25)"
                    .to_owned(),
            ],
        ),
        // Of one text in two places the last is reported.
        ("quantile(2, g) + on (n) quantile(2, g)", vec![format!("{quantile} 2 (1:34)")]),
    ] {
        assert_eq!(noted(query), expected, "{query}");
    }
    assert_eq!(
        noted("histogram_quantile(0.5, lifted_bucket)"),
        [concat!(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see ",
            "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), ",
            "from buckets 2 to 4, with a max diff of 3, over 1 samples from 1970-01-01T00:10:00Z to ",
            "1970-01-01T00:10:00Z (1:25)"
        )]
    );
}

#[test]
fn info_rejects_what_it_cannot_distinguish() {
    let twice = "found duplicate series for info metric: \
                existing {__name__=\"target_info\", instance=\"1\", job=\"api\", v=\"1\"} @ 600000, \
                new {__name__=\"target_info\", instance=\"1\", job=\"api\", v=\"2\"} @ 600000";
    assert_eq!(evaluate("info(up{job=\"api\"})"), twice);
    // Read for the instance of one series and the job of another, also where neither has both.
    assert_eq!(
        evaluate("info(up{instance=\"2\"} or up{job=\"web\"})"),
        twice
    );
    assert_eq!(
        evaluate("info(up{job=\"web\"})"),
        "up{instance=\"1\", job=\"web\", v=\"3\"} 1.000"
    );
    // Without a label that identifies a target there is nothing to read.
    assert_eq!(evaluate("info(a_total)"), "a_total{x=\"1\"} 1600.000");
}
