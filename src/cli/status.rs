//! `bellwether status`: health of a running Bellwether on one screen.

use bellwether_core::counted;
use bellwether_report::units::{Unit, duration};
use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::alerts::screen::{name, severity_style, state as alert_state};
use super::asking::{count, data, list, printable, text, time};
use super::client::Target;
use super::form::{Layout, ListForm, format_table};
use super::hosts::{Answers, HostAnswer, Reach, brief, merged};
use super::output::{Screen, Style};
use super::table::{Cell, Table, wrapped};

/// Target of the command and output format.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    form: ListForm,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let answers = options.reach.ask(|target| ask(global, target))?;
    let layout = options.form.layout();
    match &answers {
        Answers::Many(all) if layout.is_table() => {
            print!("{}", format_table(layout, &many(all), ""));
            answers.summarize()
        }
        _ => {
            let screen = match layout {
                Layout::Text(screen) => screen,
                _ => Screen::default(),
            };
            answers.show(layout, row, |data| page(data, screen), "")
        }
    }
}

fn ask(global: &Global, target: &Target) -> anyhow::Result<Value> {
    let path = "/api/v1/summary";
    let mut summary = data(path, &target.get(global, path)?)?;
    let health = summary.as_object_mut().and_then(|all| all.remove("health"));
    let alerts = summary["alerts"]["active"].clone();
    Ok(json!({ "summary": summary, "health": health, "alerts": alerts }))
}

fn heads() -> Table {
    Table::new([
        "STATUS", "VERSION", "UP", "SERIES", "RULES", "FIRING", "PENDING", "FAILS",
    ])
    .right(&["UP", "SERIES", "RULES", "FIRING", "PENDING"])
    .dispensable(&["VERSION", "RULES"])
    .elastic(&["FAILS"])
}

/// Returns a table with one row.
fn row(data: &Value) -> Table {
    let mut table = heads();
    if data.is_null() {
        return table;
    }
    let summary = &data["summary"];
    let in_state = |state: &str| {
        let alerts = list(&data["alerts"]).iter();
        alerts.filter(|alert| alert["state"] == state).count()
    };
    let firing = in_state("firing");
    table.push([
        Cell::styled(text(&summary["status"]), status_style(summary)),
        text(&summary["version"]).into(),
        uptime(summary).into(),
        text(&summary["series"]).into(),
        text(&summary["rules"]).into(),
        Cell::styled(firing.to_string(), (firing > 0).then_some(Style::Bad)),
        in_state("pending").to_string().into(),
        fails(&data["health"]).join("; ").into(),
    ]);
    table
}

/// Returns a table with a row for each host, also for those that did not answer.
fn many(answers: &[HostAnswer<Value>]) -> Table {
    merged(answers, row, |error| {
        let mut table = heads();
        let [version, up, series, rules, firing, pending] = std::array::from_fn(|_| "-".into());
        let status = Cell::styled("no answer", Some(Style::Bad));
        let error = brief(error).into();
        table.push([status, version, up, series, rules, firing, pending, error]);
        table
    })
}

fn status_style(summary: &Value) -> Option<Style> {
    Some(match summary["status"].as_str()? {
        "healthy" => Style::Good,
        "degraded" => Style::Warning,
        _ => return None,
    })
}

fn uptime(summary: &Value) -> String {
    let seconds = summary["uptimeSeconds"].as_f64().unwrap_or_default();
    duration(seconds.round())
}

/// Returns the names of the parts that fail.
fn fails(health: &Value) -> Vec<String> {
    let collectors = entries(&health["collectors"])
        .filter(|(_, collector)| collector["success"] == false)
        .map(|(name, _)| format!("collector {}", printable(name)));
    let named = |key: &'static str, noun: &'static str| {
        let failing = list(&health[key])
            .iter()
            .filter(|part| part["lastError"].is_string());
        failing.map(move |part| format!("{noun} {}", text(&part["name"])))
    };
    let parts = [
        ("state", "state"),
        ("history", "history"),
        ("alertHistory", "alert history"),
    ];
    let parts = parts
        .into_iter()
        .filter(|(key, _)| health[key]["error"].is_string())
        .map(|(_, noun)| noun.to_owned());
    let reload = health["lastReload"]["error"]
        .is_string()
        .then(|| "reload".to_owned());
    collectors
        .chain(named("channels", "channel"))
        .chain(named("reports", "report"))
        .chain(named("remoteWrite", "remote write"))
        .chain(parts)
        .chain(reload)
        .collect()
}

/// Formats the whole page.
fn page(data: &Value, screen: Screen) -> String {
    let (summary, health) = (&data["summary"], &data["health"]);
    let heading = |title: &str| format!("\n{}\n", screen.paint(Style::Heading, title));
    let status = text(&summary["status"]);
    let mut out = format!(
        "bellwether {}  {}  up {}  {} series  {}\n{}",
        text(&summary["version"]),
        match status_style(summary) {
            Some(style) => screen.paint(style, &status),
            None => status,
        },
        uptime(summary),
        text(&summary["series"]),
        count(&summary["rules"], "rule"),
        configuration(health, screen),
    );
    out += &heading("collectors");
    for (name, collector) in entries(&health["collectors"]) {
        out += &line(&collector_line(name, collector), screen);
        for note in list(&collector["notes"]) {
            out += &line(&format!("  {:<14} {:>12}  {}", "", "", text(note)), screen);
        }
    }
    out += &state(&health["state"], screen);
    out += &heading("history");
    out += &history(&health["history"], screen);
    out += &alert_history(&health["alertHistory"], screen);
    out += &heading("channels");
    for channel in list(&health["channels"]) {
        out += &line(&channel_line(channel), screen);
    }
    if list(&health["channels"]).is_empty() {
        out += "  none\n";
    }
    out += &reports(&health["reports"], screen);
    out += &remote_write(&health["remoteWrite"], screen);
    out += &heading("alerts");
    out += &alerts(&data["alerts"], screen);
    out
}

/// Formats a line, wrapped at the end of the screen, with words for failures in colour.
fn line(text: &str, screen: Screen) -> String {
    let mut line = wrapped(text, screen.width, 6);
    for (word, style) in [(" FAILED", Style::Bad), (" DEGRADED", Style::Warning)] {
        if let Some((before, after)) = line.split_once(word) {
            line = format!("{before} {}{after}", screen.paint(style, word.trim_start()));
        }
    }
    line + "\n"
}

fn collector_line(name: &str, collector: &Value) -> String {
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
            Some(error) => format!("not seen yet (not a failure): {}", printable(error)),
            None => "has not run yet".to_owned(),
        },
    };
    let took = collector["lastDurationSeconds"]
        .as_f64()
        .unwrap_or_default()
        * 1000.0;
    format!("  {:<14} {took:>9.2} ms  {state}", printable(name))
}

fn channel_line(channel: &Value) -> String {
    let number = |key| channel[key].as_u64().unwrap_or_default();
    let (rejected, dropped) = (number("rejected"), number("dropped"));
    let mut line = format!(
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
        line += &format!("  FAILED {}", printable(error));
    }
    line
}

fn alerts(alerts: &Value, screen: Screen) -> String {
    let mut table =
        Table::new(["STATE", "SEVERITY", "ALERT", "MESSAGE"]).elastic(&["ALERT", "MESSAGE"]);
    for alert in list(alerts) {
        table.push([
            alert_state(alert).indented(),
            Cell::styled(text(&alert["severity"]), severity_style(alert)),
            name(&alert["labels"], &alert["rule"]).into(),
            text(&alert["message"]).into(),
        ]);
    }
    match table.is_empty() {
        true => "  none\n".to_owned(),
        false => table.render_rows(screen),
    }
}

/// Formats the state directory and its error; empty if the agent does not report it.
fn state(state: &Value, screen: Screen) -> String {
    if state.is_null() {
        return String::new();
    }
    let text = directory(state) + &degraded(state);
    format!(
        "\n{}\n{}",
        screen.paint(Style::Heading, "state"),
        line(&text, screen)
    )
}

/// Formats the directory of a part.
fn directory(part: &Value) -> String {
    format!(
        "  {}",
        printable(part["directory"].as_str().unwrap_or("in memory"))
    )
}

/// Formats the error of a part; empty without one.
fn degraded(part: &Value) -> String {
    match part["error"].as_str() {
        Some(problem) => format!("  DEGRADED {}", printable(problem)),
        None => String::new(),
    }
}

/// Formats the active config, and the error of the last reload.
fn configuration(health: &Value, screen: Screen) -> String {
    let configuration = &health["configuration"];
    let included = match configuration["includedFiles"].as_u64() {
        Some(files) if files > 0 => format!("  includes {}", counted(files, "file")),
        _ => String::new(),
    };
    let mut out = format!(
        "configuration {}{included}  hash {}  loaded {} UTC\n",
        text(&configuration["source"]),
        text(&configuration["checksum"]),
        time(&configuration["loadedAt"]),
    );
    let reload = &health["lastReload"];
    if let Some(error) = reload["error"].as_str() {
        let at = time(&reload["at"]);
        let head = format!("reload at {at} UTC FAILED, the active config is unchanged:");
        out += &line(&head, screen);
        for text in error.lines() {
            out += &line(&format!("  {}", printable(text)), screen);
        }
    }
    out
}

/// Formats the size of history and its error.
fn history(history: &Value, screen: Screen) -> String {
    if history.is_null() {
        return "  disabled\n".to_owned();
    }
    let mut text_line = directory(history);
    if history["directory"].is_string() {
        text_line += &format!("  {}", bytes(&history["bytes"]));
    }
    text_line += &format!("  {} series", text(&history["series"]));
    if history["oldest"].is_string() {
        text_line += &format!("  since {} UTC", time(&history["oldest"]));
    }
    text_line += &damaged(&history["damaged"], "part");
    text_line += &degraded(history);
    line(&text_line, screen)
}

/// Formats the size of the alert history and its error; empty if it is disabled.
fn alert_history(history: &Value, screen: Screen) -> String {
    if history.is_null() {
        return String::new();
    }
    let mut text = format!("{}  {}", directory(history), bytes(&history["bytes"]));
    text += &damaged(&history["damaged"], "record");
    text += &degraded(history);
    format!(
        "\n{}\n{}",
        screen.paint(Style::Heading, "alert history"),
        line(&text, screen)
    )
}

/// Formats a size: `1.5 MiB`.
fn bytes(size: &Value) -> String {
    Unit::Bytes.format(size.as_f64())
}

/// Formats the number of damaged or missing parts since the start; empty if there are none.
fn damaged(count: &Value, part: &str) -> String {
    match count.as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!("  {} damaged or missing, see the log", counted(count, part)),
    }
}

/// Formats one line per remote write destination; empty without any.
fn remote_write(destinations: &Value, screen: Screen) -> String {
    let Some(destinations) = destinations.as_array().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let mut out = format!("\n{}\n", screen.paint(Style::Heading, "remote write"));
    for destination in destinations {
        let mut text = format!(
            "  {:<14} {} sent, {} lost, {} pending",
            text(&destination["name"]),
            text(&destination["sent"]),
            text(&destination["lost"]),
            bytes(&destination["pendingBytes"]),
        );
        if let Some(error) = destination["lastError"].as_str() {
            text += &format!("  FAILED {}", printable(error));
        }
        out += &line(&text, screen);
    }
    out
}

/// Formats the reports by schedule; empty without any.
fn reports(reports: &Value, screen: Screen) -> String {
    let Some(reports) = reports.as_array().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let mut out = format!("\n{}\n", screen.paint(Style::Heading, "reports"));
    for report in reports {
        let channels: Vec<String> = list(&report["channels"]).iter().map(text).collect();
        let mut text = format!(
            "  {:<14} next {} to {}, last sent {}, {} queued",
            text(&report["name"]),
            time(&report["next"]),
            channels.join(", "),
            match report["lastSent"].is_null() {
                true => "never".to_owned(),
                false => time(&report["lastSent"]),
            },
            text(&report["queued"]),
        );
        if let Some(error) = report["lastError"].as_str() {
            text += &format!("  FAILED {}", printable(error));
        }
        out += &line(&text, screen);
    }
    out
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Failure;

    #[test]
    fn failures_and_alerts_are_on_the_screen() {
        let data = sample();
        assert_eq!(
            page(&data, Screen::default()),
            "bellwether 1  healthy  up 1h2m  7 series  2 rules\n\
             configuration /b.yaml  includes 2 files  hash 00c0ffee  loaded 2026-11-21 08:00:00 UTC\n\
             reload at 2026-11-22 08:00:00 UTC FAILED, the active config is unchanged:\n  b.yaml:1:2: a\n    hint: b\n\n\
             collectors\n  \
             neo4j               1.50 ms  FAILED connect: refused\n  \
             own                 0.00 ms  has not run yet\n  \
             statsd              0.00 ms  not seen yet (not a failure): no answer\n\nstate\n  /s  DEGRADED it is another's\n\nhistory\n  \
             /h  99 B  7 series  since 2026-11-21 00:00:00 UTC  3 parts damaged or missing, see the log  DEGRADED no space left\n\n\
             alert history\n  /a  1.5 MiB\n\nchannels\n  \
             log            1 sent, 0 queued, 0 rejected, 0 dropped\n  \
             pager          1 sent, 0 queued, 2 rejected, 1 dropped, 2 dead letters\n\nremote write\n  \
             mimir          5 sent, 0 lost, 9 B pending  FAILED refused\n\nalerts\n  \
             firing  critical  disk{mount_point=\"/\"}  full\n"
        );
        let screen = Screen {
            width: Some(60),
            colours: true,
        };
        let shown = page(&data, screen);
        assert!(shown.contains("\u{1b}[32mhealthy\u{1b}[0m"), "{shown:?}");
        assert!(
            shown.contains("\u{1b}[31mFAILED\u{1b}[0m connect"),
            "{shown:?}"
        );
        assert!(
            shown.contains(
                "UTC  3 parts\n      damaged or missing, see the log \u{1b}[33mDEGRADED\u{1b}[0m no space left\n"
            ),
            "{shown:?}"
        );
    }

    #[test]
    fn many_hosts_have_a_row_each() {
        let answer = |host: &str, answer| HostAnswer {
            host: host.to_owned(),
            answer,
        };
        let refused = Failure::unanswered(
            "http://b",
            "connection refused".to_owned(),
            String::new(),
            String::new(),
        );
        let answers = [answer("a", Ok(sample())), answer("b", Err(refused.into()))];
        assert_eq!(
            many(&answers).render(Screen::default()),
            "HOST  STATUS     VERSION    UP  SERIES  RULES  FIRING  PENDING  FAILS\n\
             a     healthy    1        1h2m       7      2       1        0  collector neo4j; remote write mimir; \
             state; history; reload\n\
             b     no answer  -           -       -      -       -        -  connection refused\n"
        );
        assert!(row(&sample()).csv().ends_with(
            "healthy,1,1h2m,7,2,1,0,collector neo4j; remote write mimir; state; history; reload\r\n"
        ));
    }

    fn sample() -> Value {
        json!({
            "summary": {"version": "1", "status": "healthy", "uptimeSeconds": 3720.2, "series": 7, "rules": 2},
            "health": {"collectors": {"neo4j": {"success": false, "reason": "connect",
                "error": "refused", "lastDurationSeconds": 0.0015},
                "own": {"success": null, "error": null, "lastDurationSeconds": 0},
                "statsd": {"success": null, "error": "no answer", "lastDurationSeconds": 0}},
                "history": {"directory": "/h", "series": 7, "bytes": 99, "oldest": "2026-11-21T00:00:00.000Z",
                "damaged": 3, "error": "no space left"},
                "remoteWrite": [{"name": "mimir", "sent": 5, "lost": 0, "pendingBytes": 9,
                "lastError": "refused"}],
                "configuration": {"source": "/b.yaml", "includedFiles": 2, "checksum": "00c0ffee", "loadedAt": "2026-11-21T08:00:00Z"},
                "lastReload": {"at": "2026-11-22T08:00:00Z", "success": false, "error": "b.yaml:1:2: a\n  hint: b"},
                "alertHistory": {"directory": "/a", "bytes": 1_572_864, "error": null},
                "state": {"directory": "/s", "error": "it is another's"},
                "channels": [{"name": "log", "sent": 1, "queued": 0, "dropped": 0, "deadLetters": 0},
                {"name": "pager", "sent": 1, "queued": 0, "rejected": 2, "dropped": 3, "deadLetters": 2}]},
            "alerts": [{"state": "firing", "severity": "critical", "rule": "disk",
                "labels": {"alertname": "disk", "mount_point": "/"}, "message": "full"}]})
    }
}
