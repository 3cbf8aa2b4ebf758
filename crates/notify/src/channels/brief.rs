//! What somebody who is woken must know of a batch: what, where, how bad, since when, why now.
//!
//! Pure, and the same for every chat; how a chat writes it is its [`Markup`]. Everything that
//! comes from labels, annotations and messages goes through it, so none of it is markup. What does
//! not fit is shortened first, then left out and counted: the worst that fires is told last of all.

use std::time::Duration;

mod wording;

use bellwether_core::{Alert, Cause, Labels, Notification, Severity, Status, UnixMillis};
use bellwether_schema::format_duration;
pub(super) use wording::{
    backslashed, labels_line, number, one_line, outside_urls, shorten, utc, web_link, width,
};
use wording::{capital, tidy};

use super::texts::is_blank;
use super::{Batch, Digest, Sender};
use crate::wire::{all_labels, ended};

/// How a chat writes text. What is given is plain, what comes back is markup.
pub(super) trait Markup {
    /// As it is, with nothing in it that the chat would take for markup.
    fn text(&self, plain: &str) -> String;

    /// Standing out.
    fn bold(&self, plain: &str) -> String;

    /// Letter for letter.
    fn code(&self, plain: &str) -> String;

    /// A link that [`web_link`] let pass.
    fn link(&self, url: &str, plain: &str) -> String;

    /// A moment, in the reader's own time where the chat can.
    fn time(&self, at: UnixMillis) -> String {
        self.text(&utc(at))
    }
}

/// No more than text.
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

/// What a message looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// It is over.
    Good,
    /// It fires, as bad as this.
    Firing(Severity),
    /// A sign of life or a test: nothing is wrong.
    Calm,
}

impl Tone {
    /// Red, green and blue.
    pub(super) fn colour(self) -> u32 {
        match self {
            Self::Good => 0x2e_9e_5b,
            Self::Calm | Self::Firing(Severity::Info) => 0x3b_82_f6,
            Self::Firing(Severity::Warning) => 0xe8_a3_3d,
            Self::Firing(Severity::Critical) => 0xd9_3f_3f,
            Self::Firing(Severity::Emergency) => 0x8b_00_00,
        }
    }
}

/// The tone of a batch: that of the worst that fires.
pub(super) fn tone(batch: &Batch) -> Tone {
    let calm = |one: &Notification| matches!(one.cause, Cause::Heartbeat | Cause::Test);
    if batch.news.iter().all(calm) {
        return Tone::Calm;
    }
    let news = batch.news.iter().filter(|one| one.status == Status::Firing);
    let standing = batch.standing.iter().map(|alert| alert.severity);
    let worst = news.map(|one| one.alert.severity).chain(standing).max();
    worst.map_or(Tone::Good, Tone::Firing)
}

/// In one line what this is about, plain: `[FIRING] disk (critical): 91 % of /data used`.
pub(super) fn title(batch: &Batch) -> String {
    let (firing, resolved): (Vec<_>, Vec<_>) = batch
        .news
        .iter()
        .partition(|one| one.status == Status::Firing);
    if batch.digest.is_some() {
        let (all, firing, resolved) = (batch.news.len(), firing.len(), resolved.len());
        return format!("[DIGEST] {all} alerts: {firing} firing, {resolved} resolved");
    }
    let severity = |tone| match tone {
        Tone::Firing(severity) => format!(" ({})", severity.as_str()),
        Tone::Good | Tone::Calm => String::new(),
    };
    if let [one] = &batch.news[..] {
        return format!("[{}] {}", word(one), headline(one));
    }
    let counts = [firing, resolved]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| {
            let first = word(part[0]);
            let same = part.iter().all(|one| word(one) == first);
            format!(
                "{}:{}",
                if same { first } else { part[0].status.as_str() },
                part.len()
            )
        });
    let counts = counts.collect::<Vec<_>>().join(", ").to_uppercase();
    format!("[{counts}] {}{}", subject(batch), severity(tone(batch)))
}

/// One alert in one line, plain: `disk (critical): 91 % of /data used`.
fn headline(one: &Notification) -> String {
    let alert = &one.alert;
    let mut head = one_line(&alert.rule, 100);
    if one.status == Status::Firing {
        head += &format!(" ({})", alert.severity.as_str());
    }
    match summary(alert) {
        text if is_blank(text) => head,
        text => format!("{head}: {}", one_line(text, 300)),
    }
}

/// The title of an alert where the service itself says whether it fires.
pub(super) fn page_title(one: &Notification) -> String {
    match word(one) {
        "FIRING" | "STILL FIRING" | "RESOLVED" => headline(one),
        word => format!("[{word}] {}", headline(one)),
    }
}

/// What all of a batch have in common: their rule, or what they are grouped by.
fn subject(batch: &Batch) -> String {
    let first = &batch.news[0].alert.rule;
    if batch.news.iter().all(|one| one.alert.rule == *first) {
        return one_line(first, 100);
    }
    match labels_line(&batch.group().labels, 200) {
        line if line.is_empty() => format!("{} alerts", batch.news.len()),
        line => line,
    }
}

/// What a notification is, in capitals.
fn word(one: &Notification) -> &'static str {
    match (one.cause, one.status) {
        (Cause::Test, _) => "TEST",
        (Cause::Heartbeat, _) => "HEARTBEAT",
        (Cause::Flapping, _) => "FLAPPING",
        (_, Status::Resolved) => "RESOLVED",
        (Cause::Repeat, Status::Firing) => "STILL FIRING",
        (Cause::Escalation, Status::Firing) => "ESCALATED",
        (Cause::Change | Cause::Fallback | Cause::Resend, Status::Firing) => "FIRING",
    }
}

/// Why it is told now; nothing where that is because it changed.
pub(super) fn why_now(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Change => return None,
        Cause::Repeat => "Told again, as it still fires.",
        Cause::Escalation => "Told here, as nobody acknowledged it in time.",
        Cause::Fallback => "Told here, as the channel it belongs to fails.",
        Cause::Flapping => "It changes often: the changes between are not told.",
        Cause::Resend => "Sent again, as it was given up before.",
        Cause::Heartbeat => "A sign of life: rules are judged and notifications delivered.",
        Cause::Test => "A test. Nothing is wrong.",
    })
}

/// What is above all alerts of a message.
fn note(batch: &Batch) -> Option<String> {
    if let Some(Digest { since, over }) = batch.digest {
        let mut note = format!(
            "Held back by the rate limit of this channel since {}.",
            utc(since)
        );
        if over > 0 {
            note += &format!(" {over} more began and ended meanwhile.");
        }
        return Some(note);
    }
    let cause = batch.news.first()?.cause;
    let same = batch.news.iter().all(|one| one.cause == cause);
    why_now(cause).filter(|_| same).map(str::to_owned)
}

/// How much is said of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// All, where the texts are of usual length.
    Full,
    /// All, with every text cut short.
    Short,
    /// One line.
    Line,
}

impl Detail {
    const ALL: [Self; 3] = [Self::Full, Self::Short, Self::Line];

    /// Where to begin with this many.
    fn of(count: usize) -> Self {
        match count {
            ..=5 => Self::Full,
            6..=15 => Self::Short,
            _ => Self::Line,
        }
    }

    /// The longest text of an alert.
    fn longest(self) -> usize {
        match self {
            Self::Full => 800,
            Self::Short => 200,
            Self::Line => 120,
        }
    }
}

/// The texts of a message, a paragraph for each alert, that cost no more than `budget` by `cost`.
/// A paragraph that costs more than there is by itself is told more shortly.
pub(super) fn paragraphs(
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    budget: usize,
    cost: impl Fn(&str) -> usize,
) -> Vec<String> {
    let mut told: Vec<String> = note(batch)
        .map(|note| markup.text(&note))
        .into_iter()
        .collect();
    let reserved = cost(&left_out(markup, 999_999, 999_999)) + cost(&also(markup, 999_999));
    let spent: usize = told.iter().map(|text| cost(text)).sum();
    let mut room = budget.saturating_sub(reserved + spent);
    let news = worst_first(batch);
    let detail = Detail::of(news.len());
    let mut fits = |text: String, told: &mut Vec<String>| match room.checked_sub(cost(&text)) {
        Some(left) => {
            room = left;
            told.push(text);
            true
        }
        None => false,
    };
    let mut each = news.iter();
    let stopped = each.by_ref().find(|one| {
        let mut details = Detail::ALL.into_iter().filter(|other| *other >= detail);
        !details.any(|detail| fits(alert_text(one, batch, sender, markup, detail), &mut told))
    });
    let rest: Vec<_> = stopped.into_iter().chain(each).collect();
    if !rest.is_empty() {
        let firing = rest
            .iter()
            .filter(|one| one.status == Status::Firing)
            .count();
        told.push(left_out(markup, firing, rest.len() - firing));
    }
    if !batch.standing.is_empty() {
        let room = if rest.is_empty() { room } else { 0 };
        told.push(standing_text(batch, sender, markup, room, cost));
    }
    told
}

/// The news as they are told: what fires before what is over, the worst first, the oldest first.
pub(super) fn worst_first(batch: &Batch) -> Vec<&Notification> {
    let mut news: Vec<_> = batch.news.iter().collect();
    news.sort_by_key(|one| {
        (
            one.status == Status::Resolved,
            std::cmp::Reverse(one.alert.severity),
        )
    });
    news
}

fn left_out(markup: &dyn Markup, firing: usize, resolved: usize) -> String {
    let all = firing + resolved;
    markup.text(&format!(
        "… and {all} more: {firing} firing, {resolved} resolved."
    ))
}

fn also(markup: &dyn Markup, count: usize) -> String {
    markup.bold(&format!("Of the same group {count} more still fire."))
}

/// How many of the group still fire, and which, as far as there is room.
fn standing_text(
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    room: usize,
    cost: impl Fn(&str) -> usize,
) -> String {
    const MOST: usize = 100;
    let mut text = also(markup, batch.standing.len());
    let room = room + cost(&text);
    for alert in batch.standing.iter().take(MOST) {
        let longer = format!("{text}\n{}", markup.text(&standing_line(alert, sender)));
        if cost(&longer) > room {
            break;
        }
        text = longer;
    }
    text
}

/// `disk (critical) mount=/home, since 2026-11-21 04:05:00 UTC`.
fn standing_line(alert: &Alert, sender: &Sender) -> String {
    let labels = labels_line(&own_labels(alert, sender), 200);
    let (rule, severity) = (one_line(&alert.rule, 100), alert.severity.as_str());
    format!(
        "{rule} ({severity}) {labels}, since {}",
        utc(alert.starts())
    )
}

/// All that is said of one alert.
fn alert_text(
    one: &Notification,
    batch: &Batch,
    sender: &Sender,
    markup: &dyn Markup,
    detail: Detail,
) -> String {
    let alert = &one.alert;
    let (rule, level) = (one_line(&alert.rule, 100), alert.severity.as_str());
    let head = match one.status {
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
    lines.extend(values(alert, one.status).map(|line| markup.text(&line)));
    lines.push(when(one, markup));
    lines.push(markup.text(&format!("Why: {}", one_line(&one.reason, detail.longest()))));
    let mixed = batch.digest.is_some() || batch.news.iter().any(|other| other.cause != one.cause);
    if let Some(why) = why_now(one.cause).filter(|_| mixed) {
        lines.push(markup.text(why));
    }
    for (name, text) in notes(alert).take(8) {
        let text = shorten(&tidy(text), detail.longest());
        lines.push(format!(
            "{}: {}",
            markup.text(&capital(name)),
            markup.text(&text)
        ));
    }
    let links: Vec<_> = links(alert)
        .map(|(name, url)| markup.link(&url, &name))
        .take(6)
        .collect();
    if !links.is_empty() {
        lines.push(links.join(&markup.text(" | ")));
    }
    lines.join("\n")
}

/// The rule's message; where it has none, what Prometheus's users call `summary`.
pub(super) fn summary(alert: &Alert) -> &str {
    let annotation = alert.annotations.get("summary").map_or("", String::as_str);
    if is_blank(&alert.message) {
        annotation
    } else {
        &alert.message
    }
}

/// What was measured; nothing where there is no value.
pub(super) fn values(alert: &Alert, status: Status) -> impl Iterator<Item = String> {
    let threshold = alert
        .threshold
        .map(|limit| format!(", threshold {}", number(limit)))
        .unwrap_or_default();
    let now = alert.value.map(number);
    let line = match status {
        Status::Firing => now.map(|value| format!("Value {value}{threshold}")),
        Status::Resolved => {
            let told = |value: Option<f64>, when| value.map(|it| format!("{} {when}", number(it)));
            let parts = [
                told(alert.fired_value, "when it fired"),
                told(alert.peak, "at worst"),
                told(alert.value, "at its end"),
            ];
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            (!parts.is_empty()).then(|| format!("Value {}{threshold}", parts.join(", ")))
        }
    };
    line.into_iter()
}

/// Since when, and for how long.
fn when(one: &Notification, markup: &dyn Markup) -> String {
    let from = one.alert.starts();
    let lasted = |until: UnixMillis| match whole_seconds(until.since(from)) {
        Duration::ZERO => String::new(),
        span => markup.text(&format!(", for {}", format_duration(span))),
    };
    match ended(one) {
        None => format!("Since {}{}", markup.time(from), lasted(one.at)),
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

/// The annotations that are text, besides the one that is the summary.
pub(super) fn notes(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let told = summary(alert);
    alert
        .annotations
        .iter()
        .filter(move |(_, text)| *text != told && !is_blank(text) && web_link(text).is_none())
        .map(|(name, text)| (name.as_str(), text.as_str()))
}

/// The annotations that are links, such as `runbook_url`: a name for people and the URL.
pub(super) fn links(alert: &Alert) -> impl Iterator<Item = (String, String)> {
    alert.annotations.iter().filter_map(|(name, text)| {
        Some((
            capital(name.strip_suffix("_url").unwrap_or(name)),
            web_link(text)?,
        ))
    })
}

/// The labels that tell where: the sender's and the alert's.
pub(super) fn own_labels(alert: &Alert, sender: &Sender) -> Labels {
    let mut labels = all_labels(alert, sender);
    labels.remove("alertname");
    labels.remove("severity");
    labels
}

/// All that is known of an alert, name by name; together at most `longest` wide.
pub(super) fn details(one: &Notification, sender: &Sender, longest: usize) -> Labels {
    const VALUE: usize = 1000;
    let alert = &one.alert;
    let own = |name: &str, value: String| (name.to_owned(), value);
    let mut all = vec![own("reason", one_line(&one.reason, VALUE))];
    all.extend(values(alert, one.status).map(|line| own("value", line)));
    all.push(own("since", utc(alert.starts())));
    all.extend(ended(one).map(|end| own("until", utc(end))));
    all.extend(why_now(one.cause).map(|why| own("told", why.to_owned())));
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

/// As an alert of several hosts is told apart: by fingerprint and the sender's labels.
pub(super) fn identity(alert: &Alert, sender: &Sender) -> String {
    let one = bellwether_core::Fingerprint::of(&alert.fingerprint.to_string(), &sender.labels);
    format!("bellwether-{one}")
}

#[cfg(test)]
mod tests;
