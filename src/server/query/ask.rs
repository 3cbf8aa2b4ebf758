//! From a request's head and body to an answer from history.

use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::params::Parameters;
use super::views::{self, Past, Question, Reply};
use crate::promql::{Guard, Queryable};
use crate::server::access::Access;
use crate::server::answer::{self, Answer, Trouble};
use crate::server::body::{self, Outgoing};
use crate::server::handler::{Shared, not_acceptable, read_body};
use crate::server::negotiate::coding;

impl Shared {
    /// Answers `what` from history.
    ///
    /// # Errors
    /// What makes no sense about it, or why it cannot be answered now.
    pub(in crate::server) async fn ask(
        &self,
        what: Past,
        access: &Access,
        parts: &Parts,
        request: &body::Request,
        body: Incoming,
    ) -> Result<Answer, Trouble> {
        let path = parts.uri.path().to_owned();
        let (now, lookback) = (self.backend.now().wall, **access.query.lookback);
        let work = move |parameters: &Parameters, source: &dyn Queryable, guard: &Guard| {
            let parameters = parameters.clone();
            views::answer(&Question { what, path, parameters, now, lookback }, source, guard)
        };
        self.work(access, parts, request, body, work).await
    }

    /// Makes an answer of the parameters and of history, as a job.
    ///
    /// # Errors
    /// What `work` says, or why it cannot be done now.
    pub(in crate::server) async fn work(
        &self,
        access: &Access,
        parts: &Parts,
        request: &body::Request,
        body: Incoming,
        work: impl FnOnce(&Parameters, &dyn Queryable, &Guard) -> Result<Reply, Trouble>
        + Send
        + 'static,
    ) -> Result<Answer, Trouble> {
        let coding = coding(&parts.headers).ok_or_else(not_acceptable)?;
        let history = self.backend.history().ok_or_else(no_history)?;
        let form =
            if is_form(parts) { read_body(access, request, body).await? } else { Bytes::new() };
        let parameters = Parameters::new(parts.uri.query().unwrap_or_default(), &form);
        let query = &access.query;
        let most = query.time(**access.limits.request_timeout);
        let wanted = parameters.duration("timeout")?.unwrap_or(most);
        let limits = query.limits(wanted.min(most));
        let work = move |guard: &Guard| work(&parameters, &*history, guard);
        let made = self.jobs.run(limits, work).await?;
        // Until it may leave, others wait: what is made and not sent is bounded.
        let permit = self.permit().await?;
        let failed = |error| {
            let message = format!("cannot compress the answer: {error}");
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let (body, coding) = match made.value {
            Reply::Short(text) => Outgoing::coded(text, coding, Some(permit)).map_err(failed)?,
            Reply::Long(text) => {
                let text = Box::new(text.on_account_of(made.guard));
                (Outgoing::page(text, coding, permit).map_err(failed)?, coding)
            }
        };
        let mut answer = answer::base(StatusCode::OK, answer::JSON, body);
        answer::set_coding(&mut answer, coding);
        Ok(answer)
    }
}

/// Whether the body holds parameters.
fn is_form(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    parts.method == Method::POST && media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn no_history() -> Trouble {
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no history is kept, so there is nothing to query",
    )
    .hint("set trend_analysis: {enabled: true} and start again")
}
