//! Checks of recording rules: names, labels and queries.

use bellwether_core::{Labels, can_be_set};
use bellwether_schema::{Diagnostics, Spanned};

use super::CompileInput;
use super::history::{check_interval, numeric};
use super::known_series::KnownSeries;
use crate::query::recording::Recording;
use crate::rule::RuleSet;
use crate::settings::RecordingSettings;

/// Compiles the recording rules into `set`, and adds their names to `known_series`.
pub(super) fn compile(
    input: &CompileInput<'_>,
    known_series: &mut KnownSeries,
    set: &mut RuleSet,
    problems: &mut Diagnostics,
) {
    for settings in input.recordings {
        let before = problems.len();
        check_name(&settings.record, problems);
        check_duplicate(settings, known_series, &set.recordings, problems);
        let labels = labels(settings, problems);
        check_interval(settings.interval.as_ref(), problems);
        if settings.enabled && !input.history {
            problems
                .error(&settings.promql.at, super::history::NO_HISTORY)
                .hint(super::history::TURN_ON);
        }
        let Some(query) = numeric(&settings.promql, problems) else {
            continue;
        };
        set.warnings
            .extend(known_series.warnings(&query, &settings.promql.at));
        let schedule = known_series.schedule(
            &query,
            settings.interval.as_ref().map(|interval| *interval.value),
        );
        if problems.len() > before {
            continue;
        }
        known_series.record(&settings.record, &schedule);
        set.recordings.push(Recording {
            record: settings.record.value.as_str().into(),
            query,
            labels,
            enabled: settings.enabled,
            schedule,
            settings: settings.clone(),
        });
    }
}

/// Reports an empty name, or a query in its place.
fn check_name(name: &Spanned<String>, problems: &mut Diagnostics) {
    if name.is_empty() || name.contains(['{', '}']) {
        problems
            .error(&name.at, format!("not a metric name: {:?}", name.value))
            .hint("any text without braces; write the query under its own key, and labels under `labels`");
    }
}

fn check_duplicate(
    settings: &RecordingSettings,
    known_series: &KnownSeries,
    before: &[Recording],
    problems: &mut Diagnostics,
) {
    let (name, at) = (&settings.record.value, &settings.record.at);
    let first = before
        .iter()
        .find(|other| other.settings.record.value == *name);
    match first {
        // In a rule file of Prometheus several queries may have the same name.
        Some(first) if !at.is_imported() && first.settings.labels == settings.labels => {
            problems
                .error(
                    at,
                    format!("{name:?} is recorded twice, with the same labels"),
                )
                .hint(format!(
                    "the first is on {}; give them different `labels`",
                    first.settings.record.at.words()
                ));
        }
        None if known_series.has(name) => {
            problems
                .error(at, format!("{name:?} is the name of a collected metric"))
                .hint("use another name; `level:metric:operation` is usual");
        }
        _ => {}
    }
}

fn labels(settings: &RecordingSettings, problems: &mut Diagnostics) -> Labels {
    for (name, value) in settings.labels.iter().filter(|(name, _)| !can_be_set(name)) {
        problems
            .error(&value.at, format!("not a label name: {name:?}"))
            .hint("any text but an empty one and __name__");
    }
    settings
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), value.value.clone()))
        .collect()
}
