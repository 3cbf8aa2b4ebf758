//! Requests of collectors: a bounded response, decompressed.

use std::io::Read;

use bellwether_core::Failure;
use bellwether_runtime::{PROCESS_HEADER, PROCESS_MARK};
use bellwether_schema::Size;
use flate2::read::MultiGzDecoder;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK,
};
use reqwest::{Method, Response, Url};
use tokio::task::spawn_blocking;

use super::access::Access;
use super::client::Client;
use super::response::body_bytes;

/// Text of a response.
#[derive(Debug)]
pub struct Fetched {
    /// URL that answered: the requested one, or that of the last redirect.
    pub url: Url,
    /// `Content-Type` in lower case; empty if there is none.
    pub content_type: String,
    /// Values of `Link`, joined by commas.
    pub links: String,
    body: Vec<u8>,
    compressed: bool,
    limit: u64,
}

/// Sends a request and reads the response, of at most `limit` bytes.
///
/// # Errors
/// No response, one that is no success, or one that is larger, in one sentence.
pub async fn fetch(
    client: &Client,
    method: Method,
    url: Url,
    mut headers: HeaderMap,
    body: String,
    limit: u64,
) -> Result<Fetched, String> {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let response = client.send(method, url, &headers, body).await;
    let response = response.map_err(|error| error.message)?;
    if header(&response, &HeaderName::from_static(PROCESS_HEADER)) == **PROCESS_MARK {
        return Err("the target is this agent itself, whose series are here already".into());
    }
    let status = response.status();
    if !status.is_success() {
        return Err(format!("answered {status}"));
    }
    let content_type = header(&response, &CONTENT_TYPE);
    let compressed = match header(&response, &CONTENT_ENCODING).as_str() {
        "" | "identity" => false,
        "gzip" | "x-gzip" => true,
        other => return Err(format!("answered in an unknown encoding: {other:?}")),
    };
    let links = response.headers().get_all(LINK).iter();
    let links: Vec<&str> = links.filter_map(|value| value.to_str().ok()).collect();
    let links = links.join(",");
    let url = response.url().clone();
    let body = body_bytes(response, limit).await;
    Ok(Fetched {
        url,
        content_type,
        links,
        body: body.map_err(|error| too_large(error.to_string()))?,
        compressed,
        limit,
    })
}

/// Server that a collector asks again and again.
pub struct Server {
    access: Access,
    url: Url,
    /// Maximum size of a response, in bytes.
    limit: u64,
    /// `None` before the first request, and while its files cannot be read.
    client: Option<Client>,
}

impl Server {
    /// Creates a server that was not asked yet.
    #[must_use]
    pub fn new(access: Access, url: Url, limit: u64) -> Self {
        Self {
            access,
            url,
            limit,
            client: None,
        }
    }

    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// As [`fetch`], or a file of the settings cannot be read.
    pub async fn fetch(
        &mut self,
        method: Method,
        headers: HeaderMap,
        body: String,
    ) -> Result<Fetched, Failure> {
        let url = self.url.clone();
        self.fetch_at(url, method, headers, body).await
    }

    /// As [`Server::fetch`], at another URL of the same server.
    pub async fn fetch_at(
        &mut self,
        url: Url,
        method: Method,
        headers: HeaderMap,
        body: String,
    ) -> Result<Fetched, Failure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let (access, url) = (self.access.clone(), self.url.clone());
                spawn_blocking(move || Client::open(access, &url))
                    .await
                    .map_err(|error| Failure::new("panic", error.to_string()))?
                    .map_err(|error| Failure::new("settings", error.to_string()))?
            }
        };
        let client = self.client.insert(client);
        let fetched = fetch(client, method, url, headers, body, self.limit).await;
        fetched.map_err(|error| Failure::new("http", error))
    }
}

fn header(response: &Response, name: &HeaderName) -> String {
    let value = response.headers().get(name);
    let text = value.and_then(|value| value.to_str().ok());
    text.unwrap_or_default().trim().to_ascii_lowercase()
}

fn too_large(error: String) -> String {
    match error.starts_with("larger than") {
        true => format!("the response is {error}; hint: limits.bytes"),
        false => error,
    }
}

impl Fetched {
    /// Returns the body, decompressed. Takes time, so it runs on a blocking thread.
    ///
    /// # Errors
    /// Invalid gzip, or more than the limit.
    pub fn into_bytes(self) -> Result<Vec<u8>, String> {
        if !self.compressed {
            return Ok(self.body);
        }
        let mut bytes = Vec::with_capacity(4 * self.body.len());
        let mut decoder = MultiGzDecoder::new(self.body.as_slice()).take(self.limit + 1);
        let read = decoder.read_to_end(&mut bytes);
        read.map_err(|error| format!("invalid gzip: {error}"))?;
        match bytes.len() as u64 > self.limit {
            true => Err(too_large(format!("larger than {}", Size(self.limit)))),
            false => Ok(bytes),
        }
    }

    /// Returns the text, decompressed. Takes time, so it runs on a blocking thread.
    ///
    /// # Errors
    /// Invalid gzip, more than the limit, or not UTF-8.
    pub fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.into_bytes()?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("not UTF-8 at byte {at}")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(bytes: &[u8], limit: u64) -> Result<String, String> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        let fetched = Fetched {
            url: Url::parse("http://localhost/").unwrap(),
            content_type: String::new(),
            links: String::new(),
            body: encoder.finish().unwrap(),
            compressed: true,
            limit,
        };
        fetched.into_text()
    }

    #[test]
    fn a_bomb_of_gzip_is_not_inflated_beyond_the_limit() {
        let error = compressed(&vec![b'a'; 1 << 20], 1000).unwrap_err();
        assert_eq!(error, "the response is larger than 1KB; hint: limits.bytes");
        assert_eq!(compressed(b"a 1\n", 4).unwrap(), "a 1\n");
    }

    #[test]
    fn garbage_is_an_error() {
        assert_eq!(compressed(b"a\xff", 10).unwrap_err(), "not UTF-8 at byte 1");
        let fetched = Fetched {
            url: Url::parse("http://localhost/").unwrap(),
            content_type: String::new(),
            links: String::new(),
            body: b"plain".to_vec(),
            compressed: true,
            limit: 10,
        };
        assert!(fetched.into_text().unwrap_err().starts_with("invalid gzip"));
    }
}
