//! Errors in the body of a 2xx. Pure.
//!
//! Slack and Telegram answer `"ok": false`, Rocket.Chat `"success": false`, Zulip and Splunk On-Call
//! `"result": "error"` or `"failure"`, workflows of Microsoft an object `error`, PagerDuty `errors`,
//! DingTalk and WeCom `errcode`, Feishu `code` with `msg`. Any other body is a success.

use std::time::Duration;

use serde_json::{Map, Value};

use super::message::one_line;

/// Words of a status or result that is a failure.
const FAILURES: [&str; 4] = ["error", "fail", "failed", "failure"];

/// Error that a 2xx response has in its body.
#[derive(Debug, PartialEq)]
pub(super) struct BodyError {
    /// Text of the service.
    pub(super) reason: String,
    /// True if another attempt may succeed.
    pub(super) retryable: bool,
    /// Delay that the service asks for.
    pub(super) retry_after: Option<Duration>,
}

/// Returns the error that `body` describes. A page instead of a response is an error of a
/// `service`: it comes from a proxy or a login form.
pub(super) fn body_error(body: &str, service: bool) -> Option<BodyError> {
    let body = body.trim();
    if service && body.starts_with('<') {
        let reason = "an HTML page instead of a response".to_owned();
        return Some(BodyError {
            reason,
            retryable: true,
            retry_after: None,
        });
    }
    let Ok(Value::Object(fields)) = serde_json::from_str(body) else {
        return None;
    };
    if !is_failure(&fields) {
        return None;
    }
    let reason = match reasons(&fields) {
        reason if reason.is_empty() => body.to_owned(),
        reason => reason,
    };
    Some(BodyError {
        retryable: codes(&fields).any(is_retryable_code) || is_retryable_text(&reason),
        retry_after: retry_after(&fields),
        reason: one_line(&reason, 200),
    })
}

fn is_failure(body: &Map<String, Value>) -> bool {
    let flag = |key| body.get(key).and_then(Value::as_bool);
    let word = |key| {
        body.get(key)
            .and_then(Value::as_str)
            .map(str::to_ascii_lowercase)
    };
    let words = ["status", "result"]
        .map(|key| word(key).is_some_and(|word| FAILURES.contains(&word.as_str())));
    if flag("ok") == Some(false) || flag("success") == Some(false) || words.contains(&true) {
        return true;
    }
    if flag("ok") == Some(true) || flag("success") == Some(true) {
        return false;
    }
    let has_error = |key| match body.get(key) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Object(error)) => !error.is_empty(),
        Some(Value::Array(errors)) => !errors.is_empty(),
        _ => false,
    };
    let number = |key| body.get(key).and_then(Value::as_i64);
    let code = number("code").unwrap_or_default();
    has_error("error")
        || has_error("errors")
        || number("errcode").is_some_and(|code| code != 0)
        || (body.contains_key("msg") && code != 0 && !(200..300).contains(&code))
        || (body.contains_key("message") && code >= 400)
}

/// Returns all texts and codes of the error.
fn reasons(body: &Map<String, Value>) -> String {
    let keys = [
        "error",
        "errors",
        "description",
        "message",
        "messages",
        "msg",
        "errmsg",
        "reason",
    ];
    let mut all: Vec<String> = Vec::new();
    for text in keys
        .into_iter()
        .filter_map(|key| body.get(key))
        .filter_map(reason_text)
    {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    for key in ["error_code", "errcode", "code"] {
        all.extend(
            body.get(key)
                .and_then(reason_text)
                .map(|code| format!("{key} {code}")),
        );
    }
    all.join(", ")
}

fn reason_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) => String::new(),
        Value::Object(error) => match reasons(error) {
            reason if reason.is_empty() => value.to_string(),
            reason => reason,
        },
        Value::Array(all) => all
            .iter()
            .filter_map(reason_text)
            .collect::<Vec<_>>()
            .join(", "),
        Value::Number(number) => number.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Numbers of the body that may be an HTTP status.
fn codes(body: &Map<String, Value>) -> impl Iterator<Item = i64> {
    let inside = body.get("error").and_then(Value::as_object);
    [Some(body), inside].into_iter().flatten().flat_map(|map| {
        ["error_code", "code", "status", "statusCode"]
            .into_iter()
            .filter_map(move |key| {
                map.get(key)
                    .and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()))
            })
    })
}

fn is_retryable_code(code: i64) -> bool {
    code == 408 || code == 429 || (500..600).contains(&code)
}

/// Returns true if the text of an error means that it is retryable.
fn is_retryable_text(reason: &str) -> bool {
    const PASSING: [&str; 12] = [
        "rate limit",
        "ratelimit",
        "too many",
        "too fast",
        "throttle",
        "out of limit",
        "timeout",
        "timed out",
        "unavailable",
        "internal error",
        "try again",
        "temporar",
    ];
    let reason = reason.to_lowercase().replace(['_', '-'], " ");
    PASSING.iter().any(|words| reason.contains(words))
}

/// Returns `retry_after` in seconds, as Discord and Telegram send it.
fn retry_after(body: &Map<String, Value>) -> Option<Duration> {
    let parameters = body
        .get("parameters")
        .and_then(|inside| inside.get("retry_after"));
    let seconds = body.get("retry_after").or(parameters)?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_error(body: &str) -> Option<(String, bool)> {
        body_error(body, true).map(|body_error| (body_error.reason, body_error.retryable))
    }

    #[test]
    fn an_error_has_its_reason() {
        for (body, reason, retryable) in [
            (
                "{\"ok\":false,\"error\":\"not_authed\"}",
                "not_authed",
                false,
            ),
            (
                "{\"ok\":false,\"error\":\"ratelimited\"}",
                "ratelimited",
                true,
            ),
            (
                "{\"ok\":false,\"error\":\"internal_error\"}",
                "internal_error",
                true,
            ),
            (
                "{\"ok\":false,\"error_code\":502,\"description\":\"Bad Gateway\"}",
                "Bad Gateway, error_code 502",
                true,
            ),
            ("{\"success\":false}", "{\"success\":false}", false),
            (
                "{\"result\":\"failure\",\"message\":\"no such key\"}",
                "no such key",
                false,
            ),
            (
                "{\"status\":\"error\",\"errors\":[\"a\",\"b\"]}",
                "a, b",
                false,
            ),
            (
                "{\"error\":{\"code\":\"429\",\"message\":\"slow down\"}}",
                "slow down, code 429",
                true,
            ),
            (
                "{\"errcode\":310000,\"errmsg\":\"bad sign\"}",
                "bad sign, errcode 310000",
                false,
            ),
            (
                "{\"code\":19024,\"msg\":\"Key Words Not Found\"}",
                "Key Words Not Found, code 19024",
                false,
            ),
            (
                "{\"code\":40301,\"message\":\"no access\"}",
                "no access, code 40301",
                false,
            ),
            (" <html>", "an HTML page instead of a response", true),
        ] {
            assert_eq!(
                has_error(body),
                Some((reason.to_owned(), retryable)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_says_nothing_of_a_failure_is_a_success() {
        for body in [
            "",
            "ok",
            "1",
            "[]",
            "{}",
            "{\"ok\":true,\"error\":\"none\"}",
            "{\"status\":\"success\",\"errors\":[]}",
            "{\"status\":\"firing\"}",
            "{\"error\":null,\"errors\":\"\"}",
            "{\"errcode\":0,\"errmsg\":\"ok\"}",
            "{\"code\":0,\"msg\":\"success\"}",
            "{\"code\":200,\"message\":\"queued\"}",
            "{\"result\":\"Request will be processed\",\"took\":0.1}",
            "{\"id\":\"1\",\"content\":\"error\"}",
        ] {
            assert_eq!(has_error(body), None, "{body}");
        }
        assert_eq!(body_error("<html>", false), None);
    }

    #[test]
    fn a_delay_is_read_from_the_body() {
        let wait = |body| body_error(body, true).unwrap().retry_after;
        let seconds = Some(Duration::from_secs(7));
        assert_eq!(
            wait("{\"ok\":false,\"parameters\":{\"retry_after\":7}}"),
            seconds
        );
        assert_eq!(wait("{\"ok\":false,\"retry_after\":7}"), seconds);
        assert_eq!(wait("{\"ok\":false,\"retry_after\":-7}"), None);
    }
}
