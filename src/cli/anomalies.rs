//! `bellwether anomalies`: what was unusual.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{Asking, figure, labels, list, text, time};
use super::trends::seconds;
use super::when::When;

#[derive(Args)]
pub(super) struct Options {
    /// The metric as declared or as on the page, or a selector: cpu_percent{instance="a"}.
    metric: String,
    /// How far to look back.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    window: String,
    /// Where to end: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    /// auto, zscore, iqr, mad or seasonal, instead of the declared one.
    #[arg(long)]
    algorithm: Option<String>,
    /// From which score a value is odd; the higher, the fewer.
    #[arg(long)]
    sensitivity: Option<f64>,
    /// both, above or below.
    #[arg(long)]
    direction: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let parameters = [
        ("metric", Some(options.metric.clone())),
        ("window", Some(options.window.clone())),
        ("time", Some(seconds(options.at))),
        ("algorithm", options.algorithm.clone()),
        (
            "sensitivity",
            options
                .sensitivity
                .map(|sensitivity| sensitivity.to_string()),
        ),
        ("direction", options.direction.clone()),
    ];
    let data = options
        .asking
        .ask(global, "/api/v1/anomalies", &parameters)?;
    options.asking.show(&data, screen);
    Ok(())
}

fn screen(data: &Value) -> String {
    let mut out = format!(
        "{}, by its {}: {} with a score from {} on, last {}\n",
        text(&data["metric"]),
        text(&data["of"]),
        text(&data["algorithm"]),
        figure(&data["sensitivity"]),
        text(&data["window"]),
    );
    for series in list(&data["series"]) {
        let (judged, warming) = (&series["judged"], &series["warming"]);
        let head = format!("{} {judged} samples judged", labels(&series["labels"]));
        out += &format!("\n{}", head.trim_start());
        if warming.as_u64().is_some_and(|count| count > 0) {
            out += &format!(
                ", {warming} while it was learning ({} are needed)",
                data["minSamples"]
            );
        }
        out += "\n";
        for anomaly in list(&series["anomalies"]) {
            out += &line(anomaly);
        }
        if list(&series["anomalies"]).is_empty() {
            out += "  nothing unusual\n";
        }
    }
    out
}

fn line(anomaly: &Value) -> String {
    let expected = list(&anomaly["expected"]);
    let expected = match expected {
        [low, high] => format!(", expected {} to {}", figure(low), figure(high)),
        _ => String::new(),
    };
    let quiet = if anomaly["reported"] == false {
        "  (of the same event)"
    } else {
        ""
    };
    format!(
        "  {} to {}  {} samples, {} at the worst{expected}, score {}{quiet}\n",
        time(&anomaly["from"]),
        time(&anomaly["to"]),
        anomaly["samples"],
        figure(&anomaly["value"]),
        figure(&anomaly["score"]),
    )
}
