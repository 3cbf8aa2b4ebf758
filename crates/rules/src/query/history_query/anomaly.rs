//! Rows of anomaly rules: the current value of each series, assessed by its detector.

use bellwether_analysis::anomaly::{Detector, Observation};
use bellwether_core::UnixMillis;

use super::{Detection, Detectors, HistoryQuery, QueryContext, Row, RowState, Rows};
use crate::alert::detail::Detail;

/// Points of history that warm up a detector: coarse ones, and recent ones (more if it needs more).
const COARSE_POINTS: u32 = 2_000;
const RECENT_POINTS: u32 = 1_000;

impl HistoryQuery {
    pub(super) fn anomalies(
        &self,
        context: &QueryContext<'_>,
        detection: &Detection,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        if !detectors.warm {
            *detectors = self.warmed(context, detection)?;
        }
        let mut rows = Vec::new();
        for (key, _, value) in self.instant(context)? {
            let detector = detectors
                .by_key
                .entry(key.clone())
                .or_insert_with(|| Detector::new(&detection.settings, detection.interval));
            let assessment = detector.observe(context.at, value);
            rows.push(Row {
                key,
                value,
                state: row_state(&assessment, value),
                detail: Some(Detail::Anomaly {
                    score: assessment.score,
                    expected: assessment.expected,
                }),
            });
        }
        // A query may have other series from day to day.
        detectors
            .by_key
            .retain(|_, detector| !detector.is_outdated(context.at));
        let unknown = rows.iter().filter(|row| row.state == RowState::Unknown);
        let note = match unknown.count() {
            0 => None,
            warming => Some(format!(
                "{warming} of {} series have fewer than {} samples",
                rows.len(),
                detection.settings.min_samples
            )),
        };
        Ok(Rows { rows, note })
    }

    /// Returns detectors warmed up by history: the window in coarse steps, and its end at the
    /// collection interval.
    fn warmed(
        &self,
        context: &QueryContext<'_>,
        detection: &Detection,
    ) -> Result<Detectors, String> {
        let Detection { settings, interval } = detection;
        let mut detectors = Detectors {
            warm: true,
            ..Detectors::default()
        };
        let recent = settings.min_samples.clamp(RECENT_POINTS, 10_000);
        let end = context.at.before(*interval);
        let begin = end.before(*interval * recent);
        let coarse = (settings.window / COARSE_POINTS).max(*interval);
        let left = settings.window.saturating_sub(*interval * recent);
        let steps = (left.as_millis() / coarse.as_millis().max(1)) as u32;
        let before = match steps {
            0 => Vec::new(),
            _ => self.range(context, begin.before(*interval), steps, coarse)?,
        };
        let after = self.range(context, end, recent, *interval)?;
        for series in before.into_iter().chain(after) {
            let key = context.names.key(&series.labels, context.added);
            let detector = detectors
                .by_key
                .entry(key)
                .or_insert_with(|| Detector::new(settings, *interval));
            for (time, value) in series.times.iter().zip(&series.values) {
                detector.observe(UnixMillis(*time), *value);
            }
        }
        Ok(detectors)
    }
}

fn row_state(assessment: &Observation, value: f64) -> RowState {
    match assessment {
        _ if assessment.warming || !value.is_finite() => RowState::Unknown,
        // The event had its alert.
        _ if assessment.repeated => RowState::KeepsFiring,
        _ if assessment.anomalous => RowState::Breached,
        _ => RowState::Ok,
    }
}
