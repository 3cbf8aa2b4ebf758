//! `bellwether route`: where an alert would go, and when, without sending anything.

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{list, text};
use super::when::When;
use bellwether_compat::severity_of;
use bellwether_core::{Alert, Labels, Severity};
use bellwether_runtime::Clock;
use bellwether_server::way_view;

#[derive(Args)]
pub(super) struct Options {
    /// Labels of the alert: alertname=disk_full severity=critical mount_point=/data. The severity
    /// may be any word; without one it is that of an alert which has none
    #[arg(required = true, value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// At which time; now if it is not said.
    #[arg(long, allow_hyphen_values = true)]
    at: Option<When>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let plan = global.plan()?;
    let now = Clock::start().now().wall;
    let at = options.at.map_or(now, |at| at.at(now));
    let alert = alert(&options.labels)?;
    let ways: Vec<Value> = plan.routing.ways(&alert, at).iter().map(way_view).collect();
    if options.json {
        println!("{:#}", Value::Array(ways));
    } else {
        ways.iter().for_each(|way| print!("{}", screen(way)));
    }
    Ok(())
}

/// An alert with labels as they are given.
fn alert(pairs: &[String]) -> anyhow::Result<Alert> {
    let mut labels = Labels::new();
    for pair in pairs {
        let (name, value) =
            pair.split_once('=').with_context(|| format!("not NAME=VALUE: {pair:?}"))?;
        labels.insert(name.to_owned(), value.trim_matches('"').to_owned());
    }
    let rule = labels.remove("alertname").unwrap_or_default();
    // As of a rule file: routes go by the label as it is, channels by what it means.
    let word = labels.entry("severity".into()).or_default();
    let severity = severity_of(word).unwrap_or(Severity::Warning);
    Ok(Alert::firing(&rule, severity, labels))
}

/// When a group is told of: `first after 30s, then at most every 5m`.
fn timing(way: &Value) -> String {
    let (wait, interval) = (text(&way["groupWait"]), text(&way["groupInterval"]));
    let first = if wait == "0s" { "at once".to_owned() } else { format!("first after {wait}") };
    match interval.as_str() {
        "0s" => first,
        interval => format!("{first}, then at most every {interval}"),
    }
}

/// One way in lines.
pub(super) fn screen(way: &Value) -> String {
    let names = |all: &Value| list(all).iter().map(text).collect::<Vec<_>>().join(", ");
    let receiver = match text(&way["receiver"]) {
        none if none.is_empty() => "all channels".into(),
        named => named,
    };
    let channels = match names(&way["channels"]) {
        none if none.is_empty() => "nobody".into(),
        some => some,
    };
    let mut out =
        format!("{} {} -> {receiver}: {channels}\n", text(&way["route"]), text(&way["matchers"]));
    let repeat = &way["repeatInterval"];
    let repeat = match repeat.is_null() {
        true => "not repeated".into(),
        false => format!("told again after {}", text(repeat)),
    };
    out += &format!("  group {}: {}; {repeat}\n", way["group"], timing(way));
    if !way["fallback"].is_null() {
        out += &format!("  if these fail: {}\n", text(&way["fallback"]));
    }
    for step in list(&way["escalation"]) {
        out += &format!(
            "  not acknowledged after {}: {}\n",
            text(&step["after"]),
            text(&step["receiver"])
        );
    }
    if !way["heldBy"].is_null() {
        out += &format!("  held back: {}\n", text(&way["heldBy"]));
    }
    out
}
