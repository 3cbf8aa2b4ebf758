//! `bellwether advise`: recommends a threshold from history.

use std::time::Duration;

use bellwether_analysis::forecast::span;
use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{Asking, count, list, number, printable_lines, text};
use super::table::table;
use super::trends::seconds;
use super::when::When;

#[derive(Args)]
pub(super) struct Options {
    /// Metric by its configured or exported name, or a selector: cpu_percent{instance="a"}.
    metric: String,
    /// Number of alerts per week that is acceptable.
    #[arg(long, value_name = "ALERTS", default_value_t = 1.0)]
    per_week: f64,
    /// Recommend a threshold for high values. Default: the side with the longer tail.
    #[arg(long, conflicts_with = "below")]
    above: bool,
    /// Recommend a threshold for low values.
    #[arg(long)]
    below: bool,
    /// Length of the history to evaluate, up to --at.
    #[arg(long, value_name = "DURATION", default_value = "15d")]
    window: String,
    /// End of the window: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let side = match (options.above, options.below) {
        (true, _) => Some("above".to_owned()),
        (_, true) => Some("below".to_owned()),
        _ => None,
    };
    let parameters = [
        ("metric", Some(options.metric.clone())),
        ("per_week", Some(options.per_week.to_string())),
        ("side", side),
        ("window", Some(options.window.clone())),
        ("time", Some(seconds(options.at))),
    ];
    let data = options.asking.ask(global, "/api/v1/advise", &parameters)?;
    options.asking.show(&data, screen);
    Ok(())
}

fn screen(data: &Value) -> String {
    let history = Duration::try_from_secs_f64(data["historySeconds"].as_f64().unwrap_or_default());
    let range = &data["range"];
    let mut out = format!(
        "{}, by its {}: {} of {} series over {}, {} to {}, median {}\n\n",
        text(&data["metric"]),
        text(&data["measure"]),
        count(&data["samples"], "sample"),
        text(&data["series"]),
        span(history.unwrap_or_default()),
        number(&range["min"]),
        number(&range["max"]),
        number(&range["median"]),
    );
    out += &format!(
        "{} {} for {}: alerts a week {}, at most {} (19 of 20 times)\n\n",
        text(&data["condition"]),
        data["threshold"].as_f64().unwrap_or_default(),
        text(&data["duration"]),
        number(&data["alertsPerWeek"]),
        number(&data["alertsPerWeekAtMost"]),
    );
    let mut rows = vec![
        ["threshold", "duration", "a week", "at most"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for tried in list(&data["tried"]) {
        rows.push(vec![
            tried["threshold"].as_f64().unwrap_or_default().to_string(),
            text(&tried["duration"]),
            number(&tried["alertsPerWeek"]),
            number(&tried["alertsPerWeekAtMost"]),
        ]);
    }
    let rule = printable_lines(data["rule"].as_str().unwrap_or_default());
    out += &format!("tried\n{}\nrule for alerting.rules\n{rule}\n", table(&rows));
    out
}
