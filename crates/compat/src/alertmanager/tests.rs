use bellwether_notify as notify;

use super::*;

fn beside(path: &Path) -> Result<Vec<(PathBuf, String)>, FilesError> {
    Ok(match path.to_str() {
        Some("/etc/am/t/*.tmpl") => vec![(path.to_owned(), TEMPLATES.to_owned())],
        _ => Vec::new(),
    })
}

fn rendered(problem: &Diagnostic) -> String {
    problem
        .render(&"x")
        .replace("/etc/am/alertmanager.yml:", "")
}

fn read(text: &str) -> (Alertmanager, Vec<String>) {
    let mut problems = Diagnostics::default();
    let path = Path::new("/etc/am/alertmanager.yml");
    let mut read = alertmanager(path, text, &beside, &mut problems);
    let warnings = read
        .warnings
        .drain(..)
        .map(|warning| format!("warning {}", rendered(&warning)));
    notify::check(&read.channels, &mut problems);
    let all = problems
        .into_sorted()
        .iter()
        .map(rendered)
        .chain(warnings)
        .collect();
    (read, all)
}

fn channel(yaml: &str) -> (serde_json::Value, Vec<String>) {
    let text = format!("route: {{receiver: r}}\nreceivers:\n- name: r\n{yaml}");
    let (read, texts) = read(&text);
    (serde_json::to_value(read.channels.first()).unwrap(), texts)
}

#[track_caller]
fn check(yaml: &str, expected: &[(&str, serde_json::Value)]) {
    let (channel, texts) = channel(yaml);
    assert_eq!(texts, Vec::<String>::new());
    for (key, value) in expected {
        let found = key.split('.').fold(&channel, |value, key| &value[key]);
        assert_eq!(found, value, "{key} of {channel:#}");
    }
}

use serde_json::json;

#[test]
fn each_integration_becomes_a_channel() {
    check(
        "  slack_configs: [{api_url: 'https://hooks.slack.com/x', title: '{{ .CommonLabels.alertname }}', text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}', color: '{{ template \"slack.default.color\" . }}'}]",
        &[
            ("type", json!("slack")),
            ("name", json!("r-slack")),
            ("send_resolved", json!(false)),
            ("title", json!("{{ commonLabels.alertname }}")),
            (
                "text",
                json!("{% for item1 in alerts %}{{ item1.annotations.summary }}{% endfor %}"),
            ),
        ],
    );
    check(
        "  slack_configs: [{api_url: 'https://slack.com/api/chat.postMessage', channel: '#ops', http_config: {authorization: {credentials: xoxb-1}}}]",
        &[
            ("api_url", json!("https://slack.com/api")),
            ("channel", json!("#ops")),
            ("token", json!("<secret>")),
        ],
    );
    check(
        "  pagerduty_configs: [{routing_key_file: key, severity: critical, description: 'x'}]",
        &[
            ("type", json!("pagerduty")),
            ("routing_key_file", json!("/etc/am/key")),
            ("incident_per", json!("group")),
            ("severities.info", json!("critical")),
            ("title", json!("x")),
            ("send_resolved", json!(true)),
        ],
    );
    check(
        "  opsgenie_configs: [{api_key: k, api_url: 'https://api.eu.opsgenie.com/', priority: P2, tags: 'a, b', responders: [{type: user, username: u@example.org}]}]",
        &[
            ("api_url", json!("https://api.eu.opsgenie.com")),
            ("priorities.warning", json!("P2")),
            ("tags", json!(["a", "b"])),
            (
                "responders",
                json!([{"type": "user", "name": "u@example.org", "id": null}]),
            ),
        ],
    );
    check(
        "  webhook_configs: [{url: 'http://h/${x}', max_alerts: 0, http_config: {basic_auth: {username: u, password_file: p}, tls_config: {ca_file: ca.pem}, http_headers: {X-A: {values: [b]}}}}]",
        &[
            ("max_alerts", json!(10_000)),
            ("basic_auth.password_file", json!("/etc/am/p")),
            ("ca_file", json!("/etc/am/ca.pem")),
            ("headers.X-A", json!("<secret>")),
        ],
    );
    check(
        "  telegram_configs: [{bot_token: t, chat_id: -12, message: '{{ .Status | toUpper }}', disable_notifications: true}]",
        &[
            ("chat_id", json!("-12")),
            ("text", json!("{{ status | toUpper }}")),
            ("disable_notification", json!(true)),
        ],
    );
    check(
        "  discord_configs: [{webhook_url: 'https://discord.com/api/webhooks/1/x', message: m}]",
        &[("type", json!("discord")), ("text", json!("m"))],
    );
    check(
        "  msteamsv2_configs: [{webhook_url: 'https://example.org/x', title: t}]",
        &[("type", json!("teams")), ("title", json!("t"))],
    );
}

#[test]
fn mail_has_the_defaults_of_global() {
    let text = "global: {smtp_smarthost: 'mail.example.org:587', smtp_from: am@example.org, smtp_auth_username: u, smtp_auth_password: p}\n\
        route: {receiver: r}\nreceivers:\n- name: r\n  email_configs: [{to: 'a@example.org, b@example.org', headers: {Subject: '[{{ .Status }}] {{ .GroupLabels.SortedPairs.Values | join \" \" }}', X-Team: infra}, html: ''}]";
    let (read, texts) = read(text);
    assert_eq!(texts, Vec::<String>::new());
    let channel = serde_json::to_value(&read.channels[0]).unwrap();
    for (key, expected) in [
        ("smtp_server", json!("mail.example.org")),
        ("smtp_port", json!(587)),
        ("tls", json!("starttls")),
        ("from", json!("am@example.org")),
        ("username", json!("u")),
        ("recipients", json!(["a@example.org", "b@example.org"])),
        (
            "subject",
            json!(
                "[{{ status }}] {{ (groupLabels | dictsort | map(\"last\") | list) | join(\" \") }}"
            ),
        ),
        ("headers", json!({"X-Team": "infra"})),
        ("html", json!("")),
        ("send_resolved", json!(false)),
    ] {
        assert_eq!(channel[key], expected, "{key} of {channel:#}");
    }
}

#[test]
fn several_integrations_of_one_receiver_have_names_of_their_own() {
    let (read, texts) = read(
        "route: {receiver: 'team X/pager'}\nreceivers:\n- name: 'team X/pager'\n  webhook_configs: [{url: 'http://a'}, {url: 'http://b'}]\n- name: blackhole\n",
    );
    assert_eq!(texts, Vec::<String>::new());
    let receivers = serde_json::to_value(&read.receivers).unwrap();
    assert_eq!(receivers[0]["name"], "team X/pager");
    assert_eq!(
        receivers[0]["channels"],
        json!(["team-X-pager-webhook", "team-X-pager-webhook-2"])
    );
    assert_eq!(receivers[1]["channels"], json!([]));
}

#[test]
fn routes_intervals_and_inhibition() {
    let (read, texts) = read(
        r#"
route:
  receiver: a
  group_wait: 10s
  routes:
    - {match: {severity: page, quoted: 'a"b\c'}, match_re: {service: '^(x|y)$'}, receiver: b, continue: true}
    - matchers: [team = infra, 'env=~"prod|stage"']
      group_by: ['...']
      mute_time_intervals: [night]
receivers: [{name: a}, {name: b}]
inhibit_rules:
  - {source_match: {severity: page}, target_match_re: {severity: 'warn.*'}, equal: [alertname]}
mute_time_intervals:
  - {name: night, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], weekdays: ['monday:friday'], location: Europe/Berlin}]}
time_intervals:
  - {name: year, time_intervals: [{months: ['january:february'], days_of_month: ['-3:-1']}]}
"#,
    );
    assert_eq!(texts, Vec::<String>::new());
    let top = read.routes.unwrap().0;
    assert_eq!(top.group_by, Some(Vec::new()));
    assert_eq!(
        top.routes[0].matchers.to_string(),
        r#"{severity="page",quoted="a\"b\\c",service=~"^(x|y)$"}"#
    );
    assert!(top.routes[0].r#continue);
    assert_eq!(
        top.routes[1].matchers.to_string(),
        r#"{team="infra",env=~"prod|stage"}"#
    );
    assert_eq!(
        read.inhibit_rules[0].target_matchers.value.to_string(),
        r#"{severity=~"warn.*"}"#
    );
    let names: Vec<&str> = read
        .time_intervals
        .iter()
        .map(|one| one.name.value.as_str())
        .collect();
    assert_eq!(names, ["year", "night"]);
}

#[test]
fn what_cannot_be_kept_is_reported_with_its_line() {
    let (_, texts) = read(
        r#"global: {resolve_timeout: 5m}
templates: ['*.tmpl']
route: {receiver: r, labels: {a: b}}
receivers:
- name: r
  slack_configs:
  - {api_url: 'https://h/x', channel: '#a', actions: [], text: '{{ template "mine" . }}'}
  pagerduty_configs: [{service_key: k}]
  pushover_configs: [{token: t}]
  webhook_configs: [{url: 'http://a', http_config: {oauth2: {client_id: x}, tls_config: {insecure_skip_verify: true}}}]
  email_configs: [{to: 'x@example.org'}]
more: {}
"#,
    );
    let texts: Vec<&str> = texts
        .iter()
        .map(|texts| texts.lines().next().unwrap())
        .collect();
    assert!(
        !texts.iter().any(|texts| texts.contains("missing key")),
        "{texts:#?}"
    );
    for expected in [
        "warning 2:13: templates: no file matches *.tmpl",
        "warning 3:22: route.labels: `labels` is ignored",
        "warning 7:39: receivers[0].slack_configs[0].channel: a webhook posts to the channel that it was made for",
        "warning 7:45: receivers[0].slack_configs[0].actions: `actions` is ignored",
        "warning 7:64: receivers[0].slack_configs[0].text: cannot be translated: the template \"mine\" is not there",
        "8:37: receivers[0].pagerduty_configs[0].service_key: the Events API v1 is not spoken",
        "9:3: receivers[0].pushover_configs: there is no channel for `pushover_configs`",
        "10:61: receivers[0].webhook_configs[0].http_config.oauth2: there is no OAuth 2.0",
        "warning 10:112: receivers[0].webhook_configs[0].http_config.tls_config.insecure_skip_verify: certificates are always checked",
        "11:19: receivers[0].email_configs[0].from: neither `from` nor `smtp_from` in `global`",
        "11:19: receivers[0].email_configs[0].smarthost: neither `smarthost` nor `smtp_smarthost` in `global`",
        "warning 12:1: more: `more` is ignored",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
}

const TEMPLATES: &str = r#"
{{ define "broken" }}{{ query }}{{ break }}{{ end }}
{{ define "team.title" -}}
[{{ .Status | toUpper }}] {{ template "__who" .CommonLabels }}
{{- if ne .CommonAnnotations.missing "" }} set{{ else }} empty{{ end }}
{{- end }}
{{ define "__who" }}{{ .team }}{{ end }}
{{ define "loop" }}{{ template "loop" . }}{{ end }}
"#;

fn slack_text(message: &str) -> (serde_json::Value, Vec<String>) {
    let slack = format!("  slack_configs: [{{api_url: 'https://h/x', text: '{message}'}}]");
    let (read, texts) = read(&format!(
        "templates: ['t/*.tmpl']\nroute: {{receiver: r}}\nreceivers:\n- name: r\n{slack}"
    ));
    let channel = serde_json::to_value(read.channels.first()).unwrap();
    (channel["text"].clone(), texts)
}

#[test]
fn templates_of_files_and_the_title_that_most_copy() {
    let broken = "warning 1:13: templates: /etc/am/t/*.tmpl:2: cannot be read: `break`";
    let environment = bellwether_template::environment();
    let labels = json!({"alertname": "Disk", "team": "infra", "zone": "a"});
    let context = json!({
        "status": "firing", "groupLabels": {"alertname": "Disk"}, "commonLabels": labels,
        "commonAnnotations": {}, "alerts": [{"status": "firing"}], "externalURL": "http://x",
    });
    for (message, expected) in [
        (r#"{{ template "team.title" . }}!"#, "[FIRING] infra empty!"),
        (r#"{{ template "slack.default.title" . }}"#, ""),
        (
            r#"{{ template "slack.default.title" . }} {{ .Status }}"#,
            "[FIRING:1] Disk (infra a) firing",
        ),
        (
            r#"{{ with .CommonLabels.Remove .GroupLabels.Names }}{{ range .SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}{{ end }}"#,
            "team=infra zone=a ",
        ),
        (
            r#"{{ if eq .CommonLabels.gone "" "x" }}none{{ end }}{{ printf "%s|" .CommonLabels.gone }}"#,
            "none|",
        ),
        (
            r#"{{ .CommonLabels }}{{ or .CommonLabels.gone "?" }}"#,
            "map[alertname:Disk team:infra zone:a]?",
        ),
    ] {
        let (template, texts) = slack_text(message);
        assert_eq!(texts[0].lines().next(), Some(broken));
        assert_eq!(texts.len(), 1, "{texts:?}");
        let shown = environment.render_str(
            template.as_str().unwrap_or_default(),
            minijinja::value::Serde(&context),
        );
        assert_eq!(shown.unwrap(), expected, "{message}: {template}");
    }
    let (template, texts) = slack_text(r#"{{ template "loop" . }}"#);
    assert_eq!(template, json!(null));
    assert!(
        texts[1].contains("the template \"loop\" is too large"),
        "{texts:?}"
    );
}

#[test]
fn what_is_empty_is_absent() {
    let (read, texts) = read(
        r#"
global:
  smtp_smarthost: 'localhost:25'
  smtp_from: 'alertmanager@example.org'
  smtp_auth_username: ''
  smtp_auth_password: ''
  smtp_hello: ''
  slack_api_url: 'https://slack.com/webhook'
templates:
  - '/etc/alertmanager/template/*.tmpl'
route:
  receiver: team-X-mails
receivers:
  - name: 'team-X-mails'
    email_configs:
      - {to: 'team-X+alerts@example.org', from: '', hello: ''}
    slack_configs:
      - {api_url: '', channel: '', http_config: {proxy_url: '', tls_config: {ca_file: '', cert_file: ''}}}
"#,
    );
    assert_eq!(
        texts,
        ["warning 10:5: templates: no file matches /etc/alertmanager/template/*.tmpl"]
    );
    let mail = serde_json::to_value(&read.channels[1]).unwrap();
    assert_eq!(
        (&mail["username"], &mail["password"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(mail["from"], "alertmanager@example.org");
    assert_eq!(read.channels.len(), 2);
}

#[test]
fn a_bot_of_slack_is_known_by_the_general_url_too() {
    let global = "global: {slack_api_url: 'https://slack.com/api/chat.postMessage/'";
    let rest = "route: {receiver: r}\nreceivers:\n- name: r\n  slack_configs: [{channel: '#a'";
    let token = "http_config: {authorization: {credentials: xoxb-1}}";
    for text in [
        format!("{global}}}\n{rest}, {token}}}]"),
        format!("{global}, {token}}}\n{rest}}}]"),
    ] {
        let (read, texts) = read(&text);
        assert_eq!(texts, [""; 0]);
        let channel = serde_json::to_value(&read.channels[0]).unwrap();
        assert_eq!(channel["api_url"], "https://slack.com/api");
        assert_eq!(channel["token"], "<secret>");
        assert_eq!(channel["channel"], "#a");
    }
    let (_, texts) = read(&format!("{global}}}\n{rest}}}]"));
    assert!(
        texts[0].contains("slack_configs[0].api_url: a bot needs a token to post"),
        "{texts:?}"
    );
}

#[test]
fn keys_that_alertmanager_expands_are_expanded() {
    check(
        "  opsgenie_configs: [{api_key: k, tags: '{{ .CommonLabels.a }},b', details: {x: '{{ .CommonLabels.y }}', z: ''}, responders: [{type: team, name: '{{ .CommonLabels.team }}', id: ''}]}]",
        &[
            (
                "responders",
                json!([{"type": "team", "name": "{{ commonLabels.team }}", "id": null}]),
            ),
            ("tags", json!(["{{ commonLabels.a }},b"])),
            ("details", json!({"x": "{{ commonLabels.y }}"})),
        ],
    );
    check(
        "  pagerduty_configs: [{routing_key: '{{ .CommonLabels.key }}', details: {x: y}}]",
        &[
            ("routing_key", json!("<secret>")),
            ("details", json!({"x": "y"})),
        ],
    );
    check(
        "  slack_configs: [{app_token: x, channel: '#{{ .GroupLabels.team }}', username: '{{ .Status }}'}]",
        &[
            ("channel", json!("#{{ groupLabels.team }}")),
            ("username", json!("{{ status }}")),
        ],
    );
    check(
        "  discord_configs: [{webhook_url: 'http://a', username: '{{ .Status }}'}]",
        &[("username", json!("{{ status }}"))],
    );
    for (yaml, expected) in [
        (
            "webhook_configs: [{url: 'http://a/{{ .Status }}'}]",
            "url: no template can stand here",
        ),
        (
            "slack_configs: [{app_token: x, channel: '{{ template \"mine\" . }}'}]",
            "slack_configs[0].channel: cannot be translated: the template \"mine\" is not there",
        ),
        (
            "pagerduty_configs: [{routing_key: '{{ template \"mine\" . }}'}]",
            "pagerduty_configs[0].routing_key: cannot be translated: the template \"mine\" is not there",
        ),
        (
            "opsgenie_configs: [{api_key: k, responders: [{type: team, name: '{{ template \"mine\" . }}'}]}]",
            "opsgenie_configs[0].responders[0].name: cannot be translated: the template \"mine\" is not there",
        ),
        (
            "opsgenie_configs: [{api_key: '{{ .Status }}'}]",
            "api_key: a template is not supported here",
        ),
    ] {
        let (_, texts) = channel(&format!("  {yaml}"));
        let errors: Vec<_> = texts
            .iter()
            .filter(|texts| !texts.starts_with("warning"))
            .collect();
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{yaml}: {texts:#?}"
        );
    }
}

fn mail(headers: &str) -> (serde_json::Value, Vec<String>) {
    channel(&format!(
        "  email_configs: [{{to: 'a@b.c', from: 'd@e.f', smarthost: 'h:25', headers: {headers}}}]"
    ))
}

#[test]
fn headers_of_a_mail_have_their_keys() {
    let (made, texts) =
        mail("{To: a@b.c, Reply-To: r@b.c, X-Team: '{{ .GroupLabels.team }}', Subject: s}");
    assert_eq!(texts, [""; 0]);
    assert_eq!(made["reply_to"], "r@b.c");
    assert_eq!(made["headers"], json!({"X-Team": "{{ groupLabels.team }}"}));
    assert_eq!(made["subject"], "s");
    let (made, texts) = mail("{To: x@b.c, CC: y@b.c, From: z@b.c, Date: d}");
    assert_eq!(made["recipients"], json!(["a@b.c"]));
    for (name, hint) in [
        ("To", "mail goes to whom `to` names"),
        ("CC", "mail goes to whom `to` names"),
        ("From", "set `from`"),
        ("Date", "leave it out: the channel writes it itself"),
    ] {
        let expected = format!(
            "headers.{name}: the channel writes the header {name:?} itself\n  hint: {hint}"
        );
        let found = texts
            .iter()
            .any(|texts| texts.starts_with("warning") && texts.ends_with(&expected));
        assert!(found && texts.len() == 4, "{expected}: {texts:#?}");
    }
}

#[test]
fn redirects_are_followed_unless_the_file_says_otherwise() {
    for follow in [true, false] {
        let http = format!("http_config: {{follow_redirects: {follow}}}");
        check(
            &format!("  webhook_configs: [{{url: 'http://a', {http}}}]"),
            &[("follow_redirects", json!(follow))],
        );
    }
    check(
        "  discord_configs: [{webhook_url: 'http://a', http_config: {follow_redirects: true}}]",
        &[],
    );
}

#[test]
fn an_empty_file_is_an_error() {
    assert_eq!(read("").1, ["1:1: missing key \"route\""]);
    assert!(read("route: [").1[0].starts_with("2:1: not valid YAML"));
}
