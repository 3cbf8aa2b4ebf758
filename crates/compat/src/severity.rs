//! Severities of rule files.

use bellwether_core::{Alert, Labels, Severity};

const WORDS: [(Severity, &[&str]); 4] = [
    (
        Severity::Info,
        &[
            "info",
            "information",
            "informational",
            "notice",
            "debug",
            "none",
            "ok",
        ],
    ),
    (
        Severity::Warning,
        &[
            "warning", "warn", "ticket", "low", "minor", "medium", "moderate", "p3", "p4", "p5",
        ],
    ),
    (
        Severity::Critical,
        &[
            "critical", "crit", "page", "paging", "high", "major", "error", "p2",
        ],
    ),
    (
        Severity::Emergency,
        &[
            "emergency",
            "emerg",
            "fatal",
            "disaster",
            "urgent",
            "blocker",
            "highest",
            "p0",
            "p1",
        ],
    ),
];

/// Returns the severity of `word` in any case; `None` if it is not a common one.
#[must_use]
pub fn severity_of(word: &str) -> Option<Severity> {
    let word = word.trim().to_ascii_lowercase();
    let (severity, _) = WORDS
        .iter()
        .find(|(_, words)| words.contains(&word.as_str()))?;
    Some(*severity)
}

/// Returns a firing alert with these labels, as of a rule file: routes go by the label `severity` as
/// it is, channels by what it means.
#[must_use]
pub fn firing_alert(mut labels: Labels) -> Alert {
    let rule = labels.remove("alertname").unwrap_or_default();
    let word = labels.entry("severity".into()).or_default();
    let severity = severity_of(word).unwrap_or(Severity::Warning);
    Alert::firing(&rule, severity, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words() {
        for severity in Severity::ALL {
            assert_eq!(severity_of(severity.as_str()), Some(severity));
        }
        for (word, expected) in [
            ("page", Some(Severity::Critical)),
            ("High", Some(Severity::Critical)),
            ("ticket", Some(Severity::Warning)),
            ("low", Some(Severity::Warning)),
            ("none", Some(Severity::Info)),
            ("whatever", None),
        ] {
            assert_eq!(severity_of(word), expected, "{word}");
        }
    }
}
