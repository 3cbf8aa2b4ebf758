//! Documents in JSON that a server answers with.

use std::sync::Arc;

use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use bellwether_http::{Access, Authorization, Connection, parse_url};
use bellwether_schema::{Literal, Secret, Spanned, section, string_enum};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::task::spawn_blocking;

use crate::http::{Fetched, Server};
use crate::mapping::{MappedMetric, Mapping};
use crate::{Build, Collecting, Collector, EntryContext, EntryType};

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
    /// Collector of type `http_json`: metrics in a document that a server answers with. Redirects are followed.
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
        let mapping = Mapping::resolve(&self.metrics, None, context.problems)?;
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
        let request = Request {
            method: match self.method {
                RequestMethod::Get => Method::GET,
                RequestMethod::Post => Method::POST,
            },
            body: self.body.value.0.clone(),
            mapping: Arc::new(mapping),
        };
        context.build(move |_| HttpJsonCollector {
            server: Server::new(access.clone(), url.clone(), limit),
            request: request.clone(),
        })
    }
}

#[derive(Clone)]
struct Request {
    method: Method,
    body: String,
    mapping: Arc<Mapping>,
}

impl Request {
    fn headers(&self) -> HeaderMap {
        let json = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(ACCEPT, json.clone())]);
        if self.method == Method::POST {
            headers.insert(CONTENT_TYPE, json);
        }
        headers
    }
}

struct HttpJsonCollector {
    server: Server,
    request: Request,
}

impl Collector for HttpJsonCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let request = &self.request;
            let (method, body) = (request.method.clone(), request.body.clone());
            let fetched = self.server.fetch(method, request.headers(), body).await?;
            let mapping = request.mapping.clone();
            let mut series = std::mem::take(&mut batch.series);
            let read = spawn_blocking(move || {
                let result = read(fetched, &mapping, &mut series);
                (series, result)
            });
            let (series, result) = read
                .await
                .map_err(|error| Failure::new("panic", error.to_string()))?;
            batch.series = series;
            result
        })
    }
}

fn read(fetched: Fetched, mapping: &Mapping, out: &mut SeriesBatch) -> Result<(), Failure> {
    let text = fetched
        .into_text()
        .map_err(|error| Failure::new("http", error))?;
    let document = serde_json::from_str(&text)
        .map_err(|error| Failure::new("parse", format!("not JSON: {error}")))?;
    let mapped = mapping.apply(&document, out);
    mapped.map_err(|error| Failure::new("parse", error))
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::entry::testing::{Collected, collect, resolve_entry};
    use crate::http::testing::{Reply, response, serve};

    async fn once(settings: &str) -> Collected {
        let yaml = format!("{{name: x, type: http_json, {settings}}}");
        collect(&mut *resolve_entry(&yaml).unwrap(), Now::default()).await
    }

    async fn server(tasks: &mut JoinSet<()>) -> u16 {
        serve(tasks, |request| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            match path {
                "/queues" => response(
                    "",
                    r#"{"queues": [{"name": "a", "length": 3}, {"name": "b", "length": "4"}]}"#,
                ),
                "/search" => {
                    let is_post = request.starts_with("POST ");
                    let hits =
                        i32::from(is_post && request.contains("content-type: application/json"));
                    response("", format!("{{\"hits\": {hits}}}"))
                }
                "/secret" if request.contains("x-key: k3y") => response("", "1"),
                "/html" => response("", "<html>"),
                "/large" => response("", format!("[{}1]", "1,".repeat(5000))),
                "/slow" => Reply::Hang(Vec::new()),
                _ => Reply::Bytes(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec()),
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_document_has_series_by_its_paths() {
        let mut tasks = JoinSet::new();
        let port = server(&mut tasks).await;
        let collected = once(&format!(
            "url: 'http://127.0.0.1:{port}/queues',
             metrics: [{{name: queue_length, items: '$.queues[*]', value: $.length, labels: {{queue: $.name}}}}]"
        ))
        .await;
        assert_eq!(collected.failure, None);
        assert_eq!(
            collected.lines,
            ["queue_length{queue=\"a\"} 3", "queue_length{queue=\"b\"} 4"]
        );
        let collected = once(&format!(
            "url: 'http://127.0.0.1:{port}/search', method: POST, body: '{{}}',
             metrics: [{{name: hits, value: $.hits}}]"
        ))
        .await;
        assert_eq!(collected.lines, ["hits 1"]);
        let collected = once(&format!(
            "url: 'http://127.0.0.1:{port}/secret', headers: {{X-Key: k3y}}, metrics: [{{name: one}}]"
        ))
        .await;
        assert_eq!(collected.lines, ["one 1"]);
    }

    #[tokio::test]
    async fn what_is_no_document_is_a_failure_with_its_reason() {
        let mut tasks = JoinSet::new();
        let port = server(&mut tasks).await;
        for (path, reason, detail) in [
            ("/secret", "http", "answered 403 Forbidden"),
            ("/html", "parse", "not JSON: "),
            ("/large", "http", "the response is larger than 1KB"),
            ("/slow", "http", "timed out"),
        ] {
            let collected = once(&format!(
                "timeout: 300ms, limits: {{bytes: 1KB}}, url: 'http://127.0.0.1:{port}{path}', metrics: [{{name: a}}]"
            ))
            .await;
            let (found, message) = collected.failure.unwrap();
            assert!(
                found == reason && message.contains(detail),
                "{path}: {found}: {message}"
            );
        }
    }

    #[test]
    fn mistakes_in_the_settings_are_reported_with_hints() {
        for (settings, message) in [
            ("url: a, metrics: [{name: a}]", "not a URL"),
            ("url: 'http://a', metrics: []", "no metrics"),
            (
                "url: 'http://a', body: x, metrics: [{name: a}]",
                "set `method: POST`",
            ),
            (
                "url: 'http://a', metrics: [{name: a, value: x}]",
                "not a JSONPath",
            ),
        ] {
            let errors = resolve_entry(&format!("{{name: x, type: http_json, {settings}}}"))
                .err()
                .unwrap_or_default();
            let found = errors.len() == 1 && errors[0].contains(message);
            assert!(found, "{settings}: {errors:?}");
        }
    }
}
