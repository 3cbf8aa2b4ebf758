//! From a request's head and body to an answer from history.

use bellwether_promql::{Guard, Queryable};
use hyper::StatusCode;
use hyper::body::Incoming;

use super::params::Parameters;
use super::views::{self, Past, Question, Reply};
use crate::answer::{self, Answer, Trouble};
use crate::body::Outgoing;
use crate::form;
use crate::handler::{Asked, Shared};

impl Shared {
    /// Answers `what` from history.
    ///
    /// # Errors
    /// What makes no sense about it, or why it cannot be answered now.
    pub(crate) async fn ask(
        &self,
        what: Past,
        asked: &Asked<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<Answer, Trouble> {
        let path = asked.path.to_owned();
        let (now, lookback) = (self.backend.now().wall, **asked.access.query.lookback);
        let oldest = match what {
            Past::Tsdb => self
                .backend
                .health()
                .history
                .and_then(|history| history.oldest),
            _ => None,
        };
        let work = move |parameters: &Parameters, source: &dyn Queryable, guard: &Guard| {
            let parameters = parameters.clone();
            let question = Question {
                what,
                path,
                parameters,
                now,
                lookback,
                oldest,
            };
            views::answer(&question, source, guard)
        };
        self.work(asked, body, work).await
    }

    /// Makes an answer of the parameters and of history, as a job.
    ///
    /// # Errors
    /// What `work` says, or why it cannot be done now.
    pub(crate) async fn work(
        &self,
        asked: &Asked<'_>,
        body: &mut Option<Incoming>,
        work: impl FnOnce(&Parameters, &dyn Queryable, &Guard) -> Result<Reply, Trouble>
        + Send
        + 'static,
    ) -> Result<Answer, Trouble> {
        let access = asked.access;
        let coding = asked.coding()?;
        let history = self.backend.history().ok_or_else(no_history)?;
        let parameters = form::parameters(asked, body).await?;
        let query = &access.query;
        let most = query.time(**access.limits.request_timeout);
        let wanted = parameters.duration("timeout")?.unwrap_or(most);
        let limits = query.limits(wanted.min(most));
        let work = move |guard: &Guard| work(&parameters, &*history, guard);
        let made = self.jobs.run(limits, work).await?;
        // Until it may leave, others wait: what is made and not sent is bounded.
        let permit = self.permit(asked).await?;
        let failed = |error| {
            let message = format!("cannot compress the answer: {error}");
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        };
        let (body, coding) = match made.value {
            Reply::Short(text) => Outgoing::coded(text, coding, Some(permit)).map_err(failed)?,
            Reply::Long(text) => {
                let text = Box::new(text.on_account_of(made.guard));
                (
                    Outgoing::page(text, coding, permit).map_err(failed)?,
                    coding,
                )
            }
        };
        let mut answer = answer::base(StatusCode::OK, answer::JSON, body);
        answer::set_coding(&mut answer, coding);
        Ok(answer)
    }
}

fn no_history() -> Trouble {
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no history is kept, so there is nothing to query",
    )
    .hint("set trend_analysis: {enabled: true} and start again")
}
