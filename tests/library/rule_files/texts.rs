//! Texts of alerts: what promtool makes of each, and what becomes of its translation here.

use std::fmt::Write;
use std::fs;

use bellwether_compat::RuleFile;
use bellwether_core::Labels;
use bellwether_schema::Diagnostics;

use super::promtool;

/// Each is an annotation of an alert whose value is that of the series.
const TEXTS: [&str; 40] = [
    "{{ $labels.instance }} of {{$labels.job}} at {{ $value }}",
    "{{ .Labels.job }}: {{ .Value }}",
    "{{ $value | humanize }} {{ humanize1024 $value }} {{ humanizeDuration $value }}",
    "{{ $value | humanizePercentage }} {{ $value | humanizeTimestamp }}",
    "{{ printf \"%.2f %8.1f|%-10.3f|%e|%g\" $value $value $value $value $value }}",
    "{{ printf \"%s/%q/%5s|%-5s|\" $labels.job $labels.job \"a\" \"b\" }}",
    "{{ $value | printf \"%.0f\" }} %",
    "{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }}",
    "{{ $labels.job | toUpper | printf \"<%s>\" }} {{ title \"ab cd\" }} {{ \"ABC\" | toLower }}",
    "{{ if gt $value 100.0 }}many{{ else if gt $value 1.0 }}some{{ else }}few{{ end }}",
    "{{ if eq $labels.job \"web\" \"node\" }}known{{ end }}",
    "{{ if and $labels.job (not $labels.nothing) }}yes{{ end }}",
    "{{ or $labels.nothing \"default\" }} {{ and $labels.job \"x\" }}",
    "{{ with $labels.job }}<{{ . }}>{{ else }}none{{ end }}{{ with $labels.no }}a{{ else }}b{{ end }}",
    "{{ with $x := $labels.job }}{{ $x }} {{ $labels.instance }}{{ end }}",
    "{{ range $name, $value := $labels }}{{ $name }}={{ $value }},{{ end }}",
    "{{ range $labels }}[{{ . }}]{{ end }}",
    "{{ $x := reReplaceAll \"(.*)[.](.*):.*\" \"$2-${1}\" $labels.instance }}{{ $x }}",
    "{{ match \"^no\" $labels.job }} {{ match \"x$\" $labels.job }}",
    "{{ index $labels \"job\" }} {{ len $labels.job }}",
    "  {{- $labels.job -}}  \n  {{- \" b\" }}",
    "a {{- /* a remark */ -}} b",
    "{{ \"{{ $labels.job }}\" }} {{ `raw \\n` }} {% if %} {# no #} {{ \"%}\" }}",
    "line 1\nline {{ $labels.job }}\n",
    "{{ print 1 2 $labels.job 3.5 }}",
    "{{ 1e6 }} {{ 15 }} {{ true }} {{ \"q\\\"\\\\\\t|\" }}",
    "{{ $labels.nothing }}.",
    "{{ ne $labels.job \"x\" }} {{ le $value 3.0 }} {{ not true }}",
    "{{ (printf \"%s!\" $labels.job) | len }}",
    "{{ urlquery \"a b&c\" }}",
    "{{ if $labels.nothing }}{{ else }}{{ $y := \"inner\" }}{{ $y }}{{ end }}",
    "{{ $labels.job | reReplaceAll \"o\" \"0\" | toUpper }}",
    "{{ parseDuration \"1h30m\" }}",
    "{{ println $labels.job }}x",
    "{{ $labels }} {{ .Labels }} {{ printf \"%v\" $labels }}",
    "{{ ne $labels.nothing \"\" }} {{ eq $labels.nothing \"\" }} {{ len $labels }}",
    "{{ slice $labels.job 1 3 }} {{ slice $labels.job 2 }}",
    "{{ graphLink \"up > 0\" }} {{ tableLink \"up\" }}",
    "{{ $externalLabels.cluster }}{{ .ExternalLabels.cluster }}.",
    "{{ define \"d\" }}<{{ . }}>{{ end }}{{ template \"d\" $labels.job }}",
];

const VALUES: [f64; 9] = [
    1_234_567.5,
    0.25,
    3.0,
    91.0,
    123_456.789,
    42_000_000.0,
    0.000_012_5,
    f64::NAN,
    f64::INFINITY,
];

#[test]
fn promtool_renders_each_text_as_its_translation_here() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = String::from("groups:\n  - name: texts\n    rules:\n");
    for (number, text) in TEXTS.iter().enumerate() {
        writeln!(rules, "      - alert: A{number}").unwrap();
        writeln!(rules, "        expr: x * 1").unwrap();
        writeln!(
            rules,
            "        annotations: {{text: {}}}",
            serde_json::json!(text)
        )
        .unwrap();
    }
    let mut problems = Diagnostics::default();
    let file = RuleFile {
        path: "rules.yml".into(),
        text: rules.clone(),
    };
    let imported = bellwether_compat::import(&[file], std::iter::empty(), &mut problems);
    assert!(
        problems.is_empty() && imported.warnings.is_empty(),
        "{:?}",
        imported.warnings
    );

    let labels: Labels = [("instance", "db1.example.org:9100"), ("job", "node")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let mut test = String::from("rule_files: [rules.yml]\ntests:\n");
    for value in VALUES {
        let series = r#"x{instance="db1.example.org:9100",job="node"}"#;
        let shown = value.to_string().replace("inf", "Inf");
        write!(
            test,
            "  - input_series: [{{series: '{series}', values: '{shown}'}}]\n    alert_rule_test:\n"
        )
        .unwrap();
        for (number, rule) in imported.rules.iter().enumerate() {
            let template = &rule.annotations["text"].value.template;
            let context = minijinja::context! {
                series_labels => bellwether_template::LabelMap::value(labels.clone(), ""),
                external_labels => bellwether_template::LabelMap::value(Labels::new(), ""),
                value => bellwether_template::number(Some(value)),
            };
            let shown = bellwether_template::environment()
                .render_str(template, context)
                .unwrap_or_else(|e| e.to_string());
            let expected =
                serde_json::json!([{"exp_labels": labels, "exp_annotations": {"text": shown}}]);
            writeln!(
                test,
                "      - {{eval_time: 0m, alertname: A{number}, exp_alerts: {expected}}}"
            )
            .unwrap();
        }
    }
    fs::write(folder.path().join("rules.yml"), rules).unwrap();
    fs::write(folder.path().join("test.yml"), test).unwrap();
    let said = promtool(folder.path(), &["test", "rules", "test.yml"]);
    assert!(said.is_ok(), "{}", said.unwrap_err());
}
