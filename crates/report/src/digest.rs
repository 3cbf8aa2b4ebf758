//! A report in a few sentences, for who reads nothing else.

use std::collections::BTreeMap;

use bellwether_core::{Severity, counted};

use super::{AlertEpisode, Report, duration, named};
use crate::units::number;

/// Weight of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Neutral,
    Warning,
    Bad,
}

/// A sentence with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub tone: Tone,
    pub text: String,
}

/// All alerts of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OfRule<'a> {
    pub(super) name: &'a str,
    pub(super) severity: &'a str,
    pub(super) count: usize,
    pub(super) seconds: f64,
    pub(super) longest: f64,
    pub(super) is_firing: bool,
}

/// Returns the sentences, by their subject.
#[must_use]
pub fn digest(report: &Report) -> Vec<Verdict> {
    let sentences = [
        health(report),
        Some(alerts(report)),
        firing(report),
        forecast(report),
        bottleneck(report),
        trends(report),
        notifications(report),
    ];
    sentences.into_iter().flatten().collect()
}

fn verdict(tone: Tone, text: String) -> Verdict {
    Verdict { tone, text }
}

fn health(report: &Report) -> Option<Verdict> {
    let health = report.health.as_ref()?;
    let tone = match health.score {
        score if score >= 90.0 => Tone::Good,
        score if score >= 60.0 => Tone::Warning,
        _ => Tone::Bad,
    };
    let text = format!(
        "The health score is {:.0} of 100, {}.",
        health.score, health.rating
    );
    Some(verdict(tone, text))
}

fn alerts(report: &Report) -> Verdict {
    let all = &report.alerts;
    let Some(longest) = all.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)) else {
        return verdict(Tone::Good, "No alert fired.".to_owned());
    };
    let is_severe = |alert: &&AlertEpisode| rank(&alert.severity) <= 1;
    let severe = all.iter().filter(is_severe).count();
    let share = 100.0 * covered_seconds(report) / report.seconds().max(1.0);
    let tone = if severe > 0 { Tone::Bad } else { Tone::Warning };
    let text = format!(
        "{} fired, {severe} of them critical or worse. An alert was firing {} % of the time; the longest, {}, for {}.",
        counted(all.len(), "alert"),
        number(share),
        longest.alertname,
        duration(longest.seconds),
    );
    verdict(tone, text)
}

fn firing(report: &Report) -> Option<Verdict> {
    let firing = report
        .alerts
        .iter()
        .filter(|alert| alert.resolved_at.is_none());
    let mut firing: Vec<&AlertEpisode> = firing.collect();
    firing.sort_by_key(|alert| rank(&alert.severity));
    let worst = firing.first()?;
    let tone = if rank(&worst.severity) <= 1 {
        Tone::Bad
    } else {
        Tone::Warning
    };
    let text = format!(
        "{} at the end, the worst: {} ({}).",
        match firing.len() {
            1 => "1 alert is firing".to_owned(),
            count => format!("{count} alerts are firing"),
        },
        named(&worst.alertname, &worst.labels),
        worst.severity,
    );
    Some(verdict(tone, text))
}

fn forecast(report: &Report) -> Option<Verdict> {
    let soonest = report.forecasts.first()?;
    let is_soon = soonest.seconds < 86_400.0;
    let text = format!(
        "{} is at {} and is going to reach {} {}.",
        named(&soonest.metric, &soonest.labels),
        number(soonest.latest),
        number(soonest.reaches),
        soonest.text,
    );
    Some(verdict(
        if is_soon { Tone::Bad } else { Tone::Warning },
        text,
    ))
}

fn bottleneck(report: &Report) -> Option<Verdict> {
    let worst = report.bottlenecks.first()?;
    let text = format!(
        "{}, the worst: {} ({} {}). {}.",
        counted(report.bottlenecks.len(), "bottleneck"),
        worst.name,
        number(worst.value),
        worst.unit,
        capitalized(worst.advice.trim_end_matches('.')),
    );
    Some(verdict(
        if worst.impact >= 66.0 {
            Tone::Bad
        } else {
            Tone::Warning
        },
        text,
    ))
}

fn trends(report: &Report) -> Option<Verdict> {
    let with = |verdict: &str| {
        let trends = report.trends.iter();
        let names = trends.filter(|trend| trend.verdict.as_deref() == Some(verdict));
        let names = names.map(|trend| named(&trend.metric, &trend.labels));
        names.collect::<Vec<_>>()
    };
    let (degrading, improving) = (with("degrading"), with("improving"));
    if degrading.is_empty() && improving.is_empty() {
        return None;
    }
    let tone = if degrading.is_empty() {
        Tone::Good
    } else {
        Tone::Warning
    };
    let text = format!(
        "{} series degraded and {} improved{}.",
        degrading.len(),
        improving.len(),
        degrading.first().map_or_else(String::new, |first| format!(
            "; the first that degraded is {first}"
        )),
    );
    Some(verdict(tone, text))
}

fn notifications(report: &Report) -> Option<Verdict> {
    let sum = |count: fn(&AlertEpisode) -> usize| report.alerts.iter().map(count).sum::<usize>();
    let (delivered, failed) = (sum(|alert| alert.delivered), sum(|alert| alert.failed));
    (delivered + failed > 0).then(|| {
        let tone = if failed == 0 {
            Tone::Good
        } else {
            Tone::Neutral
        };
        let text = format!(
            "{} delivered, {} failed.",
            counted(delivered, "notification"),
            counted(failed, "attempt")
        );
        verdict(tone, text)
    })
}

/// Returns the seconds in which at least one alert fired.
fn covered_seconds(report: &Report) -> f64 {
    let mut spans: Vec<(i64, i64)> = report
        .alerts
        .iter()
        .map(|alert| {
            (
                alert.fired_at.max(report.from).0,
                alert.resolved_at.unwrap_or(report.to).0,
            )
        })
        .collect();
    spans.sort_unstable();
    let (mut covered, mut reached) = (0, i64::MIN);
    for (from, to) in spans {
        covered += (to - from.max(reached)).max(0);
        reached = reached.max(to);
    }
    covered as f64 / 1000.0
}

/// Returns the alerts by rule: the worst severity first, then those that fired longest.
pub(super) fn by_rule(report: &Report) -> Vec<OfRule<'_>> {
    let mut rules = BTreeMap::<&str, OfRule<'_>>::new();
    for alert in &report.alerts {
        let rule = rules.entry(&alert.alertname).or_insert_with(|| OfRule {
            name: &alert.alertname,
            severity: &alert.severity,
            ..OfRule::default()
        });
        rule.count += 1;
        rule.seconds += alert.seconds;
        rule.longest = rule.longest.max(alert.seconds);
        rule.is_firing |= alert.resolved_at.is_none();
        if rank(&alert.severity) < rank(rule.severity) {
            rule.severity = &alert.severity;
        }
    }
    let mut rules: Vec<OfRule<'_>> = rules.into_values().collect();
    rules.sort_by(|a, b| {
        let by_severity = rank(a.severity).cmp(&rank(b.severity));
        by_severity.then(b.seconds.total_cmp(&a.seconds))
    });
    rules
}

/// Place of a severity, the worst first.
fn rank(severity: &str) -> usize {
    Severity::rank(severity).unwrap_or(Severity::ALL.len())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
