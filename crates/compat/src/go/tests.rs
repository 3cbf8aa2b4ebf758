use bellwether_core::Labels;
use bellwether_template::{LabelMap, environment};

use super::{Dialect, literal, translate};

fn translated(text: &str) -> Result<String, String> {
    translate(text, Dialect::Rule).map_err(|foreign| format!("{}: {}", foreign.line, foreign.what))
}

fn rendered(text: &str) -> String {
    let template = match translated(text) {
        Ok(template) => template,
        Err(error) => return error,
    };
    let labels: Labels = [("instance", "db-1:9100"), ("job", "node"), ("empty", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let external = Labels::from([("cluster".to_owned(), "c1".to_owned())]);
    let context = minijinja::context! {
        series_labels => LabelMap::value(labels, ""), value => 1_234_567.5,
        external_labels => LabelMap::value(external, ""), external_url => "http://x:1/y",
    };
    environment()
        .render_str(&template, context)
        .unwrap_or_else(|e| format!("{template}: {e}"))
}

#[test]
fn what_prometheus_gives() {
    for (text, expected) in [
        ("Nothing {x} 100%", "Nothing {x} 100%"),
        (
            "{{ $labels.instance }} of {{$labels.job}}",
            "db-1:9100 of node",
        ),
        ("{{ .Labels.job }} {{ .Value }}", "node 1.2345675e+06"),
        ("{{ $value }}", "1.2345675e+06"),
        ("{{ $value | humanize }}", "1.235M"),
        ("{{ humanize $value }}B", "1.235MB"),
        ("{{ printf \"%.2f\" $value }}", "1234567.50"),
        ("{{ $value | printf \"%s|%.1f\" \"a\" | len }}", "11"),
        ("{{ $labels.instance | stripPort | toUpper }}", "DB-1"),
        ("{{ index $labels \"job\" }}", "node"),
        (
            "{{ if $labels.empty }}a{{ else if eq $labels.job \"x\" \"node\" }}b{{ else }}c{{ end }}",
            "b",
        ),
        (
            "{{ if and (gt $value 5.0) (not $labels.empty) }}y{{ end }}",
            "y",
        ),
        (
            "{{ with $labels.job }}job {{ . }}{{ else }}none{{ end }}",
            "job node",
        ),
        (
            "{{ with $j := $labels.empty }}{{ $j }}{{ else }}none{{ end }}",
            "none",
        ),
        (
            "{{ $x := reReplaceAll \"(.*):.*\" \"${1}\" $labels.instance }}{{ $x }}!",
            "db-1!",
        ),
        (
            "{{ range $k, $v := .Labels }}{{ $k }}={{ $v }};{{ end }}",
            "empty=;instance=db-1:9100;job=node;",
        ),
        (
            "{{ range .Labels.SortedPairs }}[{{ .Name }} {{ .Value }}]{{ end }}",
            "[empty ][instance db-1:9100][job node]",
        ),
        (
            "a  {{- /* not shown */ -}}  b\n{{- $labels.job -}}\n c",
            "abnodec",
        ),
        (
            "{{ \"{{\" }} {{`a\\b`}} {%raw%} { {{- $labels.job }}}",
            "{{ a\\b {%raw%} {node}",
        ),
        (
            "{{ match \"^db\" $labels.instance }} {{ 3 }} {{ print 1 2 \"x\" }}",
            "true 3 1 2x",
        ),
        ("{{ $labels.job }}\n", "node\n"),
        ("{{ or $labels.empty \"unknown\" }}", "unknown"),
        (
            "{{ printf `%s of \"%s\"` $labels.job (index $labels \"instance\" | stripPort) }}",
            "node of \"db-1\"",
        ),
        ("{{ $labels.gone }}.", "."),
        ("{{ (printf \"%s\" $labels.job) | title }}", "Node"),
        (
            "{{ $labels }} {{ .Labels }}",
            "map[empty: instance:db-1:9100 job:node] map[empty: instance:db-1:9100 job:node]",
        ),
        (
            "{{ printf \"%v\" $labels }}{{ len $labels }}",
            "map[empty: instance:db-1:9100 job:node]3",
        ),
        (
            "{{ $externalLabels.cluster }}{{ .ExternalLabels.gone }} {{ $externalURL }}",
            "c1 http://x:1/y",
        ),
        (
            "{{ externalURL }}{{ pathPrefix }} {{ urlQueryEscape \"a b\" }}",
            "http://x:1/y/y a+b",
        ),
        (
            "{{ toDuration 3661.5 }} {{ humanizeDuration (toDuration 61) }}",
            "1h1m1.5s 1m 1s",
        ),
        (
            "{{ slice $labels.instance 0 2 }} {{ graphLink \"up > 0\" }}",
            "db /graph?g0.expr=up+%3E+0&g0.tab=0",
        ),
        (
            "{{ ne $labels.gone \"\" }} {{ eq .Labels.gone \"\" }}",
            "false true",
        ),
        (
            "{{ define \"d\" }}<{{ . }}>{{ end }}{{ template \"d\" $labels.job }}",
            "<node>",
        ),
    ] {
        assert_eq!(rendered(text), expected, "{text}\n{:?}", translated(text));
    }
}

#[test]
fn translations_are_readable() {
    for (text, expected) in [
        (
            "{{ $labels.job }} at {{ $value | humanize }}",
            "{{ series_labels.job }} at {{ value | humanize }}",
        ),
        (
            "{{ printf \"%.1f\" $value }}",
            "{{ printf(\"%.1f\", value) }}",
        ),
        (
            "{{ $value | humanize | toUpper }}",
            "{{ value | humanize | toUpper }}",
        ),
        (
            "{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}",
            "{% set item1 = query(\"up\") %}{% if item1 %}\
             {{ item1 | first | value | humanize }}{% endif %}",
        ),
        (
            "{{ range printf \"up{job='%s'}\" $labels.job | query | sortByLabel \"a\" }}\
             {{ .Labels.a }}={{ .Value }}{{ label \"b\" . }}{{ end }}",
            "{% for item1 in query(printf(\"up{job='%s'}\", series_labels.job)) | sortByLabel(\"a\") %}\
             {{ item1.labels.a }}={{ print(item1.value) }}{{ item1 | label(\"b\") }}{% endfor %}",
        ),
        (
            "{{ (query \"up\" | first).Labels.job }}",
            "{{ (query(\"up\") | first).labels.job }}",
        ),
        (
            "{{ with $x := index (query \"up\") 0 }}{{ strvalue $x }}{{ end }}{{ now }}",
            "{% set x = query(\"up\")[0] %}{% if x %}{{ x | strvalue }}{% endif %}{{ print(now) }}",
        ),
        (
            "{{ define \"d\" }}{{ .arg0 }}{{ .arg1.job }}{{ end }}{{ template \"d\" (args 1 $labels) }}",
            "{{ print(args(1, series_labels).arg0) }}{{ print(args(1, series_labels).arg1.job) }}",
        ),
    ] {
        assert_eq!(translated(text).as_deref(), Ok(expected));
    }
}

#[test]
fn what_is_foreign_is_named_with_its_line() {
    for (text, expected) in [
        ("a\n{{ with call 1 }}x{{ end }}", "1: the function `call`"),
        (
            "{{ template \"x\" . }}",
            "0: the template \"x\" is not there",
        ),
        ("{{ foo 1 }}", "0: the function `foo`"),
        ("{{ .Nothing }}", "0: `.Nothing`"),
        ("{{ $x }}", "0: unknown variable `$x`"),
        ("{{ if $value }}", "0: an `if` without `end`"),
        ("{{ end }}", "0: an `end` too many"),
        ("{{ $value", "0: an action that is not closed by `}}`"),
        ("{{ $value | }}", "0: an action without a value"),
        ("{{ \"x }}", "0: a text that is not closed"),
        ("{{ ($value }}", "0: an open parenthesis"),
        (
            "{{ $x := 1 }}{{ range .Labels }}{{ $x = 2 }}{{ end }}",
            "0: `$x =` inside of `range`",
        ),
    ] {
        let found = translated(text).unwrap_err();
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn what_is_foreign_costs_its_own_part() {
    let text = "{{ $x := 1 }}{{ $labels.a }} {{ with call `up` }}x{{ end }} {{ $x }}{{ foo }}";
    let (template, foreign) = super::translate_in_part(text, Dialect::Rule);
    assert_eq!(
        template,
        "{% set x = 1 %}{{ series_labels.a }} {{ \"{{ with call `up` }}x{{ end }}\" }} \
         {{ print(x) }}{{ \"{{ foo }}\" }}"
    );
    assert_eq!(foreign.len(), 2);
}

#[test]
fn a_literal_shows_itself() {
    let text = "{{ $labels.x }} {% raw %} \"quoted\\\" \n{{ query \"$value\" }}";
    assert_eq!(environment().render_str(&literal(text), ()).unwrap(), text);
    assert!(!literal(text).contains("$labels"));
    assert!(!literal("{{ query $externalLabels }}").contains("$external"));
}

#[test]
fn messages_of_alertmanager() {
    let alert = |status: &str, instance: &str| {
        let labels = Labels::from([("instance".to_owned(), instance.to_owned())]);
        minijinja::context! { status, labels, annotations => Labels::new(), startsAt => "2026-11-21T04:00:00Z" }
    };
    let labels: Labels = [("alertname", "Disk"), ("team", "infra")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into();
    let context = minijinja::context! {
        status => "firing", receiver => "pager", groupLabels => labels.clone(), commonLabels => labels,
        alerts => [alert("firing", "a"), alert("resolved", "b"), alert("firing", "c")],
    };
    for (text, expected) in [
        (
            "[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}:{{ .Alerts.Firing | len }}{{ end }}]",
            "[FIRING:2]",
        ),
        (
            "{{ .GroupLabels.SortedPairs.Values | join \" \" }} {{ .CommonLabels.alertname }}",
            "Disk infra Disk",
        ),
        (
            "{{ .CommonLabels.Names | join \",\" }} {{ .CommonLabels.Values | join \",\" }}",
            "alertname,team Disk,infra",
        ),
        (
            "{{ range .Alerts.Resolved }}{{ .Labels.instance }} {{ .Status }}{{ end }}",
            "b resolved",
        ),
        (
            "{{ range $i, $a := .Alerts }}{{ $i }}{{ $a.Labels.instance }}{{ $.Receiver }};{{ end }}",
            "0apager;1bpager;2cpager;",
        ),
        (
            "{{ range .Alerts }}{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}{{ end }}",
            "instance=a instance=b instance=c ",
        ),
        (
            "{{ (index .Alerts 0).Labels.instance }} {{ (index .Alerts 0).StartsAt | date \"15:04\" }}",
            "a 04:00",
        ),
        (
            "{{ with .CommonLabels.team }}team {{ . }}{{ end }}{{ len .Alerts }}",
            "team infra3",
        ),
    ] {
        let template = translate(text, Dialect::Message).unwrap();
        let shown = environment()
            .render_str(&template, &context)
            .unwrap_or_else(|e| e.to_string());
        assert_eq!(shown, expected, "{text}\n{template}");
    }
    for (text, expected) in [
        ("{{ .Alerts.Nothing }}", "`.Nothing`"),
        ("{{ with query \"up\" }}{{ end }}", "the function `query`"),
        ("{{ .Alerts.Remove 1 }}", "`Remove` with arguments"),
    ] {
        assert_eq!(
            translate(text, Dialect::Message).unwrap_err().what,
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_is_deep_is_rejected_before_anything_recurses_over_it() {
    let n = 20_000;
    for text in [
        format!("{{{{ {}1{} }}}}", "(".repeat(n), ")".repeat(n)),
        format!("{{{{ {}1{} }}}}", "(not ".repeat(n), ")".repeat(n)),
        format!("{{{{ 1{} }}}}", " | print".repeat(n)),
        format!("{{{{ $labels{} }}}}", ".x".repeat(n)),
        format!("{}{}", "{{ if 1 }}".repeat(n), "{{ end }}".repeat(n)),
        format!("{{{{ if 1 }}}}{}{{{{ end }}}}", "{{ else if 1 }}".repeat(n)),
        format!("{}{}", "{{ with 1 }}".repeat(n), "{{ end }}".repeat(n)),
        format!(
            "{}{}",
            "{{ range .Labels }}".repeat(n),
            "{{ end }}".repeat(n)
        ),
        format!(
            "{}{}",
            "{{ if 1 }}{{ else }}".repeat(n),
            "{{ end }}".repeat(n)
        ),
    ] {
        let found = translate(&text, Dialect::Rule).unwrap_err();
        assert_eq!(
            found.what,
            "nested deeper than 100 levels",
            "{}",
            &text[..40]
        );
    }
    // Nested calls are written once, not twice at each level.
    let equal = format!("{{{{ {}1{} }}}}", "(eq ".repeat(60), " 2 3)".repeat(60));
    assert!(translate(&equal, Dialect::Rule).unwrap().len() < 2_000);
}
