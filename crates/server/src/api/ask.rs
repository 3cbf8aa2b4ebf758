//! Questions of the process itself: the data of an endpoint without a connection.
//!
//! The same handlers within the same limits as for a client, on the same threads of low priority.

use std::sync::Arc;

use bellwether_promql::{Guard, Options, Queryable};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::api::analysis::{AnalysisContext, with_context};
use crate::api::endpoints::{Handler, Resource};
use crate::api::query::{HistoryRequest, JobLimits, Parameters, Reply, no_history};
use crate::api::request::joined;
use crate::api::response::{ApiError, internal};
use crate::api::shared::Shared;
use crate::api::view::ViewRequest;

impl Shared {
    /// Returns the `data` that a GET of `path` with the parameters `query` answers.
    ///
    /// # Errors
    /// There is no such endpoint, or its error.
    pub(crate) async fn ask(&self, path: &str, query: &str) -> Result<Value, ApiError> {
        let resource = Resource::find(path).ok_or_else(|| no_data(path))?;
        let endpoint = resource.endpoint(&Method::GET);
        let parameters = Parameters::new(query, b"");
        match endpoint.ok_or_else(|| no_data(path))?.handler {
            Handler::View(view) => self.ask_view(parameters, view).await,
            Handler::History(answer) => {
                let value = resource.path_parameter(path).unwrap_or_default().to_owned();
                self.ask_history(parameters, value, answer).await
            }
            Handler::Analysis(analyse) => self.ask_analysis(parameters, analyse).await,
            Handler::Job(job) => {
                let backend = Arc::clone(&self.backend);
                let work = self.jobs.run(self.limits(), move |guard| {
                    job(&parameters, &*backend, guard)
                });
                Ok(work.await?.value)
            }
            Handler::Respond(_) => Err(no_data(path)),
        }
    }

    async fn ask_view(
        &self,
        parameters: Parameters,
        view: fn(&ViewRequest<'_>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let (backend, stats) = (Arc::clone(&self.backend), Arc::clone(&self.stats));
        let data = self.threads.spawn(move || {
            view(&ViewRequest {
                parameters: &parameters,
                backend: &*backend,
                stats: &stats,
                now: backend.now(),
            })
        });
        joined(data).await?
    }

    async fn ask_history(
        &self,
        parameters: Parameters,
        path_parameter: String,
        answer: HistoryAnswer,
    ) -> Result<Value, ApiError> {
        let history = self.backend.history().ok_or_else(no_history)?;
        let request = HistoryRequest {
            parameters,
            path_parameter,
            now: self.backend.now().wall,
            lookback: **self.access.load().query.lookback,
            backend: Arc::clone(&self.backend),
        };
        let reply = self.jobs.run(self.limits(), move |guard| {
            answer(&request, &*history, guard)?
                .into_data()
                .map_err(|error| internal(error.to_string()))
        });
        Ok(reply.await?.value)
    }

    async fn ask_analysis(
        &self,
        parameters: Parameters,
        analyse: fn(&Parameters, &AnalysisContext<'_>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let history = self.backend.history().ok_or_else(no_history)?;
        let backend = Arc::clone(&self.backend);
        let options = Options {
            lookback: **self.access.load().query.lookback,
            ..Options::default()
        };
        let data = self.jobs.run(self.limits(), move |guard| {
            with_context(&*backend, &*history, guard, options, |context| {
                analyse(&parameters, context)
            })
        });
        Ok(data.await?.value)
    }

    fn limits(&self) -> JobLimits {
        let access = self.access.load();
        let longest = access.query.time(**access.limits.request_timeout);
        access.query.limits(longest)
    }
}

/// Handler of an endpoint that reads history.
type HistoryAnswer = fn(&HistoryRequest, &dyn Queryable, &Guard) -> Result<Reply, ApiError>;

fn no_data(path: &str) -> ApiError {
    let message = format!("no endpoint with data: {path}");
    ApiError::new(StatusCode::NOT_FOUND, message)
}
