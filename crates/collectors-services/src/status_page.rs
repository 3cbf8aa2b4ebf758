//! Collectors of servers whose status is a page of text.

use bellwether_collector::{Build, Collecting, Collector, EntryContext};
use bellwether_core::{Batch, Failure, Now, SeriesBatch};
use bellwether_http::{Access, Authorization, Connection, Fetched, Server, parse_url};
use bellwether_schema::{Secret, Spanned, section};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::task::spawn_blocking;

section! {
    /// Page with the status of a server.
    pub struct StatusPage {
        /// URL of the page: `http://` or `https://`. Never shown.
        pub url: Spanned<Secret>,
        #[serde(flatten)]
        pub authorization: Authorization,
        #[serde(flatten)]
        pub connection: Connection = Connection::default(),
    }
}

/// Program that has a page.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    /// Metric that is 1 while the page can be read, and 0 otherwise.
    pub(crate) up: &'static str,
    /// URL of the page, as a hint.
    pub(crate) example: &'static str,
    /// Adds the series of a page to the batch; an error is in one sentence.
    pub(crate) parse: fn(&str, &mut SeriesBatch) -> Result<(), String>,
}

impl StatusPage {
    /// Checks the settings, and returns how a collector of the page is built.
    pub(crate) fn resolve(
        &self,
        program: Program,
        context: &mut EntryContext<'_>,
    ) -> Option<Build> {
        let url = parse_url(&self.url);
        if let Err(error) = &url {
            context
                .problems
                .error(&self.url.at, error.to_string())
                .hint(format!("such as {}", program.example));
        }
        self.authorization.check(context.at, context.problems);
        self.connection.check(context.problems);
        let access = Access {
            authorization: self.authorization.clone(),
            client: self.connection.with_timeout(context.request_timeout()),
        };
        let url = url.ok()?;
        let limit = context.limits.bytes.0;
        context.build(move |_| StatusPageCollector {
            server: Server::new(access.clone(), url.clone(), limit),
            program,
        })
    }
}

struct StatusPageCollector {
    server: Server,
    program: Program,
}

impl StatusPageCollector {
    async fn read(&mut self) -> Result<SeriesBatch, Failure> {
        let headers = HeaderMap::new();
        let fetched = self
            .server
            .fetch(Method::GET, headers, String::new())
            .await?;
        let parse = self.program.parse;
        let read = spawn_blocking(move || parsed(fetched, parse));
        let read = read.await;
        read.map_err(|error| Failure::new("panic", error.to_string()))?
    }
}

fn parsed(
    fetched: Fetched,
    parse: fn(&str, &mut SeriesBatch) -> Result<(), String>,
) -> Result<SeriesBatch, Failure> {
    let text = fetched
        .into_text()
        .map_err(|error| Failure::new("http", error))?;
    let mut series = SeriesBatch::default();
    match parse(&text, &mut series) {
        Ok(()) => Ok(series),
        Err(error) => Err(Failure::new("parse", error)),
    }
}

impl Collector for StatusPageCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let read = self.read().await;
            push_up(self.program.up, read.is_ok(), &mut batch.series);
            batch.series.append(&read?);
            Ok(())
        })
    }
}

/// Appends the metric that says whether a server could be asked.
pub(crate) fn push_up(name: &str, up: bool, out: &mut SeriesBatch) {
    let help = "1 if the server could be asked, 0 otherwise.";
    out.gauge(name, help, &[], f64::from(u8::from(up)));
}
