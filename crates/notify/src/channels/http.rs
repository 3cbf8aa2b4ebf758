//! HTTP requests of channels and the meaning of their responses.
//!
//! Shared by all channels over HTTP: URL, access, retryable statuses. A URL or a token is a secret,
//! and an error page of a proxy may quote one, so secrets are removed from every message.

use std::path::PathBuf;

use bellwether_http::{
    Access, Client, HttpError, SendError, body_text, parse_url, read_error_response, read_secret,
    redacted,
};
use bellwether_schema::{Diagnostics, Secret, SourceLocation, Spanned};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use super::body_error::body_error;
use super::templates::is_template;
use super::{DeliveryError, SettingsError, WallClock};

/// Checks that a secret is configured either as `key` or in a file as `key_file`.
pub(super) fn check_secret(
    key: &str,
    value: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) {
    match (value, file) {
        // One that cannot be read, such as with an unset variable, has its own error already.
        (None, None) if has_error(problems, at, &[key, &format!("{key}_file")]) => {}
        (None, None) => {
            problems
                .error(at, format!("missing key {key:?}"))
                .hint(format!("or `{key}_file`"));
        }
        (Some(_), Some(_)) => {
            problems
                .error(at, format!("both `{key}` and `{key}_file`"))
                .hint("keep one");
        }
        (Some(value), None) if value.expose().trim().is_empty() => {
            problems.error(&value.at, "must not be empty");
        }
        _ => {}
    }
}

/// Returns whether the value of one of `keys` in the mapping at `at` has an error.
fn has_error(problems: &Diagnostics, at: &SourceLocation, keys: &[&str]) -> bool {
    keys.iter().any(|key| {
        let path = at.key(key).path;
        problems.any(|location| location.path == path)
    })
}

/// Checks that a secret has no template, as it is not rendered.
pub(super) fn check_literal(value: Option<&Spanned<Secret>>, problems: &mut Diagnostics) {
    if let Some(value) = value.filter(|value| is_template(value.expose())) {
        problems
            .error(&value.at, "a template is not supported here")
            .hint("use a channel for each");
    }
}

/// Checks a URL that is configured as `url` or in a file as `url_file`.
pub(super) fn check_url(
    url: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) {
    check_literal(url, problems);
    if let (Some(url), None) = (url, file)
        && let Err(reason) = parse_url(url)
    {
        problems.error(&url.at, reason).hint("https://host/path");
    } else {
        check_secret("url", url, file, at, problems);
    }
}

/// Checks the URL of a service's API.
pub(super) fn check_api_url(url: &Spanned<String>, problems: &mut Diagnostics) {
    if let Err(reason) = parse_url(&Secret::new(&*url.value)) {
        problems.error(&url.at, reason);
    }
}

/// Returns the URL of `path` below that of a service's API.
pub(super) fn api_url(base: &str, path: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(&format!("{}/{path}", base.trim_end_matches('/')));
    url.map_err(|error| SettingsError::ApiUrl(error.to_string()))
}

/// Returns the URL that is configured as `url` or in a file as `url_file`. Blocks if it is in a file.
pub(super) fn secret_url(
    url: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
) -> Result<Url, SettingsError> {
    Ok(parse_url(&secret("url", url, file)?)?)
}

/// Returns the secret. Blocks if it is in a file.
pub(super) fn secret(
    key: &'static str,
    value: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
) -> Result<Secret, SettingsError> {
    match (value, file) {
        (Some(value), _) => Ok(value.value.clone()),
        (None, Some(path)) => Ok(read_secret(path)?),
        (None, None) => Err(SettingsError::MissingSecret(key)),
    }
}

/// A failed request.
pub(super) struct RequestError {
    /// Error for the delivery loop: 408, 429 and 5xx are retryable, other statuses are not.
    pub(super) error: DeliveryError,
    /// Body of the response, for channels that know its format; may be empty.
    pub(super) body: String,
}

impl From<RequestError> for DeliveryError {
    fn from(failed: RequestError) -> Self {
        failed.error
    }
}

/// A response that is a success in its body too.
pub(super) struct Accepted {
    /// Body of the response; an error if it was cut off.
    pub(super) body: Result<String, DeliveryError>,
}

/// A URL with its HTTP client.
pub(super) struct Endpoint {
    url: Url,
    /// Scheme, host and port, which messages may show.
    origin: String,
    client: Client,
    /// True for a service that never responds with an HTML page.
    service: bool,
    /// Secrets that are removed from messages.
    secrets: Vec<String>,
    clock: WallClock,
}

impl Endpoint {
    /// Creates the endpoint of a service at `url`. Blocks, as it may read files.
    ///
    /// # Errors
    /// Invalid settings, or a file that cannot be read.
    pub(super) fn open(
        url: Url,
        access: impl Into<Access>,
        clock: WallClock,
    ) -> Result<Self, HttpError> {
        let access = access.into();
        let secrets = [Some(url.path()), url.query(), url.password()];
        let secrets = secrets.into_iter().flatten().map(str::to_owned).collect();
        let authorization = access.authorization.secrets();
        let endpoint = Self {
            client: Client::open(access, &url)?,
            origin: url.origin().ascii_serialization(),
            service: true,
            secrets,
            url,
            clock,
        };
        Ok(authorization.iter().fold(endpoint, Self::with_secret))
    }

    /// Adds a secret of the request's body or URL, to be removed from messages. Those of its
    /// authorization are added already.
    pub(super) fn with_secret(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.expose().trim().to_owned());
        self
    }

    /// Accepts any body of a success, as from an unknown service.
    pub(super) fn accepting_any_body(mut self) -> Self {
        self.service = false;
        self
    }

    /// Sets whether redirects are followed; if not, they are errors.
    pub(super) fn with_redirects(mut self, follows: bool) -> Self {
        self.client = self.client.with_redirects(follows);
        self
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Posts `body` to the URL.
    pub(super) async fn post(&self, body: String) -> Result<Accepted, RequestError> {
        self.send(Method::POST, self.url.clone(), body).await
    }

    /// Sends one request. A success is a 2xx whose body is not an error.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        body: String,
    ) -> Result<Accepted, RequestError> {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let sent = self.client.send(method, url, &headers, body).await;
        let response = sent.map_err(|error| self.send_error(&error))?;
        match response.status().is_success() {
            true => self.accept(response).await,
            false => Err(self.status_error(response).await),
        }
    }

    /// Reads the body of a success, which may be an error nevertheless.
    async fn accept(&self, response: Response) -> Result<Accepted, RequestError> {
        let origin = response.url().origin().ascii_serialization();
        let body = match body_text(response).await {
            Ok(body) => body,
            Err(error) => {
                let message = self.redacted(format!("{origin}: {error}"));
                return Ok(Accepted {
                    body: Err(DeliveryError::transient(message)),
                });
            }
        };
        let Some(failure) = body_error(&body, self.service) else {
            return Ok(Accepted { body: Ok(body) });
        };
        let message = self.redacted(format!("{origin} answered: {}", failure.reason));
        Err(RequestError {
            error: DeliveryError {
                retry_after: failure.retry_after,
                ..DeliveryError::new(failure.retryable, message)
            },
            body,
        })
    }

    /// Checks that the API of `service` confirms a request with `"ok": true`; any other body is not
    /// its response.
    pub(super) fn check_ok(&self, accepted: Accepted, service: &str) -> Result<(), DeliveryError> {
        match serde_json::from_str::<Value>(&accepted.body?) {
            Ok(body) if body["ok"] == true => Ok(()),
            _ => Err(self.rejection(true, &format!("not a response of {service}"))),
        }
    }

    /// Returns the error of a 2xx whose body is not a success; `body` is quoted.
    pub(super) fn rejection(&self, retryable: bool, body: &str) -> DeliveryError {
        let message = format!("{} answered: {body}", self.origin);
        DeliveryError::new(retryable, self.redacted(message))
    }

    /// `text` without any secret.
    pub(super) fn redacted(&self, text: String) -> String {
        redacted(text, self.secrets.iter().map(String::as_str))
    }

    fn send_error(&self, error: &SendError) -> RequestError {
        let message = self.redacted(error.to_string());
        RequestError {
            error: DeliveryError::new(error.retryable, message),
            body: String::new(),
        }
    }

    async fn status_error(&self, response: Response) -> RequestError {
        let status = response.status();
        let retryable = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let origin = response.url().origin().ascii_serialization();
        let response = read_error_response(response, &origin, (self.clock)()).await;
        RequestError {
            error: DeliveryError {
                retry_after: response.retry_after,
                ..DeliveryError::new(retryable, self.redacted(response.message))
            },
            body: response.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_core::UnixMillis;
    use bellwether_http::{Authorization, ClientSettings};

    use super::*;
    use crate::testing::decoded;

    fn endpoint(url: &str) -> Endpoint {
        let (url, clock) = (Url::parse(url).unwrap(), Arc::new(UnixMillis::default));
        Endpoint::open(url, ClientSettings::default(), clock).unwrap()
    }

    #[test]
    fn a_value_that_cannot_be_read_is_not_missing() {
        let at = SourceLocation {
            path: "channels[1]".into(),
            ..SourceLocation::default()
        };
        for (key, expected) in [("url", 1), ("url_file", 1), ("name", 2)] {
            let mut problems = Diagnostics::default();
            problems.error(&at.key(key), "environment variable X is not set");
            check_secret("url", None, None, &at, &mut problems);
            assert_eq!(problems.len(), expected, "{key}");
        }
    }

    #[test]
    fn a_secret_is_removed_from_the_page_of_a_proxy() {
        let endpoint = endpoint("http://proxy.test/services/T0/B0/hunter2?key=sesame")
            .with_secret(&Secret::new("token-1234"));
        let page = "cannot reach http://proxy.test/services/T0/B0/hunter2?key=sesame: token-1234";
        assert_eq!(
            endpoint.redacted(page.into()),
            "cannot reach http://proxy.test<secret>?<secret>: <secret>"
        );
    }

    #[test]
    fn secrets_of_the_authorization_are_removed_too() {
        let authorization: Authorization = decoded(
            "{bearer_token: token-1234, headers: {x-key: key-1234}, \
             basic_auth: {username: ops, password: password-1234}}",
        );
        let access = Access {
            authorization,
            client: ClientSettings::default(),
        };
        let url = Url::parse("http://a/").unwrap();
        let endpoint = Endpoint::open(url, access, Arc::new(UnixMillis::default)).unwrap();
        assert_eq!(
            endpoint.redacted("token-1234 of ops: key-1234, password-1234".into()),
            "<secret> of ops: <secret>, <secret>"
        );
    }

    #[test]
    fn what_is_no_secret_stays() {
        assert_eq!(endpoint("http://a/").redacted("a/b/c".into()), "a/b/c");
    }
}
