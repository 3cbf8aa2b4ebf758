//! Requests that are answered from history.

use bellwether_promql::{Guard, Queryable};
use hyper::StatusCode;
use hyper::body::Incoming;

use super::params::Parameters;
use super::views::{self, HistoryEndpoint, HistoryRequest, Reply};
use crate::api::form;
use crate::api::handler::{RequestContext, Shared};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::net::body::ResponseBody;

impl Shared {
    /// Answers a query of history.
    ///
    /// # Errors
    /// The request is invalid, or it cannot be answered now.
    pub(crate) async fn query_history(
        &self,
        endpoint: HistoryEndpoint,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<HttpResponse, ApiError> {
        let path = request.path.to_owned();
        let (now, lookback) = (self.backend.now().wall, **request.access.query.lookback);
        let oldest = match endpoint {
            HistoryEndpoint::Tsdb => self
                .backend
                .health()
                .history
                .and_then(|history| history.oldest),
            _ => None,
        };
        let work = move |parameters: &Parameters, source: &dyn Queryable, guard: &Guard| {
            let parameters = parameters.clone();
            let history_request = HistoryRequest {
                endpoint,
                path,
                parameters,
                now,
                lookback,
                oldest,
            };
            views::respond(&history_request, source, guard)
        };
        self.run_job(request, body, work).await
    }

    /// Runs `work` on the parameters and history as a job.
    ///
    /// # Errors
    /// The error of `work`, or that it cannot be done now.
    pub(crate) async fn run_job(
        &self,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
        work: impl FnOnce(&Parameters, &dyn Queryable, &Guard) -> Result<Reply, ApiError>
        + Send
        + 'static,
    ) -> Result<HttpResponse, ApiError> {
        let access = request.access;
        let coding = request.coding()?;
        let history = self.backend.history().ok_or_else(no_history)?;
        let parameters = form::parameters(request, body).await?;
        let query = &access.query;
        let max = query.time(**access.limits.request_timeout);
        let requested = parameters.duration("timeout")?.unwrap_or(max);
        let limits = query.limits(requested.min(max));
        let work = move |guard: &Guard| work(&parameters, &*history, guard);
        let output = self.jobs.run(limits, work).await?;
        // The job keeps its slot until then, so that output that is not sent is bounded.
        let permit = self.permit(request).await?;
        let failed = |error| {
            let message = format!("cannot compress the answer: {error}");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let (body, coding) = match output.value {
            Reply::Short(text) => {
                ResponseBody::compressed(text, coding, Some(permit)).map_err(failed)?
            }
            Reply::Long(text) => {
                let text = Box::new(text.charged_to(output.guard));
                (
                    ResponseBody::streamed(text, coding, permit).map_err(failed)?,
                    coding,
                )
            }
        };
        let mut response = response::base(StatusCode::OK, response::JSON, body);
        response::set_coding(&mut response, coding);
        Ok(response)
    }
}

fn no_history() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "history is disabled, so there is nothing to query",
    )
    .hint("set trend_analysis: {enabled: true} and restart")
}
