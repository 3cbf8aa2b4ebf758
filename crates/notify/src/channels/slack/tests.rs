use bellwether_core::Status;

use super::*;
use crate::testing::{HOSTILE, batch, configured, context, crowd, hostile, notification};

fn slack(text: Option<&str>) -> Slack {
    let text = text.map(|text| Spanned::nowhere(Literal(text.to_owned())));
    let settings = SlackChannel {
        url: None,
        url_file: None,
        token: None,
        token_file: None,
        channel: Some("#ops".to_owned().into()),
        api_url: "http://127.0.0.1:1".to_owned().into(),
        username: None,
        icon_emoji: None,
        title: None,
        text,
        http: ClientSettings::default(),
    };
    let context = context();
    let url = Url::parse(&settings.api_url).unwrap();
    Slack {
        bot: true,
        endpoint: Endpoint::open(url, settings.access(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, settings.text.as_ref(), escape).unwrap(),
        keys: vec![TemplatedValue::new("channel", "#ops").unwrap()],
        context,
    }
}

fn texts(message: &Value) -> Vec<&str> {
    let blocks = message["attachments"][0]["blocks"].as_array().unwrap();
    blocks
        .iter()
        .filter_map(|block| block["text"]["text"].as_str())
        .collect()
}

#[test]
fn a_message() {
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    assert_eq!(
        slack(None).message(&firing).unwrap(),
        json!({
            "channel": "#ops",
            "text": "[FIRING] disk (warning): disk of /data",
            "attachments": [{
                "color": "#e8a33d",
                "fallback": "[FIRING] disk (warning): disk of /data",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text":
                        "*disk (warning)*: disk of /data\n\
                         `instance=host-1, mount=/data`\n\
                         Value 91.5, threshold 85\n\
                         Since <!date^1795233900^{date_short_pretty} {time_secs}|2026-11-21 04:05:00 UTC>\n\
                         Why: disk 91 &gt; 85 for 5m\n\
                         <https://example.org/disk|Runbook>"}},
                    {"type": "context", "elements": [
                        {"type": "mrkdwn", "text": "<http://host-1:9091/|Bellwether>"}]},
                ],
            }],
            "unfurl_links": false,
            "unfurl_media": false,
        })
    );
}

#[test]
fn labels_are_no_markup() {
    let message = slack(None).message(&batch([hostile()])).unwrap();
    let text = texts(&message).join("\n") + message["text"].as_str().unwrap();
    for tag in text.split('<').skip(1) {
        let ours = ["!date^", "https://example.org/"];
        assert!(ours.iter().any(|start| tag.starts_with(start)), "<{tag}");
    }
    assert!(text.contains("&lt;!channel&gt;"), "{text}");
    assert!(text.contains("&amp;amp;"), "{text}");
    let templated = slack(Some(
        "<!here> {{ alerts[0].message }} {{ alerts[0].message | safe }}",
    ));
    let message = templated.message(&batch([hostile()])).unwrap();
    let text = texts(&message)[0].to_owned();
    assert!(text.starts_with("<!here> &lt;!channel&gt;"), "{text}");
    assert!(text.ends_with(HOSTILE), "{text}");
}

#[test]
fn marks_of_labels_and_messages_are_none() {
    for (plain, expected) in [
        ("*x* _x_ ~x~ `x`", "∗x∗ ˍxˍ ∼x∼ ˋxˋ"),
        ("_*x*_ (_x_) __x__", "ˍ∗x∗ˍ (ˍxˍ) ˍˍxˍˍ"),
        (
            "mount_point=/a_b/c_d high_cpu_1",
            "mount_point=/a_b/c_d high_cpu_1",
        ),
        (
            "> x\n  > y\n91 > 85 & <z>",
            "› x\n  › y\n91 &gt; 85 &amp; &lt;z&gt;",
        ),
        ("a * b", "a ∗ b"),
        (":fire: x:+1:y :flag-at:", "꞉fire: x꞉+1:y ꞉flag-at:"),
        (
            "at 12:30:45: a: b: :: 127.0.0.1:80",
            "at 12:30:45: a: b: :: 127.0.0.1:80",
        ),
    ] {
        assert_eq!(escape(plain), expected);
    }
    let mut notification = notification("disk", "`*/_data_*`", Status::Firing);
    let mut alert = (*notification.alert).clone();
    alert.message = "*x* _x_ `x`".into();
    notification.alert = std::sync::Arc::new(alert);
    let channel = slack(Some(
        "{{ alerts[0].labels.mount }} *{{ alerts[0].message }}*",
    ));
    for message in [
        slack(None).message(&batch([notification.clone()])),
        channel.message(&batch([notification])),
    ] {
        let message = message.unwrap();
        let text = texts(&message).join("\n") + message["text"].as_str().unwrap();
        assert!(
            !text.contains("*x*") && !text.contains("_x_") && !text.contains("`x`"),
            "{text}"
        );
        // Ours are in pairs.
        assert!(
            text.matches('*').count() == 2 && text.matches('`').count().is_multiple_of(2),
            "{text}"
        );
    }
}

#[test]
fn where_to_may_follow_the_alerts_and_is_never_guessed() {
    let key = |name, text: &str| TemplatedValue::new(name, text).unwrap();
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    let keys = vec![
        key("channel", "#{{ groupLabels.alertname }}"),
        key("username", "{{ commonLabels.none }}"),
    ];
    let message = Slack {
        keys,
        ..slack(None)
    }
    .message(&firing)
    .unwrap();
    assert_eq!(message["channel"], "#disk");
    assert_eq!(
        message.get("username"),
        None,
        "it is sent under the default name"
    );
    let keys = vec![key("channel", "{{ commonLabels.none }}")];
    let error = Slack {
        keys,
        ..slack(None)
    }
    .message(&firing)
    .unwrap_err();
    let expected = "the template of `channel` renders nothing for these alerts";
    assert_eq!(error, DeliveryError::permanent(expected));
}

#[test]
fn a_crowd_stays_within_the_limits() {
    for count in [1, 6, 20, 60, 1000] {
        let mut crowd = crowd(count);
        // Alerts that still fire may be as hostile as new ones.
        crowd
            .still_firing
            .iter_mut()
            .for_each(|alert| *alert = hostile().alert);
        let message = slack(None).message(&crowd).unwrap();
        let blocks = message["attachments"][0]["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50, "{count}: {}", blocks.len());
        let texts = texts(&message);
        assert!(
            texts.iter().all(|text| (1..=3000).contains(&width(text))),
            "{count}"
        );
        let all: usize = texts.iter().map(|text| width(text)).sum();
        assert!(all <= 12_000, "{count}: {all}");
        assert!(width(message["text"].as_str().unwrap()) <= 4000);
    }
}

#[test]
fn a_template_that_fails_does_not_cost_the_alert() {
    let message = slack(Some("{{ alerts | first | nothing }}"))
        .message(&batch([hostile()]))
        .unwrap();
    let texts = texts(&message).join("\n");
    assert!(
        texts.contains("*disk (warning)*") && texts.contains("fails: filter nothing is unknown"),
        "{texts}"
    );
}

#[test]
fn invalid_settings_are_errors() {
    for (yaml, expected) in [
        ("{type: slack}", "missing key \"url\""),
        (
            "{type: slack, url: 'http://a', token: x}",
            "both `url` and `token`",
        ),
        ("{type: slack, token: x}", "missing key \"channel\""),
        ("{type: slack, channel: x}", "missing key \"token\""),
        (
            "{type: slack, url: 'https://slack.com/api/chat.postMessage'}",
            "url: chat.postMessage is a method for bots, and needs a bot's token",
        ),
        (
            "{type: slack, token: x, channel: '#{{ a'}",
            "channel: invalid template: ",
        ),
        (
            "{type: slack, url: 'http://a/{{ a }}'}",
            "url: a template is not supported here",
        ),
        (
            "{type: slack, token: x, token_file: y, channel: z}",
            "both `token` and `token_file`",
        ),
        (
            "{type: slack, url: 'http://a', channel: z}",
            "always posts to its own channel",
        ),
        (
            "{type: slack, token: x, channel: z, api_url: y}",
            "api_url: not a URL",
        ),
        (
            "{type: slack, url: 'http://a', text: '{{ a'}",
            "text: invalid template: ",
        ),
        (
            "{type: slack, url: 'http://a', proxy_url: a}",
            "proxy_url: not a URL",
        ),
        (
            "{type: slack, url: 'http://a', timeout: 0}",
            "timeout: must be longer than 0s",
        ),
    ] {
        let (_, problems) = configured(yaml);
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        assert!(problems[0].contains(expected), "{yaml}: {problems:?}");
    }
    assert!(
        configured("{type: slack, url: 'https://hooks.slack.com/services/T/B/x'}")
            .0
            .is_some()
    );
}

#[test]
fn a_url_in_a_file_is_checked_like_one_in_the_configuration() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("url");
    let yaml = format!("{{type: slack, url_file: {}}}", file.display());
    std::fs::write(&file, "https://hooks.slack.com/services/T/B/x\n").unwrap();
    assert!(configured(&yaml).0.is_some());
    std::fs::write(&file, "https://slack.com/api/chat.postMessage\n").unwrap();
    let (_, problems) = configured(&yaml);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("url_file: chat.postMessage is a method"),
        "{problems:?}"
    );
}
