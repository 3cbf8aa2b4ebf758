//! `bellwether bottlenecks`: the health score of host and applications, bottlenecks and fixes.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{ListAsking, labels, list, number, text};
use super::records::records;
use super::table::table;

/// Lists of the answer that the records are in.
const RECORDS: &[&str] = &["bottlenecks"];
/// Columns of a record.
const COLUMNS: [(&str, &str); 10] = [
    ("IMPACT", "impact"),
    ("NAME", "name"),
    ("RESOURCE", "resource"),
    ("COMPONENT", "component"),
    ("VALUE", "value"),
    ("UNIT", "unit"),
    ("WARNING", "warning"),
    ("CRITICAL", "critical"),
    ("SERIES", "labels"),
    ("ADVICE", "advice"),
];

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    asking: ListAsking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let score = options.asking.ask(global, "/api/v1/score", &[])?;
    let mut data = options.asking.ask(global, "/api/v1/bottlenecks", &[])?;
    data["score"] = score;
    options
        .asking
        .show(&data, screen, |data| records(data, RECORDS, COLUMNS));
    Ok(())
}

fn screen(data: &Value) -> String {
    let score = &data["score"];
    let points = score["score"].as_f64().unwrap_or_default();
    // Not the status of Bellwether itself, which `status` and `health` show.
    let word = text(&score["rating"]);
    let mut out = format!("score {points:.0} of 100: {word} (host and applications)\n");
    let parts = list(&score["parts"]).iter().map(|part| {
        let points = part["points"].as_f64().unwrap_or_default();
        vec![
            String::new(),
            format!("-{points:.0}"),
            text(&part["cause"]),
            text(&part["name"]),
            text(&part["reason"]),
        ]
    });
    out += &table(&parts.collect::<Vec<_>>());
    out += "\nbottlenecks\n";
    for one in list(&data["bottlenecks"]) {
        out += &bottleneck(one);
    }
    if list(&data["bottlenecks"]).is_empty() {
        out += "  none\n";
    }
    out += &names(
        "\nclear",
        list(&data["clear"]).iter().map(|one| text(&one["name"])),
    );
    out += &names("without data", list(&data["withoutData"]).iter().map(text));
    for failed in list(&data["failed"]) {
        out += &format!(
            "failed: {}: {}\n",
            text(&failed["name"]),
            text(&failed["error"])
        );
    }
    out
}

fn bottleneck(one: &Value) -> String {
    format!(
        "  {:>3.0}  {} ({}, {}{}): {} {}; begins at {}, critical at {}\n       {}\n",
        one["impact"].as_f64().unwrap_or_default(),
        text(&one["name"]),
        text(&one["resource"]),
        text(&one["component"]),
        labels(&one["labels"]),
        number(&one["value"]),
        text(&one["unit"]),
        number(&one["warning"]),
        number(&one["critical"]),
        text(&one["advice"]),
    )
}

/// Formats unique names; empty without names.
fn names(title: &str, all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all.dedup();
    if all.is_empty() {
        String::new()
    } else {
        format!("{title}: {}\n", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn score_parts_and_advice_are_on_the_screen() {
        let shown = screen(&json!({
            "score": {"score": 71.5, "rating": "fair", "parts": [
                {"points": 18.5, "cause": "bottleneck", "name": "busy", "reason": "impact 74 on cpu, host"},
                {"points": 10.0, "cause": "alert", "name": "disk", "reason": "fires, warning"}]},
            "bottlenecks": [{"name": "busy", "resource": "cpu", "component": "host", "impact": 74.2,
                "labels": {}, "value": 97.0, "unit": "% busy", "warning": 85, "critical": 98,
                "advice": "add cores"}],
            "clear": [{"name": "b"}, {"name": "a"}, {"name": "b"}], "withoutData": ["c"],
            "failed": [{"name": "d", "error": "no"}],
        }));
        assert_eq!(
            shown,
            "score 72 of 100: fair (host and applications)\n  -18  bottleneck  busy  impact 74 on cpu, host\n  \
             -10  alert       disk  fires, warning\n\nbottlenecks\n   \
             74  busy (cpu, host): 97 % busy; begins at 85, critical at 98\n       \
             add cores\n\nclear: a, b\nwithout data: c\nfailed: d: no\n"
        );
    }
}
