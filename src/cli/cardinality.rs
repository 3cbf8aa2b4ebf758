//! `bellwether cardinality`: the metrics, labels and values with the most series, and how they grow.

use std::collections::BTreeMap;

use bellwether_schema::parse_duration;
use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::asking::{ListAsking, list, text};
use super::records::records;
use super::table::table;

/// Columns of a record.
const COLUMNS: [(&str, &str); 3] = [
    ("METRIC", "name"),
    ("SERIES", "series"),
    ("GROWTH", "growth"),
];

#[derive(Args)]
pub(super) struct Options {
    /// Number of entries of each list.
    #[arg(long, value_name = "COUNT", default_value = "10")]
    limit: usize,
    /// Time over which the growth is measured.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    window: String,
    #[command(flatten)]
    asking: ListAsking,
}

fn duration(text: &str) -> Result<String, String> {
    match parse_duration(text) {
        Some(duration) if !duration.is_zero() => Ok(text.to_owned()),
        _ => Err("expected a duration, such as 1h".into()),
    }
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let asking = &options.asking;
    let limit = [("limit", Some(options.limit.to_string()))];
    let status = asking.ask(global, "/api/v1/status/tsdb", &limit)?;
    let count = |offset: &str| {
        let query = format!("count by (__name__) ({{__name__=~\".+\"}}{offset})");
        let result = asking.ask(global, "/api/v1/query", &[("query", Some(query))])?;
        Ok::<_, anyhow::Error>(counts(&result))
    };
    let (now, before) = (count("")?, count(&format!(" offset {}", options.window))?);
    let data = summary(&status, &now, &before, options.limit, &options.window);
    asking.show(&data, screen, |data| records(data, &["metrics"], COLUMNS));
    Ok(())
}

/// Returns the number of series by metric.
fn counts(result: &Value) -> BTreeMap<String, i64> {
    let counts = list(&result["result"]).iter().filter_map(|sample| {
        let count: f64 = sample["value"][1].as_str()?.parse().ok()?;
        Some((
            sample["metric"]["__name__"].as_str()?.to_owned(),
            count as i64,
        ))
    });
    counts.collect()
}

fn summary(
    status: &Value,
    now: &BTreeMap<String, i64>,
    before: &BTreeMap<String, i64>,
    limit: usize,
    window: &str,
) -> Value {
    let mut metrics: Vec<(&String, i64, i64)> = now
        .iter()
        .map(|(name, series)| {
            let growth = series - before.get(name).copied().unwrap_or_default();
            (name, *series, growth)
        })
        .collect();
    metrics.sort_by_key(|(name, series, growth)| (-(*series.max(growth)), *name));
    let metrics = metrics.into_iter().take(limit);
    json!({
        "series": now.values().sum::<i64>(),
        "seriesBefore": before.values().sum::<i64>(),
        "window": window,
        "seriesInHistory": status["headStats"]["numSeries"],
        "metrics": metrics
            .map(|(name, series, growth)| json!({"name": name, "series": series, "growth": growth}))
            .collect::<Vec<_>>(),
        "labels": status["labelValueCountByLabelName"],
        "pairs": status["seriesCountByLabelValuePair"],
    })
}

fn screen(data: &Value) -> String {
    let mut metrics = vec![
        ["metric", "current series", "growth"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for metric in list(&data["metrics"]) {
        let growth = metric["growth"].as_i64().unwrap_or_default();
        metrics.push(vec![
            text(&metric["name"]),
            text(&metric["series"]),
            format!("{growth:+}"),
        ]);
    }
    let counted = |head: [&str; 2], entries: &Value| {
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for entry in list(entries) {
            rows.push(vec![text(&entry["name"]), text(&entry["value"])]);
        }
        table(&rows)
    };
    format!(
        "{} current series, {} before {}; {} in history, including ended ones\n\n{}\n{}\n{}",
        text(&data["series"]),
        text(&data["seriesBefore"]),
        text(&data["window"]),
        text(&data["seriesInHistory"]),
        table(&metrics),
        counted(["label", "values in history"], &data["labels"]),
        counted(["label=value", "series in history"], &data["pairs"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(counts: &[(&str, i64)]) -> BTreeMap<String, i64> {
        let counts = counts.iter();
        counts
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn the_largest_metrics_come_first_with_their_growth() {
        let result = json!({"result": [
            {"metric": {"__name__": "up"}, "value": [1, "3"]},
            {"metric": {"__name__": "flood"}, "value": [1, "500"]},
        ]});
        let now = counts(&result);
        assert_eq!(now, counts_of(&[("flood", 500), ("up", 3)]));
        let status = json!({
            "headStats": {"numSeries": 900},
            "labelValueCountByLabelName": [{"name": "id", "value": 500}],
            "seriesCountByLabelValuePair": [{"name": "job=x", "value": 3}],
        });
        let data = summary(
            &status,
            &now,
            &counts_of(&[("flood", 20), ("up", 3)]),
            1,
            "1h",
        );
        let shown = screen(&data);
        let first = "503 current series, 23 before 1h; 900 in history, including ended ones\n";
        assert!(shown.starts_with(first), "{shown}");
        // The tables count different series.
        for (head, count) in [
            ("current series", 2),
            ("series in history", 1),
            ("values in history", 1),
        ] {
            assert_eq!(shown.matches(head).count(), count, "{head} {shown}");
        }
        assert!(shown.contains("500") && shown.contains("+480"), "{shown}");
        assert!(!shown.contains("up "), "{shown}");
        assert!(shown.contains("id") && shown.contains("job=x"), "{shown}");
    }
}
