use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, LabelSet, MetricDef, Origin, exported_name};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

use super::shipped::SHIPPED;
use super::{Bottleneck, BottleneckSettings, Resource, resolve};

fn metric(name: &str, kind: Kind) -> MetricDef {
    MetricDef {
        name: name.into(),
        exported: exported_name("app", name),
        help: "".into(),
        kind,
        labels: Arc::default(),
        buckets: Arc::default(),
        quantiles: if kind == Kind::Summary {
            [0.5, 0.9, 0.99].into()
        } else {
            Arc::default()
        },
        origin: Origin::new("system"),
        interval: Duration::from_secs(15),
    }
}

fn resolved(yaml: &str, metrics: &[MetricDef]) -> Result<Vec<Bottleneck>, Vec<String>> {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).unwrap();
    let settings =
        Vec::<BottleneckSettings>::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    let resolved = resolve(&settings.unwrap_or_default(), metrics, &mut problems);
    if problems.is_empty() {
        return Ok(resolved);
    }
    Err(problems
        .into_sorted()
        .iter()
        .map(ToString::to_string)
        .collect())
}

fn of_metric(kind: Kind) -> String {
    let yaml = "[{name: a, resource: cpu, metric: x, labels: {b: c}, window: 10m, warning: 1, critical: 2}]";
    resolved(yaml, &[metric("x", kind)])
        .unwrap()
        .remove(0)
        .promql
}

#[test]
fn a_metric_is_looked_at_by_its_kind() {
    assert_eq!(
        of_metric(Kind::Gauge),
        r#"avg_over_time(app_x{b="c"}[10m])"#
    );
    assert_eq!(of_metric(Kind::Counter), r#"rate(app_x{b="c"}[10m])"#);
    assert_eq!(
        of_metric(Kind::Histogram),
        r#"histogram_quantile(0.95, rate(app_x_bucket{b="c"}[10m]))"#
    );
    assert_eq!(
        of_metric(Kind::Summary),
        r#"avg_over_time(app_x{b="c",quantile="0.99"}[10m])"#
    );
}

#[test]
fn shipped_ones_come_with_their_metrics() {
    assert_eq!(resolved("[]", &[]), Ok(vec![]));
    let metrics = [
        metric("load_average_1m", Kind::Gauge),
        metric("cpu_count", Kind::Gauge),
        metric("pressure_percent", Kind::Gauge),
        metric("swap_in_bytes", Kind::Counter),
        metric("network_dropped_in", Kind::Gauge),
        metric("api_request_duration", Kind::Histogram),
    ];
    let all = resolved("[]", &metrics).unwrap();
    let promql = |name: &str| &*all.iter().find(|one| one.name == name).unwrap().promql;
    for one in &all {
        assert!(bellwether_promql::parse(&one.promql).is_ok(), "{one:?}");
    }
    assert_eq!(
        promql("cpu_run_queue"),
        "avg_over_time(app_load_average_1m[5m]) / avg_over_time(app_cpu_count[5m])"
    );
    assert_eq!(
        promql("io_pressure_full"),
        r#"avg_over_time(app_pressure_percent{resource="io",scope="full",window="60s"}[5m])"#
    );
    assert_eq!(promql("swap_in"), "rate(app_swap_in_bytes[5m])");
    assert_eq!(
        promql("network_drops_in"),
        "avg_over_time(app_network_dropped_in[5m])"
    );
    assert_eq!(
        promql("api_response"),
        "histogram_quantile(0.95, sum by (le, endpoint) (rate(app_api_request_duration_bucket[5m])))"
    );
    assert!(
        all.iter().all(|one| one.name != "cpu_busy"),
        "its metric is not declared"
    );
}

#[test]
fn shipped_ones_make_sense_and_can_be_replaced_or_left_out() {
    for (index, one) in SHIPPED.iter().enumerate() {
        assert!(
            one.critical > one.warning && !one.advice.is_empty(),
            "{}",
            one.name
        );
        assert!(
            SHIPPED[..index].iter().all(|other| other.name != one.name),
            "{}",
            one.name
        );
    }
    let metrics = [metric("cpu_percent", Kind::Gauge)];
    let own = "[{name: cpu_busy, resource: cpu, metric: cpu_percent, warning: 50, critical: 60, component: web}]";
    let all = resolved(own, &metrics).unwrap();
    assert_eq!(
        (all.len(), all[0].warning, &*all[0].component),
        (1, 50.0, "web")
    );
    assert!(!all[0].advice.is_empty());
    let off =
        "[{name: cpu_busy, resource: cpu, promql: up, warning: 1, critical: 2, enabled: false}]";
    assert_eq!(resolved(off, &metrics), Ok(vec![]));
}

#[test]
fn every_problem_says_how_to_fix_it() {
    let yaml = "
- {name: a, resource: cpu, metric: cpu_persent, warning: 1, critical: 2}
- {name: a, resource: cpu, metric: cpu_percent, promql: up, warning: 1, critical: 2}
- {name: b, resource: cpu, warning: 1, critical: 2}
- {name: c, resource: disc, promql: up, warning: 1, critical: 2}
- {name: d, resource: io, promql: up, warning: 3, critical: 3}
- {name: e, resource: io, promql: 'up +', warning: 3, critical: 4}
";
    let problems = resolved(yaml, &[metric("cpu_percent", Kind::Gauge)]).unwrap_err();
    assert_eq!(
        problems,
        [
            "2:36: [0].metric: no metric is called \"cpu_persent\"\n  hint: did you mean \"cpu_percent\"?",
            "3:10: [1].name: two bottlenecks are called \"a\"\n  hint: give each a name of its own",
            "3:10: [1].name: both metric and promql: a\n  hint: either metric or promql says what to look at",
            "4:10: [2].name: no metric: b\n  hint: either metric or promql says what to look at",
            "5:23: [3].resource: unknown value \"disc\"\n  hint: one of cpu, memory, io, network, queue, coordination, response",
            "6:61: [4].critical: no way from warning 3 to critical 3\n  hint: two different numbers; critical is the smaller one where little is bad",
            "7:35: [5].promql: 1:5: parse error: unexpected end of input\n  hint: PromQL with the names of /metrics, such as rate(requests[5m])",
        ],
        "{problems:#?}"
    );
}

fn disk() -> Bottleneck {
    Bottleneck {
        name: "disk".into(),
        resource: Resource::Io,
        promql: "x".into(),
        warning: 80.0,
        critical: 90.0,
        unit: "%",
        component: "disk".into(),
        advice: "delete".into(),
    }
}

#[test]
fn impact_grows_from_mark_to_mark() {
    for (value, expected) in [
        (0.0, Some(0.0)),
        (79.9, Some(0.0)),
        (80.0, Some(25.0)),
        (85.0, Some(50.0)),
        (90.0, Some(75.0)),
        (95.0, Some(100.0)),
        (1e300, Some(100.0)),
        (f64::INFINITY, Some(100.0)),
        (f64::NEG_INFINITY, Some(0.0)),
        (f64::NAN, None),
    ] {
        assert_eq!(disk().impact(value), expected, "{value}");
    }
    let little = Bottleneck {
        warning: 20.0,
        critical: 10.0,
        ..disk()
    };
    assert_eq!(
        [30.0, 20.0, 10.0, 0.0].map(|value| little.impact(value)),
        [Some(0.0), Some(25.0), Some(75.0), Some(100.0)]
    );
}

fn labels(mount: &str) -> LabelSet {
    LabelSet::new([("mount_point", mount)])
}

#[test]
fn findings_are_sorted_and_what_is_no_number_is_none() {
    let disk = disk();
    let samples = [
        (labels("/b"), 90.0),
        (labels("/"), 50.0),
        (labels("/x"), f64::NAN),
        (labels("/a"), 90.0),
    ];
    let found = disk.evaluate(samples);
    let places: Vec<&str> = found
        .iter()
        .map(|finding| finding.labels.get("mount_point"))
        .collect();
    assert_eq!(places, ["/a", "/b", "/"]);
}
