//! Requirements of Grafana, on the shipped dashboard and on that of another configuration.

use std::collections::BTreeSet;

use bellwether_config::EMBEDDED;
use serde_json::Value;

use super::{dashboard, expressions, panels, rows, text};

/// Units as Grafana names them.
const UNITS: &[&str] = &[
    "Bps",
    "bytes",
    "celsius",
    "hertz",
    "iops",
    "ms",
    "ops",
    "percent",
    "percentunit",
    "pps",
    "reqps",
    "s",
    "short",
];

/// Variables that Grafana itself has.
const BUILT_IN: &[&str] = &["__rate_interval", "__range", "__all"];

fn both() -> [Value; 2] {
    [dashboard(EMBEDDED), dashboard(super::declarations::OTHER)]
}

#[test]
fn it_imports_anywhere() {
    for made in both() {
        assert_eq!(made["schemaVersion"], 36);
        assert_eq!(made["id"], Value::Null);
        assert_eq!(made["uid"], "bellwether");
        assert_eq!(made["refresh"], "30s");
        assert_eq!(
            (&made["time"]["from"], &made["time"]["to"]),
            (&"now-1h".into(), &"now".into())
        );
        assert!(made.get("__inputs").is_none());
        assert!(made.get("__requires").is_none());
        for panel in panels(&made) {
            let kind = text(&panel["type"]);
            assert!(
                ["timeseries", "stat", "bargauge"].contains(&kind),
                "not a core panel: {kind}"
            );
        }
    }
}

#[test]
fn ids_are_unique_and_panels_do_not_overlap() {
    for made in both() {
        let all = made["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = all
            .iter()
            .map(|panel| panel["id"].as_u64().expect("id"))
            .collect();
        assert_eq!(ids.len(), all.len());
        let mut taken = BTreeSet::new();
        for panel in all {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("number");
            assert!(
                at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24,
                "{}",
                panel["title"]
            );
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{} lies on another", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    for made in both() {
        let mut titles = BTreeSet::new();
        for panel in panels(&made) {
            let title = text(&panel["title"]);
            assert!(
                !title.is_empty() && titles.insert(title.to_owned()),
                "title twice: {title}"
            );
            assert!(
                text(&panel["description"]).ends_with('.'),
                "{title}: not a sentence"
            );
            let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
            assert!(UNITS.contains(&unit), "{title}: unknown unit {unit}");
            let targets = panel["targets"].as_array().expect("targets");
            assert!(!targets.is_empty(), "{title}: no query");
            let references: BTreeSet<_> = targets
                .iter()
                .map(|target| text(&target["refId"]))
                .collect();
            assert_eq!(references.len(), targets.len(), "{title}: refId twice");
            for target in targets {
                assert!(
                    !text(&target["legendFormat"]).is_empty(),
                    "{title}: no legend"
                );
                assert_ne!(
                    target["instant"], target["range"],
                    "{title}: instant or range"
                );
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            }
        }
    }
}

#[test]
fn all_variables_are_defined_and_every_query_is_held_to_the_chosen_ones() {
    for made in both() {
        let defined: BTreeSet<_> = made["templating"]["list"]
            .as_array()
            .expect("variables")
            .iter()
            .map(|variable| text(&variable["name"]))
            .collect();
        for name in variables_in(&made.to_string()) {
            let known = defined.contains(name.as_str()) || BUILT_IN.contains(&name.as_str());
            assert!(known, "undefined variable: {name}");
        }
        for panel in panels(&made) {
            for expression in expressions(panel) {
                let selectors = expression.matches('{').count();
                for matcher in ["job=~\"$job\"", "instance=~\"$instance\""] {
                    assert_eq!(
                        expression.matches(matcher).count(),
                        selectors,
                        "{expression}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_shipped_one_has_its_rows() {
    let made = dashboard(EMBEDDED);
    assert_eq!(
        rows(&made),
        [
            "Alerts and Bellwether itself",
            "System resources",
            "Agents",
            "API",
            "Queues",
            "Neo4j",
            "Entities",
            "Caches"
        ]
    );
    assert!(panels(&made).len() >= 36, "{} panels", panels(&made).len());
}

/// Names after `$` and in `${}`.
fn variables_in(json: &str) -> Vec<String> {
    let after = json
        .split('$')
        .skip(1)
        .map(|rest| rest.trim_start_matches('{'));
    let name = |rest: &str| {
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    after.map(name).collect()
}
