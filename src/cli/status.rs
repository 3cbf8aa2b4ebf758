//! `bellwether status`: health of a running Bellwether on one screen.

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::alerts::screen::name;
use super::asking::{Form, count, data, printable, text};
use super::client::Target;
use bellwether_core::counted;

/// Target of the command and output format.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let path = "/api/v1/summary";
    let mut summary = data(path, &options.target.get(global, path)?)?;
    if options.form.is_json() {
        let health = summary.as_object_mut().and_then(|all| all.remove("health"));
        let alerts = &summary["alerts"]["active"];
        let all = json!({ "summary": summary, "health": health, "alerts": alerts });
        println!("{all:#}");
    } else {
        print!("{}", screen(&summary));
    }
    Ok(())
}

/// Formats the whole screen.
fn screen(summary: &Value) -> String {
    let health = &summary["health"];
    let mut out = format!(
        "bellwether {}  {}  up {} s  {} series  {}\n{}\ncollectors\n",
        text(&summary["version"]),
        text(&summary["status"]),
        summary["uptimeSeconds"]
            .as_f64()
            .unwrap_or_default()
            .round(),
        text(&summary["series"]),
        count(&summary["rules"], "rule"),
        configuration(health),
    );
    for (name, collector) in entries(&health["collectors"]) {
        let state = match collector["success"].as_bool() {
            Some(true) => "ok".to_owned(),
            Some(false) => {
                format!(
                    "FAILED {}: {}",
                    text(&collector["reason"]),
                    text(&collector["error"])
                )
            }
            None => match collector["error"].as_str() {
                Some(error) => format!("not seen yet (not a failure): {error}"),
                None => "has not run yet".to_owned(),
            },
        };
        let took = collector["lastDurationSeconds"]
            .as_f64()
            .unwrap_or_default()
            * 1000.0;
        out += &format!("  {name:<14} {took:>9.2} ms  {state}\n");
        for note in collector["notes"].as_array().into_iter().flatten() {
            out += &format!("  {:<14} {:>12}  {}\n", "", "", text(note));
        }
    }
    out += &state(&health["state"]);
    out += &format!("\nhistory\n{}", history(&health["history"]));
    out += &alert_history(&health["alertHistory"]);
    out += "\nchannels\n";
    for channel in health["channels"].as_array().into_iter().flatten() {
        let number = |key| channel[key].as_u64().unwrap_or_default();
        let (rejected, dropped) = (number("rejected"), number("dropped"));
        out += &format!(
            "  {:<14} {} sent, {} queued, {} rejected, {} dropped{}",
            text(&channel["name"]),
            text(&channel["sent"]),
            text(&channel["queued"]),
            rejected,
            dropped.saturating_sub(rejected),
            match channel["deadLetters"].as_u64() {
                Some(letters) if letters > 0 => format!(", {}", counted(letters, "dead letter")),
                _ => String::new(),
            },
        );
        if let Some(error) = channel["lastError"].as_str() {
            out += &format!("  FAILED {}", printable(error));
        }
        out.push('\n');
    }
    out += &remote_write(&health["remoteWrite"]);
    out += "\nalerts\n";
    let alerts = &summary["alerts"]["active"];
    for alert in alerts.as_array().into_iter().flatten() {
        out += &format!(
            "  {:<8} {:<9} {}  {}\n",
            text(&alert["state"]),
            text(&alert["severity"]),
            name(&alert["labels"], &alert["rule"]),
            text(&alert["message"]),
        );
    }
    out
}

/// Formats the state directory and its error; empty if the agent does not report it.
fn state(state: &Value) -> String {
    if state.is_null() {
        return String::new();
    }
    let mut line = format!(
        "\nstate\n  {}",
        state["directory"].as_str().unwrap_or("in memory")
    );
    if let Some(problem) = state["error"].as_str() {
        line += &format!("  DEGRADED {problem}");
    }
    line + "\n"
}

/// Formats the active config, and the error of the last reload.
fn configuration(health: &Value) -> String {
    let configuration = &health["configuration"];
    let mut out = format!(
        "configuration {}  hash {}  loaded {}\n",
        text(&configuration["source"]),
        text(&configuration["checksum"]),
        text(&configuration["loadedAt"]),
    );
    let reload = &health["lastReload"];
    if let Some(error) = reload["error"].as_str() {
        let at = text(&reload["at"]);
        out += &format!("reload at {at} FAILED, the active config is unchanged:\n");
        error
            .lines()
            .for_each(|line| out += &format!("  {}\n", printable(line)));
    }
    out
}

/// Formats the size of history and its error.
fn history(history: &Value) -> String {
    if history.is_null() {
        return "  disabled\n".to_owned();
    }
    let mut line = match history["directory"].as_str() {
        Some(folder) => format!("  {folder}  {} bytes", text(&history["bytes"])),
        None => "  in memory".to_owned(),
    };
    line += &format!(
        "  {} series  since {}",
        text(&history["series"]),
        text(&history["oldest"])
    );
    line += &damaged(&history["damaged"], "part");
    if let Some(problem) = history["error"].as_str() {
        line += &format!("  DEGRADED {}", printable(problem));
    }
    line + "\n"
}

/// Formats the size of the alert history and its error; empty if it is disabled.
fn alert_history(history: &Value) -> String {
    if history.is_null() {
        return String::new();
    }
    let folder = history["directory"].as_str().unwrap_or("in memory");
    let mut line = format!(
        "\nalert history\n  {folder}  {} bytes",
        text(&history["bytes"])
    );
    line += &damaged(&history["damaged"], "record");
    if let Some(problem) = history["error"].as_str() {
        line += &format!("  DEGRADED {}", printable(problem));
    }
    line + "\n"
}

/// Formats the number of damaged or missing parts since the start; empty if there are none.
fn damaged(count: &Value, part: &str) -> String {
    match count.as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!("  {} damaged or missing, see the log", counted(count, part)),
    }
}

/// Formats one line per remote write destination; empty without any.
fn remote_write(destinations: &Value) -> String {
    let Some(destinations) = destinations.as_array().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let mut out = "\nremote write\n".to_owned();
    for destination in destinations {
        out += &format!(
            "  {:<14} {} sent, {} lost, {} bytes pending",
            text(&destination["name"]),
            text(&destination["sent"]),
            text(&destination["lost"]),
            text(&destination["pendingBytes"]),
        );
        if let Some(error) = destination["lastError"].as_str() {
            out += &format!("  FAILED {}", printable(error));
        }
        out.push('\n');
    }
    out
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_alerts_are_on_the_screen() {
        let screen = screen(
            &json!({"version": "1", "status": "healthy", "uptimeSeconds": 3.2, "series": 7, "rules": 2,
                    "health": {"collectors": {"neo4j": {"success": false, "reason": "connect",
                    "error": "refused", "lastDurationSeconds": 0.0015},
                    "own": {"success": null, "error": null, "lastDurationSeconds": 0},
                    "statsd": {"success": null, "error": "no answer", "lastDurationSeconds": 0}},
                    "history": {"directory": "/h", "series": 7, "bytes": 99, "oldest": "2026-11-21",
                    "damaged": 3, "error": "no space left"},
                    "remoteWrite": [{"name": "mimir", "sent": 5, "lost": 0, "pendingBytes": 9,
                    "lastError": "refused"}],
                    "configuration": {"source": "/b.yaml", "checksum": "00c0ffee", "loadedAt": "2026-11-21"},
                    "lastReload": {"at": "2026-11-22", "success": false, "error": "b.yaml:1:2: a\n  hint: b"},
                    "alertHistory": {"directory": "/a", "bytes": 7, "error": null},
                    "state": {"directory": "/s", "error": "it is another's"},
                    "channels": [{"name": "log", "sent": 1, "queued": 0, "dropped": 0, "deadLetters": 0},
                    {"name": "pager", "sent": 1, "queued": 0, "rejected": 2, "dropped": 3, "deadLetters": 2}]},
                    "alerts": {"active": [{"state": "firing", "severity": "critical", "rule": "disk",
                    "labels": {"alertname": "disk", "mount_point": "/"}, "message": "full"}]}}),
        );
        assert_eq!(
            screen,
            "bellwether 1  healthy  up 3 s  7 series  2 rules\n\
             configuration /b.yaml  hash 00c0ffee  loaded 2026-11-21\n\
             reload at 2026-11-22 FAILED, the active config is unchanged:\n  b.yaml:1:2: a\n    hint: b\n\n\
             collectors\n  \
             neo4j               1.50 ms  FAILED connect: refused\n  \
             own                 0.00 ms  has not run yet\n  \
             statsd              0.00 ms  not seen yet (not a failure): no answer\n\nstate\n  /s  DEGRADED it is another's\n\nhistory\n  \
             /h  99 bytes  7 series  since 2026-11-21  3 parts damaged or missing, see the log  DEGRADED no space left\n\nalert history\n  /a  7 bytes\n\nchannels\n  \
             log            1 sent, 0 queued, 0 rejected, 0 dropped\n  \
             pager          1 sent, 0 queued, 2 rejected, 1 dropped, 2 dead letters\n\nremote write\n  \
             mimir          5 sent, 0 lost, 9 bytes pending  FAILED refused\n\nalerts\n  \
             firing   critical  disk{mount_point=\"/\"}  full\n"
        );
    }
}
