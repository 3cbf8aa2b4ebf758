//! Export, series by series: memory holds at most a week of one series.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};

use super::families::Families;
use super::write::{OutputFormat, Writer};

/// Longest part of a series in memory.
const WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
/// Smallest distance of two samples.
const INSTANT: Duration = Duration::from_millis(1);

/// Result of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Series with at least one sample.
    pub series: u64,
    /// Samples written.
    pub samples: u64,
    /// Staleness markers that were left out, because the format cannot represent them.
    pub left_out: u64,
}

/// Error of an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Samples cannot be read.
    #[error("cannot read the samples: {0}")]
    Read(#[from] StorageError),
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Returns the series that match one of `selectors`, ordered by name and then by labels.
///
/// # Errors
/// The series cannot be read.
pub fn list(
    source: &dyn Queryable,
    selectors: &[Vec<LabelMatcher>],
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<LabelSet>, StorageError> {
    let mut series = BTreeSet::new();
    for matchers in selectors {
        series.extend(source.series(matchers, from, to, &Guard::default())?);
    }
    let mut series: Vec<LabelSet> = series.into_iter().collect();
    // The name first: a label in capitals would come before it. Stable, so labels order the rest.
    series.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(series)
}

/// Samples to be written, and their form.
#[derive(Clone, Copy, Debug)]
pub struct ExportOptions<'a> {
    /// Time of the first samples.
    pub from: UnixMillis,
    /// Time of the last samples.
    pub to: UnixMillis,
    /// Format of the output.
    pub format: OutputFormat,
    /// Types of the metrics, which only OpenMetrics has.
    pub families: &'a Families,
}

/// Writes the samples of `series`: in OpenMetrics family by family, in other formats in the given order. Calls `progress` after each series.
///
/// # Errors
/// Samples cannot be read, or the output cannot be written.
pub fn export(
    source: &dyn Queryable,
    series: &[LabelSet],
    options: &ExportOptions<'_>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(),
) -> Result<Exported, ExportError> {
    let families = options.families.without_collisions(series);
    let mut series: Vec<&LabelSet> = series.iter().collect();
    if options.format == OutputFormat::OpenMetrics {
        series.sort_by(|a, b| families.order(a, b));
    }
    let mut writer = Writer::new(options.format, &families, out)?;
    let mut written = 0;
    for labels in series {
        let before = writer.samples;
        let mut start = options.from;
        while start <= options.to {
            let next = start.after(WINDOW);
            let end = next.before(INSTANT).min(options.to);
            if let Some(piece) = piece(source, labels, start, end)? {
                writer.series(&piece)?;
            }
            if end == options.to {
                break;
            }
            start = next;
        }
        written += u64::from(writer.samples > before);
        progress();
    }
    let (samples, left_out) = (writer.samples, writer.left_out);
    writer.finish()?;
    Ok(Exported {
        series: written,
        samples,
        left_out,
    })
}

/// Returns the samples of the series with exactly these labels.
fn piece(
    source: &dyn Queryable,
    labels: &LabelSet,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Option<SampledSeries>, StorageError> {
    let matchers: Vec<LabelMatcher> = labels
        .iter()
        .map(|(name, value)| LabelMatcher::equal(name, value))
        .collect();
    let series = source.select(&matchers, from, to, &Guard::default())?;
    Ok(series.into_iter().find(|series| series.labels == *labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    fn history() -> History {
        let history = History::in_memory(10);
        let up = LabelSet::new([("__name__", "up"), ("job", "a\"\n\\")]);
        let other = LabelSet::new([("__name__", "up"), ("job", "a\"\n\\"), ("Zone", "é")]);
        let bare = LabelSet::new([("__name__", "http_total")]);
        for (labels, samples) in [
            (
                up,
                vec![
                    (1000, 1.0),
                    (2001, f64::NAN),
                    (3000, SampledSeries::stale()),
                ],
            ),
            (
                other,
                vec![
                    (1000, 0.1),
                    (WINDOW.as_millis() as i64 + 5000, -f64::INFINITY),
                ],
            ),
            (bare, vec![(1_700_000_000_123, 1e300)]),
        ] {
            let series = history.series_id(&labels).unwrap();
            for (at, value) in samples {
                history.append(UnixMillis(at), &[(series, value)]);
            }
        }
        history
    }

    fn exported(format: OutputFormat, selectors: &[Vec<LabelMatcher>]) -> (String, Exported) {
        let (history, mut out, mut calls) = (history(), Vec::new(), 0);
        let options = ExportOptions {
            from: UnixMillis(0),
            to: UnixMillis(1_800_000_000_000),
            format,
            families: &Families::default(),
        };
        let series = list(&history, selectors, options.from, options.to).unwrap();
        let done = export(&history, &series, &options, &mut out, &mut || calls += 1).unwrap();
        assert_eq!(calls, series.len());
        (String::from_utf8(out).unwrap(), done)
    }

    #[test]
    fn open_metrics_is_sorted_by_name_and_keeps_names() {
        let (text, done) = exported(OutputFormat::OpenMetrics, &[vec![]]);
        assert_eq!(
            text,
            "# TYPE http_total unknown\nhttp_total 1e+300 1700000000.123\n# TYPE up unknown\n\
             up{Zone=\"é\",job=\"a\\\"\\n\\\\\"} 0.1 1.000\n\
             up{Zone=\"é\",job=\"a\\\"\\n\\\\\"} -Inf 604805.000\n\
             up{job=\"a\\\"\\n\\\\\"} 1 1.000\nup{job=\"a\\\"\\n\\\\\"} NaN 2.001\n# EOF\n"
        );
        assert_eq!(
            done,
            Exported {
                series: 3,
                samples: 5,
                left_out: 1
            }
        );
    }

    #[test]
    fn selectors_add_up_and_a_series_comes_once() {
        let selectors = [
            vec![
                LabelMatcher::equal("__name__", "up"),
                LabelMatcher::equal("Zone", ""),
            ],
            vec![LabelMatcher::equal("__name__", "up")],
        ];
        let (text, done) = exported(OutputFormat::Csv, &selectors);
        let name = "\"up{job=\"\"a\\\"\"\\n\\\\\"\"}\"";
        let other = "\"up{Zone=\"\"é\"\", job=\"\"a\\\"\"\\n\\\\\"\"}\"";
        assert_eq!(
            text,
            format!(
                "time,series,value\r\n1970-01-01T00:00:01.000Z,{other},0.1\r\n\
                 1970-01-08T00:00:05.000Z,{other},-Inf\r\n\
                 1970-01-01T00:00:01.000Z,{name},1\r\n1970-01-01T00:00:02.001Z,{name},NaN\r\n"
            )
        );
        assert_eq!(
            done,
            Exported {
                series: 2,
                samples: 4,
                left_out: 1
            }
        );
    }

    #[test]
    fn json_has_everything() {
        let (text, done) = exported(OutputFormat::Json, &[vec![LabelMatcher::equal("Zone", "")]]);
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("\"values\":[\"NaN\",null],\"timestamps\":[2001,3000]"),
            "{text}"
        );
        assert_eq!(
            done,
            Exported {
                series: 2,
                samples: 4,
                left_out: 0
            }
        );
    }
}
