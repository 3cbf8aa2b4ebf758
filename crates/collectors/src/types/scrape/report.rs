//! Results of scrapes, and the series about them.

use std::time::Duration;

use bellwether_collector::Relabeling;
use bellwether_core::{Failure, Kind, LabelSet, METRIC_NAME, SeriesBatch};
use bellwether_exposition::ParsedSeries;

use super::target::Target;

/// Targets that a message names.
const SHOWN: usize = 3;

/// Result of a scrape.
pub(super) struct Outcome {
    pub(super) duration: Duration,
    pub(super) parsed: ParsedSeries,
    /// Samples after relabeling.
    pub(super) kept: usize,
    pub(super) error: Option<String>,
}

impl Outcome {
    pub(super) fn failed(error: impl Into<String>, duration: Duration) -> Self {
        Self {
            duration,
            parsed: ParsedSeries::default(),
            kept: 0,
            error: Some(error.into()),
        }
    }
}

/// Series about a scrape: name, help, and value.
type Report = (&'static str, &'static str, fn(&Outcome) -> f64);

/// Series about each scrape, under the names of Prometheus.
const REPORTS: [Report; 5] = [
    (
        "up",
        "Last scrape of the target: 1 succeeded, 0 failed.",
        |outcome| f64::from(u8::from(outcome.error.is_none())),
    ),
    (
        "scrape_duration_seconds",
        "Duration of the scrape.",
        |outcome| outcome.duration.as_secs_f64(),
    ),
    (
        "scrape_samples_scraped",
        "Samples that the target exposed.",
        |outcome| outcome.parsed.samples as f64,
    ),
    (
        "scrape_samples_post_metric_relabeling",
        "Samples left after metric_relabel_configs.",
        |outcome| outcome.kept as f64,
    ),
    (
        "scrape_series_added",
        "Samples of series that were not in the scrapes before.",
        |outcome| outcome.parsed.added as f64,
    ),
];

/// Appends the series about the scrapes.
pub(super) fn push_reports(
    targets: &[Target],
    outcomes: &[Outcome],
    relabeling: &Relabeling,
    out: &mut SeriesBatch,
) {
    for (name, help, value) in REPORTS {
        out.begin(name, Some(Kind::Gauge), help);
        for (target, outcome) in targets.iter().zip(outcomes) {
            let named = target.labels.iter().chain([(METRIC_NAME, name)]);
            let labels = relabeling.labeled(&LabelSet::new(named));
            out.push_packed(labels.packed(), value(outcome));
        }
    }
}

/// Returns notes about the first targets whose samples were left out because of their timestamps.
pub(super) fn left_out(targets: &[Target], outcomes: &[Outcome]) -> Vec<String> {
    let outcomes = targets.iter().zip(outcomes);
    let left_out = outcomes.filter(|(_, outcome)| outcome.parsed.left_out > 0);
    let notes = left_out.take(SHOWN).map(|(target, outcome)| {
        let (instance, count) = (target.labels.get("instance"), outcome.parsed.left_out);
        format!("{instance}: timestamps leave out {count} samples; hint: honor_timestamps")
    });
    notes.collect()
}

/// Returns a failure that names the first targets that are down.
pub(super) fn result(
    targets: &[Target],
    outcomes: &[Outcome],
    errors: &[String],
) -> Result<(), Failure> {
    let down = targets
        .iter()
        .zip(outcomes)
        .filter_map(|(target, outcome)| {
            let error = outcome.error.as_ref()?;
            Some(format!("{}: {error}", target.labels.get("instance")))
        });
    let down: Vec<String> = down.collect();
    let mut messages = errors.to_vec();
    if !down.is_empty() {
        let shown = down[..down.len().min(SHOWN)].join("; ");
        let (count, all) = (down.len(), targets.len());
        messages.push(format!("{count} of {all} targets down: {shown}"));
    }
    match (messages.is_empty(), down.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::new("discovery", messages.join("; "))),
        (false, false) => Err(Failure::new("scrape", messages.join("; "))),
    }
}
