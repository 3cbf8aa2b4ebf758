//! `/api/v1/format_query` and `/api/v1/parse_query`: expressions that are not evaluated.

use bellwether_promql::{Query, parse};
use serde_json::Value;

use super::params::{Parameters, invalid};
use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;

pub(crate) const PARAMETERS: &[Parameter] = &[text("query", "PromQL expression").required()];

/// Returns the expression as it is usually written.
///
/// # Errors
/// It is invalid.
pub(crate) fn view_formatted(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let pretty = query(request.parameters)?.pretty();
    Ok(Value::String(pretty))
}

/// Returns the expression as a tree.
///
/// # Errors
/// It is invalid.
pub(crate) fn view_tree(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(query(request.parameters)?.tree())
}

fn query(parameters: &Parameters) -> Result<Query, ApiError> {
    parse(parameters.text("query")).map_err(|error| invalid("query", &error.to_string()))
}
