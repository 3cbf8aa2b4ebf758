use std::sync::Arc;

use bellwether_core::Group;
use reqwest::Url;

use super::*;
use crate::testing::{alert, batch, configured, context, crowd, group, hostile, notification};

fn pagerduty(incident_per: PagerDutyIncident) -> PagerDuty {
    let settings = PagerDutyChannel {
        routing_key: None,
        routing_key_file: None,
        incident_per,
        severities: BTreeMap::from([(
            "warning".to_owned(),
            Spanned::nowhere(PagerDutySeverity::Error),
        )]),
        source_label: "instance".into(),
        details: BTreeMap::from([
            (
                "where".to_owned(),
                Spanned::nowhere(Literal("at {{ commonLabels.mount }}".into())),
            ),
            (
                "bad".to_owned(),
                Spanned::nowhere(Literal("{{ commonLabels.none }}".into())),
            ),
        ]),
        api_url: "http://127.0.0.1:1".to_owned().into(),
        title: None,
        http: ClientSettings::default(),
    };
    let context = context();
    let url = Url::parse(&settings.api_url).unwrap();
    PagerDuty {
        endpoint: Endpoint::open(url, settings.http.clone(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, None, str::to_owned).unwrap(),
        key: TemplatedValue::new("routing_key", "k").unwrap(),
        details: Details::new(&settings.details).unwrap(),
        settings,
        context,
    }
}

fn whole(status: Status, mount: &str) -> Notification {
    let group = Arc::new(Group {
        include_firing: true,
        ..group("disk")
    });
    Notification {
        group,
        ..notification("disk", mount, status)
    }
}

#[test]
fn an_event_of_an_alert_and_its_end() {
    let channel = pagerduty(PagerDutyIncident::Alert);
    let firing = notification("disk", "/data", Status::Firing);
    let key = message::identity(&firing.alert, &channel.context.sender);
    assert_eq!(
        channel
            .alert_event(&firing, &batch([firing.clone()]))
            .unwrap(),
        json!({
            "routing_key": "k",
            "event_action": "trigger",
            "dedup_key": key,
            "payload": {
                "summary": "disk (warning): disk of /data",
                "source": "host-1",
                "severity": "error",
                "timestamp": "2026-11-21T04:05:00.250Z",
                "class": "disk",
                "custom_details": {
                    "reason": "disk 91 > 85 for 5m",
                    "value": "Value 91.5, threshold 85",
                    "since": "2026-11-21 04:05:00 UTC",
                    "instance": "host-1",
                    "mount": "/data",
                    "where": "at /data",
                    "bad": "the template of `bad` renders nothing for these alerts",
                },
            },
            "links": [{"href": "https://example.org/disk", "text": "Runbook"}],
            "client": "Bellwether",
            "client_url": "http://host-1:9091/",
        })
    );
    let resolved = notification("disk", "/data", Status::Resolved);
    assert_eq!(
        channel
            .alert_event(&resolved, &batch([resolved.clone()]))
            .unwrap(),
        json!({"routing_key": "k", "event_action": "resolve", "dedup_key": key})
    );
}

#[test]
fn an_incident_of_a_group_ends_with_the_last_of_it() {
    let channel = pagerduty(PagerDutyIncident::Group);
    let flat = notification("disk", "/a", Status::Firing);
    assert!(
        !channel.is_per_group(&flat),
        "nobody knows when all of it is over"
    );
    let two = batch([whole(Status::Firing, "/a"), whole(Status::Firing, "/b")]);
    assert!(
        channel.joins(&two.notifications[0], &two.notifications[1])
            && !channel.joins(&two.notifications[0], &flat)
    );
    let event = channel.group_event(&two).unwrap();
    assert_eq!(event["payload"]["summary"], "[FIRING:2] disk (warning)");
    let mut one_left = batch([whole(Status::Resolved, "/a")]);
    one_left.still_firing = vec![Arc::new(alert("disk", "/b"))];
    assert_eq!(
        channel.group_event(&one_left).unwrap()["event_action"],
        "trigger"
    );
    let last = channel
        .group_event(&batch([whole(Status::Resolved, "/b")]))
        .unwrap();
    assert_eq!(last["event_action"], "resolve");
    assert_eq!(last["dedup_key"], event["dedup_key"]);
}

#[test]
fn a_crowd_stays_within_the_limit() {
    let channel = pagerduty(PagerDutyIncident::Group);
    let crowd = crowd(1000);
    assert!(channel.group_event(&crowd).unwrap().to_string().len() < 512_000);
    for notification in crowd.notifications.iter().chain([&hostile()]) {
        let event = channel.alert_event(notification, &crowd).unwrap();
        assert!(event.to_string().len() < 512_000);
        let summary = event["payload"]["summary"].as_str();
        assert!(summary.is_none_or(|summary| width(summary) <= SUMMARY));
    }
}

#[test]
fn invalid_settings_are_errors() {
    for (more, expected) in [
        ("", "missing key \"routing_key\""),
        (
            ", routing_key: x, severities: {bad: error}",
            "not a severity: \"bad\"",
        ),
        (
            ", routing_key: x, severities: {info: bad}",
            "unknown value \"bad\"",
        ),
        (", routing_key: '{{ a'", "routing_key: invalid template: "),
        (
            ", routing_key: x, details: {a: '{{ a'}",
            "details.a: invalid template: ",
        ),
        (
            ", routing_key: x, incident_per: rule",
            "unknown value \"rule\"",
        ),
    ] {
        let (_, problems) = configured(&format!("{{type: pagerduty{more}}}"));
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}

#[test]
fn the_key_may_follow_the_alerts_and_is_never_guessed() {
    let key = TemplatedValue::new("routing_key", "key-of-{{ commonLabels.mount }}").unwrap();
    let channel = PagerDuty {
        key,
        ..pagerduty(PagerDutyIncident::Alert)
    };
    for status in [Status::Firing, Status::Resolved] {
        let notification = notification("disk", "/data", status);
        let event = channel
            .alert_event(&notification, &batch([notification.clone()]))
            .unwrap();
        assert_eq!(event["routing_key"], "key-of-/data");
    }
    let key = TemplatedValue::new("routing_key", "{{ commonLabels.none }}").unwrap();
    let channel = PagerDuty { key, ..channel };
    let notification = notification("disk", "/data", Status::Firing);
    let error = channel
        .alert_event(&notification, &batch([notification.clone()]))
        .unwrap_err();
    let expected = "the template of `routing_key` renders nothing for these alerts";
    assert_eq!(error, DeliveryError::permanent(expected));
}
