//! `bellwether anomalies`: the anomalies of a metric.

use clap::Args;
use serde_json::Value;

use super::Global;
use super::asking::{ListAsking, count, labels, list, number, text, time};
use super::records::records;
use super::trends::seconds;
use super::when::When;

/// Lists of the answer that the records are in.
const RECORDS: &[&str] = &["series", "anomalies"];
/// Columns of a record.
const COLUMNS: [(&str, &str); 10] = [
    ("FROM", "from"),
    ("TO", "to"),
    ("SAMPLES", "samples"),
    ("WORST AT", "worstAt"),
    ("VALUE", "value"),
    ("EXPECTED FROM", "expected/0"),
    ("EXPECTED TO", "expected/1"),
    ("SCORE", "score"),
    ("REPORTED", "reported"),
    ("SERIES", "labels"),
];

#[derive(Args)]
pub(super) struct Options {
    /// Metric by its configured or exported name, or a selector: cpu_percent{instance="a"}.
    metric: String,
    /// Length of the window to search, up to --at.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    window: String,
    /// End of the window: now, -1h, 2026-11-21T10:00:00Z or Unix seconds.
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    at: When,
    /// Algorithm: auto, zscore, iqr, mad or seasonal. Default: that of the configuration.
    #[arg(long)]
    algorithm: Option<String>,
    /// Score from which a value is anomalous; a higher one reports fewer values. Default: that of
    /// the configuration.
    #[arg(long)]
    sensitivity: Option<f64>,
    /// Direction of anomalies: both, above or below. Default: that of the configuration.
    #[arg(long)]
    direction: Option<String>,
    #[command(flatten)]
    asking: ListAsking,
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
    options
        .asking
        .show(&data, screen, |data| records(data, RECORDS, COLUMNS));
    Ok(())
}

fn screen(data: &Value) -> String {
    let mut out = format!(
        "{}, by its {}: {} with a score from {} on, last {}\n",
        text(&data["metric"]),
        text(&data["measure"]),
        text(&data["algorithm"]),
        number(&data["sensitivity"]),
        text(&data["window"]),
    );
    for series in list(&data["series"]) {
        let warming = &series["warming"];
        let head = format!(
            "{} {} evaluated",
            labels(&series["labels"]),
            count(&series["evaluated"], "sample")
        );
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
            out += "  no anomalies\n";
        }
    }
    out
}

fn line(anomaly: &Value) -> String {
    let expected = list(&anomaly["expected"]);
    let expected = match expected {
        [low, high] => format!(", expected {} to {}", number(low), number(high)),
        _ => String::new(),
    };
    let quiet = if anomaly["reported"] == false {
        "  (of the same event)"
    } else {
        ""
    };
    format!(
        "  {} to {}  {}, {} at the worst{expected}, score {}{quiet}\n",
        time(&anomaly["from"]),
        time(&anomaly["to"]),
        count(&anomaly["samples"], "sample"),
        number(&anomaly["value"]),
        number(&anomaly["score"]),
    )
}
