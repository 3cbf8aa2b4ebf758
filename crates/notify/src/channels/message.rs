//! Text of a message about a batch, for the person on call: rule, labels, severity, times, reason.
//!
//! Pure, and the same for every chat; a chat's syntax is its [`Markup`]. All text of labels,
//! annotations and messages goes through it, so none of it becomes markup. Text that does not fit
//! is first shortened, then left out and counted; the worst firing alerts are left out last.

use std::time::Duration;

mod wording;

use bellwether_core::{Alert, Cause, Labels, Notification, Severity, Status, UnixMillis, counted};
use bellwether_schema::format_duration;
pub(super) use wording::{
    backslashed, labels_line, number, one_line, outside_urls, shorten, utc, web_link, width,
};
use wording::{capital, tidy};

use super::templates::is_blank;
use super::{Batch, Digest, Sender};
use crate::wire::{all_labels, ended};

/// Syntax of a chat. Parameters are plain text, results are markup.
pub(super) trait Markup {
    /// Escapes plain text.
    fn text(&self, plain: &str) -> String;

    /// Formats as bold.
    fn bold(&self, plain: &str) -> String;

    /// Formats as code.
    fn code(&self, plain: &str) -> String;

    /// Formats a link to a URL of [`web_link`].
    fn link(&self, url: &str, plain: &str) -> String;

    /// Formats a time, in the reader's time zone if the chat supports it.
    fn time(&self, at: UnixMillis) -> String {
        self.text(&utc(at))
    }
}

/// Plain text without markup.
pub(super) struct Plain;

impl Markup for Plain {
    fn text(&self, plain: &str) -> String {
        plain.to_owned()
    }

    fn bold(&self, plain: &str) -> String {
        plain.to_owned()
    }

    fn code(&self, plain: &str) -> String {
        plain.to_owned()
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("{plain}: {url}")
    }
}

/// Color of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// All alerts are resolved.
    Resolved,
    /// The worst alert fires with this severity.
    Firing(Severity),
    /// A heartbeat or a test.
    Neutral,
}

impl Color {
    /// Returns red, green and blue as `0xRRGGBB`.
    pub(super) fn rgb(self) -> u32 {
        match self {
            Self::Resolved => 0x2e_9e_5b,
            Self::Neutral | Self::Firing(Severity::Info) => 0x3b_82_f6,
            Self::Firing(Severity::Warning) => 0xe8_a3_3d,
            Self::Firing(Severity::Critical) => 0xd9_3f_3f,
            Self::Firing(Severity::Emergency) => 0x8b_00_00,
        }
    }
}

/// Returns the color of a batch: that of its worst firing alert.
pub(super) fn color(batch: &Batch) -> Color {
    let calm =
        |notification: &Notification| matches!(notification.cause, Cause::Heartbeat | Cause::Test);
    if batch.notifications.iter().all(calm) {
        return Color::Neutral;
    }
    let notifications = batch
        .notifications
        .iter()
        .filter(|notification| notification.status == Status::Firing);
    let still_firing = batch.still_firing.iter().map(|alert| alert.severity);
    let worst = notifications
        .map(|notification| notification.alert.severity)
        .chain(still_firing)
        .max();
    worst.map_or(Color::Resolved, Color::Firing)
}

/// Returns the title of a batch, plain: `[FIRING] disk (critical): 91 % of /data used`.
pub(super) fn title(batch: &Batch) -> String {
    let (firing, resolved): (Vec<_>, Vec<_>) = batch
        .notifications
        .iter()
        .partition(|notification| notification.status == Status::Firing);
    if batch.digest.is_some() {
        let (all, firing, resolved) = (batch.notifications.len(), firing.len(), resolved.len());
        return format!(
            "[DIGEST] {}: {firing} firing, {resolved} resolved",
            counted(all, "alert")
        );
    }
    let severity = match color(batch) {
        Color::Firing(severity) => format!(" ({})", severity.as_str()),
        Color::Resolved | Color::Neutral => String::new(),
    };
    if let [notification] = &batch.notifications[..] {
        return format!("[{}] {}", word(notification), headline(notification));
    }
    let counts = [firing, resolved]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| {
            let first = word(part[0]);
            let same = part.iter().all(|notification| word(notification) == first);
            format!(
                "{}:{}",
                if same { first } else { part[0].status.as_str() },
                part.len()
            )
        });
    let counts = counts.collect::<Vec<_>>().join(", ").to_uppercase();
    format!("[{counts}] {}{}", subject(batch), severity)
}

/// Returns one line about an alert, plain: `disk (critical): 91 % of /data used`.
fn headline(notification: &Notification) -> String {
    let alert = &notification.alert;
    let mut head = one_line(&alert.rule, 100);
    if notification.status == Status::Firing {
        head += &format!(" ({})", alert.severity.as_str());
    }
    match summary(alert) {
        text if is_blank(text) => head,
        text => format!("{head}: {}", one_line(text, 300)),
    }
}

/// Returns the title of an alert for a service that shows the status itself.
pub(super) fn page_title(notification: &Notification) -> String {
    match word(notification) {
        "FIRING" | "STILL FIRING" | "RESOLVED" => headline(notification),
        word => format!("[{word}] {}", headline(notification)),
    }
}

/// Returns the rule of all alerts of the batch, or else the labels of their group.
fn subject(batch: &Batch) -> String {
    let first = &batch.notifications[0].alert.rule;
    if batch
        .notifications
        .iter()
        .all(|notification| notification.alert.rule == *first)
    {
        return one_line(first, 100);
    }
    match labels_line(&batch.group().labels, 200) {
        line if line.is_empty() => counted(batch.notifications.len(), "alert"),
        line => line,
    }
}

/// Returns the kind of a notification, in capitals.
fn word(notification: &Notification) -> &'static str {
    match (notification.cause, notification.status) {
        (Cause::Test, _) => "TEST",
        (Cause::Heartbeat, _) => "HEARTBEAT",
        (Cause::Flapping, _) => "FLAPPING",
        (_, Status::Resolved) => "RESOLVED",
        (Cause::Repeat, Status::Firing) => "STILL FIRING",
        (Cause::Escalation, Status::Firing) => "ESCALATED",
        (Cause::Change | Cause::Fallback | Cause::Resend, Status::Firing) => "FIRING",
    }
}

/// Explains a cause; `None` for a change, which needs no explanation.
pub(super) fn why_now(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Change => return None,
        Cause::Repeat => "Repeated, as it still fires.",
        Cause::Escalation => "Escalated, as nobody acknowledged it in time.",
        Cause::Fallback => "Sent here, as its own channel fails.",
        Cause::Flapping => "Flapping: it changes often, and not every change is sent.",
        Cause::Resend => "Resent, as it was dropped before.",
        Cause::Heartbeat => "Heartbeat: rules are evaluated and notifications delivered.",
        Cause::Test => "A test. Nothing is wrong.",
    })
}

/// Returns the first paragraph, above all alerts.
fn note(batch: &Batch) -> Option<String> {
    if let Some(Digest { since, ended }) = batch.digest {
        let mut note = format!(
            "Delayed by the rate limit of this channel since {}.",
            utc(since)
        );
        if ended > 0 {
            note += &format!(" {ended} more fired and resolved meanwhile.");
        }
        return Some(note);
    }
    let cause = batch.notifications.first()?.cause;
    let same = batch
        .notifications
        .iter()
        .all(|notification| notification.cause == cause);
    why_now(cause).filter(|_| same).map(str::to_owned)
}

/// Level of detail of an alert's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// All details, with texts up to a usual length.
    Full,
    /// All details, with short texts.
    Short,
    /// One line.
    Line,
}

impl Detail {
    const ALL: [Self; 3] = [Self::Full, Self::Short, Self::Line];

    /// Returns the most detail for a number of alerts.
    fn of(count: usize) -> Self {
        match count {
            ..=5 => Self::Full,
            6..=15 => Self::Short,
            _ => Self::Line,
        }
    }

    /// Returns the limit of an alert's texts.
    fn longest(self) -> usize {
        match self {
            Self::Full => 800,
            Self::Short => 200,
            Self::Line => 120,
        }
    }
}

/// Returns the text of a message, a paragraph for each alert, within `budget` as measured by
/// `cost`. A paragraph that does not fit by itself gets less detail.
pub(super) fn paragraphs(
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    budget: usize,
    cost: impl Fn(&str) -> usize,
) -> Vec<String> {
    let mut texts: Vec<String> = note(batch)
        .map(|note| markup.text(&note))
        .into_iter()
        .collect();
    let reserved = cost(&left_out(markup, 999_999, 999_999)) + cost(&more_firing(markup, 999_999));
    let spent: usize = texts.iter().map(|text| cost(text)).sum();
    let mut room = budget.saturating_sub(reserved + spent);
    let notifications = worst_first(batch);
    let detail = Detail::of(notifications.len());
    let mut fits = |text: String, texts: &mut Vec<String>| match room.checked_sub(cost(&text)) {
        Some(left) => {
            room = left;
            texts.push(text);
            true
        }
        None => false,
    };
    let mut each = notifications.iter();
    let stopped = each.by_ref().find(|notification| {
        let mut details = Detail::ALL.into_iter().filter(|other| *other >= detail);
        !details.any(|detail| {
            fits(
                alert_text(notification, batch, sender, markup, detail),
                &mut texts,
            )
        })
    });
    let rest: Vec<_> = stopped.into_iter().chain(each).collect();
    if !rest.is_empty() {
        let firing = rest
            .iter()
            .filter(|notification| notification.status == Status::Firing)
            .count();
        texts.push(left_out(markup, firing, rest.len() - firing));
    }
    if !batch.still_firing.is_empty() {
        let room = if rest.is_empty() { room } else { 0 };
        texts.push(still_firing_text(batch, sender, markup, room, cost));
    }
    texts
}

/// Returns the notifications in display order: firing before resolved, the worst first, the oldest
/// first.
pub(super) fn worst_first(batch: &Batch) -> Vec<&Notification> {
    let mut notifications: Vec<_> = batch.notifications.iter().collect();
    notifications.sort_by_key(|notification| {
        (
            notification.status == Status::Resolved,
            std::cmp::Reverse(notification.alert.severity),
        )
    });
    notifications
}

fn left_out(markup: &dyn Markup, firing: usize, resolved: usize) -> String {
    let all = firing + resolved;
    markup.text(&format!(
        "… and {all} more: {firing} firing, {resolved} resolved."
    ))
}

fn more_firing(markup: &dyn Markup, count: usize) -> String {
    let verb = if count == 1 { "fires" } else { "fire" };
    markup.bold(&format!("Of the same group {count} more still {verb}."))
}

/// Returns the number of alerts of the group that still fire, and as many of them as fit.
fn still_firing_text(
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    room: usize,
    cost: impl Fn(&str) -> usize,
) -> String {
    const MOST: usize = 100;
    let mut text = more_firing(markup, batch.still_firing.len());
    let room = room + cost(&text);
    for alert in batch.still_firing.iter().take(MOST) {
        let longer = format!("{text}\n{}", markup.text(&still_firing_line(alert, sender)));
        if cost(&longer) > room {
            break;
        }
        text = longer;
    }
    text
}

/// `disk (critical) mount=/home, since 2026-11-21 04:05:00 UTC`.
fn still_firing_line(alert: &Alert, sender: &Sender) -> String {
    let labels = labels_line(&own_labels(alert, sender), 200);
    let (rule, severity) = (one_line(&alert.rule, 100), alert.severity.as_str());
    format!(
        "{rule} ({severity}) {labels}, since {}",
        utc(alert.starts())
    )
}

/// Returns the paragraph of one alert.
fn alert_text(
    notification: &Notification,
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    detail: Detail,
) -> String {
    let alert = &notification.alert;
    let (rule, level) = (one_line(&alert.rule, 100), alert.severity.as_str());
    let head = match notification.status {
        Status::Firing => format!("{rule} ({level})"),
        Status::Resolved => format!("{rule} resolved"),
    };
    let labels = labels_line(&own_labels(alert, sender), detail.longest());
    let mut head = markup.bold(&head);
    if detail == Detail::Line {
        let value = alert
            .value
            .map(|value| format!(" {}", number(value)))
            .unwrap_or_default();
        return format!("{head} {}{}", markup.text(&labels), markup.text(&value));
    }
    let text = shorten(&tidy(summary(alert)), detail.longest());
    if !text.is_empty() {
        head += &format!(": {}", markup.text(&text));
    }
    let mut lines = vec![head];
    if !labels.is_empty() {
        lines.push(markup.code(&labels));
    }
    lines.extend(values(alert, notification.status).map(|line| markup.text(&line)));
    lines.push(when(notification, markup));
    let reason = one_line(&notification.reason, detail.longest());
    lines.push(markup.text(&format!("Why: {reason}")));
    let mut others = batch.notifications.iter();
    let mixed = batch.digest.is_some() || others.any(|other| other.cause != notification.cause);
    if let Some(why) = why_now(notification.cause).filter(|_| mixed) {
        lines.push(markup.text(why));
    }
    lines.extend(notes(alert).take(8).map(|(name, text)| {
        let text = shorten(&tidy(text), detail.longest());
        format!("{}: {}", markup.text(&capital(name)), markup.text(&text))
    }));
    lines.extend(links_line(alert, markup));
    lines.join("\n")
}

/// Returns the links of an alert, if it has some.
fn links_line(alert: &Alert, markup: &dyn Markup) -> Option<String> {
    let links: Vec<_> = links(alert)
        .map(|(name, url)| markup.link(&url, &name))
        .take(6)
        .collect();
    (!links.is_empty()).then(|| links.join(&markup.text(" | ")))
}

/// Returns the rule's message, or else the annotation `summary`.
pub(super) fn summary(alert: &Alert) -> &str {
    let annotation = alert.annotations.get("summary").map_or("", String::as_str);
    if is_blank(&alert.message) {
        annotation
    } else {
        &alert.message
    }
}

/// Returns the line with values and threshold, if there is a value.
pub(super) fn values(alert: &Alert, status: Status) -> impl Iterator<Item = String> {
    let threshold = alert
        .threshold
        .map(|limit| format!(", threshold {}", number(limit)))
        .unwrap_or_default();
    let now = alert.value.map(number);
    let line = match status {
        Status::Firing => now.map(|value| format!("Value {value}{threshold}")),
        Status::Resolved => {
            let texts = |value: Option<f64>, when| value.map(|it| format!("{} {when}", number(it)));
            let parts = [
                texts(alert.fired_value, "when it fired"),
                texts(alert.peak, "at worst"),
                texts(alert.value, "at its end"),
            ];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| format!("Value {}{threshold}", parts.join(", ")))
        }
    };
    line.into_iter()
}

/// Returns start, end and duration.
fn when(notification: &Notification, markup: &dyn Markup) -> String {
    let from = notification.alert.starts();
    let lasted = |until: UnixMillis| match whole_seconds(until.since(from)) {
        Duration::ZERO => String::new(),
        span => markup.text(&format!(", for {}", format_duration(span))),
    };
    match ended(notification) {
        None => format!("Since {}{}", markup.time(from), lasted(notification.at)),
        Some(end) => format!(
            "From {} to {}{}",
            markup.time(from),
            markup.time(end),
            lasted(end)
        ),
    }
}

fn whole_seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}

/// Returns the annotations that are text, without the summary.
pub(super) fn notes(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let texts = summary(alert);
    alert
        .annotations
        .iter()
        .filter(move |(_, text)| *text != texts && !is_blank(text) && web_link(text).is_none())
        .map(|(name, text)| (name.as_str(), text.as_str()))
}

/// Returns the annotations that are links, such as `runbook_url`: display name and URL.
pub(super) fn links(alert: &Alert) -> impl Iterator<Item = (String, String)> {
    alert.annotations.iter().filter_map(|(name, text)| {
        Some((
            capital(name.strip_suffix("_url").unwrap_or(name)),
            web_link(text)?,
        ))
    })
}

/// Returns the labels of the sender and the alert without `alertname` and `severity`.
pub(super) fn own_labels(alert: &Alert, sender: &Sender) -> Labels {
    let mut labels = all_labels(alert, sender);
    labels.remove("alertname");
    labels.remove("severity");
    labels
}

/// Returns all details of an alert by name, at most `longest` wide together.
pub(super) fn details(notification: &Notification, sender: &Sender, longest: usize) -> Labels {
    const VALUE: usize = 1000;
    let alert = &notification.alert;
    let mut all = vec![own("reason", one_line(&notification.reason, VALUE))];
    all.extend(values(alert, notification.status).map(|line| own("value", line)));
    all.push(own("since", utc(alert.starts())));
    all.extend(ended(notification).map(|end| own("until", utc(end))));
    all.extend(why_now(notification.cause).map(|why| own("cause", why.to_owned())));
    let labels = own_labels(alert, sender);
    all.extend(
        labels
            .iter()
            .map(|(name, value)| own(&one_line(name, 60), one_line(value, VALUE))),
    );
    let notes = notes(alert).map(|(name, text)| own(&one_line(name, 60), one_line(text, VALUE)));
    all.extend(notes);
    let mut details = Labels::new();
    let mut room = longest;
    for (name, value) in all {
        let Some(left) = room.checked_sub(width(&name) + width(&value)) else {
            continue;
        };
        room = left;
        // What is ours stays where a label has its name.
        details.entry(name).or_insert(value);
    }
    details
}

/// Returns an id of the alert that differs between hosts: a hash of fingerprint and sender labels.
pub(super) fn identity(alert: &Alert, sender: &Sender) -> String {
    let notification =
        bellwether_core::Fingerprint::of(&alert.fingerprint.to_string(), &sender.labels);
    format!("bellwether-{notification}")
}

fn own(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests;
