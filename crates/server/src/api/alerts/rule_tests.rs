//! `/api/v1/rules/test`.

use bellwether_promql::Guard;
use serde::Deserialize;

use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::query::bad_data;
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse};
use crate::backend::RuleTests;

pub(crate) const RULE_TESTS: &[Parameter] = &[
    text(
        "tests",
        "a test file as YAML, without `rule_files`: the rules of the configuration are tested",
    )
    .in_body()
    .required(),
    text(
        "rule",
        "a rule as YAML, in place of the configured one of its name",
    )
    .in_body(),
];

/// Body of `POST /api/v1/rules/test`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTestsRequest {
    tests: String,
    rule: Option<String>,
}

/// Responds with the results of unit tests of rules, within the limits of a query.
///
/// # Errors
/// The tests or the rule are invalid, or they take too long.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let RuleTestsRequest { tests, rule } =
        serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    let tests = RuleTests { tests, rule };
    let backend = request.backend();
    let coding = request.coding()?;
    let limits = request.job_limits(&request.parameters())?;
    let work = move |guard: &Guard| Ok(backend.test_rules(&tests, guard)?);
    let output = request.shared.jobs.run(limits, work).await?;
    let permit = request.permit().await?;
    Ok(response::success(&output.value, coding, Some(permit)))
}
