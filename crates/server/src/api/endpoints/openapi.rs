//! OpenAPI 3.1 document of all endpoints, from the table.

use std::sync::LazyLock;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::Endpoint;
use super::answer::{Answer, Field, Shape};
use super::parameter::{Necessity, Parameter, ParameterKind, Place};
use super::resource::Resource;
use crate::api::VERSION;
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse};
use crate::auth::role::Role;

const DESCRIPTION: &str = "\
Answers of `/api` are `{\"status\": \"success\", \"data\": ...}`, errors `{\"status\": \"error\", \"errorType\": ..., \"error\": ...}`. \
A time is in RFC 3339 or, in a query, in Unix seconds; a duration a text such as `1h30m` or, in a query, a number of seconds. \
A number that JSON cannot express is the text `NaN`, `+Inf` or `-Inf`.";

/// Durations as a text.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w|y))+$";

/// Responds with the document.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    let coding = request.coding()?;
    Ok(response::json(TEXT.clone().into_bytes(), coding, None))
}

/// Returns the document.
fn document() -> Value {
    let paths: Map<String, Value> = Resource::all()
        .map(|resource| (braced(resource.path), path(&resource)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bellwether",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        // Relative to the document, so that it is right behind a proxy too.
        "servers": [{"url": "../.."}],
        "paths": paths,
        "components": components(),
    })
}

fn components() -> Value {
    let error = json!({
        "type": "object",
        "properties": {
            "status": {"const": "error"},
            "errorType": {"type": "string"},
            "error": {"type": "string"},
        },
        "required": ["status", "errorType", "error"],
        "additionalProperties": false,
    });
    let number = json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "+Inf", "-Inf"]}]});
    let of = |description: &str, content: &Value| json!({"description": description, "content": content});
    let json = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
    let text = json!({"text/plain": {"schema": {"type": "string"}}});
    json!({
        "schemas": {"Error": error, "Number": number},
        "responses": {
            "Error": of("the error, and how to fix it", &json),
            "TextError": of("the error, and how to fix it", &text),
        },
        "securitySchemes": {
            "password": {
                "type": "http",
                "scheme": "basic",
                "description": "User of `basic_auth_users`, if there are users.",
            },
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Token of `prometheus.control`, which has a role.",
            },
        },
    })
}

/// Returns a path with its placeholder in braces.
fn braced(path: &str) -> String {
    path.replace('<', "{").replace('>', "}")
}

fn path(resource: &Resource) -> Value {
    let operations = resource.endpoints().iter().flat_map(|endpoint| {
        let methods = endpoint.methods.iter();
        let methods = methods.filter(|method| **method != Method::HEAD);
        methods.map(move |method| {
            let name = method.as_str().to_ascii_lowercase();
            let operation = operation(endpoint, method, &name);
            (name, operation)
        })
    });
    operations.collect::<Map<String, Value>>().into()
}

fn operation(endpoint: &Endpoint, method: &Method, method_name: &str) -> Value {
    // The query of a POST may be a form.
    let has_form = *method == Method::POST && endpoint.methods.contains(&Method::GET);
    let parameters = endpoint
        .parameters()
        .filter(|parameter| match parameter.place {
            Place::Path => true,
            Place::Query => !has_form,
            Place::Body | Place::WholeBody => false,
        });
    let mut operation = json!({
        "operationId": operation_id(method_name, endpoint.path),
        "summary": endpoint.summary,
        "parameters": parameters.map(parameter).collect::<Vec<_>>(),
        "responses": responses(endpoint),
        "security": security(endpoint.role),
    });
    if let Some(role) = endpoint.role {
        operation["x-role"] = role.as_str().into();
    }
    if let Some(body) = body(endpoint, has_form) {
        operation["requestBody"] = body;
    }
    operation
}

/// Returns a name for generators of clients: `get_api_v1_label_name_values`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    [method]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

/// Returns the ways to prove a role. None of them is needed where the address of the client gives it.
fn security(role: Option<Role>) -> Value {
    match role {
        None => json!([]),
        Some(_) => json!([{}, {"password": []}, {"token": []}]),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query | Place::Body | Place::WholeBody => "query",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.necessity == Necessity::Required,
        "description": parameter.description,
        "schema": schema_of(parameter),
    })
}

/// Returns the body of a request, if it has one.
fn body(endpoint: &Endpoint, has_form: bool) -> Option<Value> {
    let place = if has_form { Place::Query } else { Place::Body };
    let media = if has_form {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let whole = endpoint
        .parameters()
        .find(|one| one.place == Place::WholeBody);
    let fields: Vec<&Parameter> = endpoint
        .parameters()
        .filter(|one| one.place == place)
        .collect();
    let schema = match whole {
        Some(whole) => schema_of(whole),
        None if fields.is_empty() => return None,
        None => object(&fields),
    };
    Some(json!({
        "required": whole.is_some() || fields.iter().any(|one| one.necessity == Necessity::Required),
        "content": {media: {"schema": schema}},
    }))
}

fn object(fields: &[&Parameter]) -> Value {
    let required = fields
        .iter()
        .filter(|field| field.necessity == Necessity::Required);
    let properties = fields.iter().map(|field| {
        let mut schema = schema_of(field);
        schema["description"] = json!(field.description);
        (field.name.to_owned(), schema)
    });
    json!({
        "type": "object",
        "properties": properties.collect::<Map<String, Value>>(),
        "required": required.map(|field| field.name).collect::<Vec<_>>(),
    })
}

fn schema_of(parameter: &Parameter) -> Value {
    let one = kind_schema(parameter.kind, parameter.place == Place::Body);
    if parameter.repeats {
        // In a query or a form a list of one is that one.
        json!({"anyOf": [{"type": "array", "items": one}, one]})
    } else {
        one
    }
}

/// Returns the schema of a value in JSON, or of one in a query or a form. There an empty one counts as
/// absent, as in Prometheus.
fn kind_schema(kind: ParameterKind, in_json: bool) -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    let duration = json!({"type": "string", "pattern": DURATION});
    let number = json!({"type": "number"});
    let (in_both, only_in_query) = match kind {
        ParameterKind::Text => return json!({"type": "string"}),
        ParameterKind::List => return json!({"type": "array"}),
        ParameterKind::Object => return json!({"type": "object"}),
        ParameterKind::Number => (number, None),
        ParameterKind::Count => (json!({"type": "integer", "minimum": 0}), None),
        ParameterKind::Boolean => (
            json!({"type": "boolean"}),
            Some(json!({"enum": ["1", "0", "t", "f"]})),
        ),
        ParameterKind::Time => (time, Some(number)),
        ParameterKind::Duration => (duration, Some(number)),
    };
    if in_json {
        return in_both;
    }
    let empty = json!({"type": "string", "maxLength": 0});
    let any_of: Vec<Value> = [in_both, empty].into_iter().chain(only_in_query).collect();
    json!({ "anyOf": any_of })
}

fn responses(endpoint: &Endpoint) -> Value {
    let error = match endpoint.answer {
        Answer::Protocol => json!({"description": "the error, in the format of the protocol"}),
        _ if endpoint.path.starts_with("/api/") => json!({"$ref": "#/components/responses/Error"}),
        _ => json!({"$ref": "#/components/responses/TextError"}),
    };
    let success = |content: Value| json!({"description": endpoint.summary, "content": content});
    let (status, success) = match endpoint.answer {
        Answer::Text => (
            "200",
            success(json!({"text/*": {"schema": {"type": "string"}}})),
        ),
        Answer::WebSocket => (
            "101",
            json!({"description": "messages follow, as docs/http-api.md has them"}),
        ),
        Answer::Protocol => ("2XX", json!({"description": endpoint.summary})),
        Answer::Document => (
            "200",
            success(json!({"application/json": {"schema": {"type": "object"}}})),
        ),
        Answer::Data(shape) => (
            "200",
            success(json!({"application/json": {"schema": envelope(shape)}})),
        ),
    };
    let mut responses = json!({"default": error});
    if let Some(status) = endpoint.error_with_data {
        responses[status.to_string()] = success.clone();
    }
    responses[status] = success;
    responses
}

/// Returns the schema of an answer with `data` of this shape.
fn envelope(data: &Shape) -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    json!({
        "type": "object",
        "properties": {
            "status": {"const": "success"},
            "data": shape_schema(data),
            "warnings": texts,
            "infos": texts,
        },
        "required": ["status", "data"],
        "additionalProperties": false,
    })
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Number => json!({"$ref": "#/components/schemas/Number"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Time => json!({"type": "string", "format": "date-time"}),
        Shape::Any => json!({}),
        Shape::Nullable(shape) => json!({"anyOf": [shape_schema(shape), {"type": "null"}]}),
        Shape::List(shape) => json!({"type": "array", "items": shape_schema(shape)}),
        Shape::Map(shape) => {
            json!({"type": "object", "additionalProperties": shape_schema(shape)})
        }
        Shape::Object(fields) => object_schema(fields),
    }
}

fn object_schema(fields: &[Field]) -> Value {
    let properties = fields
        .iter()
        .map(|field| (field.name.to_owned(), shape_schema(&field.shape)));
    let required = fields.iter().filter(|field| !field.optional);
    json!({
        "type": "object",
        "properties": properties.collect::<Map<String, Value>>(),
        "required": required.map(|field| field.name).collect::<Vec<_>>(),
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::api::endpoints::ENDPOINTS;

    #[test]
    fn every_row_has_its_operations_with_a_name_of_their_own() {
        let document = document();
        let mut names = HashSet::new();
        for endpoint in ENDPOINTS {
            let path = &document["paths"][braced(endpoint.path)];
            for method in endpoint
                .methods
                .iter()
                .filter(|method| **method != Method::HEAD)
            {
                let operation = &path[method.as_str().to_ascii_lowercase()];
                let name = operation["operationId"].as_str().unwrap_or_default();
                assert!(names.insert(name), "{method} {}: {name:?}", endpoint.path);
            }
        }
    }

    #[test]
    fn parameters_are_in_the_query_in_a_form_or_in_json() {
        let paths = document()["paths"].take();
        let query = &paths["/api/v1/query"];
        let parameter = &query["get"]["parameters"][0];
        assert_eq!(parameter["name"], "query");
        assert_eq!(
            (&parameter["in"], &parameter["required"]),
            (&json!("query"), &json!(true))
        );
        assert_eq!(query["post"]["parameters"], json!([]));
        let form = &query["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"];
        assert_eq!(form["schema"]["required"], json!(["query"]));
        let silence = &paths["/api/v1/silences"]["post"]["requestBody"];
        assert_eq!(silence["required"], true);
        let body = &silence["content"]["application/json"]["schema"];
        assert_eq!(body["properties"]["ends_at"]["format"], "date-time");
        let records = &paths["/api/v1/record"]["post"]["requestBody"]["content"];
        assert_eq!(records["application/json"]["schema"]["type"], "array");
        let path = &paths["/api/v1/label/{name}/values"]["get"]["parameters"][0];
        assert_eq!(
            (&path["in"], &path["required"]),
            (&json!("path"), &json!(true))
        );
    }

    #[test]
    fn answers_have_the_shape_of_the_table() {
        let paths = document()["paths"].take();
        let answer = &paths["/api/v1/alerts"]["get"]["responses"]["200"]["content"];
        let schema = &answer["application/json"]["schema"];
        let alert = &schema["properties"]["data"]["properties"]["alerts"]["items"];
        assert_eq!(alert["properties"]["activeAt"]["format"], "date-time");
        assert!(
            alert["required"]
                .as_array()
                .is_some_and(|keys| keys.contains(&json!("rule")))
        );
        assert!(
            !alert["required"]
                .as_array()
                .is_some_and(|keys| keys.contains(&json!("silencedBy")))
        );
        assert!(paths["/ws"]["get"]["responses"]["101"].is_object());
        assert_eq!(paths["/-/healthy"]["get"]["security"], json!([]));
    }
}
