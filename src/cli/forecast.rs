//! `bellwether forecast`: what comes next.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{Asking, figure, labels, list, table, text, time};
use super::trends::seconds;
use super::when::When;

#[derive(Args)]
pub(super) struct Options {
    /// The metric as declared or as on the page, or a selector: disk_usage_percent{mount_point="/"}.
    metric: String,
    /// Tell when it reaches this value.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    reaches: Option<f64>,
    /// It runs out: the value is reached from above.
    #[arg(long, requires = "reaches")]
    falling: bool,
    /// Tell whether it gets there within this time.
    #[arg(long, value_name = "DURATION", requires = "reaches")]
    within: Option<String>,
    /// How far to look back for the line.
    #[arg(long, value_name = "DURATION", default_value = "6h")]
    window: String,
    /// Hours to tell by what is usual at their time of day and week, at most 48.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// From when on: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    #[command(flatten)]
    asking: Asking,
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
    options.asking.show(&data, |data| screen(data, within));
    Ok(())
}

fn screen(data: &Value, within: Option<&str>) -> String {
    let mut out = format!("{}, by its {}\n", text(&data["metric"]), text(&data["of"]));
    for series in list(&data["series"]) {
        let head = format!(
            "{} now {}",
            labels(&series["labels"]),
            figure(&series["latest"])
        );
        out += &format!("\n{}\n", head.trim_start());
        if !data["reaches"].is_null() {
            out += &line(&series["linear"], &figure(&data["reaches"]), within);
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
        figure(&Value::from(slope)),
        time(&linear["since"]),
    );
    if let (Some(span), Some(soon)) = (within, linear["within"].as_bool()) {
        line += &format!(
            "  {} within {span}\n",
            if soon { "this is" } else { "this is not" }
        );
        if let Some(reason) = linear["heldBack"].as_str() {
            line += &format!("  a rule does not fire by it: {reason}\n");
        }
    }
    line
}

fn hours(seasonal: &Value) -> String {
    if seasonal["reason"].is_string() {
        return format!(
            "  by the time of day: no forecast: {}\n",
            text(&seasonal["reason"])
        );
    }
    let heads = ["  hour from (UTC)", "mean", "low", "high"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for hour in list(&seasonal["hours"]) {
        let at = format!("  {}", time(&hour["time"]));
        rows.push(vec![
            at,
            figure(&hour["value"]),
            figure(&hour["low"]),
            figure(&hour["high"]),
        ]);
    }
    format!(
        "{}  off by {} on average when tried on the last days; \"as a day before\" by {}\n",
        table(&rows),
        figure(&seasonal["error"]),
        figure(&seasonal["errorOfLastDay"]),
    )
}
