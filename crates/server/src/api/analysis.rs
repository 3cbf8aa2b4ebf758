//! Analysis of series over time: from parameters and samples to JSON.
//!
//! Pure but for the samples, which are read through [`AnalysisContext::source`]; called on blocking
//! threads.

mod bottlenecks;
mod correlations;
mod forecast;
mod params;
mod recommend;
mod select;
#[cfg(test)]
mod tests;
mod trends;

use std::sync::Arc;

use bellwether_analysis::anomaly;
use bellwether_analysis::bottleneck::Bottleneck;
use bellwether_analysis::health::HealthSettings;
use bellwether_core::{Alert, MetricDef, UnixMillis};
use bellwether_promql::{Guard, Options, Queryable};
use hyper::body::Incoming;
use serde_json::Value;

use crate::api::handler::{RequestContext, Shared};
use crate::api::query::{Parameters, Reply};
use crate::api::response::{ApiError, HttpResponse};
use crate::backend::{Backend, Health, RuleView};

/// Analysis endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Analysis {
    Trends,
    Baseline,
    Anomalies,
    Forecast,
    Correlations,
    Bottlenecks,
    Score,
    Advise,
}

/// Settings of the analyses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysisSettings {
    /// Bottlenecks to look for.
    pub bottlenecks: Arc<[Bottleneck]>,
    /// Costs of the parts of the health score.
    pub health: HealthSettings,
    /// Default settings of the anomaly detector.
    pub anomalies: anomaly::Settings,
}

/// Inputs of an analysis.
pub(crate) struct AnalysisContext<'a> {
    pub(crate) source: &'a dyn Queryable,
    pub(crate) now: UnixMillis,
    pub(crate) guard: &'a Guard,
    pub(crate) options: Options,
    pub(crate) metrics: &'a [MetricDef],
    pub(crate) analysis_settings: &'a AnalysisSettings,
    pub(crate) alerts: &'a [Arc<Alert>],
    pub(crate) rules: &'a [RuleView],
    pub(crate) health: &'a Health,
}

impl Analysis {
    /// Returns the `data` of the response.
    pub(crate) fn data(
        self,
        params: &Parameters,
        context: &AnalysisContext<'_>,
    ) -> Result<Value, ApiError> {
        match self {
            Self::Trends => trends::trends(params, context),
            Self::Baseline => trends::baseline(params, context),
            Self::Anomalies => trends::anomalies(params, context),
            Self::Forecast => forecast::forecast(params, context),
            Self::Correlations => correlations::correlations(params, context),
            Self::Bottlenecks => bottlenecks::bottlenecks(params, context),
            Self::Score => bottlenecks::score(params, context),
            Self::Advise => recommend::recommend_threshold(params, context),
        }
    }
}

impl Shared {
    /// Answers a request for an analysis.
    ///
    /// # Errors
    /// The request is invalid, or there is no answer.
    pub(crate) async fn analyse(
        &self,
        analysis: Analysis,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<HttpResponse, ApiError> {
        let backend = Arc::clone(&self.backend);
        let lookback = **request.access.query.lookback;
        let work = move |parameters: &Parameters, source: &dyn Queryable, guard: &Guard| {
            let options = Options {
                lookback,
                ..Options::default()
            };
            analysis.reply(parameters, source, guard, options, &*backend)
        };
        self.run_job(request, body, work).await
    }
}

impl Analysis {
    fn reply(
        self,
        parameters: &Parameters,
        source: &dyn Queryable,
        guard: &Guard,
        options: Options,
        backend: &dyn Backend,
    ) -> Result<Reply, ApiError> {
        let store = backend.store();
        let context = AnalysisContext {
            source,
            now: backend.now().wall,
            guard,
            options,
            metrics: store.metrics(),
            analysis_settings: &backend.analysis_settings(),
            alerts: &backend.alerts(),
            rules: &backend.rules(),
            health: &backend.health(),
        };
        Ok(Reply::json(&self.data(parameters, &context)?))
    }
}
