//! HTTP requests of channels and the meaning of their responses.
//!
//! Shared by all channels over HTTP: URL, access, retryable statuses. A URL or a token is a secret,
//! and an error page of a proxy may quote one, so secrets are removed from every message.

use std::path::PathBuf;

use bellwether_http::{
    Access, Client, SendError, body_text, parse_url, read_error_response, read_secret,
};
use bellwether_schema::{Diagnostics, Secret, SourceLocation, Spanned};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::body_error::body_error;
use super::templates::is_template;
use super::{DeliveryError, WallClock};

/// Checks that a secret is configured either as `key` or in a file as `key_file`.
pub(super) fn check_secret(
    key: &str,
    value: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) {
    match (value, file) {
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

/// Returns the secret. Blocks if it is in a file.
pub(super) fn secret(
    key: &str,
    value: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
) -> Result<Secret, String> {
    match (value, file) {
        (Some(value), _) => Ok(value.value.clone()),
        (None, Some(path)) => Ok(read_secret(path)?),
        (None, None) => Err(format!("neither `{key}` nor `{key}_file`")),
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
    pub(super) fn open(url: Url, access: Access, clock: WallClock) -> Result<Self, String> {
        let secrets = [Some(url.path()), url.query(), url.password()];
        Ok(Self {
            client: Client::open(access, &url)?,
            origin: url.origin().ascii_serialization(),
            service: true,
            secrets: secrets.into_iter().flatten().map(str::to_owned).collect(),
            url,
            clock,
        })
    }

    /// Adds a secret of the request, to be removed from messages.
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
        let response = self.client.send(method, url, &headers, body).await;
        let response = response.map_err(|error| self.send_error(&error))?;
        if !response.status().is_success() {
            return Err(self.status_error(response).await);
        }
        let origin = response.url().origin().ascii_serialization();
        match body_text(response).await {
            Ok(body) => match body_error(&body, self.service) {
                None => Ok(Accepted { body: Ok(body) }),
                Some(body_error) => {
                    let error = DeliveryError {
                        retryable: body_error.retryable,
                        retry_after: body_error.retry_after,
                        message: self.redacted(format!("{origin} answered: {}", body_error.reason)),
                        delivered: Vec::new(),
                    };
                    Err(RequestError { error, body })
                }
            },
            Err(error) => {
                let error = self.redacted(format!("{origin}: {error}"));
                Ok(Accepted {
                    body: Err(DeliveryError::transient(error)),
                })
            }
        }
    }

    /// Returns the error of a 2xx whose body is not a success; `body` is quoted.
    pub(super) fn rejection(&self, retryable: bool, body: &str) -> DeliveryError {
        let message = self.redacted(format!("{} answered: {body}", self.origin));
        DeliveryError {
            retryable,
            message,
            ..DeliveryError::default()
        }
    }

    /// `text` without any secret.
    pub(super) fn redacted(&self, text: String) -> String {
        // What is shorter occurs in any text, such as the path `/`.
        const SHORTEST: usize = 6;
        let secrets = self
            .secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST);
        secrets.fold(text, |text, secret| {
            text.replace(secret.as_str(), "<secret>")
        })
    }

    fn send_error(&self, error: &SendError) -> RequestError {
        let message = self.redacted(error.to_string());
        let error = DeliveryError {
            retryable: error.retryable,
            message,
            ..DeliveryError::default()
        };
        RequestError {
            error,
            body: String::new(),
        }
    }

    async fn status_error(&self, response: Response) -> RequestError {
        let status = response.status();
        let retryable = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let origin = response.url().origin().ascii_serialization();
        let rejection = read_error_response(response, &origin, (self.clock)()).await;
        let error = DeliveryError {
            retryable,
            retry_after: rejection.retry_after,
            message: self.redacted(rejection.message),
            delivered: Vec::new(),
        };
        RequestError {
            error,
            body: rejection.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_core::UnixMillis;

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        let access = Access {
            timeout: bellwether_schema::HumanDuration::secs(1),
            ..Access::default()
        };
        Endpoint::open(
            Url::parse(url).unwrap(),
            access,
            Arc::new(UnixMillis::default),
        )
        .unwrap()
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
    fn what_is_no_secret_stays() {
        assert_eq!(endpoint("http://a/").redacted("a/b/c".into()), "a/b/c");
    }
}
