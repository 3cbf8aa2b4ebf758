//! Formats alerts and their history for people.

use std::fmt::Write;

use bellwether_core::{Severity, UnixMillis, counted};
use serde_json::{Map, Value};

use unicode_width::UnicodeWidthStr;

use crate::cli::asking::{labels as series_labels, list, printable, text};
use crate::cli::output::{Screen, Style};
use crate::cli::table::{Cell, Table, shortened};
use bellwether_report::units::duration;

/// Column at which a wrapped record goes on, below the name of the alert.
const CONTINUED: usize = 12;

/// Text of a table without alerts.
pub(super) const NONE: &str = "no alert is pending or firing";

/// Returns a table of alerts, by state, severity and age.
pub(super) fn active(data: &Value, now: UnixMillis) -> Table {
    let mut alerts: Vec<&Value> = list(&data["alerts"]).iter().collect();
    alerts.sort_by_key(|alert| {
        (
            alert["state"] != "firing",
            alert["severity"].as_str().and_then(Severity::rank),
            text(&alert["activeAt"]),
        )
    });
    let heads = [
        "FINGERPRINT",
        "STATE",
        "SEVERITY",
        "FOR",
        "ALERT",
        "MESSAGE",
    ];
    let mut table = Table::new(heads)
        .right(&["FOR"])
        .dispensable(&["FINGERPRINT"])
        .elastic(&["ALERT", "MESSAGE"]);
    for alert in alerts {
        table.push([
            Cell::styled(text(&alert["fingerprint"]), Some(Style::Faint)),
            state(alert),
            Cell::styled(text(&alert["severity"]), severity_style(alert)),
            age(since(alert), now).into(),
            name(&alert["labels"], &alert["rule"]).into(),
            text(&alert["message"]).into(),
        ]);
    }
    table
}

/// Returns the time since which an alert fires, or is pending.
pub(in crate::cli) fn since(alert: &Value) -> &Value {
    match alert["firedAt"].is_null() {
        true => &alert["activeAt"],
        false => &alert["firedAt"],
    }
}

/// Returns the colour of an alert's severity.
pub(in crate::cli) fn severity_style(alert: &Value) -> Option<Style> {
    Some(match alert["severity"].as_str()? {
        "emergency" => Style::Emergency,
        "critical" => Style::Bad,
        "warning" => Style::Warning,
        "info" => Style::Info,
        _ => return None,
    })
}

/// Formats the state of an alert, and why its notifications are muted.
pub(in crate::cli) fn state(alert: &Value) -> Cell {
    let state = text(&alert["state"]);
    let held: Vec<&str> = [
        ("silencedBy", "silenced"),
        ("inhibitedBy", "inhibited"),
        ("acknowledgedBy", "acknowledged"),
    ]
    .into_iter()
    .filter(|(key, _)| alert[key].is_string())
    .map(|(_, word)| word)
    .collect();
    if !held.is_empty() {
        let text = format!("{state} ({})", held.join(", "));
        return Cell::styled(text, Some(Style::Faint));
    }
    let style = match &*state {
        "firing" => Some(Style::Bad),
        "pending" => Some(Style::Warning),
        _ => None,
    };
    Cell::styled(state, style)
}

pub(in crate::cli) fn age(since: &Value, now: UnixMillis) -> String {
    let since: Option<jiff::Timestamp> = since.as_str().and_then(|text| text.parse().ok());
    let Some(since) = since else {
        return "-".to_owned();
    };
    duration(now.since(UnixMillis(since.as_millisecond())).as_secs_f64())
}

/// Formats the command line flag that shows the next records; empty if there are none.
pub(in crate::cli) fn next_page(data: &Value, oldest: bool) -> String {
    let Some(next) = data["nextCursor"].as_str().map(printable) else {
        return String::new();
    };
    match oldest {
        true => format!("newer records: --cursor {next}\n"),
        false => format!("older records: --cursor {next}\n"),
    }
}

/// Formats the records in order of time, grouped by day. `oldest`: the records are in that order
/// already.
pub(in crate::cli) fn story(data: &Value, oldest: bool, screen: Screen) -> String {
    let records = by_time(data, oldest);
    let mut out = String::new();
    if records.is_empty() {
        out.push_str("nothing is recorded\n");
    }
    let most = screen.width.map_or(usize::MAX, |width| (width / 3).max(16));
    let names: Vec<String> = records
        .iter()
        .map(|record| shortened(&name(&record["labels"], &record["alertname"]), most))
        .collect();
    let column = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let mut day = String::new();
    for (record, name) in records.iter().zip(&names) {
        let at = text(&record["at"]);
        let (date, time) = at.split_once('T').unwrap_or((&at, ""));
        if date != day {
            date.clone_into(&mut day);
            let heading = screen.paint(Style::Heading, &format!("{date} UTC"));
            writeln!(out, "{heading}").ok();
        }
        let clock = time.split('.').next().unwrap_or_default();
        let blanks = " ".repeat(column - name.width());
        let head = format!("  {clock}  {name}{blanks}  ");
        wrapped(&mut out, &head, &sentence(record), screen);
    }
    if let Some(damaged) = data["damaged"].as_u64().filter(|damaged| *damaged > 0) {
        writeln!(out, "skipped {}", counted(damaged, "damaged line")).ok();
    }
    out
}

/// Returns the records in order of time. `oldest`: they are in that order already.
fn by_time(data: &Value, oldest: bool) -> Vec<&Value> {
    let records = list(&data["records"]).iter();
    match oldest {
        true => records.collect(),
        false => records.rev().collect(),
    }
}

/// Returns a table of the records in order of time.
pub(super) fn history(data: &Value, oldest: bool) -> Table {
    let heads = [
        "TIME",
        "FINGERPRINT",
        "ALERT",
        "SEVERITY",
        "EVENT",
        "CHANNEL",
        "DETAIL",
    ];
    let mut table = Table::new(heads);
    for record in by_time(data, oldest) {
        let given = |key: &str| match record[key].is_null() {
            true => Cell::from(""),
            false => Cell::from(text(&record[key])),
        };
        table.push([
            given("at"),
            given("fingerprint"),
            name(&record["labels"], &record["alertname"]).into(),
            given("severity"),
            given("event"),
            given("channel"),
            sentence(record).into(),
        ]);
    }
    table
}

/// Formats one record as a sentence, safe for a terminal.
fn sentence(record: &Value) -> String {
    printable(&raw_sentence(record))
}

fn raw_sentence(record: &Value) -> String {
    let reason = text(&record["reason"]);
    let severity = text(&record["severity"]);
    let channel = text(&record["channel"]);
    let to = match (record["receiver"].as_str().map(printable), &*channel) {
        (Some(receiver), "-") => receiver,
        (Some(receiver), channel) => format!("{channel} ({receiver})"),
        // A route without a receiver.
        (None, "-") => "all channels".to_owned(),
        (None, channel) => channel.to_owned(),
    };
    let status = status_and_cause(record);
    let error = text(&record["error"]);
    let message = record["message"]
        .as_str()
        .map(|message| format!("; {}", printable(message)))
        .unwrap_or_default();
    match record["event"].as_str().unwrap_or_default() {
        "pending" => format!("pending, {severity}: {reason}{message}"),
        "firing" => format!("FIRING, {severity}: {reason}{message}"),
        "level" => format!("now {severity}: {reason}{message}"),
        "resolved" => {
            let fired = record["firedForSeconds"].as_f64();
            let after = fired
                .map(|fired| format!(" after {}", duration(fired)))
                .unwrap_or_default();
            format!("RESOLVED{after}: {reason}")
        }
        "cleared" => format!("inactive before it fired: {reason}"),
        "queued" => format!("-> {to}: {status} is queued"),
        "muted" => format!(
            "-> {to}: {status} is muted by {}: {error}",
            text(&record["muteReason"])
        ),
        "delivered" => match record["attempt"].as_u64() {
            Some(attempt) if attempt > 1 => {
                format!("-> {to}: {status} delivered, attempt {attempt}")
            }
            _ => format!("-> {to}: {status} delivered"),
        },
        "failed" => {
            let wait = record["retryInSeconds"].as_f64().unwrap_or_default();
            let again = if wait > 0.0 {
                format!("retry in {}", duration(wait))
            } else {
                "retried alone".into()
            };
            let attempt = text(&record["attempt"]);
            format!("-> {to}: {status} FAILED, attempt {attempt}: {error}; {again}")
        }
        "rejected" => format!("-> {to}: {status} REJECTED: {error}"),
        "dropped" => format!("-> {to}: {status} DROPPED: {}", text(&record["dropReason"])),
        other => format!("{}: {reason}", printable(other)),
    }
}

/// Formats the status of a notification, and its cause unless that is the change itself.
fn status_and_cause(record: &Value) -> String {
    let status = text(&record["state"]);
    match record["cause"].as_str() {
        None | Some("change") => status,
        Some(cause) => format!("{status} ({})", printable(cause)),
    }
}

/// Appends `sentence` after `head`, wrapped between words where the screen ends.
fn wrapped(out: &mut String, head: &str, sentence: &str, screen: Screen) {
    let most = screen.width.unwrap_or(usize::MAX);
    let mut line = head.to_owned();
    let mut column = head.width();
    let mut is_first = true;
    for word in sentence.split_whitespace() {
        let length = word.width();
        if !is_first && column + 1 + length > most {
            writeln!(out, "{}", line.trim_end()).ok();
            line = " ".repeat(CONTINUED);
            column = CONTINUED;
        } else if !is_first {
            line.push(' ');
            column += 1;
        }
        is_first = false;
        line.push_str(&match event_style(word) {
            Some(style) => screen.paint(style, word),
            None => word.to_owned(),
        });
        column += length;
    }
    writeln!(out, "{}", line.trim_end()).ok();
}

/// Returns the colour of a word that says what happened.
fn event_style(word: &str) -> Option<Style> {
    match word.trim_end_matches([',', ':']) {
        "FIRING" | "FAILED" | "REJECTED" | "DROPPED" => Some(Style::Bad),
        "RESOLVED" => Some(Style::Good),
        _ => None,
    }
}

/// Formats `rule{a="b"}`, without the labels that every alert has.
pub(in crate::cli) fn name(labels: &Value, rule: &Value) -> String {
    let own: Map<String, Value> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    format!("{}{}", text(rule), series_labels(&Value::Object(own)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCREEN: Screen = Screen {
        width: Some(100),
        colours: false,
    };

    fn base(at: &str, event: &str) -> Value {
        json!({"at": at, "event": event, "alertname": "backlog", "severity": "critical",
               "labels": {"queue_name": "mail"}, "reason": "queue_length 42 > 10 for 1m",
               "state": "firing", "channel": "pager", "cause": "change"})
    }

    fn with(mut record: Value, more: Value) -> Value {
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    }

    #[test]
    fn no_text_of_an_agent_reaches_the_terminal_as_it_is() {
        let hostile = "x\u{1b}[2J";
        for event in [
            "firing",
            "queued",
            "muted",
            "delivered",
            "failed",
            "dropped",
            hostile,
        ] {
            let mut record = base("2026-11-21T08:00:00Z", event);
            for key in [
                "alertname",
                "message",
                "reason",
                "receiver",
                "channel",
                "cause",
                "error",
            ] {
                record[key] = hostile.into();
            }
            record["channel"] = "-".into();
            let data = json!({"records": [record], "nextCursor": hostile});
            let shown = story(&data, false, SCREEN) + &next_page(&data, false);
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
    }

    #[test]
    fn the_history_reads_like_a_story() {
        let records = [
            with(
                base("2026-11-21T02:59:58.000Z", "pending"),
                json!({"reason": "queue_length 42 > 10"}),
            ),
            with(
                base("2026-11-21T03:00:58.000Z", "firing"),
                json!({"message": "42 wait in mail"}),
            ),
            base("2026-11-21T03:00:58.010Z", "queued"),
            with(
                base("2026-11-21T03:00:59.000Z", "failed"),
                json!({"attempt": 1, "error": "connect: connection refused", "retryInSeconds": 1.5}),
            ),
            with(
                base("2026-11-21T03:01:01.000Z", "delivered"),
                json!({"attempt": 2}),
            ),
            with(
                base("2026-11-21T03:02:00.000Z", "muted"),
                json!({"receiver": "ops", "cause": "repeat",
                "muteReason": "silence", "error": "maintenance of mail by eva until 04:00"}),
            ),
            with(
                base("2026-11-22T00:10:00.000Z", "resolved"),
                json!({"firedForSeconds": 76142.0,
                "reason": "queue_length 3 is no longer > 10"}),
            ),
        ];
        let newest: Vec<_> = records.iter().rev().collect();
        let data = json!({"records": newest, "nextCursor": "7", "damaged": 0});
        let shown = story(&data, false, SCREEN);
        assert!(
            shown.lines().all(|line| line.chars().count() <= 100),
            "{shown}"
        );
        assert_eq!(
            shown,
            "2026-11-21 UTC\n  \
             02:59:58  backlog{queue_name=\"mail\"}  pending, critical: queue_length 42 > 10\n  \
             03:00:58  backlog{queue_name=\"mail\"}  FIRING, critical: queue_length 42 > 10 for 1m; 42 wait in\n\
             \x20           mail\n  \
             03:00:58  backlog{queue_name=\"mail\"}  -> pager: firing is queued\n  \
             03:00:59  backlog{queue_name=\"mail\"}  -> pager: firing FAILED, attempt 1: connect: connection\n\
             \x20           refused; retry in 1.5s\n  \
             03:01:01  backlog{queue_name=\"mail\"}  -> pager: firing delivered, attempt 2\n  \
             03:02:00  backlog{queue_name=\"mail\"}  -> pager (ops): firing (repeat) is muted by silence:\n\
             \x20           maintenance of mail by eva until 04:00\n\
             2026-11-22 UTC\n  \
             00:10:00  backlog{queue_name=\"mail\"}  RESOLVED after 21h9m: queue_length 3 is no longer > 10\n"
        );
        let wide = story(&data, false, Screen::default());
        assert_eq!(wide.lines().count(), 9, "a line each: {wide}");
        let coloured = Screen {
            colours: true,
            ..SCREEN
        };
        let shown = story(&data, false, coloured);
        assert!(
            shown.contains("\u{1b}[31mFIRING,\u{1b}[0m critical"),
            "{shown:?}"
        );
        let csv = history(&data, false).csv();
        assert!(
            csv.contains("\"backlog{queue_name=\"\"mail\"\"}\",critical,delivered,pager,"),
            "{csv}"
        );
        assert_eq!(next_page(&data, false), "older records: --cursor 7\n");
        assert_eq!(next_page(&json!({"nextCursor": null}), false), "");
    }

    fn alert(state: &str, severity: &str, rule: &str) -> Value {
        json!({"state": state, "severity": severity, "rule": rule, "labels": {"m": "/"},
               "activeAt": "2023-11-14T22:13:20Z", "firedAt": null, "message": "x".repeat(90)})
    }

    #[test]
    fn active_alerts_are_a_table_with_the_worst_on_top() {
        let mut alerts = [
            alert("pending", "critical", "a"),
            alert("firing", "warning", "b"),
            alert("firing", "critical", "c"),
        ];
        alerts[2]["fingerprint"] = json!("00000000000000ff");
        alerts[2]["silencedBy"] = json!("7");
        let data = json!({ "alerts": alerts });
        let now = UnixMillis(1_700_000_090_000);
        let shown = active(&data, now).render(Screen::default());
        let lines: Vec<&str> = shown.lines().collect();
        let first = "00000000000000ff  firing (silenced)  critical  1m30s  c{m=\"/\"}  xxx";
        assert!(lines[1].starts_with(first), "{shown}");
        assert!(lines[1].ends_with(&"x".repeat(90)), "{shown}");
        assert!(
            lines[3].contains("pending            critical  1m30s  a{m=\"/\"}"),
            "{shown}"
        );
        let shown = active(&data, now).render(SCREEN);
        assert!(
            shown.lines().all(|line| line.chars().count() <= 100),
            "{shown}"
        );
        assert!(
            shown.starts_with("STATE"),
            "a narrow one has no room for it: {shown}"
        );
        assert!(active(&json!({"alerts": []}), now).is_empty());
    }

    #[test]
    fn a_route_without_a_receiver_is_for_all_channels() {
        let mut record = base("2026-11-21T03:00:58.000Z", "muted");
        record["channel"] = Value::Null;
        record["error"] = json!("maintenance");
        record["muteReason"] = json!("silence");
        assert_eq!(
            sentence(&record),
            "-> all channels: firing is muted by silence: maintenance"
        );
    }

    #[test]
    fn a_terminal_obeys_no_message_of_the_history() {
        let evil = "\u{1b}[31mred\r\nforged \u{202e}";
        let record = with(
            base("2026-11-21T03:00:58.000Z", "firing"),
            json!({"message": evil}),
        );
        let sent = with(
            base("2026-11-21T03:00:59.000Z", "rejected"),
            json!({"receiver": evil, "cause": evil, "error": evil}),
        );
        let data = json!({"records": [record, sent], "damaged": 0});
        let csv = history(&data, true).csv();
        for shown in [story(&data, true, SCREEN), csv.replace("\r\n", "\n")] {
            assert!(
                shown
                    .chars()
                    .all(|c| c == '\n' || printable(&c.to_string()) == c.to_string()),
                "{shown:?}"
            );
            assert!(shown.contains("forged"), "{shown}");
        }
    }
}
