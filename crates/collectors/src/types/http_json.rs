//! Documents that a server answers with: JSON, XML and CSV.

mod pages;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Build, Collecting, Collector, EntryContext, EntryType};
use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use bellwether_http::{Access, Authorization, Connection, Fetched, Server, parse_url};
use bellwether_schema::{Literal, Secret, Size, Spanned, section, string_enum};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use self::pages::{PagePlan, Pages};
use crate::document::{self, DocumentFormat};
use crate::mapping::{MappedMetric, Mapping, Seen};

/// Formats in the order of preference, where none is configured.
const ACCEPTED: &str = "application/json, application/xml;q=0.9, text/csv;q=0.8, */*;q=0.1";

string_enum! {
    /// Methods of requests.
    pub enum RequestMethod {
        /// Without a body.
        Get = "GET" | "get",
        /// With the body `body`.
        Post = "POST" | "post",
    }
}

section! {
    /// Collector of type `http_json`: metrics in a document that a server answers with, in JSON or as JSON. Redirects
    /// are followed.
    pub struct HttpJson {
        /// URL: `http://` or `https://`. Never shown.
        pub url: Spanned<Secret>,
        /// Method.
        pub method: RequestMethod = RequestMethod::Get,
        /// Body of a POST, in JSON unless a header `Content-Type` says otherwise.
        pub body: Spanned<Literal> = Spanned::nowhere(Literal::default()),
        #[serde(flatten)]
        pub authorization: Authorization,
        #[serde(flatten)]
        pub connection: Connection = Connection::default(),
        /// Format of the document. Default: that of the header `Content-Type`, or JSON.
        pub format: Option<DocumentFormat>,
        /// Character between the fields of `csv`.
        pub delimiter: Spanned<String> = Spanned::nowhere(",".to_owned()),
        /// Further pages of the document. Default: there is one.
        pub pages: Option<Pages>,
        /// Metrics in the document.
        pub metrics: Vec<MappedMetric>,
    }
}

impl EntryType for HttpJson {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let url = parse_url(&self.url);
        if let Err(error) = &url {
            context
                .problems
                .error(&self.url.at, error.to_string())
                .hint("such as http://localhost:8080/status");
        }
        if self.method == RequestMethod::Get && !self.body.value.0.is_empty() {
            context
                .problems
                .error(&self.body.at, "a GET with a body")
                .hint("set `method: POST`");
        }
        self.authorization.check(context.at, context.problems);
        self.connection.check(context.problems);
        let delimiter = document::delimiter(&self.delimiter, context.problems);
        let pages = match &self.pages {
            Some(pages) => Some(pages.plan(context)?),
            None => None,
        };
        let mapping = Mapping::resolve(&self.metrics, context.problems)?;
        if mapping.is_empty() {
            context
                .problems
                .error(context.at, "no metrics")
                .hint("set `metrics: [{name: queue_length, value: $.length}]`, for example");
        }
        let access = Access {
            authorization: self.authorization.clone(),
            client: self.connection.with_timeout(context.request_timeout()),
        };
        let url = url.ok()?;
        let limit = context.limits.bytes.0;
        let request = Arc::new(Request {
            method: match self.method {
                RequestMethod::Get => Method::GET,
                RequestMethod::Post => Method::POST,
            },
            body: self.body.value.0.clone(),
            format: self.format,
            delimiter: delimiter?,
            mapping,
            pages,
            limit,
            timeout: context.request_timeout(),
        });
        context.build(move |_| HttpJsonCollector {
            server: Server::new(access.clone(), url.clone(), limit),
            request: request.clone(),
            seen: Seen::default(),
        })
    }
}

/// Request, and its answer.
struct Request {
    method: Method,
    body: String,
    format: Option<DocumentFormat>,
    delimiter: char,
    mapping: Mapping,
    pages: Option<PagePlan>,
    /// Maximum size of all pages, in bytes.
    limit: u64,
    /// Longest duration of all requests of a collection.
    timeout: Duration,
}

/// A page that was read.
struct Page {
    /// An error about metrics that are not in it.
    mapped: Result<(), Failure>,
    /// Length of its text.
    bytes: u64,
    /// URL of the next one; `None` at the end.
    next: Option<Url>,
}

impl Request {
    fn headers(&self) -> HeaderMap {
        let accepted = match self.format {
            None => ACCEPTED,
            Some(DocumentFormat::Json) => "application/json",
            Some(DocumentFormat::Xml) => "application/xml, text/xml;q=0.9",
            Some(DocumentFormat::Csv) => "text/csv",
        };
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accepted))]);
        if self.method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers
    }

    /// Returns an error if there may be no page behind `pages` ones of `bytes` together.
    fn check(&self, pages: usize, bytes: u64) -> Result<(), Failure> {
        let limit = self.pages.as_ref().map_or(1, |pages| pages.limit);
        if pages >= limit {
            let message = format!("more than {limit} pages; hint: pages.limit");
            return Err(Failure::new("pages", message));
        }
        if bytes > self.limit {
            let limit = Size(self.limit);
            let message = format!("{pages} pages are larger than {limit}; hint: limits.bytes");
            return Err(Failure::new("pages", message));
        }
        Ok(())
    }

    /// Adds the series of the page at `url`, of which `number` came before.
    fn read(
        &self,
        fetched: Fetched,
        url: &Url,
        number: usize,
        seen: &mut Seen,
        out: &mut SeriesBatch,
    ) -> Result<Page, Failure> {
        let format = self
            .format
            .unwrap_or_else(|| DocumentFormat::from_content_type(&fetched.content_type));
        let (answered, links) = (fetched.url.clone(), fetched.links.clone());
        let text = fetched
            .into_text()
            .map_err(|error| Failure::new("http", error))?;
        let document = format.parse(&text, self.delimiter);
        let document = document.map_err(|error| Failure::new("parse", error))?;
        let mapped = match number {
            0 => self.mapping.apply(&document, seen, out),
            _ => self.mapping.apply_items(&document, seen, out),
        };
        let next = match &self.pages {
            Some(pages) => pages.next(url, &answered, &links, &document.tree),
            None => Ok(None),
        };
        Ok(Page {
            mapped: mapped.map_err(|error| Failure::new("parse", error)),
            bytes: text.len() as u64,
            next: next.map_err(|error| Failure::new("pages", error))?,
        })
    }
}

struct HttpJsonCollector {
    server: Server,
    request: Arc<Request>,
    seen: Seen,
}

impl Collector for HttpJsonCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let deadline = Instant::now() + self.request.timeout;
            let mut next = Some(self.server.url().clone());
            let mut seen = HashSet::new();
            let mut bytes = 0;
            let mut mapped = Ok(());
            while let Some(url) = next {
                let number = seen.len();
                if !seen.insert(url.clone()) {
                    return Err(Failure::new("pages", "the next page is an earlier one"));
                }
                self.request.check(number, bytes)?;
                let page = self.page(url, number, deadline, &mut batch.series).await?;
                mapped = mapped.and(page.mapped);
                bytes += page.bytes;
                next = page.next;
            }
            mapped
        })
    }

    fn notes(&self) -> Vec<String> {
        self.request.mapping.notes(&self.seen)
    }
}

impl HttpJsonCollector {
    /// Fetches and reads the page at `url`, of which `number` came before.
    async fn page(
        &mut self,
        url: Url,
        number: usize,
        deadline: Instant,
        out: &mut SeriesBatch,
    ) -> Result<Page, Failure> {
        let request = self.request.clone();
        let (method, body) = (request.method.clone(), request.body.clone());
        let fetching = self
            .server
            .fetch_at(url.clone(), method, request.headers(), body);
        let fetched = timeout_at(deadline, fetching).await;
        let fetched = fetched.unwrap_or_else(|_| {
            let message = match number {
                0 => "timed out".to_owned(),
                1 => "timed out after 1 page".to_owned(),
                _ => format!("timed out after {number} pages"),
            };
            Err(Failure::new("http", message))
        })?;
        let mut series = std::mem::take(out);
        let mut seen = std::mem::take(&mut self.seen);
        let read = spawn_blocking(move || {
            let result = request.read(fetched, &url, number, &mut seen, &mut series);
            (series, seen, result)
        });
        let (series, seen, result) = read
            .await
            .map_err(|error| Failure::new("panic", error.to_string()))?;
        *out = series;
        self.seen = seen;
        result
    }
}

#[cfg(test)]
mod tests;
