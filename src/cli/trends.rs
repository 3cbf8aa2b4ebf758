//! `bellwether trends`: the trend of a metric.

use bellwether_runtime::Clock;
use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{ListAsking, labels, list, number, percent, printable, text};
use super::records::records;
use super::table::table;
use super::when::When;

/// Lists of the answer that the records are in.
const RECORDS: &[&str] = &["windows", "series"];
/// Columns of a record.
const COLUMNS: [(&str, &str); 18] = [
    ("WINDOW", "window"),
    ("MOVEMENT", "movement"),
    ("VERDICT", "verdict"),
    ("CHANGE", "change"),
    ("PVALUE", "pValue"),
    ("SLOPE/S", "slopePerSecond"),
    ("MEAN", "mean"),
    ("MIN", "min"),
    ("P50", "quantiles/p50"),
    ("P95", "quantiles/p95"),
    ("MAX", "max"),
    ("STDDEV", "stddev"),
    ("COUNT", "count"),
    ("LATEST", "latest"),
    ("FROM", "from"),
    ("TO", "to"),
    ("REASON", "reason"),
    ("SERIES", "labels"),
];

#[derive(Args)]
pub(super) struct Options {
    /// Metric by its configured or exported name, or a selector: cpu_percent{instance="a"}.
    metric: String,
    /// Length of a window up to --at; repeatable. Default: 1h, 24h and 7d.
    #[arg(long, value_name = "DURATION")]
    window: Vec<String>,
    /// End of the windows: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    #[command(flatten)]
    asking: ListAsking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let mut parameters = vec![
        ("metric", Some(options.metric.clone())),
        ("time", Some(seconds(options.at))),
    ];
    parameters.extend(
        options
            .window
            .iter()
            .map(|window| ("window", Some(window.clone()))),
    );
    let data = options.asking.ask(global, "/api/v1/trends", &parameters)?;
    options
        .asking
        .show(&data, screen, |data| records(data, RECORDS, COLUMNS));
    Ok(())
}

/// Formats a time for the API.
pub(super) fn seconds(at: When) -> String {
    let wall = at.at(Clock::start().now().wall);
    (wall.0 as f64 / 1000.0).to_string()
}

fn screen(data: &Value) -> String {
    let heads = [
        "window", "movement", "change", "p-value", "mean", "min", "p50", "p95", "max", "stddev",
        "count", "series",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for window in list(&data["windows"]) {
        for series in list(&window["series"]) {
            rows.push(row(&text(&window["window"]), series));
        }
    }
    let of = text(&data["measure"]);
    let mut note =
        "change: of the trend line over the window; p-value: probability of such a slope without a trend"
            .to_owned();
    let mut series = list(&data["windows"])
        .iter()
        .flat_map(|window| list(&window["series"]));
    if series.any(|series| series["slight"] == true) {
        note += "\nstable, slightly up or down: significant, but less than 5 % of the mean";
    }
    format!(
        "{}, by its {of}\n\n{}\n{note}\n",
        text(&data["metric"]),
        table(&rows)
    )
}

fn row(window: &str, series: &Value) -> Vec<String> {
    let name = labels(&series["labels"]);
    if series["reason"].is_string() {
        return vec![window.to_owned(), text(&series["reason"]), name];
    }
    let quantiles = &series["quantiles"];
    vec![
        window.to_owned(),
        movement(series),
        number(&series["change"]),
        percent(&series["pValue"]),
        number(&series["mean"]),
        number(&series["min"]),
        number(&quantiles["p50"]),
        number(&quantiles["p95"]),
        number(&series["max"]),
        number(&series["stddev"]),
        number(&series["count"]),
        name,
    ]
}

/// Formats a movement: `increasing, degrading`, `stable, slightly up`.
fn movement(series: &Value) -> String {
    let movement = text(&series["movement"]);
    let more = match series["verdict"].as_str() {
        Some(verdict) => &printable(verdict),
        None if series["slight"] != true => return movement,
        None if series["change"].as_f64().is_some_and(|change| change < 0.0) => "slightly down",
        None => "slightly up",
    };
    format!("{movement}, {more}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_movement_says_what_it_means() {
        for (series, shown) in [
            (
                json!({"movement": "increasing", "verdict": "degrading"}),
                "increasing, degrading",
            ),
            (
                json!({"movement": "decreasing", "verdict": null}),
                "decreasing",
            ),
            (
                json!({"movement": "stable", "slight": true, "change": -0.1}),
                "stable, slightly down",
            ),
            (
                json!({"movement": "stable", "slight": true, "change": 0.1}),
                "stable, slightly up",
            ),
            (
                json!({"movement": "volatile", "slight": false, "change": 1.0}),
                "volatile",
            ),
        ] {
            assert_eq!(movement(&series), shown);
        }
    }
}
