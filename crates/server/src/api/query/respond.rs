//! Responses from history, each made by a job.

use bellwether_promql::{Guard, Queryable};
use hyper::StatusCode;
use serde_json::Value;

use super::jobs::{JobOutput, Limits};
use super::params::Parameters;
use super::request::{HistoryRequest, Reply};
use crate::api::endpoints::parameter::{Parameter, duration};
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::backend::Backend;
use crate::net::body::ResponseBody;
use crate::net::negotiate::Coding;
use crate::net::permits::Permit;

/// Parameter of every response that a job makes.
pub(crate) const TIMEOUT: Parameter =
    duration("timeout", "longest time, at most that of the settings");

/// Responds with what `answer` returns.
///
/// # Errors
/// The error of `answer`, or that it cannot be done now.
pub(crate) async fn respond(
    request: &mut RequestContext<'_>,
    answer: fn(&HistoryRequest, &dyn Queryable, &Guard) -> Result<Reply, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let backend = request.backend();
    let path_parameter = request.path_parameter().to_owned();
    let (now, lookback) = (backend.now().wall, **request.access.query.lookback);
    run_job(
        request,
        move |parameters: Parameters, source: &dyn Queryable, guard: &Guard| {
            let request = HistoryRequest {
                parameters,
                path_parameter,
                now,
                lookback,
                backend,
            };
            answer(&request, source, guard)
        },
    )
    .await
}

/// Responds with the `data` that `job` returns.
///
/// # Errors
/// The error of `job`, or that it cannot be done now.
pub(crate) async fn respond_with_job(
    request: &mut RequestContext<'_>,
    job: fn(&Parameters, &dyn Backend, &Guard) -> Result<Value, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let (parameters, backend) = (request.parameters(), request.backend());
    let limits = request.job_limits(&parameters)?;
    let jobs = &request.shared.jobs;
    let output = jobs.run(limits, move |guard| job(&parameters, &*backend, guard));
    let data = output.await?.value;
    let permit = request.permit().await?;
    Ok(response::success(&data, coding, Some(permit)))
}

/// Runs `work` on the parameters and history as a job, and responds with its reply.
///
/// # Errors
/// The error of `work`, or that it cannot be done now.
pub(crate) async fn run_job(
    request: &mut RequestContext<'_>,
    work: impl FnOnce(Parameters, &dyn Queryable, &Guard) -> Result<Reply, ApiError> + Send + 'static,
) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let history = request.shared.backend.history().ok_or_else(no_history)?;
    let parameters = request.form_parameters().await?;
    let limits = request.job_limits(&parameters)?;
    let output = request
        .shared
        .jobs
        .run(limits, move |guard: &Guard| {
            work(parameters, &*history, guard)
        })
        .await?;
    // The job keeps its slot until then, so that output that is not sent is bounded.
    let permit = request.permit().await?;
    let (body, coding) = body(output, coding, permit)
        .map_err(|error| internal(format!("cannot compress the answer: {error}")))?;
    let mut response = response::base(StatusCode::OK, response::JSON, body);
    response::set_coding(&mut response, coding);
    Ok(response)
}

fn body(
    output: JobOutput<Reply>,
    coding: Coding,
    permit: Permit,
) -> std::io::Result<(ResponseBody, Coding)> {
    match output.value {
        Reply::Short(text) => ResponseBody::compressed(text, coding, Some(permit)),
        Reply::Long(text) => {
            let text = Box::new(text.charged_to(output.guard));
            Ok((ResponseBody::streamed(text, coding, permit)?, coding))
        }
    }
}

impl RequestContext<'_> {
    /// Limits of a job for this request: those of the settings, or a shorter `timeout`.
    ///
    /// # Errors
    /// `timeout` is not a duration.
    pub(crate) fn job_limits(&self, parameters: &Parameters) -> Result<Limits, ApiError> {
        let settings = &self.access.query;
        let max = settings.time(**self.access.limits.request_timeout);
        let requested = parameters.duration(TIMEOUT.name)?.unwrap_or(max);
        Ok(settings.limits(requested.min(max)))
    }
}

/// Returns the error of an agent without history.
pub(crate) fn no_history() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "history is disabled, so there is nothing to query",
    )
    .hint("set trend_analysis: {enabled: true} and restart")
}
