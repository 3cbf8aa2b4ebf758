use bellwether_collector::NamedFile;
use bellwether_schema::{Decode, DecodeContext, Diagnostic, Diagnostics, SourceLocation, parse};

use super::*;

/// Mappings of a file, with its errors and warnings.
fn compiled(text: &str) -> (Option<Mapper>, Vec<String>) {
    let mut problems = Diagnostics::default();
    let mut warnings = Vec::new();
    let mut context = DecodeContext::new(&mut problems, &|_| None);
    let mut mapping = NameMapping::decode(&parse("{}").unwrap(), &mut context).unwrap();
    mapping.set_text(&SourceLocation::default(), "m.yml", text, &mut problems);
    let mappings = mapping.resolve(&mut problems, &mut warnings);
    let read = problems.take_warnings().into_iter();
    let found = problems
        .into_sorted()
        .into_iter()
        .chain(read)
        .chain(warnings);
    let found = found.map(|problem: Diagnostic| problem.render(&"main.yaml"));
    let mapper = mappings.map(|mappings| Mapper::new(mappings, Accept::all()));
    (mapper, found.collect())
}

fn mapper(text: &str) -> Mapper {
    let (mapper, problems) = compiled(text);
    assert_eq!(problems, [""; 0]);
    mapper.unwrap()
}

/// Name and labels of the metric of a name; `-` if it is dropped.
fn find(mapper: &mut Mapper, name: &str, kind: MappedType) -> String {
    let Some(target) = mapper.find(name, kind) else {
        return "-".into();
    };
    let labels = target.labels.iter();
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{} {}", target.name, labels.join(","))
        .trim_end()
        .to_owned()
}

fn counter(mapper: &mut Mapper, name: &str) -> String {
    find(mapper, name, MappedType::Counter)
}

/// The examples of the documentation of statsd_exporter.
const DOCUMENTED: &str = r#"
mappings:
- match: "test.dispatcher.*.*.*"
  name: "dispatcher_events_total"
  labels:
    processor: "$1"
    action: "$2"
    job: "test_dispatcher"
- match: "*.signup.*.*"
  name: "signup_events_total"
  labels:
    provider: "$2"
    job: "${1}_server"
- match: "test\\.(\\w+)\\.(\\w+)\\.counter"
  match_type: regex
  name: "${2}_total"
  labels:
    provider: "$1"
    statsd_metric_name: "$0"
- match: "test.typed.*"
  name: "test_typed"
  match_metric_type: counter
- match: "."
  match_type: regex
  action: drop
  name: "dropped"
"#;

#[test]
fn names_are_mapped_as_statsd_exporter_documents_it() {
    let mut mapper = mapper(DOCUMENTED);
    for _ in 0..2 {
        for (name, expected) in [
            (
                "test.dispatcher.Foo.send.success",
                "dispatcher_events_total action=send,job=test_dispatcher,processor=Foo",
            ),
            (
                "foo_product.signup.facebook.failure",
                "signup_events_total job=foo_product_server,provider=facebook",
            ),
            (
                "x.test.a.b.counter",
                "b_total provider=a,statsd_metric_name=test.a.b.counter",
            ),
            ("test.typed.x", "test_typed"),
            ("other", "-"),
        ] {
            assert_eq!(counter(&mut mapper, name), expected, "{name}");
        }
        assert_eq!(find(&mut mapper, "test.typed.x", MappedType::Gauge), "-");
    }
}

#[test]
fn the_first_glob_applies_unless_order_is_off() {
    let rules =
        "mappings: [{match: 'a.*', name: any}, {match: 'a.b', name: one}, {match: '*.c', name: c}]";
    let mut ordered = mapper(rules);
    assert_eq!(counter(&mut ordered, "a.b"), "any");
    assert_eq!(counter(&mut ordered, "a.c"), "any");
    let mut specific = mapper(&format!(
        "defaults: {{glob_disable_ordering: true}}\n{rules}"
    ));
    assert_eq!(counter(&mut specific, "a.b"), "one");
    assert_eq!(counter(&mut specific, "a.c"), "any");
    assert_eq!(counter(&mut specific, "x.c"), "c");
}

#[test]
fn names_without_a_mapping_become_valid() {
    let mut mapper = mapper("");
    for (name, expected) in [
        ("test.web-server.foo", "test_web_server_foo"),
        ("1st.a--b", "_1st_a_b"),
        ("é:x", "_:x"),
        ("", ""),
    ] {
        assert_eq!(counter(&mut mapper, name), expected);
    }
}

#[test]
fn defaults_are_those_of_mappings_without_a_setting() {
    let mut mapper = mapper(
        "defaults: {observer_type: histogram, ttl: 1m20s, histogram_options: {buckets: [1, 2]},\n\
         \x20 summary_options: {max_age: 30s, quantiles: [{quantile: 0.5, error: 0.1}]}}\n\
         mappings:\n\
         - {match: a, name: a}\n\
         - {match: b, name: b, observer_type: summary, ttl: 0, scale: 1e-3, help: B, honor_labels: true}\n\
         - {match: c, name: c, histogram_options: {buckets: [0.5]}}\n",
    );
    let mut options = |name: &str| {
        mapper
            .find(name, MappedType::Observer)
            .unwrap()
            .options
            .clone()
    };
    let ttl = Some(Duration::from_secs(80));
    let histogram = |bounds: &[f64]| Observer::Histogram(bounds.into());
    for (name, bounds) in [
        ("a", &[1.0, 2.0][..]),
        ("c", &[0.5]),
        ("other", &[1.0, 2.0]),
    ] {
        let options = options(name);
        assert_eq!(
            (&options.observer, options.ttl),
            (&histogram(bounds), ttl),
            "{name}"
        );
    }
    let summary = Observer::Summary {
        quantiles: [0.5].into(),
        max_age: Duration::from_secs(30),
    };
    let expected = Options {
        help: Some("B".into()),
        observer: summary,
        ttl: None,
        scale: 1e-3,
        honor_labels: true,
    };
    assert_eq!(*options("b"), expected);
}

#[test]
fn mistakes_are_reported_with_the_line_of_the_file() {
    for (text, expected) in [
        (
            "mappings:\n- {match: 'a.b*', name: x}",
            "m.yml:2:11: mappings[0].match: `*` stands for one whole part",
        ),
        (
            "mappings:\n- {match: a}",
            "m.yml:2:11: mappings[0].match: a mapping without a name",
        ),
        (
            "mappings: [{match: '(', match_type: regex, name: x}]",
            "unclosed group",
        ),
        (
            "mappings: [{match: a, name: x, labels: {a-b: c}}]",
            "not a label name: \"a-b\"",
        ),
        (
            "mappings: [{match: a, name: x, scale: 0}]",
            "not a factor: 0",
        ),
        (
            "mappings: [{match: a, nam: x, name: y}]",
            "unknown key \"nam\"",
        ),
        (
            "defaults: {histogram_options: {buckets: [2, 1]}}",
            "buckets must ascend",
        ),
        (
            "defaults: {summary_options: {quantiles: [{quantile: 2}]}}",
            "not between 0 and 1: 2",
        ),
        ("mappings: [", "m.yml:2:1: not valid YAML"),
    ] {
        let (_, problems) = compiled(text);
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{text}: {problems:?}"
        );
    }
    let native = "defaults: {histogram_options: {native_histogram_bucket_factor: 1.1}}";
    for (text, expected) in [
        (
            native,
            "there are no native histograms; the buckets are kept",
        ),
        (
            "mappings: [{match: 'a.*', name: $1_total}]",
            "${1_total} refers to nothing in the match",
        ),
        (
            "defaults: {timer_type: histogram}",
            "key \"timer_type\" is now \"observer_type\"",
        ),
    ] {
        let (mapper, problems) = compiled(text);
        assert!(mapper.is_some(), "{text}");
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn names_are_forgotten_before_they_fill_the_memory() {
    let mut mapper = mapper("");
    for number in 0..=REMEMBERED {
        counter(&mut mapper, &number.to_string());
    }
    counter(&mut mapper, &"x".repeat(MAX_REMEMBERED + 1));
    assert_eq!(mapper.known[0].len(), 1);
}
