//! A 2xx whose body says that it failed. Pure.
//!
//! Slack and Telegram answer `"ok": false`, Rocket.Chat `"success": false`, Zulip and Splunk On-Call
//! `"result": "error"` or `"failure"`, workflows of Microsoft an object `error`, PagerDuty `errors`,
//! DingTalk and WeCom `errcode`, Feishu `code` with `msg`. Whatever says none of this is a success.

use std::time::Duration;

use serde_json::{Map, Value};

use super::brief::one_line;

/// What went wrong in spite of a 2xx.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// In the receiver's own words.
    pub(super) reason: String,
    /// Whether another attempt may succeed.
    pub(super) retryable: bool,
    /// How long the receiver asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// The failure that `body` tells of. A page instead of an answer is one of a `service`: that of a
/// proxy, or where somebody should log in.
pub(super) fn failure(body: &str, service: bool) -> Option<Failure> {
    let body = body.trim();
    if service && body.starts_with('<') {
        let reason = "a page, which is not the service's answer".to_owned();
        return Some(Failure {
            reason,
            retryable: true,
            retry_after: None,
        });
    }
    let Ok(Value::Object(said)) = serde_json::from_str(body) else {
        return None;
    };
    if !failed(&said) {
        return None;
    }
    let reason = match reasons(&said) {
        reason if reason.is_empty() => body.to_owned(),
        reason => reason,
    };
    Some(Failure {
        retryable: codes(&said).any(code_passes) || words_pass(&reason),
        retry_after: wait(&said),
        reason: one_line(&reason, 200),
    })
}

fn failed(said: &Map<String, Value>) -> bool {
    let verdict = |key| said.get(key).and_then(Value::as_bool);
    let word = |key| {
        said.get(key)
            .and_then(Value::as_str)
            .map(str::to_ascii_lowercase)
    };
    let bad = |word: &str| ["error", "fail", "failed", "failure"].contains(&word);
    let words = ["status", "result"].map(|key| word(key).filter(|word| bad(word)).is_some());
    if verdict("ok") == Some(false) || verdict("success") == Some(false) || words.contains(&true) {
        return true;
    }
    if verdict("ok") == Some(true) || verdict("success") == Some(true) {
        return false;
    }
    let told = |key| match said.get(key) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Object(error)) => !error.is_empty(),
        Some(Value::Array(errors)) => !errors.is_empty(),
        _ => false,
    };
    let number = |key| said.get(key).and_then(Value::as_i64);
    let code = number("code").unwrap_or_default();
    told("error")
        || told("errors")
        || number("errcode").is_some_and(|code| code != 0)
        || (said.contains_key("msg") && code != 0 && !(200..300).contains(&code))
        || (said.contains_key("message") && code >= 400)
}

/// All that is said of why.
fn reasons(said: &Map<String, Value>) -> String {
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
        .filter_map(|key| said.get(key))
        .filter_map(shown)
    {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    for key in ["error_code", "errcode", "code"] {
        all.extend(
            said.get(key)
                .and_then(shown)
                .map(|code| format!("{key} {code}")),
        );
    }
    all.join(", ")
}

fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) => String::new(),
        Value::Object(error) => match reasons(error) {
            reason if reason.is_empty() => value.to_string(),
            reason => reason,
        },
        Value::Array(all) => all.iter().filter_map(shown).collect::<Vec<_>>().join(", "),
        Value::Number(number) => number.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The numbers that may be a status of HTTP.
fn codes(said: &Map<String, Value>) -> impl Iterator<Item = i64> {
    let inside = said.get("error").and_then(Value::as_object);
    [Some(said), inside].into_iter().flatten().flat_map(|map| {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        ["error_code", "code", "status", "statusCode"]
            .into_iter()
            .filter_map(move |key| map.get(key).and_then(number))
    })
}

fn code_passes(code: i64) -> bool {
    code == 408 || code == 429 || (500..600).contains(&code)
}

/// Whether an error in words is one that passes.
fn words_pass(reason: &str) -> bool {
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

/// `retry_after` in seconds, as Discord and Telegram tell it.
fn wait(said: &Map<String, Value>) -> Option<Duration> {
    let parameters = said
        .get("parameters")
        .and_then(|inside| inside.get("retry_after"));
    let seconds = said.get("retry_after").or(parameters)?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Option<(String, bool)> {
        failure(body, true).map(|failure| (failure.reason, failure.retryable))
    }

    #[test]
    fn a_failure_is_told_with_its_reason() {
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
            (" <html>", "a page, which is not the service's answer", true),
        ] {
            assert_eq!(told(body), Some((reason.to_owned(), retryable)), "{body}");
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
            assert_eq!(told(body), None, "{body}");
        }
        assert_eq!(failure("<html>", false), None);
    }

    #[test]
    fn a_wait_is_taken_from_the_body() {
        let wait = |body| failure(body, true).unwrap().retry_after;
        let seconds = Some(Duration::from_secs(7));
        assert_eq!(
            wait("{\"ok\":false,\"parameters\":{\"retry_after\":7}}"),
            seconds
        );
        assert_eq!(wait("{\"ok\":false,\"retry_after\":7}"), seconds);
        assert_eq!(wait("{\"ok\":false,\"retry_after\":-7}"), None);
    }
}
