//! Snapshots of whole screens. After a wanted change, `UPDATE_EXPECTED=1 cargo test --lib top::screen` writes them
//! anew; read the difference.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_report::units::Unit;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use serde_json::{Value, json};

use super::*;
use crate::cli::top::plot::{Curve, Plot};
use crate::cli::top::terminal;

/// 2026-01-01 12:00 UTC.
const NOW: UnixMillis = UnixMillis(1_767_268_800_000);
const SIZES: [(u16, u16); 4] = [(40, 15), (80, 24), (120, 40), (200, 60)];

fn alert(rule: &str, severity: &str, state: &str, at: &str, message: &str) -> Value {
    json!({"rule": rule, "fingerprint": format!("{rule}-1"), "severity": severity, "state": state,
        "labels": {"alertname": rule, "severity": severity, "mount_point": "/data"}, "activeAt": at,
        "firedAt": if state == "firing" { json!(at) } else { json!(null) }, "value": "91.5",
        "threshold": 85.0, "firedValue": 86.0, "peak": 92.5, "message": message})
}

fn plots(curves: [Curve; 3]) -> Vec<Plot> {
    let plots = curves.map(|curve| Plot {
        curves: vec![curve],
        ..Plot::default()
    });
    plots.into()
}

fn data() -> Data {
    let mut acknowledged = alert(
        "queue_backlog",
        "warning",
        "firing",
        "2026-01-01T11:05:00Z",
        "3.1k items wait",
    );
    acknowledged["acknowledgedBy"] = json!("jonas");
    let values = |from: f64, by: f64| {
        (0..60)
            .map(|step| (step != 20).then_some(from + by * f64::from(step)))
            .collect()
    };
    let curve = |name: &str, unit: Unit, from: f64, by: f64| Curve {
        name: name.into(),
        unit,
        values: values(from, by),
    };
    Data {
        at: NOW,
        link: Link::Live,
        summary: json!({
            "status": "degraded", "version": "0.2.0", "uptimeSeconds": 93_600.0, "rules": 16, "series": 412,
            "alerts": {"firing": 3, "pending": 1, "active": [
                acknowledged,
                alert("slow_checkout", "warning", "pending", "2026-01-01T11:55:00Z", "The checkout takes 0.52s"),
                alert("disk_full_soon", "critical", "firing", "2026-01-01T11:30:00Z", "/data is going to be full in 2 h"),
                alert("disk_almost_full", "warning", "firing", "2026-01-01T10:10:00Z", "/data is 91.5 % full"),
            ]},
            "health": {
                "collectors": {
                    "system": {"success": true, "lastDurationSeconds": 0.0012, "ageSeconds": 2.0, "notes": []},
                    "neo4j": {"success": false, "lastDurationSeconds": 0.5, "ageSeconds": 62.0, "reason": "connect",
                        "error": "bolt://127.0.0.1:7687: connection refused", "notes": []},
                },
                "channels": [
                    {"name": "chat", "type": "slack", "sent": 12, "queued": 0, "rejected": 0, "deadLetters": 0},
                    {"name": "tickets", "type": "webhook", "sent": 3, "queued": 0, "rejected": 2, "deadLetters": 2},
                    {"name": "managers", "type": "teams", "sent": 0, "queued": 4, "rejected": 0, "deadLetters": 0,
                        "lastError": "503 Service Unavailable"},
                ],
                "configuration": {"source": "/etc/bellwether/bellwether.yaml", "loadedAt": "2025-12-31T10:00:00Z"},
                "history": {"bytes": 4_200_000, "oldest": "2025-12-18T00:00:00Z"}, "alertHistory": null,
                "state": {"directory": "/var/lib/bellwether"},
            },
        }),
        bottlenecks: json!({"bottlenecks": [{"name": "disk_full", "resource": "io", "component": "file system",
            "impact": 71.0, "value": 91.5, "unit": "% full", "advice": "delete or rotate, or grow it"}]}),
        score: json!({"score": 71.5, "rating": "fair", "parts": [
            {"points": 18.5, "cause": "bottleneck", "name": "disk_full", "reason": "impact 71 on io"}]}),
        vitals: plots([
            curve("CPU", Unit::Percent, 20.0, 0.5),
            curve("Fullest disk", Unit::Percent, 62.0, 0.5),
            curve("Received", Unit::BytesPerSecond, 1e6, 3e4),
        ]),
        series: plots([
            curve("cpu_percent", Unit::Percent, 20.0, 0.5),
            curve(
                "disk_usage_percent{mount_point=\"/data\"}",
                Unit::Percent,
                62.0,
                0.5,
            ),
            curve("memory_used_bytes", Unit::Bytes, 9e9, -1e7),
        ]),
        failing: None,
    }
}

fn state(view: usize) -> State {
    State::new(view, Duration::from_secs(2), "ada".into())
}

fn drawn(state: &State, data: &Data, (width, height): (u16, u16), theme: &Theme) -> String {
    let mut state = state.clone();
    state.resize(height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let screen = Screen {
                data,
                state: &state,
                theme: *theme,
                now: NOW,
                area: frame.area(),
            };
            screen.draw(frame.buffer_mut());
        })
        .unwrap();
    terminal::text(terminal.backend().buffer(), false)
}

/// Compares a screen with its file.
fn check(name: &str, screen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/screen/snapshots");
    let path = path.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, screen).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, expected, "{name}; UPDATE_EXPECTED=1 writes it anew");
}

#[test]
fn every_view_at_every_size() {
    let (data, theme) = (data(), Theme::plain(false));
    for (index, view) in VIEWS.iter().enumerate() {
        for size in SIZES {
            let name = format!("{}-{}x{}", view.title, size.0, size.1);
            check(&name, &drawn(&state(index), &data, size, &theme));
        }
    }
}

#[test]
fn with_ascii_only() {
    let (data, theme) = (data(), Theme::plain(true));
    for (index, view) in VIEWS.iter().enumerate() {
        let screen = drawn(&state(index), &data, (80, 24), &theme);
        assert!(screen.is_ascii(), "{screen}");
        check(&format!("{}-ascii", view.title), &screen);
    }
}

#[test]
fn details_prompt_help_and_filter() {
    let (data, theme) = (data(), Theme::plain(false));
    let press = |view: usize, keys: &[KeyCode]| {
        let mut state = state(view);
        for key in keys {
            state.key((*key).into(), &data);
        }
        drawn(&state, &data, (80, 24), &theme)
    };
    let letter = KeyCode::Char;
    check("details", &press(2, &[letter('j'), KeyCode::Enter]));
    check("chart", &press(1, &[letter('j'), KeyCode::Enter]));
    check(
        "prompt",
        &press(2, &[letter('s'), letter('o'), letter('k')]),
    );
    check("help", &press(0, &[letter('?')]));
    check(
        "filter",
        &press(2, &[letter('/'), letter('Q'), letter('U')]),
    );
}

#[test]
fn an_agent_that_does_not_answer_keeps_its_last_data() {
    let mut data = data();
    data.failing = Some((
        UnixMillis(NOW.0 - 72_000),
        "connection refused\n  tried: GET".into(),
    ));
    let screen = drawn(&state(0), &data, (80, 24), &Theme::plain(false));
    assert!(
        screen.starts_with("since 11:58:48 (1m12s): connection refused\n"),
        "{screen}"
    );
    assert!(screen.contains("disk_full_soon"), "{screen}");
    let old = drawn(
        &state(0),
        &Data {
            at: UnixMillis(NOW.0 - 60_000),
            ..self::data()
        },
        (80, 24),
        &Theme::plain(false),
    );
    assert!(
        old.lines().next().unwrap().contains("stale, 1m old"),
        "{old}"
    );
}

#[test]
fn the_first_line_says_whether_the_data_are_live() {
    let first = |link: Link, size: (u16, u16)| {
        let data = Data { link, ..data() };
        let screen = drawn(&state(0), &data, size, &Theme::plain(true));
        screen.lines().next().unwrap().to_owned()
    };
    let refused = || Link::Polled(Some("426 Upgrade Required\u{1b}".into()));
    assert!(first(Link::Live, (80, 24)).contains("|  live  |"));
    assert!(first(Link::Polled(None), (80, 24)).contains("at 12:00:00 UTC"));
    let line = first(refused(), (120, 24));
    assert!(
        line.contains("polled every 2s") && line.contains("not live: 426 Upgrade Required\\u{1b}"),
        "{line}"
    );
    let line = first(refused(), (40, 15));
    assert!(line.contains("polled every 2s"), "{line}");
}

#[test]
fn before_the_first_answer_nothing_is_claimed() {
    let theme = Theme::plain(true);
    let none = drawn(&state(0), &Data::default(), (80, 24), &theme);
    assert!(none.starts_with("connecting to the agent"), "{none}");
    assert!(!none.contains("firing"), "{none}");
    let data = Data {
        failing: Some((
            NOW,
            "no answer from x\n  tried: GET\n  hint: is it running?".into(),
        )),
        ..Data::default()
    };
    let failing = drawn(&state(0), &data, (80, 24), &theme);
    assert!(failing.contains("  hint: is it running?"), "{failing}");
}

#[test]
fn no_size_and_no_data_are_too_small() {
    let theme = Theme::plain(false);
    for data in [data(), Data::default()] {
        for view in 0..VIEWS.len() {
            for size in [(1, 1), (5, 3), (39, 8), (40, 7), (400, 4), (12, 100)] {
                drawn(&state(view), &data, size, &theme);
            }
        }
    }
}

#[test]
fn a_terminal_obeys_nothing_that_comes_from_outside() {
    let mut data = data();
    let hostile = "\u{1b}[31m\n\u{202e}x";
    data.summary["alerts"]["active"][0]["message"] = json!(hostile);
    data.summary["alerts"]["active"][0]["labels"]["x"] = json!(hostile);
    data.failing = Some((NOW, hostile.into()));
    for view in 0..VIEWS.len() {
        let screen = drawn(&state(view), &data, (200, 60), &Theme::plain(false));
        let is_clean =
            |letter: char| letter == '\n' || !(letter.is_control() || letter == '\u{202e}');
        assert!(screen.chars().all(is_clean), "{screen}");
    }
}
