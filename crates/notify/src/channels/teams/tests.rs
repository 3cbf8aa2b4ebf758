use bellwether_core::Status;
use reqwest::Url;

use super::*;
use crate::testing::{batch, configured, context, crowd, hostile, notification};

fn teams(text: Option<&str>) -> Teams {
    let text = text.map(|text| Spanned::nowhere(Literal(text.to_owned())));
    let context = context();
    let url = Url::parse("http://127.0.0.1:1").unwrap();
    Teams {
        endpoint: Endpoint::open(url, ClientSettings::default(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, text.as_ref(), escape).unwrap(),
        context,
    }
}

#[test]
fn a_message() {
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    let message = teams(None).message(&firing);
    let card = &message["attachments"][0]["content"];
    assert_eq!(card["body"][0]["style"], "warning");
    assert_eq!(
        card["body"][0]["items"][0]["text"],
        "\\[FIRING\\] disk \\(warning\\): disk of /data"
    );
    assert_eq!(
        card["body"][1]["text"],
        "**disk \\(warning\\)**: disk of /data\n\n\
         instance=host-1, mount=/data\n\n\
         Value 91.5, threshold 85\n\n\
         Since 2026-11-21 04:05:00 UTC\n\n\
         Why: disk 91 \\> 85 for 5m\n\n\
         [Runbook](https://example.org/disk)"
    );
    assert_eq!(
        card["actions"],
        json!([
            {"type": "Action.OpenUrl", "title": "Bellwether", "url": "http://host-1:9091/"},
            {"type": "Action.OpenUrl", "title": "Runbook", "url": "https://example.org/disk"},
        ])
    );
}

#[test]
fn labels_are_no_markup() {
    let text = teams(None).message(&batch([hostile()])).to_string();
    assert!(!text.contains("{{DATE("), "{text}");
    assert!(!text.contains(" [y]("), "{text}");
}

#[test]
fn a_crowd_stays_within_the_limit() {
    for count in [1, 6, 20, 60, 1000] {
        let bytes = teams(None).message(&crowd(count)).to_string().len();
        assert!(bytes <= 28 * 1000, "{count}: {bytes}");
    }
    let long = teams(Some("{% for a in alerts %}{{ a }}{% endfor %}"));
    assert!(long.message(&crowd(300)).to_string().len() <= 28 * 1000);
}

#[test]
fn an_error_may_come_as_a_success() {
    let said = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP \
                error 429 with ContextId tcid=1";
    assert_eq!(hidden_error(said), Some(true));
    assert_eq!(hidden_error(&said.replace("429", "413")), Some(false));
    assert_eq!(
        hidden_error("Webhook message delivery failed with error: x"),
        Some(true)
    );
    for fine in ["1", "", "HTTP error é"] {
        assert_eq!(hidden_error(fine), None);
    }
}

#[test]
fn invalid_settings_are_errors() {
    let (_, problems) = configured("{type: teams}");
    assert!(problems[0].contains("missing key \"url\""), "{problems:?}");
}
