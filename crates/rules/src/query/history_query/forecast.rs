//! Rows of forecast rules: the time at which each series reaches a value.

use std::time::Duration;

use bellwether_analysis::forecast::{Horizon, NoForecast, Outlook};
use bellwether_core::{LabelSet, UnixMillis};
use bellwether_promql::SampledSeries;
use hashbrown::HashMap;

use super::{Detectors, Forecasting, HistoryQuery, QueryContext, Row, RowState, Rows};
use crate::alert::detail::Detail;

impl HistoryQuery {
    pub(super) fn forecasts(
        &self,
        context: &QueryContext<'_>,
        forecasting: &Forecasting,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        let Forecasting { horizon, step } = *forecasting;
        let lookback = points(horizon.lookback(), step);
        let mut past = Past::new(self, context, horizon);
        let mut rows: HashMap<LabelSet, Row> = HashMap::new();
        let mut note = None;
        for SampledSeries {
            labels,
            times,
            values,
            ..
        } in self.range(context, context.at, lookback, step)?
        {
            // A series that has ended reaches nothing.
            if times.last() != Some(&context.at.0) {
                continue;
            }
            let key = context.names.key(&labels, context.added);
            let days = detectors.days.entry(key.clone()).or_default();
            let outlook = horizon.outlook(&times, &values, context.at, days, || past.of(&key));
            note = note
                .or_else(|| past.error.take())
                .or_else(|| Some(format!("no forecast for {key}: {}", reason(&outlook)?)));
            rows.insert(key.clone(), row(key, &outlook, context.at));
        }
        detectors.days.retain(|key, _| rows.contains_key(key));
        let mut rows: Vec<Row> = rows.into_values().collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Rows { rows, note })
    }
}

/// Returns the number of points at every `step` of `span`.
fn points(span: Duration, step: Duration) -> u32 {
    u32::try_from(span.as_millis() / step.as_millis().max(1)).unwrap_or(u32::MAX)
}

/// Longer past of all series, read once one of them needs it.
struct Past<'a> {
    query: &'a HistoryQuery,
    context: &'a QueryContext<'a>,
    horizon: Horizon,
    series: Option<HashMap<LabelSet, SampledSeries>>,
    /// Error of reading it.
    error: Option<String>,
}

impl<'a> Past<'a> {
    fn new(query: &'a HistoryQuery, context: &'a QueryContext<'a>, horizon: Horizon) -> Self {
        Self {
            query,
            context,
            horizon,
            series: None,
            error: None,
        }
    }

    /// Returns the times and values of a series.
    fn of(&mut self, key: &LabelSet) -> (Vec<i64>, Vec<f64>) {
        let series = match self.series.take() {
            Some(series) => series,
            None => self.read(),
        };
        let series = self.series.insert(series).get(key);
        series.map_or_else(Default::default, |series| {
            (series.times.clone(), series.values.clone())
        })
    }

    /// Reads all series; none if they exceed the limits of a query, for forecasts do without them.
    fn read(&mut self) -> HashMap<LabelSet, SampledSeries> {
        let context = self.context;
        let (span, step) = self.horizon.past();
        let steps = points(span, step);
        let series = self.query.range(context, context.at, steps, step);
        let series = series.unwrap_or_else(|error| {
            self.error = Some(format!("history cannot be read: {error}"));
            Vec::new()
        });
        let keyed = series.into_iter().map(|series| {
            let key = context.names.key(&series.labels, context.added);
            (key, series)
        });
        keyed.collect()
    }
}

/// Returns the reason for which an alert does not fire, if it is worth a note.
fn reason(outlook: &Outlook) -> Option<String> {
    match outlook {
        Outlook::Young { .. } | Outlook::Usual(_) => outlook.not_firing_reason(),
        Outlook::None(NoForecast::AlreadyReached { .. }) => None,
        Outlook::None(reason) => Some(reason.to_string()),
        Outlook::Soon(_) | Outlook::Later(_) => None,
    }
}

fn row(key: LabelSet, outlook: &Outlook, at: UnixMillis) -> Row {
    let (state, reach) = match outlook {
        Outlook::Soon(reach) => (RowState::Breached, Some(reach)),
        Outlook::Young { reach, .. } | Outlook::Usual(reach) => {
            (RowState::KeepsFiring, Some(reach))
        }
        Outlook::Later(reach) => (RowState::Ok, Some(reach)),
        // The alert must not resolve because the forecast has come true.
        Outlook::None(NoForecast::AlreadyReached { .. }) => (RowState::Breached, None),
        Outlook::None(_) => (RowState::Ok, None),
    };
    let (value, words) = match (reach, state) {
        (Some(reach), _) => (reach.reaches_at.since(at).as_secs_f64(), reach.describe(at)),
        (None, RowState::Breached) => (0.0, "now".to_owned()),
        (None, _) => (f64::NAN, String::new()),
    };
    Row {
        key,
        value,
        state,
        detail: (!value.is_nan()).then_some(Detail::Forecast(words)),
    }
}
