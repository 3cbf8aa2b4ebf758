//! Analysis of series over time: from parameters and samples to JSON.
//!
//! Pure but for the samples, which are read through [`AnalysisContext::source`]; called on blocking
//! threads.

pub(crate) mod bottlenecks;
pub(crate) mod correlations;
pub(crate) mod forecast;
mod params;
pub(crate) mod recommend;
mod select;
#[cfg(test)]
mod tests;
pub(crate) mod trends;

use std::sync::Arc;

use bellwether_analysis::anomaly;
use bellwether_analysis::bottleneck::Bottleneck;
use bellwether_analysis::health::HealthSettings;
use bellwether_core::{Alert, MetricDef, UnixMillis};
use bellwether_promql::{Guard, Options, Queryable};
use serde_json::Value;

use crate::api::query::{Parameters, Reply, run_job};
use crate::api::request::RequestContext;
use crate::api::response::{ApiError, HttpResponse};
use crate::backend::{Backend, Health, RuleView};

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

/// Runs `analyse` on the current state of `backend`.
pub(crate) fn with_context<T>(
    backend: &dyn Backend,
    source: &dyn Queryable,
    guard: &Guard,
    options: Options,
    analyse: impl FnOnce(&AnalysisContext<'_>) -> T,
) -> T {
    let store = backend.store();
    analyse(&AnalysisContext {
        source,
        now: backend.now().wall,
        guard,
        options,
        metrics: store.metrics(),
        analysis_settings: &backend.analysis_settings(),
        alerts: &backend.alerts(),
        rules: &backend.rules(),
        health: &backend.health(),
    })
}

/// Responds with the `data` that `analyse` returns, made by a job.
///
/// # Errors
/// The error of `analyse`, or that it cannot be done now.
pub(crate) async fn respond(
    request: &mut RequestContext<'_>,
    analyse: fn(&Parameters, &AnalysisContext<'_>) -> Result<Value, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let backend = request.backend();
    let options = Options {
        lookback: **request.access.query.lookback,
        ..Options::default()
    };
    run_job(
        request,
        move |parameters: Parameters, source: &dyn Queryable, guard: &Guard| {
            with_context(&*backend, source, guard, options, |context| {
                Ok(Reply::json(&analyse(&parameters, context)?))
            })
        },
    )
    .await
}
