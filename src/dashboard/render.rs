//! One panel as Grafana's JSON.

use serde_json::{Value, json};

use super::layout::Drawn;
use super::panels::View;
use super::threshold::{self, Limit};

/// Data source that is selected in the dashboard.
pub(super) fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Returns a panel with its queries, each an expression and a legend.
pub(super) fn panel(
    view: View,
    unit: &str,
    title: &str,
    about: &str,
    targets: &[(String, String)],
    limits: &[Limit],
) -> Drawn {
    let targets: Vec<_> = targets
        .iter()
        .enumerate()
        .map(|(at, target)| query(view, at, target))
        .collect();
    let (kind, options, custom, height, per_line) = match view {
        View::Lines => ("timeseries", lines_options(), lines_custom(limits), 8, 3),
        View::Bars => ("bargauge", bars_options(), json!({}), 8, 3),
        View::Number | View::Trouble | View::UpDown => {
            ("stat", number_options(view), json!({}), 4, 6)
        }
    };
    let mut defaults = json!({
        "color": {"mode": if view == View::Lines { "palette-classic" } else { "thresholds" }},
        "custom": custom,
        "mappings": mappings(view),
        "thresholds": {"mode": "absolute", "steps": steps(view, limits)},
        "unit": unit,
    });
    // Bars need both ends; a share of something has none to spare below zero.
    if view == View::Bars || matches!(unit, "percent" | "percentunit") {
        defaults["min"] = json!(0);
    }
    if view == View::Bars {
        defaults["max"] = json!(100);
    }
    let json = json!({
        "datasource": datasource(),
        "description": format!("{about}{}", threshold::in_words(limits)),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
        "title": title,
        "type": kind,
    });
    Drawn {
        height,
        per_line,
        json,
    }
}

fn query(view: View, index: usize, (expression, legend): &(String, String)) -> Value {
    // Bars show the present; numbers have a small line of the past behind them.
    let instant = view == View::Bars || expression.contains("$__range]");
    json!({
        "datasource": datasource(),
        "expr": expression,
        "instant": instant,
        "legendFormat": legend,
        "range": !instant,
        "refId": reference(index),
    })
}

/// Returns the id of a query: `A` to `Z`, then `A1` and so on.
fn reference(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    if index < 26 {
        letter.to_string()
    } else {
        format!("{letter}{}", index / 26)
    }
}

/// Mappings for up and down as text, since color alone is not accessible.
fn mappings(view: View) -> Value {
    match view {
        View::UpDown => json!([{
            "options": {
                "0": {"color": "red", "index": 0, "text": "down"},
                "1": {"color": "green", "index": 1, "text": "up"},
            },
            "type": "value",
        }]),
        View::Lines | View::Number | View::Trouble | View::Bars => json!([]),
    }
}

fn steps(view: View, limits: &[Limit]) -> Value {
    match view {
        View::Trouble => json!([{"color": "green", "value": null}, {"color": "red", "value": 1}]),
        View::UpDown => json!([{"color": "red", "value": null}, {"color": "green", "value": 1}]),
        View::Lines | View::Number | View::Bars => threshold::steps(limits),
    }
}

fn lines_options() -> Value {
    json!({
        "legend": {
            "calcs": ["lastNotNull", "max"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": true,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    })
}

/// Options of a chart. A missing value stays a gap.
fn lines_custom(limits: &[Limit]) -> Value {
    json!({
        "drawStyle": "line",
        "fillOpacity": 10,
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": false,
        "stacking": {"group": "A", "mode": "none"},
        "thresholdsStyle": {"mode": if limits.is_empty() { "off" } else { "dashed" }},
    })
}

fn bars_options() -> Value {
    json!({
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        "showUnfilled": true,
    })
}

fn number_options(view: View) -> Value {
    json!({
        "colorMode": "value",
        "graphMode": if view == View::Number { "area" } else { "none" },
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        "textMode": if view == View::UpDown { "value_and_name" } else { "auto" },
    })
}
