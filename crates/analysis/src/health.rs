//! Health score of host and applications, with its parts.

use std::collections::BTreeMap;

use bellwether_core::Severity;
use bellwether_schema::section;

use super::bottleneck::{Finding, Resource};

section! {
    /// Weights of the health score: points subtracted from 100, for each cause.
    pub struct HealthSettings {
        /// A rule with a firing alert of severity `info`.
        pub info: f64 = 1.0,
        /// A rule with a firing alert of severity `warning`.
        pub warning: f64 = 10.0,
        /// A rule with a firing alert of severity `critical`.
        pub critical: f64 = 25.0,
        /// A rule with a firing alert of severity `emergency`.
        pub emergency: f64 = 50.0,
        /// A bottleneck with impact 100; a smaller impact counts in proportion. Only the worst of
        /// each resource counts.
        pub bottleneck: f64 = 25.0,
        /// A collector whose last run failed.
        pub collector: f64 = 15.0,
    }
}

/// Input of a health score.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Rule and severity of each firing alert.
    pub firing: &'a [(&'a str, Severity)],
    /// Bottlenecks, in any order.
    pub bottlenecks: &'a [Finding<'a>],
    /// Collectors whose last run failed, with the errors.
    pub failing: &'a [(&'a str, &'a str)],
}

/// Cause of a part of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A firing rule.
    Alert,
    /// A bottleneck.
    Bottleneck,
    /// A failing collector.
    Collector,
}

impl Cause {
    /// Returns the name for the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Bottleneck => "bottleneck",
            Self::Collector => "collector",
        }
    }
}

/// Part of a score: points subtracted for one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Cause of the part.
    pub cause: Cause,
    /// Name of the rule, bottleneck or collector.
    pub name: String,
    /// Points subtracted.
    pub points: f64,
    /// Explanation.
    pub why: String,
}

/// The score and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Score, 0 to 100.
    pub score: f64,
    /// Parts, most points first.
    pub parts: Vec<Part>,
}

impl Score {
    /// Returns the score as a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.score {
            score if score >= 90.0 => "good",
            score if score >= 70.0 => "fair",
            score if score >= 40.0 => "poor",
            _ => "critical",
        }
    }
}

/// Computes the score; deterministic.
#[must_use]
pub fn score(observed: &Observed<'_>, settings: &HealthSettings) -> Score {
    let mut parts: Vec<Part> = alerts(observed.firing, settings)
        .chain(bottlenecks(observed.bottlenecks, settings))
        .chain(observed.failing.iter().map(|(name, why)| Part {
            cause: Cause::Collector,
            name: (*name).to_owned(),
            points: settings.collector,
            why: format!("its last run failed: {why}"),
        }))
        .filter(|part| part.points > 0.0)
        .collect();
    parts.sort_by(|a, b| {
        (b.points.total_cmp(&a.points))
            .then(a.cause.cmp(&b.cause))
            .then_with(|| a.name.cmp(&b.name))
    });
    let lost: f64 = parts.iter().map(|part| part.points).sum();
    Score {
        score: (100.0 - lost).max(0.0),
        parts,
    }
}

/// Subtracts points once per rule, for its most severe alert.
fn alerts(firing: &[(&str, Severity)], settings: &HealthSettings) -> impl Iterator<Item = Part> {
    let mut rules: BTreeMap<&str, (Severity, usize)> = BTreeMap::new();
    for (rule, severity) in firing {
        let (worst, count) = rules.entry(rule).or_insert((*severity, 0));
        *worst = (*worst).max(*severity);
        *count += 1;
    }
    rules.into_iter().map(|(rule, (severity, count))| Part {
        cause: Cause::Alert,
        name: rule.to_owned(),
        points: match severity {
            Severity::Info => settings.info,
            Severity::Warning => settings.warning,
            Severity::Critical => settings.critical,
            Severity::Emergency => settings.emergency,
        },
        why: match count {
            1 => format!("fires, {}", severity.as_str()),
            _ => format!("fires {count} times, {} at the worst", severity.as_str()),
        },
    })
}

/// Keeps the worst bottleneck of each resource: a busy processor, its run queue and its pressure
/// have one cause.
fn bottlenecks(findings: &[Finding<'_>], settings: &HealthSettings) -> impl Iterator<Item = Part> {
    let mut worst: BTreeMap<&str, &Finding<'_>> = BTreeMap::new();
    for finding in findings {
        let current = worst
            .entry(Resource::as_str(finding.bottleneck.resource))
            .or_insert(finding);
        if finding.impact > current.impact {
            *current = finding;
        }
    }
    worst.into_values().map(|finding| Part {
        cause: Cause::Bottleneck,
        name: finding.bottleneck.name.clone(),
        points: settings.bottleneck * finding.impact / 100.0,
        why: format!(
            "impact {:.0} on {}, {}",
            finding.impact,
            finding.bottleneck.resource.as_str(),
            finding.bottleneck.component
        ),
    })
}

#[cfg(test)]
mod tests {
    use bellwether_core::LabelSet;

    use super::*;
    use crate::bottleneck::Bottleneck;

    fn bottleneck(name: &str, resource: Resource) -> Bottleneck {
        Bottleneck {
            name: name.into(),
            resource,
            promql: "x".into(),
            warning: 50.0,
            critical: 100.0,
            unit: "%",
            component: "host".into(),
            advice: "act".into(),
        }
    }

    #[test]
    fn nothing_wrong_is_100() {
        let observed = Observed {
            firing: &[],
            bottlenecks: &[],
            failing: &[],
        };
        let health = score(&observed, &HealthSettings::default());
        assert_eq!(
            (health.score, health.word(), health.parts.len()),
            (100.0, "good", 0)
        );
    }

    #[test]
    fn parts_add_up_and_say_why() {
        let (busy, queue) = (
            bottleneck("busy", Resource::Cpu),
            bottleneck("queue", Resource::Cpu),
        );
        let labels = LabelSet::default();
        let findings = [
            Finding {
                bottleneck: &busy,
                labels: labels.clone(),
                value: 70.0,
                impact: 40.0,
            },
            Finding {
                bottleneck: &queue,
                labels: labels.clone(),
                value: 90.0,
                impact: 80.0,
            },
        ];
        let observed = Observed {
            firing: &[
                ("disk", Severity::Warning),
                ("disk", Severity::Critical),
                ("quiet", Severity::Info),
            ],
            bottlenecks: &findings,
            failing: &[("neo4j", "connect: refused")],
        };
        let health = score(&observed, &HealthSettings::default());
        let parts: Vec<(&str, f64)> = health
            .parts
            .iter()
            .map(|part| (part.name.as_str(), part.points))
            .collect();
        assert_eq!(
            parts,
            [
                ("disk", 25.0),
                ("queue", 20.0),
                ("neo4j", 15.0),
                ("quiet", 1.0)
            ]
        );
        assert_eq!((health.score, health.word()), (39.0, "critical"));
        assert_eq!(health.parts[0].why, "fires 2 times, critical at the worst");
        assert_eq!(health.parts[1].why, "impact 80 on cpu, host");
        assert_eq!(
            health,
            score(&observed, &HealthSettings::default()),
            "the same again"
        );
    }

    #[test]
    fn it_ends_at_zero() {
        let firing: Vec<(String, Severity)> = (0..9)
            .map(|rule| (format!("rule{rule}"), Severity::Emergency))
            .collect();
        let firing: Vec<(&str, Severity)> = firing.iter().map(|(r, s)| (r.as_str(), *s)).collect();
        let observed = Observed {
            firing: &firing,
            bottlenecks: &[],
            failing: &[],
        };
        assert_eq!(score(&observed, &HealthSettings::default()).score, 0.0);
    }
}
