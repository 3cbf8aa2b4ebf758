//! How well all is, as one number that says what it is made of.

use std::collections::BTreeMap;

use bellwether_core::Severity;
use bellwether_schema::section;

use super::bottleneck::{Finding, Resource};

section! {
    /// What costs how much of the health score, which begins at 100 and ends at 0.
    pub struct HealthSettings {
        /// A rule with a firing alert of severity `info`.
        pub info: f64 = 1.0,
        /// A rule with a firing alert of severity `warning`.
        pub warning: f64 = 10.0,
        /// A rule with a firing alert of severity `critical`.
        pub critical: f64 = 25.0,
        /// A rule with a firing alert of severity `emergency`.
        pub emergency: f64 = 50.0,
        /// A bottleneck of impact 100; of each resource the worst counts, a smaller one by its
        /// share.
        pub bottleneck: f64 = 25.0,
        /// A collector whose last run failed.
        pub collector: f64 = 15.0,
    }
}

/// What a health score is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Rule and severity of each firing alert.
    pub firing: &'a [(&'a str, Severity)],
    /// Bottlenecks, in any order.
    pub bottlenecks: &'a [Finding<'a>],
    /// Collectors whose last run failed, and why.
    pub failing: &'a [(&'a str, &'a str)],
}

/// What a part of the score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A rule that fires.
    Alert,
    /// A bottleneck.
    Bottleneck,
    /// A collector that fails.
    Collector,
}

impl Cause {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Bottleneck => "bottleneck",
            Self::Collector => "collector",
        }
    }
}

/// What was taken off, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it comes from.
    pub cause: Cause,
    /// The rule, the bottleneck or the collector.
    pub name: String,
    /// Points taken off.
    pub points: f64,
    /// In words.
    pub why: String,
}

/// The score and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// 0 to 100: 100 less the points of the parts.
    pub score: f64,
    /// The costliest first.
    pub parts: Vec<Part>,
}

impl Score {
    /// The word for it.
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

/// Takes off what is wrong. The same observations give the same score.
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

/// A rule costs once, however many alerts it has, by the worst of them.
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

/// Of each resource the worst: a busy processor, its run queue and its pressure are one trouble.
fn bottlenecks(findings: &[Finding<'_>], settings: &HealthSettings) -> impl Iterator<Item = Part> {
    let mut worst: BTreeMap<&str, &Finding<'_>> = BTreeMap::new();
    for finding in findings {
        let known = worst
            .entry(Resource::as_str(finding.bottleneck.resource))
            .or_insert(finding);
        if finding.impact > known.impact {
            *known = finding;
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
        let score = score(&observed, &HealthSettings::default());
        assert_eq!(
            (score.score, score.word(), score.parts.len()),
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
        let told = score(&observed, &HealthSettings::default());
        let parts: Vec<(&str, f64)> = told
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
        assert_eq!((told.score, told.word()), (39.0, "critical"));
        assert_eq!(told.parts[0].why, "fires 2 times, critical at the worst");
        assert_eq!(told.parts[1].why, "impact 80 on cpu, host");
        assert_eq!(
            told,
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
