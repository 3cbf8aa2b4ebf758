//! One HTTP request of a channel, and what its answer means.
//!
//! What all channels over HTTP share: where a receiver is, how it is reached, which answers may
//! pass. A URL or a token is a secret, and a proxy's page may quote one, so every message is
//! searched for them.

use std::path::PathBuf;

use bellwether_http::{Access, Client, SendError, body_text, parse_url, read_secret, refusal};
use bellwether_schema::{Diagnostics, Secret, SourceLocation, Spanned};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::said::failure;
use super::texts::is_template;
use super::{DeliveryError, WallClock};

/// Judges a secret that is declared as `key` or in a file as `key_file`: one of the two.
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

/// Judges a secret that holds no template: here none is expanded.
pub(super) fn check_literal(value: Option<&Spanned<Secret>>, problems: &mut Diagnostics) {
    if let Some(value) = value.filter(|value| is_template(value.expose())) {
        problems
            .error(&value.at, "no template can stand here")
            .hint("use a channel for each");
    }
}

/// Judges a URL that is declared as `url` or in a file as `url_file`.
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

/// The secret itself. Blocks where it is in a file.
pub(super) fn secret(
    key: &str,
    value: Option<&Spanned<Secret>>,
    file: Option<&PathBuf>,
) -> Result<Secret, String> {
    match (value, file) {
        (Some(value), _) => Ok(value.value.clone()),
        (None, Some(path)) => read_secret(path),
        (None, None) => Err(format!("neither `{key}` nor `{key}_file`")),
    }
}

/// Why a request failed.
pub(super) struct Failed {
    /// As the delivery loop sees it: 408, 429 and 5xx may pass, other answers do not.
    pub(super) error: DeliveryError,
    /// What the receiver said, to be read by those who know its form; empty where it said nothing.
    pub(super) body: String,
}

impl From<Failed> for DeliveryError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// A success that does not say that it is none.
pub(super) struct Taken {
    /// What the receiver said; an error where that was cut off.
    pub(super) said: Result<String, DeliveryError>,
}

/// A receiver, and how it is reached.
pub(super) struct Endpoint {
    url: Url,
    /// Scheme, host and port: what may be shown of the URL.
    place: String,
    client: Client,
    /// Whether it is a service, which never answers with a page.
    service: bool,
    /// What no message may show.
    hidden: Vec<String>,
    clock: WallClock,
}

impl Endpoint {
    /// Gets ready to send to `url`, where a service is. Blocks, as it may read files.
    ///
    /// # Errors
    /// What is declared of the access does not hold.
    pub(super) fn open(url: Url, access: Access, clock: WallClock) -> Result<Self, String> {
        let hidden = [Some(url.path()), url.query(), url.password()];
        Ok(Self {
            client: Client::open(access, &url)?,
            place: url.origin().ascii_serialization(),
            service: true,
            hidden: hidden.into_iter().flatten().map(str::to_owned).collect(),
            url,
            clock,
        })
    }

    /// The same, with a further secret that is sent.
    pub(super) fn hiding(mut self, secret: &Secret) -> Self {
        self.hidden.push(secret.expose().trim().to_owned());
        self
    }

    /// The same, for a receiver of which nothing is known: it may answer a success with anything.
    pub(super) fn of_anybody(mut self) -> Self {
        self.service = false;
        self
    }

    /// The same; redirects are refusals where `follows` is not set.
    pub(super) fn following(mut self, follows: bool) -> Self {
        self.client = self.client.following(follows);
        self
    }

    /// Where to.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts `body` there.
    pub(super) async fn post(&self, body: String) -> Result<Taken, Failed> {
        self.send(Method::POST, self.url.clone(), body).await
    }

    /// Sends one request; a success is an answer of 2xx that does not say that it failed.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        body: String,
    ) -> Result<Taken, Failed> {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let response = self.client.send(method, url, &headers, body).await;
        let response = response.map_err(|error| self.broken(&error))?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let place = response.url().origin().ascii_serialization();
        match body_text(response).await {
            Ok(said) => match failure(&said, self.service) {
                None => Ok(Taken { said: Ok(said) }),
                Some(failure) => {
                    let error = DeliveryError {
                        retryable: failure.retryable,
                        retry_after: failure.retry_after,
                        message: self.redacted(format!("{place} answered: {}", failure.reason)),
                        delivered: Vec::new(),
                    };
                    Err(Failed { error, body: said })
                }
            },
            Err(error) => {
                let error = self.redacted(format!("{place}: {error}"));
                Ok(Taken {
                    said: Err(DeliveryError::transient(error)),
                })
            }
        }
    }

    /// A refusal that came as a success: `said` is what the receiver said.
    pub(super) fn unsuccessful(&self, retryable: bool, said: &str) -> DeliveryError {
        let message = self.redacted(format!("{} answered: {said}", self.place));
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
        let secrets = self.hidden.iter().filter(|secret| secret.len() >= SHORTEST);
        secrets.fold(text, |text, secret| {
            text.replace(secret.as_str(), "<secret>")
        })
    }

    fn broken(&self, error: &SendError) -> Failed {
        let message = self.redacted(error.to_string());
        let error = DeliveryError {
            retryable: error.retryable,
            message,
            ..DeliveryError::default()
        };
        Failed {
            error,
            body: String::new(),
        }
    }

    async fn refused(&self, response: Response) -> Failed {
        let status = response.status();
        let retryable = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
        let place = response.url().origin().ascii_serialization();
        let refusal = refusal(response, &place, (self.clock)()).await;
        let error = DeliveryError {
            retryable,
            retry_after: refusal.retry_after,
            message: self.redacted(refusal.message),
            delivered: Vec::new(),
        };
        Failed {
            error,
            body: refusal.body,
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
    fn a_secret_is_taken_out_of_what_a_proxy_quotes() {
        let endpoint = endpoint("http://proxy.test/services/T0/B0/hunter2?key=sesame")
            .hiding(&Secret::new("token-1234"));
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
