//! Headers and authorization of requests that probes send without reqwest.

use bellwether_collector::EntryContext;
use bellwether_http::{Authorization, ClientSettings};
use hyper::header::HeaderMap;
use reqwest::Url;

/// Headers and authorization, checked.
pub(super) struct Credentials {
    authorization: Authorization,
    /// Makes headers of the authorization; sends nothing.
    client: reqwest::Client,
    /// Any URL, which the client wants.
    url: Url,
}

impl Credentials {
    pub(super) fn plan(
        authorization: &Authorization,
        context: &mut EntryContext<'_>,
    ) -> Option<Self> {
        authorization.check(context.at, context.problems);
        let url = Url::parse("http://localhost").ok()?;
        Some(Self {
            authorization: authorization.clone(),
            client: ClientSettings::default().client(&url).ok()?,
            url,
        })
    }

    /// Returns the headers of a request. Files with secrets are read each time.
    ///
    /// # Errors
    /// A file cannot be read, in one sentence.
    pub(super) async fn headers(&self) -> Result<HeaderMap, String> {
        let request = self.client.get(self.url.clone());
        let request = self.authorization.authorize(request).await;
        let request = request.map_err(|error| error.to_string())?.build();
        let request = request.map_err(|error| error.without_url().to_string())?;
        let mut headers = request.headers().clone();
        let configured = self.authorization.header_map();
        headers.extend(configured.map_err(|error| error.to_string())?);
        Ok(headers)
    }
}
