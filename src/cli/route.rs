//! `bellwether route`: where an alert would go, and when, without sending anything.

use anyhow::{Context, anyhow};
use bellwether_compat::firing_alert;
use bellwether_core::{Alert, Labels};
use bellwether_routing::Matchers;
use bellwether_runtime::Clock;
use bellwether_server::route_match_view;
use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{labels, list, text};
use super::form::Form;
use super::running_agents::hint_at_its_configuration;
use super::when::When;

#[derive(Args)]
pub(super) struct Options {
    /// Labels of the alert: '{alertname="disk_full", severity="critical", mount_point="/data"}', or
    /// one argument per label: alertname=disk_full. The severity may be any word. Default severity:
    /// that of an alert without one.
    #[arg(required = true, value_name = "LABELS")]
    labels: Vec<String>,
    /// Time for mute times and maintenance. Default: now.
    #[arg(long, allow_hyphen_values = true)]
    at: Option<When>,
    #[command(flatten)]
    form: Form,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    hint_at_its_configuration(global);
    let plan = global.plan()?;
    let now = Clock::start().now().wall;
    let at = options.at.map_or(now, |at| at.at(now));
    let alert = alert(&options.labels)?;
    let routes: Vec<Value> = plan
        .routing
        .matching_routes(&alert, at)
        .iter()
        .map(route_match_view)
        .collect();
    options.form.show(&Value::Array(routes), |routes| {
        list(routes).iter().map(screen).collect()
    });
    Ok(())
}

/// Returns an alert with the given labels.
fn alert(texts: &[String]) -> anyhow::Result<Alert> {
    let mut labels = Labels::new();
    for text in texts {
        let read = Matchers::parse(text).map_err(|why| anyhow!("{text}: {why}"))?;
        for (name, test) in read.iter() {
            let value = test.exact().with_context(|| {
                format!("{text}: an alert has one value of {name}; hint: {name}=\"value\"")
            })?;
            labels.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(firing_alert(labels))
}

/// Formats the timing of a group: `first after 30s, then at most every 5m`.
fn timing(route: &Value) -> String {
    let (wait, interval) = (text(&route["groupWait"]), text(&route["groupInterval"]));
    let first = if wait == "0s" {
        "at once".to_owned()
    } else {
        format!("first after {wait}")
    };
    match interval.as_str() {
        "0s" => first,
        interval => format!("{first}, then at most every {interval}"),
    }
}

/// Formats one matching route.
pub(super) fn screen(route: &Value) -> String {
    let receiver = match text(&route["receiver"]) {
        none if none.is_empty() => "all channels".into(),
        named => named,
    };
    let channels = match list(&route["channels"])
        .iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(", ")
    {
        none if none.is_empty() => "no channels".into(),
        some => some,
    };
    let mut out = format!(
        "{} {} -> {receiver}: {channels}\n",
        text(&route["route"]),
        text(&route["matchers"])
    );
    let repeat = &route["repeatInterval"];
    let repeat = match repeat.is_null() {
        true => "not repeated".into(),
        false => format!("repeated after {}", text(repeat)),
    };
    let group = labels(&route["group"]);
    let group = if group.is_empty() { "{}" } else { &group };
    out += &format!("  group {group}: {}; {repeat}\n", timing(route));
    if !route["fallback"].is_null() {
        out += &format!("  if these fail: {}\n", text(&route["fallback"]));
    }
    for step in list(&route["escalation"]) {
        out += &format!(
            "  not acknowledged after {}: {}\n",
            text(&step["after"]),
            text(&step["receiver"])
        );
    }
    if !route["mutedBy"].is_null() {
        out += &format!("  muted: {}\n", text(&route["mutedBy"]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(texts: &[&str]) -> anyhow::Result<String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        alert(&texts).map(|alert| format!("{} {:?}", alert.rule, alert.labels))
    }

    #[test]
    fn labels_are_given_as_prometheus_writes_them_or_one_by_one() {
        let expected = r#"full {"host-name": "a,b", "mount": "/data", "severity": "critical"}"#;
        for texts in [
            &[r#"{alertname="full", severity="critical", mount="/data", "host-name"="a,b"}"#][..],
            &[
                "alertname=full",
                "severity=critical",
                "mount=/data",
                r#""host-name"="a,b""#,
            ],
        ] {
            assert_eq!(labels(texts).unwrap(), expected);
        }
        for (text, why) in [
            ("mount", "mount: expected =, !=, =~ or !~ after \"mount\""),
            (
                "mount=~a",
                "mount=~a: an alert has one value of mount; hint: mount=\"value\"",
            ),
        ] {
            assert_eq!(labels(&[text]).unwrap_err().to_string(), why);
        }
    }
}
