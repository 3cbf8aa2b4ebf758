use reqwest::Url;

use super::*;
use crate::testing::{batch, configured, context, crowd, hostile, notification};

fn discord(text: Option<&str>) -> Discord {
    let text = text.map(|text| Spanned::nowhere(Literal(text.to_owned())));
    let settings = DiscordChannel {
        url: None,
        url_file: None,
        thread_id: None,
        mention_roles: vec!["42".to_owned().into()],
        username: None,
        avatar_url: None,
        title: None,
        text,
        http: ClientSettings::default(),
    };
    let context = context();
    let url = Url::parse("http://127.0.0.1:1").unwrap();
    Discord {
        endpoint: Endpoint::open(url, settings.http.clone(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, settings.text.as_ref(), escape).unwrap(),
        username: None,
        avatar_url: None,
        settings,
        context,
    }
}

#[test]
fn a_message() {
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    assert_eq!(
        discord(None).message(&firing),
        json!({
            "content": "<@&42>",
            "embeds": [{
                "title": "\\[FIRING\\] disk \\(warning\\): disk of /data",
                "url": "http://host-1:9091/",
                "description": "**disk \\(warning\\)**: disk of /data\n\
                    `instance=host-1, mount=/data`\n\
                    Value 91.5, threshold 85\n\
                    Since <t:1795233900:f>\n\
                    Why: disk 91 \\> 85 for 5m\n\
                    [Runbook](https://example.org/disk)",
                "color": 0xe8_a3_3d,
                "timestamp": "2026-11-21T04:05:00.250Z",
            }],
            "allowed_mentions": {"parse": [], "roles": ["42"]},
        })
    );
    let resolved = batch([notification("disk", "/data", Status::Resolved)]);
    let message = discord(None).message(&resolved);
    assert_eq!(
        message["allowed_mentions"],
        json!({"parse": [], "roles": []})
    );
    assert_eq!(message.get("content"), None);
}

#[test]
fn labels_are_no_markup() {
    let message = discord(None).message(&batch([hostile()]));
    let text = message["embeds"][0]["description"].as_str().unwrap();
    let code = text.lines().nth(1).unwrap();
    assert_eq!(code.matches('`').count(), 2, "{code}");
    let rest = text.replace(code, "");
    assert!(!rest.contains(" @") && !rest.contains(" *b"), "{rest}");
    assert!(rest.contains("\\@everyone \\*b\\*"), "{rest}");
}

#[test]
fn a_crowd_stays_within_the_limits() {
    for count in [1, 6, 20, 60, 1000] {
        let message = discord(None).message(&crowd(count));
        let embed = &message["embeds"][0];
        let (title, text) = (
            embed["title"].as_str().unwrap(),
            embed["description"].as_str().unwrap(),
        );
        assert!((1..=TITLE).contains(&width(title)), "{title}");
        assert!(
            (1..=DESCRIPTION).contains(&width(text)),
            "{count}: {}",
            width(text)
        );
    }
    let long = discord(Some(
        "{{ alerts[0].message * 1 }}{% for a in alerts %}{{ a }}{% endfor %}",
    ));
    let message = long.message(&crowd(500));
    assert!(width(message["embeds"][0]["description"].as_str().unwrap()) <= DESCRIPTION);
}

#[test]
fn a_delay_is_in_fractions_of_a_second() {
    let failed = |retryable, body: &str| RequestError {
        error: DeliveryError {
            retryable,
            ..DeliveryError::default()
        },
        body: body.to_owned(),
    };
    let wait = |retryable, body| delivery_error(failed(retryable, body)).retry_after;
    let limit = "{\"message\": \"limited\", \"retry_after\": 0.25, \"global\": false}";
    assert_eq!(wait(true, limit), Some(Duration::from_millis(250)));
    assert_eq!(wait(false, limit), None);
    for body in [
        "",
        "<html>",
        "{\"retry_after\": -1}",
        "{\"retry_after\": 1e300}",
    ] {
        assert_eq!(wait(true, body), None, "{body}");
    }
}

#[test]
fn invalid_settings_are_errors() {
    for (more, expected) in [
        ("", "missing key \"url\""),
        (", url: 'ftp://a'", "not an HTTP URL"),
        (", url: 'http://a', thread_id: x", "not an id of Discord"),
        (
            ", url: 'http://a', mention_roles: ['@everyone']",
            "not an id of Discord",
        ),
        (
            ", url: 'http://a', username: Discord Alerts",
            "not a user name that Discord accepts",
        ),
    ] {
        let (_, problems) = configured(&format!("{{type: discord{more}}}"));
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}
