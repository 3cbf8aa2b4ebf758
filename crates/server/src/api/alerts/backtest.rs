//! `/api/v1/backtest`.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_promql::Guard;
use serde::Deserialize;

use super::route::parse_time;
use crate::api::endpoints::parameter::{Parameter, text, time};
use crate::api::query::bad_data;
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse};
use crate::backend::Backtest;

pub(crate) const BACKTEST: &[Parameter] = &[
    text("rule", "a rule as YAML").in_body().required(),
    time("from", "start; a week before `to` by default").in_body(),
    time("to", "end; now by default").in_body(),
];

/// Length of the time range by default.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Body of `POST /api/v1/backtest`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BacktestRequest {
    rule: String,
    from: Option<String>,
    to: Option<String>,
}

/// Responds with the alerts that a rule would have had, within the limits of a query.
///
/// # Errors
/// The rule or the range is invalid, or there is no history.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let backend = request.backend();
    let backtest = parse(&body, backend.now().wall)?;
    let coding = request.coding()?;
    let limits = request.job_limits(&request.parameters())?;
    let work = move |guard: &Guard| Ok(backend.backtest(&backtest, guard)?);
    let output = request.shared.jobs.run(limits, work).await?;
    let permit = request.permit().await?;
    Ok(response::success(&output.value, coding, Some(permit)))
}

fn parse(body: &[u8], now: UnixMillis) -> Result<Backtest, ApiError> {
    let BacktestRequest { rule, from, to } =
        serde_json::from_slice(body).map_err(|error| bad_data(error.to_string()))?;
    let time = |text: Option<String>| text.map(|text| parse_time(&text)).transpose();
    let to = time(to)?.unwrap_or(now).min(now);
    let from = time(from)?.unwrap_or_else(|| to.before(WEEK));
    if from >= to {
        return Err(bad_data("from is not before to"));
    }
    Ok(Backtest { rule, from, to })
}
