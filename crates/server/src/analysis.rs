//! What the API tells of series over time: from parameters and samples to JSON.
//!
//! Pure but for the samples, which are read through [`Desk::source`]; called where work may block.

mod advice;
mod ahead;
mod course;
mod params;
mod select;
mod state;
#[cfg(test)]
mod tests;
mod together;

use std::sync::Arc;

use bellwether_analysis::anomaly;
use bellwether_analysis::bottleneck::Bottleneck;
use bellwether_analysis::health::HealthSettings;
use bellwether_core::{Alert, MetricDef, UnixMillis};
use bellwether_promql::{Guard, Options, Queryable};
use hyper::body::Incoming;
use serde_json::Value;

use super::answer::{Answer, Trouble};
use super::backend::{Backend, Health, RuleView};
use super::handler::{Asked, Shared};
use super::query::{Parameters, Reply};

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Analysis {
    Trends,
    Baseline,
    Anomalies,
    Forecast,
    Correlations,
    Bottlenecks,
    Score,
    Advise,
}

/// How the declaration wants series to be judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What may hold things back.
    pub bottlenecks: Arc<[Bottleneck]>,
    /// What costs how much of the health score.
    pub health: HealthSettings,
    /// How anomalies are found.
    pub anomalies: anomaly::Settings,
}

/// What an answer is made from.
pub(super) struct Desk<'a> {
    pub(super) source: &'a dyn Queryable,
    pub(super) now: UnixMillis,
    pub(super) guard: &'a Guard,
    pub(super) options: Options,
    pub(super) metrics: &'a [MetricDef],
    pub(super) judgement: &'a Judgement,
    pub(super) alerts: &'a [Arc<Alert>],
    pub(super) rules: &'a [RuleView],
    pub(super) health: &'a Health,
}

impl Analysis {
    /// The `data` of its answer.
    pub(super) fn answer(self, params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
        match self {
            Self::Trends => course::trends(params, desk),
            Self::Baseline => course::baseline(params, desk),
            Self::Anomalies => course::anomalies(params, desk),
            Self::Forecast => ahead::forecast(params, desk),
            Self::Correlations => together::correlations(params, desk),
            Self::Bottlenecks => state::bottlenecks(params, desk),
            Self::Score => state::score(params, desk),
            Self::Advise => advice::advise(params, desk),
        }
    }
}

impl Shared {
    /// Answers `what` from history.
    ///
    /// # Errors
    /// What makes no sense about it, or why there is no answer.
    pub(super) async fn analyse(
        &self,
        what: Analysis,
        asked: &Asked<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<Answer, Trouble> {
        let backend = Arc::clone(&self.backend);
        let lookback = **asked.access.query.lookback;
        let work = move |parameters: &Parameters, source: &dyn Queryable, guard: &Guard| {
            let options = Options {
                lookback,
                ..Options::default()
            };
            what.tell(parameters, source, guard, options, &*backend)
        };
        self.work(asked, body, work).await
    }
}

impl Analysis {
    fn tell(
        self,
        parameters: &Parameters,
        source: &dyn Queryable,
        guard: &Guard,
        options: Options,
        backend: &dyn Backend,
    ) -> Result<Reply, Trouble> {
        let store = backend.store();
        let desk = Desk {
            source,
            now: backend.now().wall,
            guard,
            options,
            metrics: store.metrics(),
            judgement: &backend.judgement(),
            alerts: &backend.alerts(),
            rules: &backend.rules(),
            health: &backend.health(),
        };
        Ok(Reply::json(&self.answer(parameters, &desk)?))
    }
}
