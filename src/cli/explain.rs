//! `bellwether explain`: why an alert fires or does not, and its notifications.

use bellwether_runtime::Clock;
use clap::Args;
use serde_json::{Value, json};

use super::alerts::screen::story;
use super::asking::{Asking, labels, list, printable, text};
use super::when::When;
use super::{Global, output, route};

#[derive(Args)]
pub(super) struct Options {
    /// Name of a rule, or fingerprint of an alert.
    what: String,
    /// Time in the past to explain, from the alert history: -1h, 2026-11-21T10:00:00Z or Unix
    /// seconds. Default: now.
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    at: Option<When>,
    #[command(flatten)]
    asking: Asking,
}

/// Number of recent records to show.
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
    // Without an alert history only the state is shown.
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
        out += "alert history:\n";
        out += &story(&data["past"], false, output::screen());
    }
    out
}

fn of_rule(rule: &Value) -> String {
    let mut out = format!("{}: {}\n", text(&rule["rule"]), text(&rule["condition"]));
    let after = match text(&rule["duration"]) {
        none if none == "0s" => "at once".to_owned(),
        duration => format!("once the condition holds for {duration}"),
    };
    let last = match text(&rule["lastEvaluation"]) {
        none if none == "-" => "not evaluated yet".to_owned(),
        at => format!("last evaluated at {at}"),
    };
    out += &format!("  state {}; fires {after}; {last}\n", text(&rule["state"]));
    if let Some(absence) = rule["onNoData"]
        .as_str()
        .filter(|absence| !absence.is_empty())
    {
        out += &format!("  if a series is missing, {}\n", printable(absence));
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
    if !alert["pendingFor"].is_null() {
        let (held, needed) = (text(&alert["pendingFor"]), text(&rule["duration"]));
        out += &format!("    not firing yet: the condition has held for {held} of {needed}\n");
    }
    if let Some(missing) = alert["missingFor"].as_str() {
        out += &format!(
            "    its series is missing, for {} so far\n",
            printable(missing)
        );
    }
    if !alert["reason"].is_null() {
        out += &format!("    why: {}\n", text(&alert["reason"]));
    }
    if alert["flapping"] == true {
        out += "    flapping: it changes too often, and counts as firing until that ends\n";
    }
    if let Some(by) = alert["acknowledged"]["by"].as_str() {
        out += &format!(
            "    acknowledged by {}: {}\n",
            printable(by),
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
    match group["notifiedSeverity"].as_str() {
        Some(severity) => {
            out += &format!(
                "      notified as {} since {}",
                printable(severity),
                text(&group["firstNotified"])
            );
            if !group["nextRepeat"].is_null() {
                out += &format!(", next repeat at {}", text(&group["nextRepeat"]));
            }
            out += "\n";
        }
        None => {
            out += &format!(
                "      not notified; next flush at {}\n",
                text(&group["nextFlush"])
            )
        }
    }
    if !group["muteReason"].is_null() {
        let reason = &group["muteReason"];
        out += &format!(
            "      muted ({}): {}\n",
            text(&reason["name"]),
            text(&reason["detail"])
        );
    }
    for receiver in list(&group["escalatedTo"]) {
        out += &format!("      escalated to {}\n", text(receiver));
    }
    if group["fallbackNotified"] == true {
        out += "      its channels fail: the fallback was notified\n";
    }
    out
}
