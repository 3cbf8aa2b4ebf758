use bellwether_schema::{Decode, DecodeContext};

use super::*;

fn decode(text: &str) -> (Vec<RelabelConfig>, Vec<String>) {
    let mut diagnostics = Diagnostics::default();
    let node = bellwether_schema::parse(text).unwrap();
    let steps =
        Vec::<RelabelConfig>::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None))
            .unwrap();
    for step in &steps {
        step.check(&SourceLocation::default(), &mut diagnostics);
    }
    (
        steps,
        diagnostics
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect(),
    )
}

fn relabel(text: &str, labels: &[(&str, &str)]) -> Option<String> {
    let (steps, diagnostics) = decode(text);
    assert_eq!(diagnostics, [""; 0], "{text}");
    let relabel = Relabel::new(&steps).unwrap();
    relabel
        .apply(&LabelSet::new(labels.iter().copied()))
        .map(|set| {
            let pairs: Vec<String> = set
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            pairs.join(",")
        })
}

/// Steps, the labels before, and after.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
);

/// Cases of Prometheus's own `relabel_test.go`, and those of its documentation.
#[test]
fn as_prometheus_relabels() {
    let abc: &'static [(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
    let cases: &[Case] = &[
        (
            "[{source_labels: [a], regex: 'f(.*)', target_label: d, separator: ';', replacement: 'ch${1}-ch${1}'}]",
            abc,
            Some("a=foo,b=bar,c=baz,d=choo-choo"),
        ),
        (
            "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'},\
              {source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}]",
            &[("a", "foo"), ("b", "bar"), ("c", "baz")],
            Some("a=boobam,b=bar,c=baz,d=boooom"),
        ),
        (
            "[{source_labels: [a], regex: '.*o.*', action: drop}, {source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch$1-ch$1'}]",
            abc,
            None,
        ),
        (
            "[{source_labels: [a], regex: '.*o.*', action: drop}]",
            &[("a", "abc"), ("b", "x")],
            Some("a=abc,b=x"),
        ),
        (
            "[{source_labels: [a], regex: no-match, action: drop}]",
            abc,
            Some("a=foo,b=bar,c=baz"),
        ),
        // Anchored: f alone does not match foo.
        (
            "[{source_labels: [a], regex: 'f|o', action: drop}]",
            abc,
            Some("a=foo,b=bar,c=baz"),
        ),
        (
            "[{source_labels: [a], regex: no-match, action: keep}]",
            abc,
            None,
        ),
        (
            "[{source_labels: [a], regex: 'f.*', action: keep}]",
            abc,
            Some("a=foo,b=bar,c=baz"),
        ),
        // Without a match nothing is replaced; an empty result removes the label.
        (
            "[{source_labels: [a], regex: no-match, target_label: b, replacement: x}]",
            abc,
            Some("a=foo,b=bar,c=baz"),
        ),
        (
            "[{source_labels: [a], regex: 'f.*', target_label: b, replacement: ''}]",
            abc,
            Some("a=foo,c=baz"),
        ),
        (
            "[{target_label: d, replacement: static}]",
            abc,
            Some("a=foo,b=bar,c=baz,d=static"),
        ),
        // Without a source, the empty text matches (.*).
        (
            "[{source_labels: [gone], target_label: a}]",
            abc,
            Some("b=bar,c=baz"),
        ),
        // The target may be made of the match; one that is no label name is left.
        (
            "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', target_label: '${1}', replacement: '${2}'}]",
            &[("a", "some-name-value")],
            Some("a=some-name-value,name=value"),
        ),
        (
            "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', target_label: '${3}', replacement: '${2}'}]",
            &[("a", "some-name-value")],
            Some("a=some-name-value"),
        ),
        (
            "[{source_labels: [a], regex: '(?P<word>f.*)', target_label: d, replacement: '<${word}>$$'}]",
            abc,
            Some("a=foo,b=bar,c=baz,d=<foo>$"),
        ),
        // Any UTF-8 is a name, as in Prometheus 3.
        (
            "[{source_labels: [a], target_label: 'a-${1}é'}]",
            abc,
            Some("a=foo,a-fooé=foo,b=bar,c=baz"),
        ),
        // A hash as in relabel_test.go: md5 of "baz" modulo 1000.
        (
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            abc,
            Some("a=foo,b=bar,c=baz,d=976"),
        ),
        (
            "[{source_labels: [a], target_label: d, action: hashmod, modulus: 1000}]",
            &[("a", "foo\nbar")],
            Some("a=foo\nbar,d=734"),
        ),
        (
            "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some("a=foo,b1=bar,b2=baz,bar_b1=bar,bar_b2=baz"),
        ),
        (
            "[{regex: '__meta_(my.*)', replacement: '${1}', action: labelmap}]",
            &[
                ("a", "foo"),
                ("__meta_my_bar", "aaa"),
                ("__meta_my_baz", "bbb"),
                ("__meta_other", "ccc"),
            ],
            Some(
                "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc,a=foo,my_bar=aaa,my_baz=bbb",
            ),
        ),
        (
            "[{regex: '(b.*)', action: labeldrop}]",
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some("a=foo"),
        ),
        (
            "[{regex: '(b.*)', action: labelkeep}]",
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            Some("b1=bar,b2=baz"),
        ),
        ("[{regex: '.*', action: labeldrop}]", abc, None),
        (
            "[{source_labels: [foo], target_label: foo_uppercase, action: uppercase}, {source_labels: [foo], target_label: foo_lowercase, action: lowercase}]",
            &[("foo", "bAr123Foo")],
            Some("foo=bAr123Foo,foo_lowercase=bar123foo,foo_uppercase=BAR123FOO"),
        ),
        (
            "[{source_labels: [__tmp_port], target_label: __port1, action: keepequal}]",
            &[("__tmp_port", "1234"), ("__port1", "1234")],
            Some("__port1=1234,__tmp_port=1234"),
        ),
        (
            "[{source_labels: [__tmp_port], target_label: __port1, action: keepequal}]",
            &[("__tmp_port", "1234"), ("__port1", "5678")],
            None,
        ),
        (
            "[{source_labels: [__tmp_port], target_label: __port1, action: dropequal}]",
            &[("__tmp_port", "1234"), ("__port1", "5678")],
            Some("__port1=5678,__tmp_port=1234"),
        ),
        (
            "[{source_labels: [__tmp_port], target_label: __port1, action: dropequal}]",
            &[("__tmp_port", "1234"), ("__port1", "1234")],
            None,
        ),
        // The name is a label like any other.
        (
            "[{source_labels: [__name__], regex: 'go_.*', action: drop}]",
            &[("__name__", "go_info")],
            None,
        ),
        (
            "[{source_labels: [__name__], regex: '(.*)', target_label: __name__, replacement: 'app_$1'}]",
            &[("__name__", "up")],
            Some("__name__=app_up"),
        ),
    ];
    for (steps, labels, expected) in cases {
        assert_eq!(relabel(steps, labels).as_deref(), *expected, "{steps}");
    }
}

#[test]
fn what_prometheus_rejects_is_rejected() {
    for (text, expected) in [
        ("[{source_labels: [a]}]", "replace without `target_label`"),
        (
            "[{action: lowercase, source_labels: [a]}]",
            "lowercase without `target_label`",
        ),
        (
            "[{action: hashmod, target_label: a}]",
            "hashmod without `modulus`",
        ),
        (
            "[{action: keep, regex: 'a('}]",
            "invalid regular expression: unclosed group",
        ),
        (
            "[{action: labeldrop, regex: a, source_labels: [a]}]",
            "labeldrop allows `regex` alone",
        ),
        (
            "[{action: keepequal, target_label: a, regex: b}]",
            "keepequal allows `source_labels` and `target_label` alone",
        ),
        ("[{action: relabel}]", "unknown value \"relabel\""),
    ] {
        let (_, diagnostics) = decode_loosely(text);
        assert!(
            diagnostics.iter().any(|problem| problem.contains(expected)),
            "{text}: {diagnostics:?}"
        );
    }
}

fn decode_loosely(text: &str) -> (Option<Vec<RelabelConfig>>, Vec<String>) {
    let mut diagnostics = Diagnostics::default();
    let node = bellwether_schema::parse(text).unwrap();
    let steps =
        Vec::<RelabelConfig>::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None));
    for step in steps.iter().flatten() {
        step.check(&SourceLocation::default(), &mut diagnostics);
    }
    (
        steps,
        diagnostics
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect(),
    )
}
