//! `bellwether forecast`: what comes next.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{ListAsking, labels, list, number, text, time};
use super::records::records;
use super::table::table;
use super::trends::seconds;
use super::when::When;

/// Lists of the answer that the records are in.
const RECORDS: &[&str] = &["series", "seasonal/hours"];
/// Columns of a record.
const COLUMNS: [(&str, &str); 5] = [
    ("TIME", "time"),
    ("VALUE", "value"),
    ("LOW", "low"),
    ("HIGH", "high"),
    ("SERIES", "labels"),
];

#[derive(Args)]
pub(super) struct Options {
    /// Metric by its configured or exported name, or a selector:
    /// disk_usage_percent{mount_point="/"}.
    metric: String,
    /// Forecast when the metric reaches this value.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    reaches: Option<f64>,
    /// The metric falls to the value of --reaches. Default: it rises to it.
    #[arg(long, requires = "reaches")]
    falling: bool,
    /// Report whether the value is reached within this duration.
    #[arg(long, value_name = "DURATION", requires = "reaches")]
    within: Option<String>,
    /// Length of the window for the linear forecast.
    #[arg(long, value_name = "DURATION", default_value = "6h")]
    window: String,
    /// Number of hours for the seasonal forecast, at most 48.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Start of the forecast: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    #[command(flatten)]
    asking: ListAsking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let parameters = [
        ("metric", Some(options.metric.clone())),
        ("window", Some(options.window.clone())),
        ("time", Some(seconds(options.at))),
        ("hours", Some(options.hours.to_string())),
        ("reaches", options.reaches.map(|value| value.to_string())),
        ("direction", options.falling.then(|| "falling".to_owned())),
        ("within", options.within.clone()),
    ];
    let data = options
        .asking
        .ask(global, "/api/v1/forecast", &parameters)?;
    let within = options.within.as_deref();
    let screen = |data: &Value| screen(data, within);
    options
        .asking
        .show(&data, screen, |data| records(data, RECORDS, COLUMNS));
    Ok(())
}

fn screen(data: &Value, within: Option<&str>) -> String {
    let mut out = format!(
        "{}, by its {}\n",
        text(&data["metric"]),
        text(&data["measure"])
    );
    for series in list(&data["series"]) {
        let head = format!(
            "{} now {}",
            labels(&series["labels"]),
            number(&series["latest"])
        );
        out += &format!("\n{}\n", head.trim_start());
        if !data["reaches"].is_null() {
            out += &line(&series["linear"], &number(&data["reaches"]), within);
        }
        out += &hours(&series["seasonal"]);
    }
    out
}

fn line(linear: &Value, target: &str, within: Option<&str>) -> String {
    if linear["reason"].is_string() {
        return format!("  {target}: no forecast: {}\n", text(&linear["reason"]));
    }
    let slope = linear["slopePerSecond"].as_f64().unwrap_or_default() * 3600.0;
    let mut line = format!(
        "  reaches {target} {}; {} an hour since {}\n",
        text(&linear["text"]),
        number(&Value::from(slope)),
        time(&linear["since"]),
    );
    if let (Some(span), Some(soon)) = (within, linear["within"].as_bool()) {
        line += &format!(
            "  {} within {span}\n",
            if soon { "this is" } else { "this is not" }
        );
        if linear["suppressedReason"].is_string() {
            let reason = text(&linear["suppressedReason"]);
            line += &format!("  a rule does not fire: {reason}\n");
        }
    }
    line
}

fn hours(seasonal: &Value) -> String {
    if seasonal["reason"].is_string() {
        return format!("  seasonal: no forecast: {}\n", text(&seasonal["reason"]));
    }
    let heads = ["  hour from (UTC)", "mean", "low", "high"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for hour in list(&seasonal["hours"]) {
        let at = format!("  {}", time(&hour["time"]));
        rows.push(vec![
            at,
            number(&hour["value"]),
            number(&hour["low"]),
            number(&hour["high"]),
        ]);
    }
    format!(
        "{}  mean error {} in trials on the last days; {} for the values of the day before\n",
        table(&rows),
        number(&seasonal["error"]),
        number(&seasonal["errorOfLastDay"]),
    )
}
