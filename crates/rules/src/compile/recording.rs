//! Recording rules: names that are free, labels that are labels, queries that are queries.

use bellwether_core::{Labels, can_be_set};
use bellwether_schema::{Diagnostics, Spanned};

use super::super::recording::Recording;
use super::super::rule::RuleSet;
use super::super::settings::RecordingSettings;
use super::Declared;
use super::history::{check_interval, numeric};
use super::known::Known;

/// Checks the recording rules; the good ones go to `set`, and their names to `known`.
pub(super) fn compile(
    declared: &Declared<'_>,
    known: &mut Known,
    set: &mut RuleSet,
    problems: &mut Diagnostics,
) {
    for settings in declared.recordings {
        let before = problems.len();
        check_name(&settings.record, problems);
        taken(settings, known, &set.recordings, problems);
        let labels = labels(settings, problems);
        check_interval(settings.interval.as_ref(), problems);
        if settings.enabled && !declared.history {
            problems
                .error(&settings.promql.at, super::history::NO_HISTORY)
                .hint(super::history::TURN_ON);
        }
        let Some(query) = numeric(&settings.promql, problems) else {
            continue;
        };
        set.warnings
            .extend(known.warnings(&query, &settings.promql.at));
        let pace = known.pace(
            &query,
            settings.interval.as_ref().map(|interval| *interval.value),
        );
        if problems.len() > before {
            continue;
        }
        known.record(&settings.record, &pace);
        set.recordings.push(Recording {
            record: settings.record.value.as_str().into(),
            query,
            labels,
            enabled: settings.enabled,
            pace,
            settings: settings.clone(),
        });
    }
}

/// Any text is a name, but that of a query stands in the wrong place.
fn check_name(name: &Spanned<String>, problems: &mut Diagnostics) {
    if name.is_empty() || name.contains(['{', '}']) {
        problems
            .error(&name.at, format!("not a metric name: {:?}", name.value))
            .hint("any text without braces; a query belongs into the key of the query, labels into `labels`");
    }
}

fn taken(
    settings: &RecordingSettings,
    known: &Known,
    before: &[Recording],
    problems: &mut Diagnostics,
) {
    let (name, at) = (&settings.record.value, &settings.record.at);
    let first = before
        .iter()
        .find(|other| other.settings.record.value == *name);
    match first {
        // In a file of Prometheus one name may be filled by several queries.
        Some(first) if at.file.is_none() && first.settings.labels == settings.labels => {
            problems
                .error(
                    at,
                    format!("{name:?} is recorded twice, with the same labels"),
                )
                .hint(format!(
                    "the first is on {}; tell them apart by `labels`",
                    first.settings.record.at.words()
                ));
        }
        None if known.has(name) => {
            problems
                .error(at, format!("{name:?} is collected already"))
                .hint("take another name; `level:metric:operation` is usual");
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
