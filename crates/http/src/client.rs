//! HTTP client that follows redirects with the request.
//!
//! It differs from Alertmanager in two points: 301 and 302 repeat the request at the new URL, as a
//! GET would carry nothing and its 200 would look like a success; and a request that was encrypted
//! is never repeated without encryption. RFC 9110, section 15.4.

use std::fmt;

use hyper::body::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::OnceCell;

use super::access::Access;
use super::error::HttpError;
use super::response::error_chain;

/// Maximum number of redirects of one request, as many as Go's client follows.
const MAX_REDIRECTS: usize = 10;

/// A client for one server.
pub struct Client {
    client: reqwest::Client,
    /// True if `client` has no certificate authorities.
    plain: bool,
    /// Client for a redirect to `https`, if `plain`.
    encrypted: OnceCell<reqwest::Client>,
    access: Access,
    follows_redirects: bool,
    /// Configured headers; another host gets none of them but the content type.
    headers: HeaderMap,
}

/// A request without a response.
#[derive(Debug)]
pub struct SendError {
    /// True if another attempt may succeed.
    pub retryable: bool,
    /// Message; shows no more of a URL than scheme, host and port.
    pub message: String,
}

impl fmt::Display for SendError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl SendError {
    fn transient(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            message: message.into(),
        }
    }
}

impl Client {
    /// Creates a client for `url`. Reads files, so it runs on a blocking thread.
    ///
    /// # Errors
    /// Invalid settings, or a file that cannot be read.
    pub fn open(access: Access, url: &Url) -> Result<Self, HttpError> {
        Ok(Self {
            client: access.client.client(url)?,
            plain: url.scheme() == "http" && access.client.connection.has_no_authorities(),
            encrypted: OnceCell::new(),
            headers: access.authorization.header_map()?,
            access,
            follows_redirects: true,
        })
    }

    /// Sets whether redirects are followed; if not, they are returned as responses.
    #[must_use]
    pub fn with_redirects(mut self, follows_redirects: bool) -> Self {
        self.follows_redirects = follows_redirects;
        self
    }

    /// Sends a request, and repeats it where the response redirects. Credentials and configured
    /// headers are sent only to the host of `url`.
    ///
    /// # Errors
    /// No response, or a redirect that is not followed.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &HeaderMap,
        body: String,
    ) -> Result<Response, SendError> {
        let (mut method, mut body, mut place) = (method, Bytes::from(body), url.clone());
        let mut is_same_host = true;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .once(&method, &place, headers, body.clone(), is_same_host)
                .await?;
            let Some(mut next) = self.target(&response, &place)? else {
                return Ok(response);
            };
            is_same_host = is_same_host && same_host(&url, &next);
            let (user, password) = match is_same_host {
                true => (url.username(), url.password()),
                false => ("", None),
            };
            // Both fail only for a URL that can have neither, which is none of the web.
            next.set_username(user)
                .and(next.set_password(password))
                .ok();
            if response.status() == StatusCode::SEE_OTHER {
                // The request was accepted there; its result is at another URL.
                (method, body) = (Method::GET, Bytes::new());
            }
            place = next;
        }
        Err(not_followed(
            &url,
            format!("redirects more than {MAX_REDIRECTS} times"),
        ))
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Bytes,
        is_same_host: bool,
    ) -> Result<Response, SendError> {
        let mut headers = headers.clone();
        let configured = self
            .headers
            .iter()
            .filter(|(name, _)| is_same_host || **name == CONTENT_TYPE);
        for (name, value) in configured {
            headers.insert(name.clone(), value.clone());
        }
        let client = self.client_for(url).await?;
        let mut request = client.request(method.clone(), url.clone()).headers(headers);
        if is_same_host {
            request = self
                .access
                .authorization
                .authorize(request)
                .await
                .map_err(SendError::transient)?;
        }
        let sent = request.body(body).send().await;
        sent.map_err(|error| {
            let place = url.origin().ascii_serialization();
            SendError::transient(format!("{place}: {}", error_chain(&error.without_url())))
        })
    }

    /// Returns the client for the scheme of `url`.
    async fn client_for(&self, url: &Url) -> Result<&reqwest::Client, SendError> {
        if url.scheme() != "https" || !self.plain {
            return Ok(&self.client);
        }
        self.encrypted
            .get_or_try_init(|| async {
                let (settings, url) = (self.access.client.clone(), url.clone());
                match tokio::task::spawn_blocking(move || settings.client(&url)).await {
                    Ok(client) => client.map_err(SendError::transient),
                    Err(error) => Err(SendError::transient(error.to_string())),
                }
            })
            .await
    }

    /// Returns the target of a redirect.
    fn target(&self, response: &Response, from: &Url) -> Result<Option<Url>, SendError> {
        let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = response
            .headers()
            .get(LOCATION)
            .filter(|_| leads && self.follows_redirects)
        else {
            return Ok(None);
        };
        let next = location
            .to_str()
            .ok()
            .and_then(|location| from.join(location).ok());
        let Some(next) = next else {
            return Err(not_followed(from, "redirects to an invalid URL"));
        };
        match (from.scheme(), next.scheme()) {
            (_, "https") | ("http", "http") => Ok(Some(next)),
            (_, "http") => Err(not_followed(from, "redirects from https to http")),
            (_, other) => Err(not_followed(
                from,
                format!("redirects to the scheme {other:?}"),
            )),
        }
    }
}

fn not_followed(from: &Url, what: impl fmt::Display) -> SendError {
    let place = from.origin().ascii_serialization();
    SendError {
        retryable: false,
        message: format!("{place} {what}; set the final URL"),
    }
}

/// Returns true if credentials for `one` may be sent to `other`: the same host and port, or from
/// the default port of `http` to that of `https`.
#[must_use]
pub fn same_host(one: &Url, other: &Url) -> bool {
    let upgraded = one.scheme() == "http" && other.scheme() == "https";
    let same_port = one.port_or_known_default() == other.port_or_known_default();
    one.host() == other.host()
        && (same_port || (upgraded && one.port().is_none() && other.port().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_their_host() {
        for (one, other, same) in [
            ("http://a/x", "http://a/y", true),
            ("http://a/x", "https://a/x", true),
            ("http://a:80/x", "https://a:443/x", true),
            ("http://a:8080/x", "https://a/x", false),
            ("http://a:8080/x", "http://a:8081/x", false),
            ("https://a/x", "https://b.a/x", false),
            ("https://a/x", "https://b/x", false),
        ] {
            let (one, other) = (Url::parse(one).unwrap(), Url::parse(other).unwrap());
            assert_eq!(same_host(&one, &other), same, "{one} {other}");
        }
    }
}
