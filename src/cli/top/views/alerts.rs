//! Pending and firing alerts.

use ratatui::text::{Line, Span};
use serde_json::Value;

use super::{Context, Page, tone};
use crate::cli::alerts::screen::{age, name, since};
use crate::cli::asking::{labels, number, text, time};
use crate::cli::top::data::{Data, is_muted};
use crate::cli::top::state::State;
use crate::cli::top::theme::Tone;

/// Width below which a row has no message.
const NARROW: usize = 60;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    let alerts = shown(context.data, context.state);
    for (index, alert) in alerts.iter().enumerate() {
        page.push_row(row(context, alert));
        if context.is_expanded(index, alerts.len()) {
            details(context, alert, &mut page);
        }
    }
    if alerts.is_empty() {
        let nothing = match context.state.filter.is_empty() {
            true => "no alert is pending or firing",
            false => "no alert has the text of the filter; Esc clears it",
        };
        page.push(Line::styled(nothing, context.theme.style(Tone::Good)));
    }
    page
}

/// Returns the alerts that pass the filter.
pub(super) fn shown<'a>(data: &'a Data, state: &State) -> Vec<&'a Value> {
    let alerts = data.alerts().into_iter();
    let passes = |alert: &&Value| {
        let text = format!(
            "{} {} {} {}",
            name(&alert["labels"], &alert["rule"]),
            text(&alert["message"]),
            text(&alert["severity"]),
            text(&alert["state"])
        );
        state.passes(&text)
    };
    alerts.filter(passes).collect()
}

/// Formats an alert in one line: severity, state, age, name and message.
pub(super) fn row(context: &Context<'_>, alert: &Value) -> Line<'static> {
    let is_firing = alert["state"] == "firing";
    let tone = match (is_firing, is_muted(alert)) {
        (true, false) => tone(&alert["severity"]),
        _ => Tone::Faint,
    };
    let head = format!(
        "{}{:<9} {:<8} {:>6} ",
        context.theme.mark(tone),
        text(&alert["severity"]),
        state_word(alert),
        age(since(alert), context.now),
    );
    let room = context.width.saturating_sub(head.chars().count() + 1);
    let name = name(&alert["labels"], &alert["rule"]);
    if context.width < NARROW {
        return Line::from(vec![
            context.span(head, tone),
            Span::raw(context.cut(&name, room)),
        ]);
    }
    let column = (room * 2 / 5).min(48);
    let message = context.cut(&text(&alert["message"]), room.saturating_sub(column + 2));
    Line::from(vec![
        context.span(head, tone),
        Span::raw(context.fit(&name, column)),
        Span::raw("  "),
        context.span(
            message,
            if tone == Tone::Faint {
                tone
            } else {
                Tone::Plain
            },
        ),
    ])
}

/// State of an alert in one word; why nobody is notified, if that is so.
fn state_word(alert: &Value) -> String {
    let held = [
        ("acknowledgedBy", "acked"),
        ("silencedBy", "silenced"),
        ("inhibitedBy", "inhibit"),
    ];
    let held = held.iter().find(|(key, _)| alert[key].is_string());
    held.map_or_else(|| text(&alert["state"]), |(_, word)| (*word).to_owned())
}

fn details(context: &Context<'_>, alert: &Value, page: &mut Page) {
    let mut add = |key: &str, value: String| {
        for line in context.wrap(&format!("{key:<13} {value}"), 4) {
            page.push(Line::styled(line, context.theme.style(Tone::Plain)));
        }
    };
    add("message", text(&alert["message"]));
    add("labels", labels(&alert["labels"]));
    add("since", time(since(alert)));
    let numbers = [
        ("threshold", "threshold"),
        ("fired at", "firedValue"),
        ("peak", "peak"),
    ];
    add("value", number(&parsed(&alert["value"])));
    for (word, key) in numbers {
        if alert[key].is_number() {
            add(word, number(&alert[key]));
        }
    }
    for (word, key) in [
        ("acknowledged", "acknowledgedBy"),
        ("silenced by", "silencedBy"),
        ("inhibited by", "inhibitedBy"),
    ] {
        if alert[key].is_string() {
            add(word, text(&alert[key]));
        }
    }
    add("fingerprint", text(&alert["fingerprint"]));
}

/// Returns the number that a text of the API has.
fn parsed(value: &Value) -> Value {
    let number = value.as_str().and_then(|text| text.parse::<f64>().ok());
    number.map_or_else(|| value.clone(), Value::from)
}
