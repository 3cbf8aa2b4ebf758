use super::*;
use crate::testing::{batch, configured, context, crowd, notification};

fn opsgenie() -> Opsgenie {
    let named = |r#type, name: &str| OpsgenieResponder {
        r#type,
        name: Some(name.to_owned().into()),
        id: None,
    };
    let settings = OpsgenieChannel {
        api_key: None,
        api_key_file: None,
        api_url: "http://127.0.0.1:1".to_owned().into(),
        responders: vec![
            named(OpsgenieResponderType::Team, "ops"),
            named(
                OpsgenieResponderType::User,
                "{{ commonLabels.who }}@example.org",
            ),
            named(OpsgenieResponderType::Schedule, "{{ commonLabels.none }}"),
        ],
        tags: vec![
            "lab".to_owned().into(),
            "a,b".to_owned().into(),
            "{{ commonLabels.mount }},,c".to_owned().into(),
            "{{ commonLabels.none }}".to_owned().into(),
        ],
        details: BTreeMap::from([(
            "where".to_owned(),
            Spanned::nowhere(Literal("at {{ commonLabels.mount }}".into())),
        )]),
        priorities: BTreeMap::new(),
        title: None,
        text: None,
        http: ClientSettings::default(),
    };
    let context = context();
    let url = Url::parse("http://127.0.0.1:1/v2/alerts").unwrap();
    Opsgenie {
        endpoint: Endpoint::open(url, settings.http.clone(), context.clock.clone()).unwrap(),
        texts: MessageTemplates::new(None, None, str::to_owned).unwrap(),
        responders: settings
            .responders
            .iter()
            .map(|notification| Responder::new(notification).unwrap())
            .collect(),
        tags: settings
            .tags
            .iter()
            .map(|tag| TemplatedValue::new("tags", tag).unwrap())
            .collect(),
        details: Details::new(&settings.details).unwrap(),
        settings,
        context,
    }
}

#[test]
fn an_alert_and_its_end() {
    let channel = opsgenie();
    let mut firing = notification("disk", "/data", Status::Firing);
    let mut labelled = (*firing.alert).clone();
    labelled.labels.insert("who".into(), "me".into());
    firing.alert = std::sync::Arc::new(labelled);
    let alert = channel.alert(&firing, &batch([firing.clone()]), "alias");
    assert_eq!(alert["message"], "disk (warning): disk of /data");
    assert_eq!(alert["priority"], "P3");
    assert_eq!(
        alert["tags"],
        json!(["disk", "warning", "lab", "a,b", "/data", "c"])
    );
    assert_eq!(alert["source"], "Bellwether instance=host-1");
    assert_eq!(alert["details"]["mount"], "/data");
    assert_eq!(alert["details"]["where"], "at /data");
    assert_eq!(
        alert["responders"],
        json!([{"type": "team", "name": "ops"}, {"type": "user", "username": "me@example.org"}])
    );
    let description = alert["description"].as_str().unwrap();
    assert!(
        description.contains("Since 2026-11-21 04:05:00 UTC"),
        "{description}"
    );
    let unknown = "the template of `responders.name` renders nothing for these alerts";
    assert!(description.ends_with(unknown), "{description}");
    let closing = channel.close_body(&notification("disk", "/data", Status::Resolved));
    assert!(
        closing["note"]
            .as_str()
            .unwrap()
            .starts_with("disk 80 is no longer > 85")
    );
    assert_eq!(
        channel.alias_url("x", "close").as_str(),
        "http://127.0.0.1:1/v2/alerts/x/close?identifierType=alias"
    );
}

#[test]
fn a_crowd_stays_within_the_limits() {
    let (channel, crowd) = (opsgenie(), crowd(300));
    for notification in &crowd.notifications {
        let alert = channel.alert(notification, &crowd, "alias");
        let wide = |key: &str| width(alert[key].as_str().unwrap());
        assert!(wide("message") <= MESSAGE && wide("description") <= DESCRIPTION);
        assert!(alert["details"].to_string().len() <= 3 * DETAILS);
    }
}

#[test]
fn invalid_settings_are_errors() {
    for (more, expected) in [
        ("", "missing key \"api_key\""),
        (
            ", api_key: x, priorities: {warning: P9}",
            "unknown value \"P9\"",
        ),
        (
            ", api_key: x, priorities: {bad: P1}",
            "not a severity: \"bad\"",
        ),
        (
            ", api_key: x, responders: [{type: team}]",
            "needs `name` or `id`",
        ),
        (
            ", api_key: x, responders: [{type: team, name: ''}]",
            "needs `name` or `id`",
        ),
        (
            ", api_key: x, responders: [{type: team, name: '{{ a'}]",
            "responders[0].name: invalid template: ",
        ),
        (
            ", api_key: x, tags: ['{{ a']",
            "tags[0]: invalid template: ",
        ),
        (
            ", api_key: x, details: {a: '{{ a'}",
            "details.a: invalid template: ",
        ),
        (
            ", api_key: '{{ a }}'",
            "api_key: a template is not supported here",
        ),
    ] {
        let (_, problems) = configured(&format!("{{type: opsgenie{more}}}"));
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}
