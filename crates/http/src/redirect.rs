//! A client that follows redirects with what it sends.
//!
//! As Alertmanager does, but for two things: 301 and 302 lead to the same request at another place,
//! as a GET there would carry nothing and its 200 would look like a success; and nothing that was
//! sent encrypted is sent again without encryption. RFC 9110, section 15.4.

use std::fmt;

use hyper::body::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::OnceCell;

use super::access::Access;
use super::answer::reasons;

/// Most redirects of one request, as many as Go's client follows.
const MOST: usize = 10;

/// A client for one receiver.
pub struct Client {
    client: reqwest::Client,
    /// Whether `client` has no authorities to check a certificate against.
    plain: bool,
    /// For a redirect to `https` then.
    encrypted: OnceCell<reqwest::Client>,
    access: Access,
    follows: bool,
    /// What is declared, of which nothing but the content's type goes to another host.
    headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct SendError {
    /// Whether another attempt may go better.
    pub retryable: bool,
    /// What happened, without any URL but scheme, host and port.
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
    /// A client for `url`. Reads files, so it runs on a blocking thread.
    ///
    /// # Errors
    /// What is declared of the access does not hold.
    pub fn open(access: Access, url: &Url) -> Result<Self, String> {
        Ok(Self {
            client: access.client(url)?,
            plain: url.scheme() == "http" && access.lacks_authorities(),
            encrypted: OnceCell::new(),
            headers: access.header_map()?,
            access,
            follows: true,
        })
    }

    /// The same; redirects are answers where `follows` is not set.
    #[must_use]
    pub fn following(mut self, follows: bool) -> Self {
        self.follows = follows;
        self
    }

    /// Sends one request, and the same again where its answer leads elsewhere. Credentials and
    /// declared headers stay with the host they are for.
    ///
    /// # Errors
    /// There is no answer, or a redirect leads where nothing is sent.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &HeaderMap,
        body: String,
    ) -> Result<Response, SendError> {
        let (mut method, mut body, mut place) = (method, Bytes::from(body), url.clone());
        let mut known = true;
        for _ in 0..=MOST {
            let response = self
                .once(&method, &place, headers, body.clone(), known)
                .await?;
            let Some(mut next) = self.target(&response, &place)? else {
                return Ok(response);
            };
            known = known && same_host(&url, &next);
            let (user, password) = match known {
                true => (url.username(), url.password()),
                false => ("", None),
            };
            // Both fail only for a URL that can have neither, which is none of the web.
            next.set_username(user)
                .and(next.set_password(password))
                .ok();
            if response.status() == StatusCode::SEE_OTHER {
                // What was sent was taken there; what became of it is told elsewhere.
                (method, body) = (Method::GET, Bytes::new());
            }
            place = next;
        }
        Err(refused(&url, format!("redirects more than {MOST} times")))
    }

    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Bytes,
        known: bool,
    ) -> Result<Response, SendError> {
        let mut headers = headers.clone();
        let declared = self
            .headers
            .iter()
            .filter(|(name, _)| known || **name == CONTENT_TYPE);
        for (name, value) in declared {
            headers.insert(name.clone(), value.clone());
        }
        let client = self.client_for(url).await?;
        let mut request = client.request(method.clone(), url.clone()).headers(headers);
        if known {
            request = self
                .access
                .authorize(request)
                .await
                .map_err(SendError::transient)?;
        }
        let sent = request.body(body).send().await;
        sent.map_err(|error| {
            let place = url.origin().ascii_serialization();
            SendError::transient(format!("{place}: {}", reasons(&error.without_url())))
        })
    }

    /// The client that can speak to `url`.
    async fn client_for(&self, url: &Url) -> Result<&reqwest::Client, SendError> {
        if url.scheme() != "https" || !self.plain {
            return Ok(&self.client);
        }
        let made = self.encrypted.get_or_try_init(|| async {
            let (access, url) = (self.access.clone(), url.clone());
            let made = tokio::task::spawn_blocking(move || access.client(&url)).await;
            made.map_err(|error| error.to_string())
                .and_then(|made| made)
        });
        made.await.map_err(SendError::transient)
    }

    /// Where the answer leads, if it does.
    fn target(&self, response: &Response, from: &Url) -> Result<Option<Url>, SendError> {
        let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = response
            .headers()
            .get(LOCATION)
            .filter(|_| leads && self.follows)
        else {
            return Ok(None);
        };
        let next = location
            .to_str()
            .ok()
            .and_then(|location| from.join(location).ok());
        let Some(next) = next else {
            return Err(refused(from, "redirects to something that is no URL"));
        };
        match (from.scheme(), next.scheme()) {
            (_, "https") | ("http", "http") => Ok(Some(next)),
            (_, "http") => Err(refused(from, "redirects from https to http")),
            (_, other) => Err(refused(from, format!("redirects to the scheme {other:?}"))),
        }
    }
}

fn refused(from: &Url, what: impl fmt::Display) -> SendError {
    let place = from.origin().ascii_serialization();
    SendError {
        retryable: false,
        message: format!("{place} {what}; set the final URL"),
    }
}

/// Whether what is meant for `one` may go to `other`: the same host and port, or from the usual
/// port of `http` to that of `https`.
fn same_host(one: &Url, other: &Url) -> bool {
    let usual = |url: &Url| url.port().is_none();
    let upgraded = one.scheme() == "http" && other.scheme() == "https";
    let same_port = one.port_or_known_default() == other.port_or_known_default();
    one.host() == other.host() && (same_port || (upgraded && usual(one) && usual(other)))
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
