//! Dashboards as Grafana's JSON: classic dashboards, schema 36, which Grafana 10 to 13 import.

use std::collections::BTreeMap;

use bellwether_core::Severity;
use serde_json::{Value, json};

use crate::{Dashboard, Item, Threshold, Widget, WidgetType};

/// Returns the data source that is selected in the dashboard.
#[must_use]
pub fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Returns the panels of a dashboard, each with its place and id.
#[must_use]
pub fn panels(dashboard: &Dashboard) -> Vec<Value> {
    let items = dashboard.ordered().into_iter().zip(1..);
    items.map(|(item, id)| panel(item, id)).collect()
}

fn panel(item: &Item, id: u64) -> Value {
    let mut panel = match &item.widget {
        Some(widget) => widget_panel(&item.title, widget),
        None => json!({"collapsed": false, "panels": [], "title": item.title, "type": "row"}),
    };
    panel["id"] = json!(id);
    panel["gridPos"] = json!(item.place);
    panel
}

fn widget_panel(title: &str, widget: &Widget) -> Value {
    let description = widget.settings.description.as_deref().unwrap_or_default();
    let mut panel = match widget.settings.r#type.value {
        WidgetType::Text => {
            let content = widget.settings.text.as_deref().unwrap_or_default();
            json!({"type": "text", "options": {"mode": "markdown", "content": content}})
        }
        WidgetType::AlertList => {
            json!({"type": "alertlist", "options": {"alertInstanceLabelFilter": ""}})
        }
        kind => {
            let targets = widget.settings.all_queries().enumerate();
            let targets =
                targets.map(|(index, (query, legend))| target(kind, index, query, legend));
            json!({
                "datasource": datasource(),
                "fieldConfig": {"defaults": defaults(kind, widget), "overrides": []},
                "options": options(widget),
                "targets": targets.collect::<Vec<_>>(),
                "type": panel_type(kind),
            })
        }
    };
    panel["description"] = json!(format!("{description}{}", in_words(&widget.thresholds)));
    panel["title"] = json!(title);
    panel
}

fn panel_type(kind: WidgetType) -> &'static str {
    match kind {
        WidgetType::Line | WidgetType::Area => "timeseries",
        WidgetType::Bar => "bargauge",
        WidgetType::Pie => "piechart",
        WidgetType::Gauge => "gauge",
        WidgetType::Stat => "stat",
        WidgetType::Table => "table",
        WidgetType::Heatmap => "heatmap",
        WidgetType::Text => "text",
        WidgetType::AlertList => "alertlist",
    }
}

fn target(kind: WidgetType, index: usize, query: &str, legend: Option<&str>) -> Value {
    // Numbers have a small line of the past behind them; others but charts show the present.
    let of_now = matches!(
        kind,
        WidgetType::Bar | WidgetType::Pie | WidgetType::Gauge | WidgetType::Table
    );
    let instant = of_now || query.contains("$__range]");
    let mut target = json!({
        "datasource": datasource(),
        "expr": query,
        "instant": instant,
        "legendFormat": legend.unwrap_or("__auto"),
        "range": !instant,
        "refId": reference(index),
    });
    match kind {
        WidgetType::Heatmap => target["format"] = json!("heatmap"),
        WidgetType::Table => target["format"] = json!("table"),
        _ => {}
    }
    target
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

fn defaults(kind: WidgetType, widget: &Widget) -> Value {
    let settings = &widget.settings;
    let lines = matches!(kind, WidgetType::Line | WidgetType::Area);
    let mut defaults = json!({
        "color": {"mode": if lines || kind == WidgetType::Pie { "palette-classic" } else { "thresholds" }},
        "custom": if lines { custom(kind, &widget.thresholds) } else { json!({}) },
        "mappings": mappings(&settings.words, &widget.thresholds),
        "thresholds": {"mode": "absolute", "steps": steps(&widget.thresholds)},
        "unit": settings.unit.grafana(),
    });
    if let Some(min) = settings.min {
        defaults["min"] = number(min);
    }
    if let Some(max) = settings.max {
        defaults["max"] = number(max);
    }
    defaults
}

/// Returns a whole number without a fraction.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// Options of a chart. A missing value stays a gap.
fn custom(kind: WidgetType, thresholds: &[Threshold]) -> Value {
    let mode = if kind == WidgetType::Area {
        "normal"
    } else {
        "none"
    };
    json!({
        "drawStyle": "line",
        "fillOpacity": if kind == WidgetType::Area { 30 } else { 10 },
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": false,
        "stacking": {"group": "A", "mode": mode},
        "thresholdsStyle": {"mode": if thresholds.is_empty() { "off" } else { "dashed" }},
    })
}

fn options(widget: &Widget) -> Value {
    let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    match widget.settings.r#type.value {
        WidgetType::Line | WidgetType::Area => json!({
            "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        WidgetType::Bar => {
            json!({"displayMode": "basic", "orientation": "horizontal", "reduceOptions": reduce, "showUnfilled": true})
        }
        WidgetType::Pie => json!({
            "legend": {"displayMode": "table", "placement": "right", "showLegend": true, "values": ["value", "percent"]},
            "pieType": "donut",
            "reduceOptions": reduce,
        }),
        WidgetType::Gauge => {
            json!({"reduceOptions": reduce, "showThresholdLabels": false, "showThresholdMarkers": true})
        }
        WidgetType::Stat => json!({
            "colorMode": "value",
            // A number with a state needs no trend.
            "graphMode": if widget.settings.thresholds.is_some() { "none" } else { "area" },
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": reduce,
            "textMode": if widget.settings.words.is_empty() { "auto" } else { "value_and_name" },
        }),
        WidgetType::Heatmap => {
            json!({"calculate": false, "yAxis": {"unit": widget.settings.unit.grafana()}})
        }
        WidgetType::Table | WidgetType::Text | WidgetType::AlertList => json!({}),
    }
}

/// Words as mappings, since color alone is not accessible.
fn mappings(words: &BTreeMap<String, String>, thresholds: &[Threshold]) -> Value {
    if words.is_empty() {
        return json!([]);
    }
    let options = words.iter().enumerate().map(|(index, (value, word))| {
        let number = value.parse().unwrap_or(f64::NAN);
        (
            value.clone(),
            json!({"color": worst(thresholds, number), "index": index, "text": word}),
        )
    });
    json!([{"options": options.collect::<serde_json::Map<_, _>>(), "type": "value"}])
}

/// Returns Grafana's threshold steps. Each applies from its value up to the next; the first has none.
fn steps(thresholds: &[Threshold]) -> Value {
    let mut edges: Vec<f64> = thresholds.iter().map(|threshold| threshold.value).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let first = json!({"color": worst(thresholds, f64::NEG_INFINITY), "value": null});
    let rest = edges
        .iter()
        .map(|edge| json!({"color": worst(thresholds, *edge), "value": edge}));
    Value::Array(std::iter::once(first).chain(rest).collect())
}

/// Returns the color just above `value`: that of the most severe threshold exceeded there.
fn worst(thresholds: &[Threshold], value: f64) -> &'static str {
    let beyond = thresholds.iter().filter(|one| {
        if one.above {
            value >= one.value
        } else {
            value < one.value
        }
    });
    match beyond.map(|one| one.severity).max() {
        None => "green",
        Some(Severity::Info) => "blue",
        Some(Severity::Warning) => "orange",
        Some(Severity::Critical) => "red",
        Some(Severity::Emergency) => "purple",
    }
}

/// Returns the thresholds of rules as text, since color alone is not accessible.
fn in_words(thresholds: &[Threshold]) -> String {
    let of_rules = thresholds
        .iter()
        .filter_map(|threshold| Some((threshold.rule.as_ref()?, threshold)));
    let words = of_rules.map(
        |(
            rule,
            Threshold {
                value,
                above,
                severity,
                ..
            },
        )| {
            let side = if *above { "above" } else { "below" };
            format!(" Rule {rule}: {} {side} {value}.", severity.as_str())
        },
    );
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ThresholdSettings, WidgetSettings, arrange};

    fn panels_of(widget: WidgetSettings) -> Value {
        let items = arrange(vec![(None, vec![widget.resolve(&|_| Vec::new())])]);
        let dashboard = Dashboard {
            name: "own".into(),
            title: "Own".into(),
            items,
            removed: Vec::new(),
        };
        panels(&dashboard).remove(0)
    }

    #[test]
    fn every_type_is_a_core_panel_with_a_place() {
        for (word, kind) in WidgetType::WORDS {
            let panel = panels_of(WidgetSettings::new(*kind, word));
            assert_eq!(panel["type"], panel_type(*kind), "{word}");
            assert!(panel["gridPos"]["w"].as_u64() > Some(0), "{word}");
        }
    }

    #[test]
    fn a_word_has_the_color_of_its_value() {
        let mut widget = WidgetSettings::new(WidgetType::Stat, "Up");
        widget.words = [("0", "down"), ("1", "up")]
            .map(|(value, word)| (value.to_owned(), word.to_owned()))
            .into();
        widget.thresholds = Some(vec![ThresholdSettings {
            above: None,
            below: Some(0.5.into()),
            severity: Severity::Critical,
        }]);
        let options = &panels_of(widget)["fieldConfig"]["defaults"]["mappings"][0]["options"];
        assert_eq!(
            (&options["0"]["color"], &options["1"]["color"]),
            (&"red".into(), &"green".into())
        );
    }
}
