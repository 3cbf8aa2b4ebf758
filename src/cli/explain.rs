//! `bellwether explain`: why an alert fires or does not, and who was told or was not.

use bellwether_runtime::Clock;
use clap::Args;
use serde_json::{Value, json};

use super::alerts::screen::story;
use super::asking::{Asking, labels, list, text};
use super::when::When;
use super::{Global, route};

#[derive(Args)]
pub(super) struct Options {
    /// A rule by its name, or an alert by its fingerprint.
    what: String,
    /// As it was then, from the history of alerts: -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    at: Option<When>,
    #[command(flatten)]
    asking: Asking,
}

/// What happened last, so many records of it.
const RECORDS: &str = "20";

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let key = if is_fingerprint(&options.what) {
        "fingerprint"
    } else {
        "rule"
    };
    let what = Some(options.what.clone());
    let state = match options.at {
        None => options
            .asking
            .ask(global, "/api/v1/explain", &[(key, what.clone())])?,
        Some(_) => Value::Null,
    };
    let now = Clock::start().now().wall;
    let end = options
        .at
        .map(|at| (at.at(now).0 as f64 / 1000.0).to_string());
    let parameters = [
        (key, what),
        ("end", end),
        ("limit", Some(RECORDS.to_owned())),
    ];
    let past = options
        .asking
        .ask(global, "/api/v1/alerts/history", &parameters);
    // Without a history of alerts the state alone is told.
    let past = if options.at.is_some() {
        past?
    } else {
        past.unwrap_or(Value::Null)
    };
    let data = json!({ "state": state, "past": past });
    options.asking.show(&data, screen);
    Ok(())
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn screen(data: &Value) -> String {
    let mut out = String::new();
    for rule in list(&data["state"]["rules"]) {
        out += &of_rule(rule);
    }
    if !data["past"].is_null() {
        out += "what happened:\n";
        out += &story(&data["past"], false);
    }
    out
}

fn of_rule(rule: &Value) -> String {
    let mut out = format!("{}: {}\n", text(&rule["rule"]), text(&rule["condition"]));
    let after = match text(&rule["duration"]) {
        none if none == "0s" => "at once".to_owned(),
        duration => format!("once that holds for {duration}"),
    };
    let last = match text(&rule["lastEvaluation"]) {
        none if none == "-" => "not yet".to_owned(),
        at => format!("last {at}"),
    };
    out += &format!(
        "  state {}; fires {after}; evaluated {last}\n",
        text(&rule["state"])
    );
    if let Some(absence) = rule["onMissing"]
        .as_str()
        .filter(|absence| !absence.is_empty())
    {
        out += &format!("  where a series is missing, {absence}\n");
    }
    for key in ["lastError", "note"] {
        if !rule[key].is_null() {
            out += &format!("  {}\n", text(&rule[key]));
        }
    }
    let alerts = list(&rule["alerts"]);
    if alerts.is_empty() {
        out += "  no alert: the condition holds for no series, or there is no data\n";
    }
    alerts
        .iter()
        .for_each(|alert| out += &of_alert(alert, rule));
    out
}

fn of_alert(alert: &Value, rule: &Value) -> String {
    let mut out = format!(
        "  {} {} {} {}\n    value {} threshold {}, since {}\n",
        text(&alert["fingerprint"]),
        text(&alert["state"]),
        text(&alert["severity"]),
        labels(&alert["labels"]),
        text(&alert["value"]),
        text(&alert["threshold"]),
        text(&alert["activeAt"]),
    );
    if !alert["heldFor"].is_null() {
        let (held, needed) = (text(&alert["heldFor"]), text(&rule["duration"]));
        out += &format!("    not firing yet: the condition has held for {held} of {needed}\n");
    }
    if let Some(missing) = alert["missingFor"].as_str() {
        out += &format!("    its series is missing, for {missing} so far\n");
    }
    if !alert["reason"].is_null() {
        out += &format!("    why: {}\n", text(&alert["reason"]));
    }
    if alert["flapping"] == true {
        out += "    flapping: it changes too often, and stands until that ends\n";
    }
    if let Some(by) = alert["acknowledged"]["by"].as_str() {
        out += &format!(
            "    acknowledged by {by}: {}\n",
            text(&alert["acknowledged"]["comment"])
        );
    }
    for group in list(&alert["groups"]) {
        for line in route::screen(group).lines() {
            out += &format!("    {line}\n");
        }
        out += &of_group(group);
    }
    out
}

fn of_group(group: &Value) -> String {
    let mut out = String::new();
    match group["toldAs"].as_str() {
        Some(severity) => {
            out += &format!(
                "      told as {severity} since {}",
                text(&group["firstTold"])
            );
            if !group["nextRepeat"].is_null() {
                out += &format!(", told again {}", text(&group["nextRepeat"]));
            }
            out += "\n";
        }
        None => out += &format!("      not told; looked at {}\n", text(&group["nextFlush"])),
    }
    if !group["gate"].is_null() {
        let gate = &group["gate"];
        out += &format!(
            "      held back ({}): {}\n",
            text(&gate["name"]),
            text(&gate["why"])
        );
    }
    for receiver in list(&group["escalatedTo"]) {
        out += &format!("      escalated to {}\n", text(receiver));
    }
    if group["fellBack"] == true {
        out += "      its channels fail: the fallback was told\n";
    }
    out
}
