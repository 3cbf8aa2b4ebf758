use bellwether_core::Status;

use super::*;
use crate::testing::{batch, configured, context, crowd, hostile, notification};

fn telegram(text: Option<&str>) -> Telegram {
    let text = text.map(|text| Spanned::nowhere(Literal(text.to_owned())));
    let settings = TelegramChannel {
        token: None,
        token_file: None,
        chat_id: "-1001".to_owned().into(),
        message_thread_id: Some(7),
        disable_notification: true,
        api_url: "http://127.0.0.1:1".to_owned().into(),
        title: None,
        text,
        http: ClientSettings::default(),
    };
    let context = context();
    let url = Url::parse("http://127.0.0.1:1").unwrap();
    Telegram {
        endpoint: Endpoint::open(url, settings.http.clone(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, settings.text.as_ref(), escape).unwrap(),
        settings,
        context,
    }
}

fn text(batch: &Batch) -> String {
    telegram(None).text(batch).0
}

/// The text once Telegram has read its entities, if it takes them.
fn parsed(html: &str) -> Result<String, String> {
    let (mut open, mut text, mut rest) = (Vec::new(), String::new(), html);
    while let Some(at) = rest.find(['<', '&']) {
        text += &rest[..at];
        let mark = &rest[at..];
        let end = if mark.starts_with('<') { '>' } else { ';' };
        let inside = mark[1..]
            .split_once(end)
            .ok_or_else(|| format!("unended {mark}"))?;
        let name = inside.0.split(' ').next().unwrap_or_default();
        match (end, name) {
            (';', "amp" | "lt" | "gt" | "quot") => text.push('x'),
            ('>', "b" | "code" | "a") => open.push(name),
            ('>', "/b" | "/code" | "/a") if open.pop() == name.get(1..) => {}
            _ => return Err(format!("{inside:?}")),
        }
        rest = inside.1;
    }
    if open.is_empty() {
        Ok(text + rest)
    } else {
        Err(format!("open {open:?}"))
    }
}

#[test]
fn a_message() {
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    let notification = telegram(None);
    let (text, own) = notification.text(&firing);
    assert!(own);
    let message: Value = serde_json::from_str(&notification.message(&text, true)).unwrap();
    assert_eq!(
        message,
        json!({
            "chat_id": -1001,
            "message_thread_id": 7,
            "disable_notification": true,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
            "text": "🟠 <b>[FIRING] disk (warning): disk of /data</b>\n\n\
                <b>disk (warning)</b>: disk of /data\n\
                <code>instance=host-1, mount=/data</code>\n\
                Value 91.5, threshold 85\n\
                Since 2026-11-21 04:05:00 UTC\n\
                Why: disk 91 &gt; 85 for 5m\n\
                <a href=\"https://example.org/disk\">Runbook</a>\n\n\
                <a href=\"http://host-1:9091/\">Bellwether</a>",
        })
    );
}

#[test]
fn labels_are_no_markup() {
    let text = text(&batch([hostile()]));
    parsed(&text).unwrap();
    assert!(
        text.contains("&lt;/b&gt;&lt;a href=&quot;http://evil.test&quot;&gt; &amp;amp;"),
        "{text}"
    );
}

#[test]
fn a_crowd_stays_within_the_limits() {
    for count in [1, 6, 20, 60, 1000] {
        let text = text(&crowd(count));
        assert!(
            (1..=MESSAGE).contains(&width(&text)),
            "{count}: {}",
            width(&text)
        );
        parsed(&text).unwrap();
    }
}

#[test]
fn a_template_that_is_too_long_ends_its_tags() {
    let long = "<b>all <a href=\"http://a.test\">{% for a in alerts %}{{ a }}{% endfor %}</a></b>";
    let (text, own) = telegram(Some(long)).text(&crowd(300));
    assert!(!own && width(&text) <= MESSAGE);
    parsed(&text).unwrap();
}

#[test]
fn an_error_has_its_fix() {
    let failed = |retryable, body: &str| RequestError {
        error: DeliveryError {
            retryable,
            message: "refused".into(),
            ..DeliveryError::default()
        },
        body: body.to_owned(),
    };
    let limit = delivery_error(failed(
        true,
        "{\"ok\":false,\"parameters\":{\"retry_after\":5}}",
    ));
    assert_eq!(limit.retry_after, Some(Duration::from_secs(5)));
    let moved = delivery_error(failed(
        false,
        "{\"ok\":false,\"parameters\":{\"migrate_to_chat_id\":-100}}",
    ));
    assert_eq!(
        moved.message,
        "refused; the group was migrated: set `chat_id` to -100"
    );
    assert_eq!(delivery_error(failed(false, "<html>")).message, "refused");
}

#[test]
fn invalid_settings_are_errors() {
    for (more, expected) in [
        ("chat_id: 5", "missing key \"token\""),
        ("token: x", "missing key \"chat_id\""),
        ("token: x, chat_id: ops", "not a chat: \"ops\""),
        ("token: x, chat_id: '@'", "not a chat: \"@\""),
        ("token: '', chat_id: 5", "token: must not be empty"),
    ] {
        let (_, problems) = configured(&format!("{{type: telegram, {more}}}"));
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}
