//! `bellwether correlate`: what moved with a metric, or with an alert.

use std::time::Duration;

use bellwether_analysis::forecast::span;
use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{ListAsking, list, percent, text, time};
use super::records::records;
use super::table::table;
use super::trends::seconds;
use super::when::When;

/// Lists of the answer that the records are in.
const RECORDS: &[&str] = &["related"];
/// Columns of a record.
const COLUMNS: [(&str, &str); 6] = [
    ("SERIES", "series"),
    ("COEFFICIENT", "coefficient"),
    ("LAG S", "lagSeconds"),
    ("KIND", "kind"),
    ("PVALUE", "pValue"),
    ("SIGNIFICANT", "significant"),
];

#[derive(Args)]
pub(super) struct Options {
    /// Metric by its configured or exported name; with labels, if it has several series.
    #[arg(required_unless_present = "alert")]
    metric: Option<String>,
    /// Name of a rule with a firing alert; compares its series around the start of the alert.
    #[arg(long, value_name = "RULE", conflicts_with = "metric")]
    alert: Option<String>,
    /// Length of the window to compare, up to --at.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    window: String,
    /// End of the window: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    /// Compare only with series that this selector matches: {job="web"}. Default: all.
    #[arg(long = "match", value_name = "SELECTOR")]
    with: Option<String>,
    /// Compare also with self-metrics. By default `bellwether_*` is excluded, unless --match or the
    /// metric names it.
    #[arg(long)]
    own: bool,
    /// Maximum lag between two series, in steps.
    #[arg(long)]
    lag: Option<u32>,
    /// Maximum number of series to list.
    #[arg(long, default_value_t = 10)]
    top: u32,
    #[command(flatten)]
    asking: ListAsking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let at = options.metric.is_some().then(|| seconds(options.at));
    let parameters = [
        ("metric", options.metric.clone()),
        ("alert", options.alert.clone()),
        ("window", Some(options.window.clone())),
        ("time", at),
        ("match", options.with.clone()),
        ("own", options.own.then(|| "true".to_owned())),
        ("lag", options.lag.map(|lag| lag.to_string())),
        ("top", Some(options.top.to_string())),
    ];
    let data = options
        .asking
        .ask(global, "/api/v1/correlations", &parameters)?;
    options
        .asking
        .show(&data, screen, |data| records(data, RECORDS, COLUMNS));
    Ok(())
}

fn screen(data: &Value) -> String {
    let step = Duration::try_from_secs_f64(data["stepSeconds"].as_f64().unwrap_or_default());
    let mut out = format!(
        "correlations with {}\n{} to {} in steps of {}, {} series compared, {} skipped as constant or without samples\n",
        text(&data["metric"]),
        time(&data["from"]),
        time(&data["to"]),
        span(step.unwrap_or_default()),
        text(&data["compared"]),
        text(&data["skipped"]),
    );
    let related = list(&data["related"]);
    for (significant, title) in [(true, "\nrelated"), (false, "\nnot significant")] {
        let rows: Vec<Vec<String>> = related
            .iter()
            .filter(|one| one["significant"] == significant)
            .map(row)
            .collect();
        if !rows.is_empty() {
            out += &format!("{title}\n{}", table(&rows));
        }
    }
    if related.is_empty() {
        out += "\nnothing\n";
    }
    out
}

fn row(one: &Value) -> Vec<String> {
    let coefficient = one["coefficient"].as_f64().unwrap_or_default();
    vec![
        String::new(),
        format!("{coefficient:+.2}"),
        lag(one["lagSeconds"].as_f64().unwrap_or_default()),
        format!("in {}", text(&one["kind"])),
        format!("p-value {}", percent(&one["pValue"])),
        text(&one["series"]),
    ]
}

fn lag(seconds: f64) -> String {
    let size = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    match seconds {
        0.0 => "at once".to_owned(),
        seconds if seconds > 0.0 => format!("{} after", span(size)),
        _ => format!("{} before", span(size)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(series: &str, lag: f64, significant: bool) -> Value {
        json!({"series": series, "coefficient": 0.934, "lagSeconds": lag, "kind": "levels",
               "pValue": 0.0001, "significant": significant})
    }

    #[test]
    fn insignificant_correlations_are_listed_apart() {
        let shown = screen(&json!({
            "metric": "a", "from": "2026-11-21T08:00:00Z", "to": "2026-11-21T09:00:00Z",
            "stepSeconds": 15.0, "compared": 7, "skipped": 1,
            "related": [one("b", -30.0, true), one("c", 0.0, false)],
        }));
        assert_eq!(
            shown,
            "correlations with a\n2026-11-21 08:00:00 to 2026-11-21 09:00:00 in steps of 15 s, \
             7 series compared, 1 skipped as constant or without samples\n\nrelated\n  \
             +0.93  30 s before  in levels  p-value <0.1 %  b\n\nnot significant\n  \
             +0.93  at once  in levels  p-value <0.1 %  c\n"
        );
    }
}
